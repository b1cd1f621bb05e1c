import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// What a stage counts of an exchange, and whose needs are noted.
@Suite("What a stage counts") struct StageCountTests {
    private static let get = "GET /candidate/12345?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"

    /// Of a route whose one side is the plan's new one, in its seventh run.
    private func stage(_ change: @escaping (inout TableSpec) -> Void = { _ in }) throws -> ExchangeStage {
        try ExchangeStage { spec in
            var migration = MigrationTraffic(name: "move", from: 1, to: 0)
            migration.epoch = 7
            migration.settle = 0
            spec.routes[0].migration = migration
            spec.upstreams[0].retry.attempts = 0
            change(&spec)
        }
    }

    private func counts(_ stage: ExchangeStage) -> StageCounts {
        var sum = StageCounts(route: "all", epoch: 7)
        for case let record? in stage.core.stages { record.add(to: &sum) }
        return sum
    }

    @Test(
        "An answer counts by its status",
        arguments: [(200, 0, 0), (304, 0, 0), (404, 0, 1), (429, 0, 1), (500, 1, 0), (503, 1, 0)]
            as [(Int, UInt64, UInt64)])
    func answers(status: Int, errors: UInt64, clientErrors: UInt64) throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        stage.answer(exchange, "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n", isEnd: true)
        let new = self.counts(stage).new
        #expect(new.samples == 1 && new.errors == errors && new.clientErrors == clientErrors && new.cancelled == 0)
        #expect(self.counts(stage).old.samples == 0)
    }

    @Test("A failed attempt is an error, also where another saves the client; what follows counts nowhere")
    func attempts() throws {
        for retries in [UInt32(0), 2] {
            let stage = try self.stage { $0.upstreams[0].retry.attempts = retries }
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin(Self.get)
            // A connection of the pool that had ended already would be no attempt.
            exchange.isReused = false
            exchange.attemptFailed(.reset)
            #expect(self.counts(stage).new.samples == 1 && self.counts(stage).new.errors == 1)
            if retries > 0 {
                exchange.clientGone(.clientClosed)
            }
            #expect(self.counts(stage).new.samples == 1 && self.counts(stage).new.cancelled == 0)
        }
    }

    @Test("A client that leaves is told apart")
    func cancelled() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        exchange.clientGone(.clientClosed)
        #expect(self.counts(stage).new.samples == 1 && self.counts(stage).new.cancelled == 1)
    }

    @Test("An answer that breaks off, and one that is none, are errors")
    func broken() throws {
        let cut = try self.stage()
        defer { cut.core.dismantle() }
        _ = try cut.offer()
        let exchange = cut.begin(Self.get)
        cut.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n", isEnd: false)
        exchange.endpointBroke()
        #expect(self.counts(cut).new.samples == 1 && self.counts(cut).new.errors == 1)
        let bad = try self.stage()
        defer { bad.core.dismantle() }
        _ = try bad.offer()
        bad.begin(Self.get).malformedAnswer(.badResponse)
        #expect(self.counts(bad).new.errors == 1)
    }

    @Test("A side that has no place for a request, or nobody to serve it, has failed it")
    func noPlace() throws {
        let full = try self.stage {
            $0.upstreams[0].maxOutstanding = 1
            $0.upstreams[0].queueLength = 0
        }
        defer { full.core.dismantle() }
        _ = try full.offer()
        _ = full.begin(Self.get)
        let other = FakeClient(core: full.core, dice: Dice())
        try #require(other.enter())
        _ = full.begin(Self.get, other)
        #expect(self.counts(full).new.samples == 1 && self.counts(full).new.errors == 1)

        // Nobody there, and no other side may serve.
        for failover in [false, true] {
            let empty = try self.stage { $0.routes[0].failover = failover }
            defer { empty.core.dismantle() }
            empty.endpoint.setAdministrative(.drain, now: 1)
            _ = empty.begin(Self.get)
            #expect(self.counts(empty).new.samples == 1 && self.counts(empty).new.errors == 1, "\(failover)")
        }
    }

    @Test("Where no side has anybody, each has failed its own share; where another serves, nobody has")
    func allDown() throws {
        let stage = try self.stage {
            var old = UpstreamSpec(name: "old")
            old.endpoints = [SocketAddress(ip: IPAddress(v4: 0x7F00_0003), port: 1)]
            $0.upstreams.append(old)
            $0.routes[0].action = .split([
                SplitEntry(upstream: "core", weight: 1), SplitEntry(upstream: "old", weight: 3),
            ])
            $0.routes[0].watchedMember = 1
        }
        defer { stage.core.dismantle() }
        let old = stage.registry.endpoint(
            upstream: "old", address: SocketAddress(ip: IPAddress(v4: 0x7F00_0003), port: 1), probed: false)
        stage.endpoint.setAdministrative(.drain, now: 1)
        old.setAdministrative(.drain, now: 1)
        func ask() throws {
            let client = FakeClient(core: stage.core, dice: Dice())
            try #require(client.enter())
            let exchange = stage.begin(Self.get, client)
            #expect(exchange.reason == .noEndpoint || exchange.reason == nil)
        }
        for _ in 0..<8 { try ask() }
        let counts = self.counts(stage)
        #expect(counts.new.samples == 2 && counts.new.errors == 2)
        #expect(counts.old.samples == 6 && counts.old.errors == 6)
        // Whoever asks for a watched side that is gone needs it.
        #expect(
            stage.core.needs.take() == [NeedCount(route: "all", template: "/candidate/*?x", cause: .weight, count: 6)])
        // The new side alone serves what was the old one's: that says nothing of either.
        stage.endpoint.setAdministrative(.ready, now: 2)
        for _ in 0..<4 {
            _ = try stage.offer()
            let client = FakeClient(core: stage.core, dice: Dice())
            try #require(client.enter())
            let exchange = stage.begin(Self.get, client)
            stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", isEnd: true)
        }
        #expect(self.counts(stage).new.samples == 3 && self.counts(stage).old.samples == 6)
    }

    @Test("Nothing is counted without a run, nor of a side that is neither")
    func nothing() throws {
        for (epoch, to) in [(UInt64(0), 0), (7, 5)] {
            let stage = try self.stage {
                $0.routes[0].migration?.epoch = epoch
                $0.routes[0].migration?.to = to
                $0.routes[0].migration?.from = to
            }
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin(Self.get)
            stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", isEnd: true)
            #expect(self.counts(stage).new.samples + self.counts(stage).old.samples == 0)
        }
    }

    @Test("Whoever needs a watched side is noted by route, template and cause")
    func needs() throws {
        let stage = try self.stage { $0.routes[0].watchedMember = 0 }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", isEnd: true)
        let needs = stage.core.needs.take()
        #expect(needs == [NeedCount(route: "all", template: "/candidate/*?x", cause: .onlyRoute, count: 1)])
        let others = stage.core.needs.take()
        #expect(others.isEmpty)

        // Turned off already, it is needed all the same.
        _ = try stage.offer()
        let failed = stage.begin(Self.get)
        failed.isReused = false
        failed.attemptFailed(.reset)
        let unanswered = stage.core.needs.take()
        #expect(unanswered == needs)

        // Refused before a side was chosen, whatever side the exchange's last request had.
        let refused = try self.stage {
            $0.routes[0].watchedMember = 0
            $0.routes[0].limits.body = 1
        }
        defer { refused.core.dismantle() }
        _ = try refused.offer()
        let before = refused.begin(Self.get)
        refused.answer(before, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", isEnd: true)
        #expect(refused.core.needs.take() == needs)
        let other = FakeClient(core: refused.core, dice: Dice())
        try #require(other.enter())
        _ = refused.begin("POST /candidate/12345 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", other)
        #expect(refused.core.needs.take().isEmpty)
    }

    @Test("A key counts once a second; others of the same moment count by themselves")
    func keys() {
        var keys = KeySamples()
        let (first, second): (UInt64, UInt64) = (1 << 40 | 7, 1 << 40 | 8)
        let admitted = [
            keys.admit(first, now: 10_000), keys.admit(first, now: 10_999), keys.admit(second, now: 10_999),
            keys.admit(first, now: 11_000),
        ]
        #expect(admitted == [true, false, true, true])
    }
}
