@testable import Control
import Ledger
import Migration
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// Plans over counters that a test sets, by a clock that it moves.
@Suite struct MigrationEngineTests {
    private typealias Rig = MigrationRig

    /// Copies of which both sides answered as a test says.
    private struct Copies: MirrorEvidence {
        var side: StageSums.Side

        func sums(migration: String, epoch: UInt64) async -> MirrorSums? {
            var sums = MirrorSums()
            sums.routes = [MirrorSums.Route(name: "api", live: self.side, copies: self.side)]
            return sums
        }
        func openClasses(migration: String) async -> [String] { [] }
        func unproven(
            migration: String, asked: Set<SeenKinds.Key>
        ) async -> [SeenKinds.Key: SeenKinds.Kind] { [:] }
        func note(seen: [SeenRequest], migration: String) async {}
        func agree(on said: [String: String], of migration: String) async {}
    }

    /// Remembers which requests it was told of, and says that they prove nothing.
    private actor Listener: MirrorEvidence {
        private var told: [SeenRequest] = []
        func sums(migration: String, epoch: UInt64) async -> MirrorSums? { nil }
        func openClasses(migration: String) async -> [String] { [] }
        func unproven(
            migration: String, asked: Set<SeenKinds.Key>
        ) async -> [SeenKinds.Key: SeenKinds.Kind] {
            Dictionary(
                self.told.map { request in
                    let template = String(decoding: request.target, as: UTF8.self)
                    return (SeenKinds.Key(route: request.route, template: template), SeenKinds.Kind(last: 1))
                }, uniquingKeysWith: { first, _ in first })
        }
        func note(seen: [SeenRequest], migration: String) async { if migration == "move" { self.told += seen } }
        func agree(on said: [String: String], of migration: String) async {}
    }

    @Test("Who starts where nobody is left to compare with is warned, and where a stage was counted is not")
    func unjudged() async throws {
        let rig = Rig()
        try await rig.load()
        let started = try await rig.act(.start(stage: 3, by: "ann", force: true, reason: "a drill"))
        #expect(started.warnings.contains { $0.hasPrefix("nothing was counted of core before") }, "\(started.warnings)")
        let other = Rig()
        try await other.load()
        #expect(try await other.act(.start(by: "ann")).warnings.isEmpty)
        let epoch = try #require(await other.standing?.state.epoch)
        other.count(epoch: epoch, new: (0, 600), old: (0, 6_000))
        let advanced = try await other.act(.advance(by: "ann", force: true, reason: "a drill"))
        #expect(!advanced.warnings.contains { $0.hasPrefix("nothing was counted") }, "\(advanced.warnings)")
    }

    @Test("A moment of slow answers sends nothing back; ten seconds of them do")
    func slowMoment() async throws {
        let rig = Rig()
        try await rig.load(Rig.configuration { $0.gates.p50 = GateSpec.Rate(tolerance: 0.1, margin: 0.25) })
        try await rig.act(.start(by: "ann"))
        let epoch = try #require(await rig.standing?.state.epoch)
        func durations(fast: Int, slow: Int) {
            rig.count(epoch: epoch, new: (0, UInt64(fast + slow)), old: (0, 9_000))
            rig.bench.dataPlane.state.withLock { state in
                let last = state.stages.count - 1
                for _ in 0..<fast { state.stages[last].newDurations.record(microseconds: 4_000) }
                for _ in 0..<slow { state.stages[last].newDurations.record(microseconds: 40_000) }
                for _ in 0..<9_000 { state.stages[last].oldDurations.record(microseconds: 4_000) }
            }
        }
        durations(fast: 0, slow: 60)
        for _ in 0..<9 { await rig.tick() }
        #expect(await rig.phase == .running)
        durations(fast: 500, slow: 60)
        for _ in 0..<3 { await rig.tick() }
        #expect(await rig.phase == .running)
        durations(fast: 500, slow: 5_000)
        for _ in 0..<10 { await rig.tick() }
        #expect(await rig.phase == .running)
        for _ in 0..<2 { await rig.tick() }
        #expect(await rig.phase == .retreated)
    }

