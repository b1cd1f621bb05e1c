import Compression
import Glibc
import HTTPWire
import Reactor
import Synchronization
import Testing
import Traffic

@testable import Proxy

/// The parts of a worker, each by itself.
@Suite("Parts of a worker") struct WorkerPartTests {
    // MARK: connections to an endpoint

    private func connection(_ stage: ExchangeStage) throws -> FakeEndpoint {
        try #require(stage.pool.admitConnection())
        let connection = FakeEndpoint(core: stage.core, pool: stage.pool, dice: Dice())
        try connection.enter()
        connection.state = .leased
        return connection
    }

    private static func isUrgent(_ handle: Handle, _ core: WorkerCore) -> Bool { core.handles.isUrgent(handle.token) }

    @Test("An endpoint has as many connections as its upstream says, whoever holds them", arguments: [0, 1, 3])
    func places(maximum: UInt32) throws {
        let stage = try ExchangeStage { $0.upstreams[0].maxConnections = maximum }
        defer { stage.core.dismantle() }
        for count in 0..<4 {
            let isFree = maximum == 0 || count < maximum
            #expect(stage.pool.isFull == !isFree)
            #expect(stage.pool.admitConnection() == isFree)
            #expect(stage.endpoint.connections.load(ordering: .relaxed) == (isFree ? count + 1 : Int(maximum)))
        }
        stage.pool.connectionClosed(stage.core)
        #expect(!stage.pool.isFull && stage.pool.admitConnection())
    }

    @Test("A dial that the kernel refuses at once gives its place back")
    func unreachable() throws {
        let everybody = SocketAddress(ip: IPAddress(v4: 0xFFFF_FFFF), port: 1)
        let stage = try ExchangeStage { $0.upstreams[0].endpoints[0] = everybody }
        defer { stage.core.dismantle() }
        let pool = stage.pool
        try #require(pool.endpoint.address == everybody && pool.admitConnection())
        let isDialled = (try? stage.core.dial(pool)) != nil
        #expect(!isDialled && pool.endpoint.connections.load(ordering: .relaxed) == 0)
    }

    @Test("A connection closes once, and gives one place back")
    func closing() throws {
        let stage = try ExchangeStage { $0.upstreams[0].maxConnections = 2 }
        defer { stage.core.dismantle() }
        let connection = try self.connection(stage)
        let opened = stage.pool.counters.connectionsOpened
        #expect(stage.endpoint.connections.load(ordering: .relaxed) == 1 && opened == 1)
        connection.close()
        connection.close()
        connection.givePlaceBack()
        #expect(stage.endpoint.connections.load(ordering: .relaxed) == 0 && connection.slot == -1)
    }

