@testable import Control
import Ledger
import Migration
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// Who needs the old side where the new one has all, whatever became of the plan that took it there.
@Suite("Plans left at 100 %") struct PlanLeftTests {
    private typealias Rig = MigrationRig

    /// At 100 %, behind a stage of 25 %, without one that retires the old side: nothing but needs can be in the way.
    private static func rig(_ stages: [PlanSpec.Stage]? = nil) async throws -> Rig {
        let rig = Rig()
        try await rig.load(
            Rig.configuration {
                $0.stages = stages ?? [.init(.share(250_000), hold: 0), .init(.share(1_000_000), hold: 3_600_000)]
            })
        return rig
    }

    private static func need(_ rig: Rig, _ cause: NeedCause = .override) async {
        rig.bench.dataPlane.state.withLock {
            $0.needs = [NeedCount(route: "api", template: "/candidate/*", cause: cause, count: 3)]
        }
        await rig.tick()
    }

    private static func watched(_ rig: Rig) async -> Int? {
        await rig.bench.publisher.current.table.spec.routes[0].watchedMember
    }

    @Test(
        "Paused or stopped at 100 %, by a stage or by hand, it notes who needs the old side as ever", arguments: 0..<3)
    func noted(way: Int) async throws {
        let rig = try await Self.rig()
        try await rig.act(.start(stage: way == 2 ? 1 : 2, by: "ann", force: true, reason: "a drill"))
        switch way {
        case 0: try await rig.act(.pause(.byHand, by: "ann"))
        case 1: try await rig.act(.stop(restore: false, by: "ann"))
        default:
            _ = try await rig.bench.setWeights(["core": 0, "gateway": 1], force: true)
            #expect(await rig.phase == .paused)
        }
        #expect(await Self.watched(rig) == 0)
        await rig.tick(60_000)
        let quiet = try await rig.engine.verdict("move")
        #expect(quiet.quietSeconds == 60 && quiet.needs.isEmpty)
        await Self.need(rig)
        let verdict = try await rig.engine.verdict("move")
        #expect(verdict.needs.map(\.count) == [3] && verdict.quietSeconds == 0)
    }

    @Test("A stop that restores the file's weights ends it; weights by hand end it and begin it anew")
    func ends() async throws {
        let rig = try await Self.rig()
        try await rig.act(.start(stage: 2, by: "ann", force: true, reason: "a drill"))
        try await rig.act(.stop(restore: true, by: "ann"))
        #expect(await Self.watched(rig) == nil)
        #expect(await rig.standing?.state.share == 0)
        #expect(try await rig.engine.verdict("move").quietSeconds == nil)
        _ = try await rig.bench.setWeights(["core": 0, "gateway": 1], force: true)
        #expect(await Self.watched(rig) == 0)
        await rig.tick(5_000)
        #expect(try await rig.engine.verdict("move").quietSeconds == 5)
        _ = try await rig.bench.setWeights(["core": 1, "gateway": 1])
        #expect(await Self.watched(rig) == nil)
        await rig.tick(5_000)
        _ = try await rig.bench.setWeights(["core": 0, "gateway": 1], force: true)
        await rig.tick(2_000)
        #expect(try await rig.engine.verdict("move").quietSeconds == 2, "what was before it was taken away is over")
    }

    @Test("So do a file that says something else, and one that gives the new side all")
    func files() async throws {
        let rig = try await Self.rig()
        try await rig.act(.start(stage: 2, by: "ann", force: true, reason: "a drill"))
        try await rig.act(.stop(restore: false, by: "ann"))
        for (core, gateway, watched) in [(3, 1, nil), (0, 1, 0)] as [(UInt32, UInt32, Int?)] {
            _ = try await rig.bench.load(
                Rig.configuration(
                    { $0.stages = [.init(.share(250_000), hold: 0), .init(.share(1_000_000), hold: 3_600_000)] },
                    core: core, gateway: gateway))
            #expect(await Self.watched(rig) == watched)
            #expect(await rig.standing?.state.share == (watched == nil ? 250_000 : 1_000_000))
        }
    }

    @Test("A need while the last stage is paused is known to the next process of one that is killed")
    func pausedAndKilled() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let bench = Bench()
        func publisher() -> TablePublisher {
            TablePublisher(
                registry: bench.registry, dataPlane: bench.dataPlane, clock: bench.time.clock,
                ledger: LedgerStore(path: folder + "/state.sqlite", thread: SharedThread.files))
        }
        let first = publisher()
        let engine = MigrationEngine(publisher: first, dataPlane: bench.dataPlane, clock: bench.time.clock)
        await first.openLedger(isSuccessor: false)
        _ = try await first.load(Rig.configuration(), origin: ChangeOrigin(.file))
        func act(_ event: PlanEvent) async throws {
            _ = try await engine.act(
                "move", event, origin: ChangeOrigin(.api, who: "ann"), ifMatch: [], dryRun: false)
        }
        try await act(.start(stage: 4, by: "ann", force: true, reason: "a drill"))
        for _ in 0..<5 {
            bench.time.advance(1_000)
            await engine.tick()
        }
        try await act(.pause(.byHand, by: "ann"))
        #expect(await first.current.state.plans["move"]?.state.held ?? 0 > 0)
        bench.dataPlane.state.withLock {
            $0.needs = [NeedCount(route: "api", template: "/a", cause: .override, count: 1)]
        }
        bench.time.advance(1_000)
        await engine.tick()
        await first.ledger?.store.close()
        let next = publisher()
        await next.openLedger(isSuccessor: false)
        _ = try await next.load(Rig.configuration(), origin: ChangeOrigin(.file))
        let state = await next.current.state.plans["move"]?.state
        #expect(state?.phase == .paused && state?.held == 0)
        await next.ledger?.store.close()
    }

    @Test("Where the new side has all and nobody has noted who needs the old one, that is in the way")
    func neverNoted() async throws {
        let rig = Rig()
        try await rig.load(
            Rig.configuration({ $0.stages = [.init(.share(1_000_000), hold: 0)] }, core: 0, gateway: 1))
        let verdict = try await rig.engine.verdict("move")
        #expect(verdict.verdict == "needed" && verdict.quietSeconds == nil)
        #expect(
            verdict.obstacles == [
                "who needs core is noted once the plan has taken gateway to 100 %: whether it is needed is not known"
            ])
        try await rig.act(.start(by: "ann"))
        await rig.tick()
        #expect(try await rig.engine.verdict("move").verdict == "retirable")
    }

    @Test("With its old side gone no stage gives the new side more, and it says why; when it lives it goes on")
    func nobodyToGoBackTo() async throws {
        let rig = try await Self.rig([.init(.share(250_000), hold: 0), .init(.share(500_000), hold: 0)])
        try await rig.act(.start(by: "ann"))
        rig.count(epoch: 1, new: (0, 3_000), old: (0, 9_000))
        rig.set(3300, .down)
        for _ in 0..<3 { await rig.tick() }
        #expect(await rig.phase == .inconclusive)
        #expect(await rig.weights["gateway"] == 250_000)
        let body = try await rig.engine.body("move")
        #expect(body.reason?.hasPrefix("core has no available endpoint") == true)
        rig.set(3300, .up)
        await rig.tick()
        #expect(await rig.weights["gateway"] == 500_000)
    }
}
