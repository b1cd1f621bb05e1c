@testable import Control
import Foundation
import Ledger
import Migration
import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// What a plan among replicas makes of files that say something else, and of what one of them did alone before it ended.
extension PlanAgreementTests {
    @Test(
        "A file with another split moves nothing of a plan; with whoever leads it pauses for all, and `resume` settles it"
    )
    func otherSplit() async throws {
        try await Self.with(["a", "b"]) { planners, _ in
            let (leader, other) = try await Self.begin(planners)
            try await other.load(core: 1, gateway: 1, fingerprint: "new")
            #expect(await other.replica.weights() == ["core": 950_000, "gateway": 50_000])
            #expect(await other.standing?.state.pause == .fileChanged)
            #expect(await other.words().contains { $0.hasPrefix("paused") })
            #expect(await leader.phase == .running)
            // The file that all had brings back where all stand.
            try await other.load()
            #expect(await other.phase == .running)
            for planner in [other, leader] { try await planner.load(core: 1, gateway: 1, fingerprint: "new") }
            #expect(
                await Self.ticks(planners) {
                    await other.replica.publisher.current.state.shared?.plans["move"]?.pause == "file-changed"
                })
            for planner in planners {
                #expect(await planner.phase == .paused)
                #expect(await planner.replica.weights() == ["core": 950_000, "gateway": 50_000])
                #expect(await happens { await planner.words().contains { $0.contains("paused in stage 1") } })
            }
            try await other.act(.resume(by: "ann"))
            for _ in 0..<3 { for planner in planners { await planner.tick() } }
            for planner in planners {
                #expect(await planner.phase == .running)
                #expect(await planner.standing?.state.epoch == 1)
                #expect(await planner.replica.weights()["gateway"] == 50_000)
            }
            // What the file says is what `stop --restore` brings.
            try await leader.act(.stop(restore: true, by: "ann"))
            for planner in planners {
                #expect(await happens { await planner.replica.weights() == ["core": 1, "gateway": 1] })
            }
        }
    }

    @Test(
        "A retreat is one also where a file that was loaded meanwhile gives the new side more",
        arguments: [false, true])
    func retreatOverOtherSplit(stops: Bool) async throws {
        try await Self.with(["a", "b"]) { planners, _ in
            let (leader, other) = try await Self.begin(planners)
            try await other.load(core: 1, gateway: 1, fingerprint: "new")
            try await leader.act(.retreat(by: "ann", reason: "bad"))
            for planner in planners {
                #expect(await happens { await planner.phase == .retreated })
                #expect(await planner.replica.weights()["gateway"] == 0)
            }
            if stops { try await leader.act(.stop(restore: false, by: "ann")) }
            // Neither another change of all nor the same file moves anything.
            let drained = try await leader.replica.publisher.setAdministrative(
                AdministrativeChange(state: .drain, addresses: [Sample.address(3301)], name: "x"),
                origin: ChangeOrigin(.api))
            #expect(drained.replicas == ReplicaCount(applied: 2, of: 2))
            #expect(await other.replica.weights()["gateway"] == 0)
            try await other.load(core: 1, gateway: 1, fingerprint: "new")
            #expect(await other.replica.weights()["gateway"] == 0)
            // Its author's next word goes before what stood over the one before.
            try await other.load(core: 3, gateway: 1, fingerprint: "newer")
            #expect(await other.replica.weights() == ["core": 3, "gateway": 1])
        }
    }

    @Test("A file whose sides have other names, with whoever leads, moves nothing where the sides are the plan's")
    func otherSides() async throws {
        try await Self.with(["a", "b"]) { planners, _ in
            let (_, other) = try await Self.begin(planners)
            try await other.load(core: 1, gateway: 1, fingerprint: "half")
            var shared = try #require(await other.replica.publisher.current.state.shared)
            shared.weights["api"] = LiveState.Weights(
                route: "api", weights: ["core2": 950_000, "gateway": 50_000], fileWeights: ["core2": 1, "gateway": 0])
            var state = await other.replica.publisher.current.state
            _ = try state.agree(on: shared, at: 1, wall: 1)
            let entries = state.spec.routes.compactMap(\.split).first
            #expect(entries?.weights == ["core": 950_000, "gateway": 50_000])
        }
    }

    @Test("After a silence of the store nothing rises before all can have told what they did alone")
    func silence() async throws {
        try await Self.with(["a", "b"], lease: 2_000) { planners, cluster in
            let (leader, other) = try await Self.begin(planners)
            for planner in planners { planner.replica.store.isDown = true }
            cluster.depose()
            for planner in planners {
                #expect(await happens { await planner.replica.agreement.obstacle() != nil })
            }
            #expect(await leader.replica.agreement.holds.contains { $0.hasPrefix("the store was silent") } == false)
            try await leader.act(.retreat(by: "ann", reason: "bad"), local: true)
            // As whoever leads next knows the new side: well.
            other.count(epoch: 1, new: (0, 3_000), old: (0, 57_000))
            other.replica.store.isDown = false
            #expect(await Self.ticks([other]) { await other.leads })
            #expect(await other.replica.agreement.holds.contains { $0.hasPrefix("the store was silent") })
            await other.tick()
            #expect(await other.stage == 0)
            leader.replica.store.isDown = false
            #expect(await happens { await other.phase == .retreated })
            #expect(await other.stage == 0)
        }
    }

    /// As a process lives: with what it kept, or what another handed over to it.
    private static func life(
        of planner: Planner, live: LiveState? = nil, _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let publisher = planner.replica.publisher
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let live { await publisher.inherit(live, origin: ChangeOrigin(.takeover)) }
            await publisher.openLedger(isSuccessor: live != nil)
            group.addTask { await publisher.runCluster() }
            await publisher.joinCluster()
            try await planner.load()
            try await body()
            group.cancelAll()
        }
        await publisher.ledger?.store.close()
    }

    @Test(
        "A retreat made alone outlives its process: the next one makes it the whole plan's, once, and no weight comes back",
        arguments: Legacy.allCases)
    func detachedPlanOutlives(legacy: Legacy) async throws {
        let takeover = legacy != .ledger
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        @Sendable func planner(in cluster: MemoryCluster) throws -> Planner {
            let ledger =
                legacy == .takeover
                ? nil : LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger"))
            return Planner("c", in: cluster, lease: 600, ledger: ledger)
        }
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            try await planners[0].act(.start(by: "ann"))
            let first = try planner(in: cluster)
            let handedOver = LiveBox()
            try await Self.life(of: first) {
                #expect(await first.phase == .running)
                first.replica.store.isDown = true
                #expect(await happens { await first.replica.agreement.obstacle() != nil })
                try await first.act(.retreat(by: "ann", reason: "bad"), local: true)
                #expect(await first.replica.weights()["gateway"] == 0)
                if takeover { handedOver.put(try await first.replica.publisher.beginHandOver()) }
            }
            #expect(await planners[0].phase == .running)
            let second = try planner(in: cluster)
            try await Self.life(of: second, live: handedOver.value) {
                #expect(await second.replica.weights()["gateway"] == 0)
                #expect(await second.phase == .retreated)
                for planner in planners + [second] {
                    #expect(await happens { await planner.phase == .retreated })
                    #expect(await planner.replica.weights()["gateway"] == 0)
                    #expect(await happens { await planner.words().contains { $0.contains("alone") } })
                    let told = await planner.words().filter { $0.contains("alone") }
                    #expect(Set(told).count == told.count, "\(told)")
                }
                #expect(await happens { await second.replica.publisher.current.state.detached.isEmpty })
                let told = await second.replica.journal(.cluster)
                #expect(!told.contains { $0.detail.contains("gives way") })
                try await planners[0].act(.start(by: "ann", force: true, reason: "mended"))
                #expect(await happens { await second.replica.weights()["gateway"] == 50_000 })
            }
            guard !takeover else { return }
            // What was settled is not settled again by the next one.
            let third = try planner(in: cluster)
            try await Self.life(of: third) {
                #expect(await third.phase == .running)
                #expect(await third.replica.publisher.current.state.detached.isEmpty)
                #expect(await third.replica.weights()["gateway"] == 50_000)
            }
        }
    }

    @Test(
        "What the others had agreed on before this process was killed is not said to give way, whatever came of it since"
    )
    func killedBeforeItHeard() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            try await planners[0].act(.start(by: "ann"))
            func planner() throws -> Planner {
                Planner(
                    "c", in: cluster, lease: 600,
                    ledger: LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger")))
            }
            let first = try planner()
            let left = Mutex<RoutingState?>(nil)
            try await Self.life(of: first) {
                #expect(await first.phase == .running)
                first.replica.store.isDown = true
                #expect(await happens { await first.replica.agreement.obstacle() != nil })
                try await first.act(.retreat(by: "ann", reason: "bad"), local: true)
                let state = await first.replica.publisher.current.state
                left.withLock { $0 = state }
            }
            // As it proposed it, a moment before it was killed.
            let state = try #require(left.withLock { $0 })
            let standing = try #require(state.plans["move"])
            var edit = SharedEdit()
            edit.put(standing, of: state)
            let publisher = planners[0].replica.publisher
            let change = SharedChange(
                Transition.Note(what: .migration, subject: "move", detail: "goes back (was in force on c alone)"),
                at: 1,
                "c", ChangeOrigin(.api, who: "ann"), evidence: "detached")
            let sequence = try #require(await planners[0].replica.agreement.document?.sequence)
            _ = try await planners[0].replica.agreement.propose(edit, [change], decidedOn: sequence)
            await publisher.adopt()
            #expect(await planners[0].phase == .retreated)
            try await planners[0].act(.start(by: "bob", force: true, reason: "mended"))
            let second = try planner()
            try await Self.life(of: second) {
                #expect(await happens { await second.replica.publisher.current.state.detachedPlans.isEmpty })
                #expect(await happens { await second.standing?.state.epoch == 2 })
                #expect(await second.replica.weights()["gateway"] == 50_000)
                let told = await second.replica.journal(.cluster).map(\.detail)
                #expect(!told.contains { $0.contains("gives way") || $0.contains("went back") }, "\(told)")
                #expect(await second.words().contains("goes back (was in force on c alone)"))
            }
        }
    }

    /// A file of all replicas by which plans go back in ten steps over an hour and a half.
    private static func loadSlow(_ planners: [Planner]) async throws {
        var configuration = Self.configuration(fingerprint: "slow")
        configuration.migrations[0].plan.retreat.over = 5_400_000
        for planner in planners {
            _ = try await planner.replica.publisher.load(configuration, origin: ChangeOrigin(.start))
        }
        #expect(
            await happens {
                for planner in planners where await !planner.replica.agreement.holds.isEmpty { return false }
                return true
            })
    }

    /// `isOlder`: the one that took it lower tells no weights that are its file's, as an earlier version.
    @Test(
        "A way back that was begun alone gives nothing back of what the others have taken away meanwhile",
        arguments: [false, true])
    func othersWentLower(isOlder: Bool) async throws {
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            try await Self.loadSlow(planners)
            let (cut, other) = try await Self.begin(planners)
            cut.replica.store.isDown = true
            cluster.depose()
            #expect(await happens { await cut.replica.agreement.obstacle() != nil })
            try await cut.act(.retreat(by: "ann", reason: "bad"), local: true)
            #expect(await cut.replica.weights()["gateway"] == 45_000)
            _ = try await other.replica.set(isOlder ? ["core": 1, "gateway": 0] : ["core": 99, "gateway": 1])
            #expect(await other.phase == .paused)
            if isOlder {
                var edit = SharedEdit()
                edit.routes["api"] = .some(nil)
                let change = SharedChange(
                    Transition.Note(what: .weights, subject: "api", detail: "as the file says"), at: 1, "b",
                    ChangeOrigin(.api, who: "bob"))
                let sequence = try #require(await other.replica.agreement.document?.sequence)
                _ = try await other.replica.agreement.propose(edit, [change], decidedOn: sequence)
                await other.replica.publisher.adopt()
            }
            cut.replica.store.isDown = false
            #expect(await happens { await other.phase == .retreating })
            #expect(await happens { await cut.replica.publisher.current.state.detachedPlans.isEmpty })
            for planner in planners {
                // It is no longer its own a moment before it follows the others again.
                #expect(await happens { await planner.standing?.state.share == (isOlder ? 0 : 10_000) })
                let weights: [String: UInt32] = isOlder ? ["core": 1, "gateway": 0] : ["core": 99, "gateway": 1]
                #expect(await happens { await planner.replica.weights() == weights })
            }
        }
    }

    @Test(
        "What was done alone neither ends the others' way back nor takes it back a step, and says so",
        arguments: [false, true])
    func bothWentBack(goesBack: Bool) async throws {
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            try await Self.loadSlow(planners)
            let (cut, other) = try await Self.begin(planners)
            cut.replica.store.isDown = true
            cluster.depose()
            #expect(await happens { await cut.replica.agreement.obstacle() != nil })
            if goesBack {
                try await cut.act(.retreat(by: "ann", reason: "bad"), local: true)
            } else {
                _ = try await cut.replica.set(["core": 1, "gateway": 0], local: true)
                #expect(await cut.phase == .paused)
            }
            try await other.act(.retreat(by: "bob", reason: "worse"))
            #expect(await other.phase == .retreating)
            cut.replica.store.isDown = false
            #expect(await happens { await cut.replica.publisher.current.state.detachedPlans.isEmpty })
            for planner in planners {
                #expect(await happens { await planner.phase == .retreating })
                #expect(await planner.standing?.state.share == 45_000)
                #expect(await planner.words().filter { $0.contains("was in force on") }.isEmpty)
            }
            let told = await cut.replica.journal(.cluster).map(\.detail)
            #expect(told.contains { $0.contains("the others, who went back meanwhile, too") }, "\(told)")
        }
    }

    @Test("A hand that lowers alone what a plan left behind that was stopped is everybody's when the store is back")
    func loweredAfterStop() async throws {
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            let (cut, other) = try await Self.begin(planners)
            try await other.act(.stop(restore: false, by: "bob"))
            #expect(await happens { await cut.phase == .stopped })
            cut.replica.store.isDown = true
            #expect(await happens { await cut.replica.agreement.obstacle() != nil })
            _ = try await cut.replica.set(["core": 1, "gateway": 0], local: true)
            #expect(await other.replica.weights()["gateway"] == 50_000)
            cut.replica.store.isDown = false
            #expect(await happens { await cut.replica.publisher.current.state.detached.isEmpty })
            for planner in planners {
                #expect(await happens { await planner.replica.weights() == ["core": 1, "gateway": 0] })
                #expect(await happens { await planner.standing?.state.share == 0 })
                #expect(await planner.phase == .stopped)
            }
        }
    }

    @Test("Where a plan was left at 100 %, a file that says something else ends who is noted, and all know it at last")
    func leftAndRolledBack() async throws {
        let stages = [PlanSpec.Stage(.share(1_000_000), hold: 0)]
        try await Self.with(["a", "b"]) { planners, _ in
            for planner in planners { try await planner.load(stages: stages) }
            let (leader, other) = try await Self.begin(planners)
            try await other.act(.stop(restore: false, by: "bob"))
            #expect(await happens { await leader.phase == .stopped })
            let first = try #require(await leader.standing?.fullSince)
            for (core, gateway, isWatched) in [(3, 1, false), (0, 1, true)] as [(UInt32, UInt32, Bool)] {
                #expect(await happens { ControlClock.system.wall() > first })
                for planner in planners {
                    try await planner.load(core: core, gateway: gateway, fingerprint: "\(core)", stages: stages)
                }
                // Whatever all agree on next says still where it was left.
                for state in [Administrative.drain, .ready] {
                    let drained = try await leader.replica.publisher.setAdministrative(
                        AdministrativeChange(state: state, addresses: [Sample.address(3301)], name: "x"),
                        origin: ChangeOrigin(.api))
                    #expect(drained.replicas == ReplicaCount(applied: 2, of: 2))
                }
                for planner in planners {
                    let view = await planner.replica.publisher.current
                    #expect(view.table.spec.routes[0].watchedMember == (isWatched ? 0 : nil))
                    let standing = try #require(view.state.plans["move"])
                    #expect(
                        standing.state.phase == .stopped && standing.state.share == (isWatched ? 1_000_000 : 250_000))
                    #expect(isWatched ? standing.fullSince ?? 0 > first : standing.fullSince == nil)
                    // Whoever leads tells it.
                    let stale = view.state.stale.migrations["move"].flatMap { $0 }.flatMap { PlanRecord($0) }
                    #expect(stale?.share == standing.state.share && stale?.fullSince == standing.fullSince)
                }
            }
            // Once it is told nothing is left to tell.
            let state = await leader.replica.publisher.current.state
            let sequence = try #require(await leader.replica.agreement.document?.sequence)
            let change = SharedChange(
                Transition.Note(what: .cluster, subject: "", detail: "told"), at: 1, "a", ChangeOrigin(.start))
            _ = try await leader.replica.agreement.propose(state.stale, [change], decidedOn: sequence)
            #expect(await happens { await leader.replica.publisher.current.state.stale.isEmpty })
        }
    }

    /// Where the next process has it from.
    enum Legacy: CaseIterable, Sendable {
        case ledger, takeover, both
    }

    /// What one process leaves to the next, as it goes over the socket.
    private final class LiveBox: Sendable {
        private let text = Mutex<Data?>(nil)
        var value: LiveState? {
            self.text.withLock { $0 }.flatMap { try? JSONDecoder().decode(LiveState.self, from: $0) }
        }
        func put(_ live: LiveState) { self.text.withLock { $0 = try? JSONEncoder().encode(live) } }
    }
}
