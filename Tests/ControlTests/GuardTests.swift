@testable import Control
import Ledger
import RoutesFile
import Synchronization
import Testing
import Traffic

@Suite struct GuardTests {
    /// A publisher with a guard, over counters that the test sets.
    private struct Rig: Sendable {
        let bench = Bench()
        let history: TrafficHistory
        let publisher: TablePublisher

        init() {
            let history = TrafficHistory(dataPlane: self.bench.dataPlane, clock: self.bench.time.clock)
            self.history = history
            self.publisher = TablePublisher(
                registry: self.bench.registry, dataPlane: self.bench.dataPlane, clock: self.bench.time.clock,
                traffic: { await history.window() })
        }

        func load(core: UInt32 = 90, gateway: UInt32 = 10, cap: UInt32 = 0) async throws {
            var configuration = Sample.configuration(core: core, gateway: gateway)
            configuration.guardSpec = GuardSpec()
            configuration.table.upstreams[1].maxOutstanding = cap
            _ = try await self.publisher.load(configuration, origin: ChangeOrigin(.start))
            for port in [UInt16(3301), 3302] { self.setUp("gateway", port) }
            self.setUp("core", 3300)
        }

        func setUp(_ upstream: String, _ port: UInt16, _ isUp: Bool = true) {
            let endpoint = self.bench.registry.endpoint(upstream: upstream, address: Sample.address(port), probed: true)
            endpoint.setOperational(isUp ? .up : .down, now: self.bench.time.clock.monotonic())
        }

        /// Answers since the process began.
        func count(core: (good: UInt64, bad: UInt64), gateway: (good: UInt64, bad: UInt64), milliseconds: UInt64 = 10) {
            func counters(_ upstream: String, _ answers: (good: UInt64, bad: UInt64)) -> RouteCounters {
                var latency = LatencyHistogram()
                latency.counts[3] = answers.good + answers.bad
                latency.sumMicroseconds = (answers.good + answers.bad) * milliseconds * 1_000
                return RouteCounters(
                    route: "api", upstream: upstream, statusClasses: [0, 0, answers.good, 0, 0, answers.bad],
                    cancelled: 0, latency: latency)
            }
            self.bench.dataPlane.state.withLock {
                $0.workers[0].routes = [counters("core", core), counters("gateway", gateway)]
            }
        }

        func set(
            _ core: UInt32, _ gateway: UInt32, dryRun: Bool = false, force: Bool = false, reason: String = ""
        ) async throws -> WeightChangeOutcome {
            try await self.publisher.setWeights(
                WeightChange(
                    route: "api", weights: ["core": core, "gateway": gateway], reason: reason, dryRun: dryRun,
                    force: force), origin: ChangeOrigin(.api))
        }

        /// Reasons of the refusal, from the counters; nil: it was taken.
        func refusal(_ core: UInt32, _ gateway: UInt32) async -> Set<GuardReason>? {
            let before = await self.publisher.current.guardRefusals
            do {
                _ = try await self.set(core, gateway)
                return nil
            } catch {
                let after = await self.publisher.current.guardRefusals
                return Set(after.filter { $0.value > before[$0.key] ?? 0 }.keys)
            }
        }
    }