    @Test("What workers have seen reaches the verdict")
    func seen() async throws {
        let rig = Rig(Listener())
        try await rig.load()
        rig.bench.registry.mirrorRecord("move").seen.note(
            SeenRequest(route: "api", target: Array("/a".utf8), isAnsweredByNew: false))
        await rig.tick()
        let verdict = try await rig.engine.verdict("move")
        #expect(
            verdict.obstacles.contains(
                "requests like /a of route api were neither compared nor answered by gateway often enough"),
            "\(verdict.obstacles)")
        #expect(rig.bench.registry.mirrorRecord("move").seen.take().isEmpty)
    }

    @Test("A stop brings the file's weights back past the guard alone")
    func restoreGuarded() async throws {
        let rig = Rig()
        var configuration = Rig.configuration(core: 1, gateway: 1)
        configuration.guardSpec = GuardSpec()
        try await rig.load(configuration)
        try await rig.act(.start(by: "ann", force: true, reason: "a drill"))
        #expect(await rig.weights["gateway"] == 50_000)
        rig.set(3301, .down)
        rig.set(3302, .down)
        do {
            try await rig.act(.stop(restore: true, by: "ann"))
            Issue.record("not refused")
        } catch let ChangeRefused.plan(.unrestorable(objection), migration: name) {
            #expect(name == "move" && !objection.isEmpty)
        }
        #expect(await rig.phase == .running)
        try await rig.act(.stop(restore: false, by: "ann"))
        #expect(await rig.weights["gateway"] == 50_000)
    }

    @Test("Whatever an operator says, their words are in the journal")
    func words() async throws {
        let rig = Rig()
        try await rig.load()
        for (event, word) in [
            (PlanEvent.start(by: "ann"), "started"), (.pause(.byHand, by: "ann"), "paused"),
            (.resume(by: "ann"), "resumed"), (.stop(restore: false, by: "ann"), "stopped"),
        ] {
            _ = try await rig.engine.act(
                "move", event, reason: "because of \(word)", origin: ChangeOrigin(.api, who: "ann"), ifMatch: [],
                dryRun: false)
            let entry = await rig.bench.publisher.entries.last { $0.subject == "move" }
            #expect(entry?.detail.hasPrefix(word) == true && entry?.reason == "because of \(word)", "\(word)")
        }
    }

    @Test("Of two who say `advance` at once the second is told that it has moved, and skips no stage")
    func advanceTwice() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        rig.count(epoch: 1, new: (0, 2_000), old: (0, 38_000))
        // While the one looks at what was counted, the other is done.
        rig.bench.dataPlane.state.withLock {
            $0.beforeStageCounts = { _ = try? await rig.act(.advance(by: "bob")) }
        }
        await #expect(throws: ChangeRefused.plan(.moved, migration: "move")) {
            try await rig.act(.advance(by: "ann"))
        }
        #expect(await rig.weights["gateway"] == 250_000)
        // To go back is never too late.
        rig.bench.dataPlane.state.withLock {
            $0.beforeStageCounts = { _ = try? await rig.act(.advance(by: "bob", force: true, reason: "now")) }
        }
        try await rig.act(.retreat(by: "ann", reason: "no"))
        #expect(await rig.weights["gateway"] == 0)
    }

    @Test("Where answers are copied at 100 %, requests that got none send it back all the same")
    func unansweredAtFull() async throws {
        let rig = Rig(Copies(side: StageSums.Side(samples: 2_000)))
        try await rig.load(Rig.configuration { $0.stages[0].mirror = 100_000 })
        try await rig.act(.start(stage: 2, by: "ann"))
        rig.count(epoch: 1, new: (0, 2_000), old: (0, 6_000))
        try await rig.act(.advance(by: "bob"))
        rig.count(epoch: 2, new: (0, 2_000), old: (0, 0))
        await rig.tick()
        #expect(await rig.phase == .running)
        rig.count(epoch: 2, new: (200, 4_000), old: (0, 0))
        await rig.tick()
        #expect(await rig.phase == .retreated)
    }

    @Test("On its way back it gives no route more than a hand has left it")
    func handsOnTheWayBack() async throws {
        let rig = Rig()
        var configuration = Rig.configuration {
            $0.retreat.over = 90_000
            $0.routes = ["api", "more"]
        }
        var more = configuration.table.routes[0]
        more.name = "more"
        more.match.paths = [.prefix("/more")]
        configuration.table.routes.append(more)
        try await rig.load(configuration)
        func gateway(_ route: String) async -> UInt32? {
            await rig.bench.publisher.current.table.spec.routes.first { $0.name == route }?.split?.weights["gateway"]
        }
        try await rig.act(.start(stage: 2, by: "ann"))
        _ = try await rig.bench.setWeights(["core": 1, "gateway": 0])
        #expect(await rig.phase == .paused)
        rig.count(epoch: 1, new: (220, 2_000), old: (38, 38_000))
        await rig.tick()
        #expect(await rig.phase == .retreating)
        #expect(await gateway("api") == 0)
        #expect(await gateway("more") == 225_000)
        // Further by hand than the way has come.
        _ = try await rig.bench.publisher.setWeights(
            WeightChange(
                route: "more", weights: ["core": 99, "gateway": 1], reason: "faster", ifMatch: [], dryRun: false),
            origin: ChangeOrigin(.api, who: "ann"))
        #expect(await rig.standing?.state.share == 10_000)
        for _ in 0..<30 { await rig.tick() }
        #expect(await gateway("more") == 1)
        for _ in 0..<90 { await rig.tick() }
        #expect(await rig.phase == .retreated)
        #expect(await gateway("more") == 0)
    }

    @Test("A need that is found while somebody asks how it stands is not lost")
    func needsMeanwhile() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(stage: 3, by: "ann"))
        try await rig.act(.advance(by: "ann", force: true, reason: "a drill"))
        for _ in 0..<5 { await rig.tick() }
        rig.bench.dataPlane.state.withLock {
            $0.needs = [NeedCount(route: "api", template: "/a", cause: .override, count: 1)]
            $0.beforeStageCounts = { _ = try? await rig.act(.retreat(by: "ann", reason: "")) }
        }
        await rig.tick()
        #expect(await rig.standing?.state.held == 0)
    }

    @Test("A need of the old side is written at once, and what the last moments showed at the end")
    func needsWritten() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let bench = Bench()
        let publisher = TablePublisher(
            registry: bench.registry, dataPlane: bench.dataPlane, clock: bench.time.clock,
            ledger: LedgerStore(path: folder + "/state.sqlite", thread: SharedThread.files))
        let engine = MigrationEngine(publisher: publisher, dataPlane: bench.dataPlane, clock: bench.time.clock)
        await publisher.openLedger(isSuccessor: false)
        _ = try await publisher.load(Rig.configuration(), origin: ChangeOrigin(.file))
        let origin = ChangeOrigin(.api, who: "ann")
        _ = try await engine.act(
            "move", .start(stage: 4, by: "ann", force: true, reason: "a drill"), origin: origin, ifMatch: [],
            dryRun: false)
        func need(_ template: String) {
            bench.dataPlane.state.withLock {
                $0.needs = [NeedCount(route: "api", template: template, cause: .override, count: 1)]
            }
        }
        await engine.tick()
        need("/a")
        bench.time.advance(1_000)
        await engine.tick()
        #expect(await publisher.keptNeeds().map(\.template) == ["/a"])
        need("/b")
        await engine.close()
        #expect(await Set(publisher.keptNeeds().map(\.template)) == ["/a", "/b"])
    }

    @Test("A journal that cannot be written makes a rise wait, told once and not with each tick")
    func noJournal() async throws {
        let bench = Bench()
        let publisher = TablePublisher(
            registry: bench.registry, dataPlane: bench.dataPlane, clock: bench.time.clock,
            ledger: LedgerStore(path: "/proc/self/none/state.sqlite", thread: SharedThread.files))
        let engine = MigrationEngine(
            publisher: publisher, dataPlane: bench.dataPlane, clock: bench.time.clock)
        await publisher.openLedger(isSuccessor: false)
        _ = try await publisher.load(Rig.configuration(), origin: ChangeOrigin(.file))
        for port in [UInt16(3300), 3301, 3302] {
            bench.registry.endpoint(
                upstream: port == 3300 ? "core" : "gateway", address: Sample.address(port), probed: true
            ).setOperational(.up, now: bench.time.clock.monotonic())
        }
        _ = try await engine.act(
            "move", .start(by: "ann", force: true, reason: "a drill"), origin: ChangeOrigin(.api, who: "ann"),
            ifMatch: [], dryRun: false)
        var counts = StageCounts(route: "api", epoch: 1)
        counts.new.samples = 2_000
        counts.old.samples = 38_000
        bench.dataPlane.state.withLock { [counts] in $0.stages = [counts] }
        for _ in 0..<40 {
            bench.time.advance(1_000)
            await engine.tick()
        }
        let state = await publisher.current.state.plans["move"]?.state
        #expect(state?.phase == .inconclusive && state?.share == 50_000)
        #expect(state?.objection?.contains("the journal cannot be written") == true)
        let entries = await publisher.entries
        #expect(!entries.contains { $0.state == .failed })
        #expect(entries.count { $0.detail.hasPrefix("inconclusive") } == 1)
    }

    @Test("A start is one table: weights, the run's number and the marks of the data plane")
    func start() async throws {
        let rig = Rig()
        try await rig.load()
        #expect(await rig.bench.publisher.current.table.spec.routes[0].migration?.epoch == 0)
        let before = rig.bench.dataPlane.generations.count
        try await rig.act(.start(by: "ann"))
        #expect(rig.bench.dataPlane.generations.count == before + 1)
        let route = await rig.bench.publisher.current.table.spec.routes[0]
        #expect(route.migration?.epoch == 1 && route.split?.weights == ["core": 950_000, "gateway": 50_000])
        let entries = await rig.bench.publisher.entries
        #expect(entries.suffix(2).map(\.what) == [.migration, .migration])
        #expect(entries.last?.subject == "api" && entries.last?.before?.weights == ["core": 1, "gateway": 0])
    }

    @Test("It rises when the hold is over and the gates pass, and says by what numbers")
    func rises() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        rig.count(epoch: 1, new: (0, 2_000), old: (0, 38_000))
        for _ in 0..<9 { await rig.tick() }
        #expect(await rig.weights["gateway"] == 50_000)
        for _ in 0..<3 { await rig.tick() }
        #expect(await rig.weights["gateway"] == 250_000)
        let entry = await rig.bench.publisher.entries.last { $0.subject == "move" }
        #expect(entry?.detail.hasPrefix("advanced to stage 2 of 4 (25 %)") == true, "\(String(describing: entry))")
        #expect(entry?.evidence?.contains(#""gate":"errors""#) == true)
        #expect(entry?.origin == .migration && entry?.who == "move")
        // Samples of the stage before decide nothing in this one.
        for _ in 0..<20 { await rig.tick() }
        #expect(await rig.phase == .running)
        rig.count(epoch: 2, new: (0, 2_000), old: (0, 6_000))
        await rig.tick()
        #expect(await rig.phase == .waiting)
        try await rig.act(.approve(by: "bob"))
        #expect(await rig.weights == ["core": 0, "gateway": 1_000_000])
        // The old side is the stage before's now.
        #expect(await rig.standing?.baseline?.routes["api"]?.samples == 6_000)
        #expect(await rig.bench.publisher.current.table.spec.routes[0].watchedMember == 0)
    }

    @Test("It goes back when a gate fails, wherever it is active, and counters of copies go on")
    func goesBack() async throws {
        for pauses in [false, true] {
            let rig = Rig()
            try await rig.load()
            try await rig.act(.start(by: "ann"))
            if pauses { try await rig.act(.pause(.byHand, by: "ann")) }
            rig.count(epoch: 1, new: (22, 2_000), old: (38, 38_000))
            await rig.tick()
            #expect(await rig.phase == .retreated)
            #expect(await rig.weights == ["core": 1_000_000, "gateway": 0])
            #expect(await rig.engine.transitions.keys.contains { $0.to == "retreated" && $0.reason == "errors" })
            #expect(await rig.bench.publisher.current.table.spec.routes[0].migration?.epoch == 1)
        }
    }

    @Test("A new side that is gone is left after its time; where the old one is gone too, nothing moves, save by force")
    func unavailable() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        rig.set(3301, .down)
        rig.set(3302, .down)
        for _ in 0..<10 { await rig.tick() }
        #expect(await rig.phase == .running)
        rig.set(3300, .down)
        for _ in 0..<5 { await rig.tick() }
        #expect(await rig.phase == .running)
        rig.set(3300, .up)
        await rig.tick()
        #expect(await rig.phase == .retreated)

        let blocked = Rig()
        try await blocked.load()
        try await blocked.act(.start(by: "ann"))
        blocked.count(epoch: 1, new: (22, 2_000), old: (38, 38_000))
        blocked.set(3300, .down)
        for _ in 0..<3 { await blocked.tick() }
        #expect(await blocked.phase == .retreating)
        #expect(await blocked.weights["gateway"] == 50_000)
        try await blocked.act(.retreat(by: "ann", reason: "now"))
        #expect(await blocked.phase == .retreated)
        #expect(await blocked.weights["gateway"] == 0)
    }

    @Test("A hand lowers at any time and pauses it; more is refused, save by force; a resume is a new run")
    func hands() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(by: "ann"))
        await #expect(throws: ChangeRefused.owned(migration: "move")) {
            _ = try await rig.bench.setWeights(["core": 1, "gateway": 1])
        }
        let lowered = try await rig.bench.setWeights(["core": 99, "gateway": 1])
        #expect(lowered.warnings.contains { $0.hasPrefix("migration move: ") }, "\(lowered.warnings)")
        #expect(await rig.standing?.state.share == 10_000)
        #expect(await rig.standing?.state.pause == .weightsByHand)
        #expect(await rig.weights == ["core": 99, "gateway": 1])
        try await rig.act(.resume(by: "ann"))
        #expect(await rig.weights["gateway"] == 50_000)
        #expect(await rig.standing?.state.epoch == 2)
        _ = try await rig.bench.setWeights(["core": 1, "gateway": 1], force: true)
        #expect(await rig.phase == .paused)
        #expect(await rig.standing?.state.share == 500_000)
    }

    @Test("A window of the calendar holds a rise back and nothing else")
    func freeze() async throws {
        let rig = Rig()
        // The manual clock stands on a Friday, 2026-01-02, 03:04 UTC.
        try await rig.load(
            Rig.configuration { $0.freeze = [FreezeWindow(zone: "UTC", days: [.fri], from: 0, to: 185)] })
        try await rig.act(.start(by: "ann"))
        rig.count(epoch: 1, new: (0, 2_000), old: (0, 38_000))
        for _ in 0..<12 { await rig.tick() }
        #expect(await rig.phase == .frozen)
        for _ in 0..<60 { await rig.tick() }
        #expect(await rig.weights["gateway"] == 250_000)
    }

    @Test("Who still needs the old side begins its quiet time anew, and is told in the verdict")
    func needs() async throws {
        let rig = Rig()
        try await rig.load()
        try await rig.act(.start(stage: 3, by: "ann"))
        try await rig.act(.advance(by: "ann", force: true, reason: "a drill"))
        #expect(await rig.standing?.state.stage == 3)
        for _ in 0..<15 { await rig.tick() }
        #expect(await rig.standing?.state.held == 15_000)
        rig.bench.dataPlane.state.withLock {
            $0.needs = [NeedCount(route: "api", template: "/candidate/*", cause: .override, count: 3)]
        }
        await rig.tick()
        #expect(await rig.standing?.state.held == 0)
        let verdict = try await rig.engine.verdict("move")
        #expect(verdict.verdict == "needed" && verdict.needs.first?.template == "/candidate/*")
        #expect(verdict.needs.first?.cause == "override" && verdict.quietSeconds == 0)
        for _ in 0..<21 { await rig.tick() }
        #expect(await rig.phase == .complete)
        #expect(try await rig.engine.verdict("move").verdict == "retirable")
    }

    @Test("The answer tells state, stage, what comes next, and of each gate the numbers and what they must reach")
    func answer() async throws {
        let rig = Rig()
        try await rig.load()
        let ready = try await rig.engine.body("move")
        #expect(ready.state == "ready" && ready.stage == 0 && ready.gates.isEmpty)
        let dry = try await rig.engine.answer(
            "move", .start(by: "ann"), origin: ChangeOrigin(.api), ifMatch: [], dryRun: true)
        #expect(dry.body.forecast?.stages.count == 4 && dry.body.migration.share == 5)
        #expect(dry.body.dryRun && dry.body.changed && dry.body.warnings.isEmpty)
        #expect(await rig.phase == .ready)
        let done = try await rig.engine.answer(
            "move", .start(by: "ann"), origin: ChangeOrigin(.api), ifMatch: [], dryRun: false)
        #expect(done.body.forecast == nil && !done.body.dryRun && done.body.changed && done.body.migration.share == 5)
        let etag = await rig.bench.publisher.current.etag
        #expect(done.body.steps == dry.body.steps && done.etag == etag)
        rig.count(epoch: 1, new: (2, 2_000), old: (38, 38_000))
        await rig.tick()
        let body = try await rig.engine.body("move")
        #expect(body.share == 5 && body.stages.map(\.state) == ["present", "ahead", "ahead", "ahead"])
        let errors = try #require(body.gates.first { $0.gate == "errors" })
        #expect(errors.verdict == "pass" && errors.new.of == 2_000 && errors.margin == 0.5 && errors.tolerance == 0.1)
        let interval = try #require(errors.interval)
        #expect(errors.estimate == 0 && abs(interval[0] + 0.150) < 0.002 && abs(interval[1] - 0.460) < 0.002)
        #expect(abs((errors.advance?.evidence ?? 0) - 4.2945) < 0.001 && errors.advance?.threshold == 2.9957)
        #expect(body.next.contains("stage 2 of 4 (25 %)"), "\(body.next)")
    }

    @Test("A plan's rate is that of its routes together, and of no others")
    func rate() async {
        let bench = Bench()
        let window = TrafficWindow(length: 2_000, routes: ["api": 10, "more": 30, "other": 1_000])
        let engine = MigrationEngine(
            publisher: bench.publisher, dataPlane: bench.dataPlane, clock: bench.time.clock, traffic: { window })
        let plan = PlanSpec(
            name: "move", routes: ["api", "more"], from: "core", to: "gateway",
            stages: [.init(.share(500_000), hold: 0)])
        #expect(await engine.rate(of: plan) == 20)
    }
}
