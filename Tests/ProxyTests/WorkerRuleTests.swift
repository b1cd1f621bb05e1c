import Glibc
import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// What one worker does about its clients' connections.
@Suite("A worker and its connections") struct WorkerRuleTests {
    @Test("Output that the client takes is progress")
    func progress() throws {
        let stage = try Stage(buffered: 256 << 20)
        defer { stage.core.dismantle() }
        let client = stage.client(holding: 1 << 20)
        let began = client.connection.lastProgress
        var turn = 0
        stage.run {
            turn += 1
            switch turn {
            case 1: break
            case 2:
                #expect(stage.core.now > began && client.connection.lastProgress == began, "nothing has moved yet")
                client.take()
            default:
                #expect(client.connection.lastProgress == stage.core.now)
                return false
            }
            usleep(5_000)
            return true
        }
    }

    @Test("What asked to go on and is used anew before its turn may ask again")
    func renewed() throws {
        let stage = try Stage(buffered: 256 << 20)
        defer { stage.core.dismantle() }
        let probe = Probe(core: stage.core)
        stage.core.register(probe)
        stage.core.makeRunnable(probe)
        stage.core.handles.renew(probe)
        stage.core.makeRunnable(probe)
        stage.run { false }
        #expect(probe.resumed == 1, "asked by the old token, which finds nothing, and by the new one")
        stage.core.makeRunnable(probe)
        #expect(probe.isRunnable)
        stage.core.forget(probe)
    }

    @Test("A drain that begins long after the last turn counts its grace from then on")
    func lateDrain() throws {
        let stage = try Stage(buffered: 256 << 20)
        defer { stage.core.dismantle() }
        let probe = Probe(core: stage.core)
        stage.core.register(probe)
        let stood = stage.core.now
        while MonotonicClock.milliseconds() < stood + 3 {}
        stage.core.beginDrain(idleGraceMilliseconds: 10)
        #expect(probe.toldAt >= stood + 3)
        stage.core.forget(probe)
    }

    @Test("Over limits.buffered the connection that holds most goes, and no more than must")
    func mostFirst() throws {
        let stage = try Stage(buffered: 700 << 10)
        defer { stage.core.dismantle() }
        let small = stage.client(holding: 100 << 10)
        let large = stage.client(holding: 2 << 20)
        let other = stage.client(holding: 100 << 10)
        stage.run { false }
        #expect(large.connection.state == .closed)
        #expect(small.connection.state != .closed && other.connection.state != .closed)
        #expect(stage.core.counts.connectionsRelieved == 1)
    }

    @Test(
        "What comes to be over limits.buffered within moments of a look is looked at again, though nothing more happens"
    )
    func lookAgain() throws {
        let stage = try Stage(buffered: 700 << 10)
        defer { stage.core.dismantle() }
        let first = stage.client(holding: 1 << 20)
        var second: SlowClient?
        let latest = MonotonicClock.milliseconds() + 5_000
        stage.run {
            guard first.connection.state == .closed else { return true }
            guard let second else {
                second = stage.client(holding: 1 << 20)
                return true
            }
            return second.connection.state != .closed && MonotonicClock.milliseconds() < latest
        }
        #expect(stage.core.counts.connectionsRelieved == 2)
    }

    @Test("A deadline ends nothing before the kernel was asked, after it had passed, for what came in time")
    func deadlineAfterLook() throws {
        let stage = try Stage(buffered: 256 << 20)
        defer { stage.core.dismantle() }
        let probe = Probe(core: stage.core)
        stage.core.register(probe)
        var turn = 0
        var began: UInt64 = 0
        stage.run {
            turn += 1
            switch turn {
            case 1:
                began = stage.core.now
                stage.core.wheel.schedule(probe.slot, at: began + 1)
                // The kernel has answered for the next turn; the worker stands still until long after the deadline.
                return true
            case 2: return true
            default: return probe.ended == 0
            }
        } before: {
            while turn == 1, MonotonicClock.milliseconds() < began + 50 {}
            if turn == 2 { #expect(probe.ended == 0) }
        }
        #expect(probe.ended == 1)
        stage.core.forget(probe)
    }

    @Test("A connection that comes during a drain and asks nothing holds it up for a moment only")
    func lateArrival() throws {
        let stage = try Stage(buffered: 1 << 20)
        defer { stage.core.dismantle() }
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0)
        let listener = try Socket.listen(on: address)
        let place = listener.boundAddress()
        let bound = try #require(place)
        stage.core.serve(
            ListenerPlan(plain: ListenerSpec(name: "public", address: bound)), identifier: 1, socket: listener)
        stage.core.beginDrain(idleGraceMilliseconds: 100)
        var client = try Socket.dial(IPEndpoint(bound))
        var isHere = false
        var turns = 0
        stage.run {
            turns += 1
            usleep(5_000)
            if stage.core.counts.connections > 0 { isHere = true }
            return turns < 400 && !(isHere && stage.core.counts.connections == 0)
        }
        #expect(isHere)
        #expect(stage.core.counts.connections == 0, "it is waited for as if it were new")
        client.close()
    }