    @Test("A rise is refused for each of four reasons, with the numbers, and taken when it is meant")
    func reasons() async throws {
        let rig = Rig()
        try await rig.load(cap: 10)
        rig.bench.time.advance(100_000)
        rig.count(core: (9_000, 0), gateway: (100, 0))
        #expect(await rig.refusal(50, 50) == [.minimum])
        rig.count(core: (9_000, 0), gateway: (1_000, 0))
        #expect(await rig.refusal(70, 30) == nil)
        for port in [UInt16(3301), 3302] { rig.setUp("gateway", port, false) }
        #expect(await rig.refusal(60, 40) == [.available])
        for port in [UInt16(3301), 3302] { rig.setUp("gateway", port) }
        // 100 requests a second, of which half take 200 ms at two endpoints: five at each of eight.
        rig.count(core: (5_000, 0), gateway: (5_000, 0), milliseconds: 200)
        #expect(await rig.refusal(60, 40) == nil)
        rig.count(core: (5_000, 0), gateway: (5_000, 0), milliseconds: 400)
        #expect(await rig.refusal(40, 60) == [.headroom])
        rig.count(core: (9_000, 9), gateway: (900, 100))
        #expect(await rig.refusal(50, 50) == [.failing])
        let refused = try #require(await rig.publisher.entries.last)
        #expect(refused.what == .guard && refused.state == .refused && refused.subject == "api")
        #expect(
            refused.detail.contains(
                "100 of its 1000 requests of the last 15 minutes failed, and 9 of the others' 9009"),
            "\(refused.detail)")
        // Force alone is not enough: it must be said why.
        await #expect(throws: ChangeRefused.self) { try await rig.set(50, 50, force: true) }
        let forced = try await rig.set(50, 50, force: true, reason: "the old one burns")
        #expect(forced.changed && forced.warnings.contains { $0.hasPrefix("the guard objected: gateway: 100 of") })
        #expect(await rig.publisher.entries.last?.forced == true)
    }

    @Test("A side fails more than the others by share, however few requests it has beside theirs")
    func shareOfFailures() async throws {
        let rig = Rig()
        try await rig.load()
        rig.bench.time.advance(100_000)
        rig.count(core: (89_910, 90), gateway: (999, 1))
        #expect(await rig.refusal(80, 20) == nil)
        rig.count(core: (89_910, 90), gateway: (970, 30))
        #expect(await rig.refusal(50, 50) == [.failing])
    }

    @Test("What leads back is never refused")
    func retreats() async throws {
        let rig = Rig()
        try await rig.load()
        // Nobody is known to be well.
        for weights in [(UInt32(100), UInt32(0)), (95, 5), (90, 10)] {
            #expect(await rig.refusal(weights.0, weights.1) == nil)
        }
        #expect(await rig.refusal(50, 50) == [.minimum])
        _ = try await rig.set(50, 50, force: true, reason: "try")
        rig.setUp("core", 3300, false)
        #expect(await rig.refusal(80, 20) == nil)
        // Beyond the file's: up to its largest side, and away from one that is down.
        #expect(await rig.refusal(1, 0) == nil)
        #expect(await rig.refusal(0, 1) == nil)
        #expect(await rig.publisher.current.guardRefusals == [.minimum: 1])
    }

    @Test("A dry run objects without refusing, and says what then happens")
    func dryRun() async throws {
        let rig = Rig()
        try await rig.load()
        rig.bench.time.advance(10_000)
        rig.count(core: (1_000, 0), gateway: (50, 0), milliseconds: 100)
        let objecting = try await rig.set(50, 50, dryRun: true)
        #expect(objecting.objections.map(\.path) == ["$.weights.gateway"])
        #expect(await rig.publisher.current.guardRefusals.isEmpty)
        rig.count(core: (1_000, 0), gateway: (1_000, 0), milliseconds: 100)
        let dry = try await rig.set(50, 50, dryRun: true)
        #expect(dry.objections.isEmpty && dry.movedKeys == nil)
        // 200 requests a second, by halves, at one endpoint and at two.
        #expect(dry.loads.map(\.after.requestsPerSecond) == [100, 100])
        #expect(dry.loads.map(\.after.perEndpoint) == [100, 50])
        #expect(dry.loads.map { $0.after.outstanding ?? 0 } == [10, 5])
        #expect(dry.loads.map(\.before.requestsPerSecond) == [180, 20])
        var done = try await rig.set(50, 50)
        #expect(done.generation == dry.generation + 1)
        (done.dryRun, done.generation, done.etag) = (true, dry.generation, dry.etag)
        #expect(done == dry)
    }

    @Test("Only the last quarter of an hour counts, however the counters came about")
    func window() async throws {
        let rig = Rig()
        try await rig.load()
        rig.count(core: (0, 0), gateway: (1_000, 500))
        rig.bench.time.advance(60_000)
        await rig.history.close()
        for minute in 1...14 {
            rig.bench.time.advance(60_000)
            await rig.history.close()
            let window = await rig.history.window()
            #expect(window.sides["gateway"]?.attempts ?? 0 == (minute < 14 ? 1_500 : 0), "minute \(minute)")
        }
        #expect(await rig.refusal(50, 50) == [.minimum])
        // The counters of what was gone for long begin anew.
        rig.count(core: (0, 0), gateway: (300, 0))
        #expect(await rig.history.window().sides["gateway"]?.attempts == 300)
        #expect(await rig.refusal(50, 50) == nil)
    }

    @Test("Routes that go back together bear on their side together")
    func together() async throws {
        let rig = Rig()
        var configuration = Sample.configuration()
        configuration.guardSpec = GuardSpec()
        configuration.table.upstreams[1].maxOutstanding = 10
        var second = configuration.table.routes[0]
        second.name = "other"
        configuration.table.routes.append(second)
        _ = try await rig.publisher.load(configuration, origin: ChangeOrigin(.start))
        for port in [UInt16(3301), 3302] { rig.setUp("gateway", port) }
        rig.setUp("core", 3300)
        func set(_ route: String, _ core: UInt32, _ gateway: UInt32) async throws {
            _ = try await rig.publisher.setWeights(
                WeightChange(
                    route: route, weights: ["core": core, "gateway": gateway], reason: "test", force: true),
                origin: ChangeOrigin(.api))
        }
        for route in ["api", "other"] { try await set(route, 0, 100) }
        for route in ["api", "other"] { try await set(route, 90, 10) }
        rig.bench.time.advance(100_000)
        // 50 requests a second on each route, 200 ms at two endpoints: five at each of eight for one route, ten for both.
        func counters(_ route: String, _ upstream: String, _ good: UInt64) -> RouteCounters {
            var latency = LatencyHistogram()
            latency.counts[3] = good
            latency.sumMicroseconds = good * 200_000
            return RouteCounters(
                route: route, upstream: upstream, statusClasses: [0, 0, good, 0, 0, 0], cancelled: 0, latency: latency)
        }
        rig.bench.dataPlane.state.withLock {
            $0.workers[0].routes = ["api", "other"].flatMap {
                [counters($0, "core", 4_500), counters($0, "gateway", 500)]
            }
        }
        #expect(try await rig.set(0, 100, dryRun: true).objections.isEmpty)
        var request = UndoRequest(.generation(3), reason: "again")
        request.dryRun = true
        let dry = try await rig.publisher.undo(request, origin: ChangeOrigin(.api))
        #expect(
            dry.objections.map(\.path).sorted() == ["$.routes.api.weights.gateway", "$.routes.other.weights.gateway"])
    }

    @Test("An undo passes the guard, too")
    func undo() async throws {
        let rig = Rig()
        try await rig.load()
        _ = try await rig.set(50, 50, force: true, reason: "try")
        _ = try await rig.set(90, 10)
        var request = UndoRequest(.change(3), reason: "again")
        let refused = await #expect(throws: ChangeRefused.self) {
            try await rig.publisher.undo(request, origin: ChangeOrigin(.api))
        }
        guard case .guarded? = refused else { return #expect(Bool(false)) }
        request.dryRun = true
        let dry = try await rig.publisher.undo(request, origin: ChangeOrigin(.api))
        #expect(dry.objections.count == 1)
        (request.dryRun, request.force) = (false, true)
        #expect(try await rig.publisher.undo(request, origin: ChangeOrigin(.api)).changed)
    }
}