    @Test("An idle connection whose time is over leaves its pool; a leased one has no such time")
    func idleTime() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let connection = try self.connection(stage)
        connection.expired()
        #expect(connection.state == .leased)
        #expect(connection.rest(idleMilliseconds: 60_000) && stage.pool.counters.connectionsIdle == 1)
        #expect(Self.isUrgent(connection, stage.core))
        connection.expired()
        #expect(connection.state == .closed && stage.pool.counters.connectionsIdle == 0)
        let next = try self.connection(stage)
        try #require(next.rest(idleMilliseconds: 60_000))
        let leased = stage.pool.lease()?.object
        #expect(leased === next && next.wake(checking: false) && next.state == .leased)
        #expect(!Self.isUrgent(next, stage.core))
    }

    @Test("What is kept for a client is leased for it alone, and goes with it")
    func owned() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        var connections: [FakeEndpoint] = []
        for owner in [7, 9, 7] as [UInt64] {
            let connection = try self.connection(stage)
            connection.owner = owner
            try #require(connection.rest(idleMilliseconds: 60_000))
            connections.append(connection)
        }
        #expect(stage.pool.lease(for: 8) == nil)
        let newest = stage.pool.lease(for: 7)?.object
        #expect(newest === connections[2])
        stage.pool.closeIdle(of: 7)
        #expect(connections.map { $0.state == .closed } == [true, false, false])
    }

    @Test("Another way to speak to an endpoint ends what speaks the old one")
    func adopting() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let state = stage.core.plan.upstreams[0].object.state
        var spec = stage.core.plan.table.spec.upstreams[0]
        func idle() throws -> FakeEndpoint {
            let connection = try self.connection(stage)
            try #require(connection.rest(idleMilliseconds: 60_000))
            return connection
        }
        let first = try idle()
        stage.pool.adopt(spec, state: state)
        #expect(first.state == .idle && !stage.pool.isShared && stage.pool.dialsHTTP1)
        spec.sendProxyProtocol = 2
        stage.pool.adopt(spec, state: state)
        #expect(first.state == .closed && stage.pool.announcement == .two)
        spec.sendProxyProtocol = 0
        stage.pool.adopt(spec, state: state)
        let second = try idle()
        spec.speaks = .negotiated
        stage.pool.adopt(spec, state: state)
        #expect(second.state == .closed && stage.pool.isShared && !stage.pool.dialsHTTP1)
        #expect(stage.pool.carriesUpgrades && stage.pool.counters.speaksHTTP2 == nil)
        stage.pool.note(speaksHTTP2: false, now: 5_000)
        #expect(!stage.pool.isShared && stage.pool.counters.speaksHTTP2 == false)
        #expect(!stage.pool.asksAgain(now: 5_999) && stage.pool.asksAgain(now: 6_000), "not more than once a second")
        #expect(!stage.pool.asksAgain(now: 6_999) && stage.pool.asksAgain(now: 7_000))
        spec.speaks = .http2
        stage.pool.adopt(spec, state: state)
        #expect(stage.pool.isShared && !stage.pool.carriesUpgrades && stage.pool.counters.speaksHTTP2 == true)
        stage.pool.note(speaksHTTP2: false, now: 8_000)
        #expect(stage.pool.isShared && !stage.pool.asksAgain(now: 9_000), "it is not asked")
        spec.speaks = .http1
        stage.pool.adopt(spec, state: state)
        let (third, fourth) = (try idle(), try idle())
        spec.idleConnections = 1
        stage.pool.adopt(spec, state: state)
        #expect(third.state == .closed && fourth.state == .idle, "the oldest goes")
        stage.pool.retire(now: 5)
        stage.pool.retire(now: 6)
        #expect(stage.pool.retiredAt == 5 && fourth.state == .closed)
        let late = try self.connection(stage)
        #expect(!late.rest(idleMilliseconds: 60_000))
    }

    @Test("The place that an idle connection takes is another worker's, if only that one waits for it")
    func wanted() throws {
        let stage = try ExchangeStage { $0.upstreams[0].maxConnections = 1 }
        defer { stage.core.dismantle() }
        let record = stage.core.plan.upstreams[0].object.state.record
        let connection = try self.connection(stage)
        record.connectionsWanted.add(1, ordering: .relaxed)
        #expect(!connection.rest(idleMilliseconds: 60_000))
        record.connectionsWanted.subtract(1, ordering: .relaxed)
        #expect(connection.rest(idleMilliseconds: 60_000))
    }

    @Test("Whoever waits for a connection is counted while it waits, and no longer")
    func wanting() throws {
        let stage = try ExchangeStage {
            $0.upstreams[0].maxConnections = 1
            $0.upstreams[0].queueLength = 9
        }
        defer { stage.core.dismantle() }
        let record = stage.core.plan.upstreams[0].object.state.record
        func wanted() -> Int { Int(record.connectionsWanted.load(ordering: .relaxed)) }
        _ = try stage.offer()
        _ = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        let other = FakeClient(core: stage.core, dice: Dice())
        try #require(other.enter())
        let roomWanted = stage.core.admission.roomWanted.load(ordering: .relaxed)
        let waiter = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n", other)
        try #require(waiter.phase.attempt == .queued)
        #expect(wanted() == 1 && stage.core.admission.roomWanted.load(ordering: .relaxed) == roomWanted + 1)
        other.isOver()
        waiter.clientGone(.clientClosed)
        #expect(wanted() == 0)
    }

    // MARK: memory

    @Test("What one write sends is head, framing and body, in one piece where they are small")
    func gather() {
        let data = [UInt8](repeating: 0x61, count: 70_000)
        for framing in [BodyFraming.none, .length(5), .chunked, .untilClose] {
            for size in [0, 5, 8_100, 8_192, 8_193, 70_000] {
                for head in [0, 20, 131_060, 131_072] {
                    for isEnd in [false, true] {
                        let sent = Self.written(head: head, size, framing, isEnd: isEnd, data)
                        var expected = [UInt8](repeating: 0x68, count: head)
                        if framing == .chunked {
                            if size > 0 { expected += Array(String(size, radix: 16).utf8) + [13, 10] }
                            expected += data.prefix(size) + (size > 0 ? [13, 10] : [])
                            if isEnd { expected += Array("0\r\n\r\n".utf8) }
                        } else {
                            expected += data.prefix(size)
                        }
                        #expect(sent == expected, "\(framing), \(head) and \(size) bytes, \(isEnd)")
                    }
                }
            }
        }
    }

    private static func written(
        head: Int, _ size: Int, _ framing: BodyFraming, isEnd: Bool, _ data: [UInt8]
    ) -> [UInt8] {
        let memory = WorkerMemory()
        memory.head.initializeMemory(as: UInt8.self, repeating: 0x2E)
        UnsafeMutableRawBufferPointer(rebasing: memory.head[0..<head]).initializeMemory(as: UInt8.self, repeating: 0x68)
        return data.withUnsafeBytes { data in
            let pieces = memory.gather(
                head: head, BodyPiece(data: size, consumed: size, isEnd: isEnd), data.baseAddress, as: framing)
            return pieces.flatMap { Array(UnsafeRawBufferPointer(start: $0.iov_base, count: $0.iov_len)) }
        }
    }

    private static func sizes(_ memory: borrowing WorkerMemory) -> [Int] {
        [memory.input.count, memory.head.count, memory.frames.count]
    }

    @Test("Memory grows to what the largest heads and trailers take, and never shrinks")
    func growth() {
        var memory = WorkerMemory()
        let first = Self.sizes(memory)
        memory.grow(headRoom: 100, frameRoom: 100)
        let same = Self.sizes(memory)
        memory.grow(headRoom: 200_000, frameRoom: 50_000)
        let larger = Self.sizes(memory)
        memory.grow(headRoom: 300_000, frameRoom: 100)
        let largest = Self.sizes(memory)
        #expect(same == first && larger == [first[0], 200_000, 50_000] && largest == [300_000, 300_000, 50_000])
        let (changes, coded) = (memory.roomForChanges().count, memory.roomForCoded().count)
        #expect(changes == 300_000 && coded == 65_536)
    }

    @Test("So many bodies are coded at a time, and what coded one codes the next")
    func coders() {
        var pool = CoderPool()
        var taken: [ContentCoder] = []
        while taken.count < 100, let coder = pool.take(.gzip, level: 1) { taken.append(coder) }
        #expect(taken.count == 64)
        guard let last = taken.popLast() else { return }
        pool.give(back: last)
        let again = pool.take(.gzip, level: 1)
        #expect(again === last)
        let none = pool.take(.gzip, level: 1)
        #expect(none == nil)
        pool.give(back: last)
        let other = pool.take(.gzip, level: 2)
        #expect(other != nil && other !== last, "another level is another coder")
    }

    @Test("A worker is saturated when nine tenths of the last window were work, and not behind a long rest")
    func load() {
        for (busy, isSaturated) in [(UInt64(89_999), false), (90_000, true), (100_000, true), (0, false)] {
            var meter = LoadMeter()
            meter.turnBegins(1_000_000)
            meter.turnEnds(1_000_000 + busy)
            meter.turnBegins(1_099_999)
            #expect(!meter.isSaturated, "the window is not over")
            meter.turnBegins(1_100_000)
            #expect(meter.isSaturated == isSaturated)
            // The next window begins with nothing.
            meter.turnBegins(1_200_000)
            #expect(!meter.isSaturated)
        }
        var meter = LoadMeter()
        meter.turnBegins(1_000_000)
        meter.turnEnds(1_990_000)
        meter.turnBegins(2_000_000)
        #expect(!meter.isSaturated)
    }

    @Test("Of credentials that share a place the one that ends first gives way")
    func remembered() {
        func code(_ number: UInt64) -> CredentialCode { CredentialCode(256 * number + 3, number, 1, 1) }
        var remembered = RememberedCredentials()
        #expect(!remembered.contains(code(0), now: 0))
        for (number, until) in [(UInt64(0), UInt64(500)), (1, 200), (2, 400), (3, 300)] {
            remembered.insert(code(number), until: until)
        }
        #expect((0..<4).allSatisfy { remembered.contains(code($0), now: 100) })
        remembered.insert(code(4), until: 600)
        #expect((0..<5).map { remembered.contains(code($0), now: 100) } == [true, false, true, true, true])
        // Known already, it takes no other's place.
        remembered.insert(code(3), until: 700)
        #expect((0..<5).map { remembered.contains(code($0), now: 100) } == [true, false, true, true, true])
        #expect(remembered.contains(code(3), now: 699) && !remembered.contains(code(3), now: 700))
        // Another set is untouched, and another code of the same first word is another.
        #expect(!remembered.contains(CredentialCode(259 + 1, 4, 1, 1), now: 100))
        #expect(!remembered.contains(CredentialCode(256 * 4 + 3, 4, 1, 2), now: 100))
    }

    @Test("Who needs a watched side is told by template for a while, and by route from then on")
    func needs() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let route = stage.core.plan.shared.routes[0].object
        var log = NeedLog()
        func note(_ target: String, at now: UInt64) {
            Array(target.utf8).withUnsafeBytes { log.note(route: route, target: $0, cause: .weight, now: now) }
        }
        for _ in 0..<NeedLog.templatesPerSecond { note("/a", at: 1_000) }
        note("/a", at: 1_999)
        note("/a", at: 2_000)
        note("/" + String(repeating: "a", count: 4_096), at: 2_000)
        let told = log.take().sorted { $0.count > $1.count }
        #expect(told.map(\.count) == [51, 2] && told[0].template != told[1].template)
        #expect(log.take().isEmpty)
    }

    // MARK: tables

    private func plan(
        _ stage: ExchangeStage, _ generation: UInt64, _ registry: EndpointRegistry? = nil,
        _ change: (inout TableSpec) -> Void
    ) -> TablePlan {
        var spec = stage.core.plan.table.spec
        change(&spec)
        let table = RoutingTable(spec: spec, generation: generation, registry: registry ?? stage.registry)
        return TablePlan(table, registry: stage.counters, previous: nil)
    }

    @Test("Another table's timeouts and limits hold from then on")
    func adopted() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let pinned = stage.core.adopt(
            self.plan(stage, 2) {
                $0.timeouts.keepAlive = 7
                $0.limits.headerBytes = 500_000
                $0.limits.tls.handshakes = 9
                $0.routes[0].compression = CompressionSpec()
            })
        #expect(pinned == [2] && stage.core.timeouts.keepAlive == 7 && stage.core.headLimits.bytes == 500_000)
        #expect(stage.core.tlsLimits.handshakes == 9 && stage.core.load.isOn)
        let sizes = (stage.core.memory.head.count, stage.core.memory.input.count)
        #expect(sizes.0 >= 1_000_000 && sizes.1 >= 1_000_000)
        _ = stage.core.adopt(self.plan(stage, 3) { $0.routes[0].compression = nil })
        #expect(!stage.core.load.isOn)
    }

    @Test("An exchange pins the table that it began with until it ends")
    func pinned() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(stage.core.adopt(self.plan(stage, 2) { _ in }) == [1, 2])
        #expect(stage.core.adopt(self.plan(stage, 3) { _ in }) == [1, 3])
        exchange.clientGone(.clientClosed)
        #expect(stage.core.pinnedGenerations() == [3])
    }

    @Test("An upstream that a table leaves out loses what is idle, and its name what was counted")
    func leftOut() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let connection = try stage.offer()
        let pool = stage.pool
        stage.core.plan.upstreams[0].object.state.retries = 5
        _ = stage.core.adopt(
            self.plan(stage, 2) {
                $0.upstreams = []
                $0.routes = []
            })
        #expect(connection.state == .closed && pool.retiredAt != nil)
        let without = stage.core.snapshot(names: stage.counters.names)
        #expect(without.retries.isEmpty && without.endpoints.isEmpty)
    }

    @Test("A name whose record is another has budgets and counters of its own")
    func renamed() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        let before = stage.core.plan.upstreams[0].object.state
        _ = stage.core.adopt(self.plan(stage, 2) { _ in })
        #expect(stage.core.plan.upstreams[0].object.state === before)
        // As if the registry had forgotten it meanwhile.
        _ = stage.core.adopt(self.plan(stage, 3, EndpointRegistry()) { _ in })
        #expect(stage.core.plan.upstreams[0].object.state !== before)
    }

    @Test("What a worker counts of itself is read out under its own name")
    func counts() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        stage.core.countRejected(431)
        stage.core.countRejected(431)
        stage.core.countRejected(400)
        stage.core.counts.connectionsAccepted = 2
        stage.core.counts.connectionsRefused = 3
        stage.core.counts.acceptFailures = 4
        stage.core.counts.connectionsRelieved = 5
        stage.core.counts.tunnels = 6
        stage.core.counts.handshakes = 7
        stage.core.counts.checks = 8
        stage.core.counts.interimsDropped = 9
        stage.core.counts.exchanges = 10
        stage.core.counts.http2.streams = 11
        let snapshot = stage.core.snapshot(names: stage.counters.names)
        #expect(snapshot.rejected == [431: 2, 400: 1] && snapshot.connectionsActive == 1)
        #expect(snapshot.connectionsAccepted == 2 && snapshot.connectionsRefused == 3 && snapshot.acceptFailures == 4)
        #expect(snapshot.connectionsRelieved == 5 && snapshot.tunnelsActive == 6 && snapshot.handshakesActive == 7)
        #expect(snapshot.authenticationWaiting == 8 && snapshot.interimsDropped == 9 && snapshot.exchangesActive == 10)
        #expect(snapshot.http2.streams == 11 && snapshot.generation == 1 && snapshot.worker == 0)
        stage.core.counts.exchanges = 0
        (stage.core.counts.tunnels, stage.core.counts.handshakes, stage.core.counts.checks) = (0, 0, 0)
    }

    @Test("Interim answers beyond the limit are dropped, and counted")
    func interims() throws {
        let stage = try ExchangeStage { $0.routes[0].limits.interimResponses = 2 }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        var dropped: [UInt64] = []
        Array("HTTP/1.1 103 Early Hints\r\n\r\n".utf8).withUnsafeBytes { source in
            let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 100)
            let parsed = try? HeadParser.response(
                source.bindMemory(to: UInt8.self).span, to: .get, limits: limits, fields: &stage.core.memory.fields)
            guard let head = parsed else { return }
            for _ in 0..<4 {
                exchange.interim(head, source)
                dropped.append(stage.core.counts.interimsDropped)
            }
        }
        #expect(dropped == [0, 0, 1, 2])
    }

    @Test("Of failures to connect those are counted that say something of the endpoint", arguments: [true, false])
    func blame(isCounted: Bool) throws {
        let stage = try ExchangeStage { $0.upstreams[0].retry.attempts = 0 }
        defer { stage.core.dismantle() }
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        exchange.dialFailed(ECONNREFUSED, isCounted: isCounted)
        #expect(stage.pool.counters.connectFailures == (isCounted ? 1 : 0))
        #expect(stage.endpoint.failures == (isCounted ? 1 : 0) && exchange.reason == .refused)
    }

    @Test("A body is within its limit to the byte, announced or not", arguments: [9, 10, 11])
    func limit(size: Int) throws {
        for isAnnounced in [true, false] {
            let stage = try ExchangeStage { $0.routes[0].limits.body = 10 }
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let framing = isAnnounced ? "Content-Length: \(size)" : "Transfer-Encoding: chunked"
            let exchange = stage.begin("POST / HTTP/1.1\r\nHost: h\r\n\(framing)\r\n\r\n")
            if exchange.phase.isUnanswered {
                exchange.requestBody(
                    BodyPiece(data: size, consumed: size, isEnd: true),
                    UnsafeRawPointer(stage.core.memory.input.baseAddress))
            }
            #expect((exchange.reason == .bodyTooLarge) == (size > 10), "\(isAnnounced)")
        }
    }

    @Test("A part of a body that did not come whole with its head is never sent a second time")
    func notReplayed() throws {
        let stage = try ExchangeStage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n")
        exchange.requestBody(
            BodyPiece(data: 100, consumed: 100), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        exchange.isReused = false
        exchange.attemptFailed(.reset)
        #expect(stage.client.ends == 1 && exchange.retries == 0 && exchange.reason == .reset)
    }
}
