import Glibc
import HTTP2
import HTTPWire
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Proxy

/// One worker's socket of a listener: whom it lets in, what it counts, and how it goes.
@Suite("A worker's listener") struct ListenerHandleTests {
    private final class Rig {
        let stage: ExchangeStage
        let port: UInt16
        /// Kept open.
        var clients: [RawConnection] = []

        init(_ listener: (inout ListenerSpec) -> Void = { _ in }, _ change: (inout TableSpec) -> Void = { _ in }) throws
        {
            self.stage = try ExchangeStage(change)
            let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0)
            let socket = try Socket.listen(on: address)
            let bound = socket.boundAddress()
            self.port = try #require(bound?.port)
            var spec = ListenerSpec(name: "public", address: address)
            listener(&spec)
            self.stage.core.serve(ListenerPlan(plain: spec), identifier: 3, socket: socket)
        }

        deinit { self.stage.core.dismantle() }

        var core: WorkerCore { self.stage.core }
        var handle: ListenerHandle? { self.core.listeners.first }

        /// Over loopback a connection stands in the queue once its client is told so.
        func connect() throws {
            self.clients.append(try RawConnection(port: self.port))
            self.handle?.ready(.input)
        }

        /// Of these, the stage's own client is one.
        var open: Int { self.core.counts.connections - 1 }
        var admitted: Int { self.core.admission.connections.load(ordering: .relaxed) }
    }

    @Test("Each connection is counted once, whatever stands before its requests", arguments: [false, true])
    func counted(http2: Bool) throws {
        let rig = try Rig { $0.http2 = http2 }
        for count in 1...3 {
            try rig.connect()
            #expect(rig.core.counts.connectionsAccepted == UInt64(count) && rig.open == count && rig.admitted == count)
        }
        #expect(rig.core.counts.connectionsRefused == 0 && rig.core.counts.acceptFailures == 0)
    }

    @Test("Over limits.connections a connection is closed, counted, and takes nobody's place")
    func limited() throws {
        let rig = try Rig({ _ in }, { $0.limits.connections = 2 })
        for _ in 0..<4 { try rig.connect() }
        #expect(rig.core.counts.connectionsAccepted == 2 && rig.core.counts.connectionsRefused == 2)
        #expect(rig.open == 2 && rig.admitted == 2)
        #expect(rig.clients[3].readAll(seconds: 30).end != .timeout)
    }

    @Test("Over limits.connectionsPerClient likewise, and its client's next one is let in again")
    func limitedPerClient() throws {
        let rig = try Rig({ _ in }, { $0.limits.connectionsPerClient = 1 })
        for _ in 0..<3 { try rig.connect() }
        #expect(rig.core.counts.connectionsAccepted == 1 && rig.core.counts.connectionsRefused == 2)
        #expect(rig.open == 1 && rig.admitted == 1)
        for token in rig.core.handles.tokens {
            let handle = rig.core.handles.find(token)?.takeUnretainedValue()
            if let client = handle as? HTTP1Client { client.close() }
        }
        #expect(rig.open == 0 && rig.admitted == 0)
        try rig.connect()
        #expect(rig.core.counts.connectionsAccepted == 2 && rig.open == 1 && rig.admitted == 1)
    }

    @Test("A client whose address is denied is closed, and counted by its listener")
    func denied() throws {
        let rig = try Rig { $0.access.deny = [AddressBlock(base: IPAddress(v4: 0x7F00_0001), prefixLength: 128)] }
        try rig.connect()
        let rows = rig.core.snapshot(names: rig.stage.counters.names).listeners
        #expect(rows.first { $0.listener == "public" }?.denied == 1 && rig.open == 0 && rig.admitted == 0)
        #expect(rig.core.counts.connectionsAccepted == 0 && rig.core.counts.connectionsRefused == 0)
    }

    @Test("A listener that leaves takes what has come, is not handed on, and closes a quarter of a second later")
    func leaving() throws {
        let rig = try Rig()
        let handle = try #require(rig.handle)
        rig.clients.append(try RawConnection(port: rig.port))
        rig.core.leaveListeners([3], hiding: true)
        #expect(handle.isLeaving && rig.open == 1 && rig.core.listeners.count == 1)
        let slot = Int32(handle.slot)
        var early: ContiguousArray<Int32> = []
        var due: ContiguousArray<Int32> = []
        rig.core.wheel.advance(to: rig.core.now + 250 - 32, expired: &early)
        rig.core.wheel.advance(to: rig.core.now + 250 + 32, expired: &due)
        #expect(!early.contains(slot) && due.contains(slot))
        handle.expired()
        #expect(rig.core.listeners.isEmpty && rig.open == 1)
        let state = rig.core.listenerStates.first
        #expect(state?.isLeaving == true)
    }

    @Test("A listener that is to be heard elsewhere closes as soon as its queue is empty")
    func handedOver() throws {
        let rig = try Rig()
        rig.clients.append(try RawConnection(port: rig.port))
        rig.core.leaveListeners([4], hiding: false)
        #expect(rig.core.listeners.count == 1, "it is another's number")
        rig.core.leaveListeners([3], hiding: false)
        #expect(rig.core.listeners.isEmpty && rig.open == 1)
    }

    @Test("A listener takes other options for connections to come, and its counters go by its name")
    func adopted() throws {
        let rig = try Rig()
        try rig.connect()
        var spec = ListenerSpec(name: "other", address: SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0))
        spec.access.allow = []
        rig.core.adopt([3: ListenerPlan(plain: spec)])
        try rig.connect()
        #expect(rig.open == 1 && rig.handle?.listener.plan.name == "other")
        let rows = rig.core.snapshot(names: rig.stage.counters.names).listeners
        #expect(rows.first { $0.listener == "other" }?.denied == 1)
        #expect(rows.first { $0.listener == "public" }?.denied == 0)
    }

    @Test("A trouble that lasts is told once, and counted each time; its end is told")
    func trouble() async throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0)
        var socket = try Socket.listen(on: address)
        let descriptor = socket.release()
        stage.core.serve(
            ListenerPlan(plain: ListenerSpec(name: "public", address: address)), identifier: 3,
            socket: Socket(owning: descriptor))
        let handle = try #require(stage.core.listeners.first)
        // Linux: a listening socket that is shut down accepts no more.
        try #require(shutdown(descriptor, Int32(SHUT_RDWR)) == 0)
        for count in 1...3 {
            handle.ready(.input)
            #expect(stage.core.counts.acceptFailures == UInt64(count))
        }
        try #require(listen(descriptor, 8) == 0)
        handle.ready(.input)
        stage.core.admission.report(ListenerTrouble(listener: "last", worker: 0, cause: nil))
        var told: [String] = []
        for await trouble in stage.troubles {
            told.append("\(trouble.listener) \(trouble.cause?.operation ?? "well")")
            if trouble.listener == "last" { break }
        }
        #expect(told == ["public accept", "public well", "last well"])
    }

    @Test("What HTTP/2 clients may do is what the table says, and endpoints may do more")
    func sessions() {
        var limits = Limits()
        limits.http2.concurrentStreams = 11
        limits.http2.resets = 12
        limits.http2.unsentControl = 13
        limits.http2.streamWindow = 70_001
        limits.http2.connectionWindow = 70_002
        limits.headerBytes = 15
        let clients = SessionLimits(limits)
        #expect(clients.concurrentStreams == 11 && clients.resets == 12 && clients.unsentControl == 13)
        #expect(clients.streamWindow == 70_001 && clients.connectionWindow == 70_002 && clients.headerBytes == 15)
        let endpoints = SessionLimits(upstream: limits)
        #expect(endpoints.concurrentStreams == 256 && endpoints.resets == 10_000 && endpoints.unsentControl == 130)
        #expect(endpoints.streamWindow == 70_001 && endpoints.connectionWindow == 70_002)
        #expect(endpoints.headerBytes == 65_536)
        limits.headerBytes = 100_000
        #expect(SessionLimits(upstream: limits).headerBytes == 100_000)
        var timeouts = Timeouts()
        timeouts.requestHeader = 21
        timeouts.keepAlive = 22
        timeouts.http2Ping = 23
        let times = SessionTimeouts(timeouts)
        #expect(times.preface == 21 && times.keepAlive == 22 && times.ping == 23)
    }

    @Test("A stream is clear once all of it has gone as far as its connection, its end included")
    func streams() {
        var pool = BufferPool()
        var stream = HTTP2Stream()
        #expect(stream.isClear && stream.identifier == 0)
        stream.endsOutput = true
        #expect(!stream.isClear)
        stream.endsOutput = false
        [UInt8](repeating: 1, count: 9).withUnsafeBytes { stream.outbound.append($0, pool: &pool) }
        #expect(!stream.isClear)
        stream.identifier = 5
        stream.lent = 7
        stream.clear(pool: &pool)
        let lent = pool.lent
        #expect(stream.isClear && stream.identifier == 0 && stream.lent == 0 && lent == 0)
    }
}