    @Test("A table that changes an upstream's retry budget changes it for what was counted already")
    func budget() throws {
        let stage = try Stage(buffered: 1 << 20)
        defer { stage.core.dismantle() }
        let state = stage.core.plan.upstreams[0].object.state
        let before = state.budget.withdraw(now: 1_000)
        #expect(!before)
        _ = stage.core.adopt(stage.plan(2, buffered: 1 << 20, minimumPerSecond: 1))
        #expect(stage.core.plan.upstreams[0].object.state === state)
        let after = (state.budget.withdraw(now: 1_000), state.budget.withdraw(now: 1_000))
        #expect(after == (true, false))
    }
}

private final class Stage {
    let registry = EndpointRegistry()
    let core: WorkerCore
    private let counters = CounterRegistry()
    private let loop: EventLoop

    init(buffered: UInt64) throws {
        self.loop = try EventLoop()
        let (_, trouble) = AsyncStream<ListenerTrouble>.makeStream()
        let plan = Self.plan(1, buffered, 0, self.registry, self.counters)
        self.core = WorkerCore(
            index: 0, loop: self.loop, admission: Admission(accessLog: nil, ceiling: 10, trouble: trouble), plan: plan,
            pacing: TurnPacing(spacing: 0), seed: 1)
    }

    func plan(_ generation: UInt64, buffered: UInt64, minimumPerSecond: UInt32) -> TablePlan {
        Self.plan(generation, buffered, minimumPerSecond, self.registry, self.counters)
    }

    private static func plan(
        _ generation: UInt64, _ buffered: UInt64, _ minimumPerSecond: UInt32, _ registry: EndpointRegistry,
        _ counters: CounterRegistry
    ) -> TablePlan {
        var upstream = UpstreamSpec(name: "core")
        upstream.endpoints = [SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 1)]
        upstream.retry.budgetPercent = 0
        upstream.retry.minimumPerSecond = minimumPerSecond
        var spec = TableSpec()
        spec.upstreams = [upstream]
        spec.routes = [RouteSpec(name: "all", action: .split([SplitEntry(upstream: "core", weight: 1)]))]
        spec.limits.buffered = buffered
        let table = RoutingTable(spec: spec, generation: generation, registry: registry)
        return TablePlan(table, registry: counters, previous: nil)
    }

    /// Takes turns, each with whatever events there are, until `goesOn` says no. Once for each worker.
    func run(_ goesOn: () -> Bool, before: () -> Void = {}) {
        self.loop.run { batch in
            before()
            var next = self.core.turn(batch)
            next.timeout = 0
            if !goesOn() { self.loop.stop() }
            return next
        }
    }

    /// A client for which so many bytes wait beside what the kernel takes.
    func client(holding count: Int) -> SlowClient {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        #expect(socketpair(AF_UNIX, type, 0, &ends) == 0)
        var size: Int32 = 4_096
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, 4)
        let origin = ClientOrigin(listener: .sample(self.core), address: IPAddress(v4: 0x7F00_0001))
        let connection = HTTP1Client(core: self.core, channel: Channel(Socket(owning: ends[0])), origin: origin)
        connection.start()
        while connection.heldOutput < count {
            let piece = min(65_536, count)
            _ = connection.answerBody(
                BodyPiece(data: piece, consumed: piece), UnsafeRawPointer(self.core.memory.input.baseAddress), on: 0)
        }
        return SlowClient(connection: connection, peer: ends[1])
    }
}

private final class SlowClient {
    let connection: HTTP1Client
    private let peer: Int32

    init(connection: HTTP1Client, peer: Int32) {
        self.connection = connection
        self.peer = peer
    }

    deinit { close(self.peer) }

    /// Reads all that is there.
    func take() {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while recv(self.peer, &chunk, chunk.count, 0) > 0 {}
    }
}

/// Notes what the worker asks of it.
private final class Probe: Handle {
    private let core: WorkerCore
    var resumed = 0
    var ended = 0
    /// The worker's time when the drain began.
    var toldAt: UInt64 = 0

    init(core: WorkerCore) { self.core = core }

    override func resume() { self.resumed += 1 }

    override func expired() { self.ended += 1 }

    override func drain(grace: UInt64) { self.toldAt = self.core.now }
}
