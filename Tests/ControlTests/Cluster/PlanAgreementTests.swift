@testable import Control
import Ledger
import Migration
import RoutesFile
import Synchronization
import Testing
import Traffic

/// Plans where replicas share what is live: one of them takes the steps, by what all have counted.
@Suite("Plans among replicas", .serialized) struct PlanAgreementTests {
    /// A replica with what makes its plans run; ticks come from the test.
    struct Planner: Sendable {
        let replica: Replica
        let exchange: PlanExchange
        let engine: MigrationEngine

        init(_ name: String, in cluster: MemoryCluster, lease: UInt64, ledger: LedgerStore? = nil) {
            self.replica = Replica(name, in: cluster, lease: lease, interval: 100, ledger: ledger)
            self.exchange = PlanExchange(agreement: self.replica.agreement)
            self.engine = MigrationEngine(
                publisher: self.replica.publisher, dataPlane: self.replica.dataPlane, peers: self.exchange)
        }

        var standing: PlanStanding? { get async { await self.replica.publisher.current.state.plans["move"] } }
        var phase: PlanState.Phase? { get async { await self.standing?.state.phase } }
        var stage: Int? { get async { await self.standing?.state.stage } }
        var leads: Bool { get async { await self.replica.agreement.leadingTerm != nil } }

        func tick() async {
            await self.engine.tick()
            await self.exchange.exchange()
        }

        func count(epoch: UInt64, new: (bad: UInt64, of: UInt64), old: (bad: UInt64, of: UInt64)) {
            var counts = StageCounts(route: "api", epoch: epoch)
            counts.new.samples = new.of
            counts.new.errors = new.bad
            counts.old.samples = old.of
            counts.old.errors = old.bad
            self.replica.dataPlane.state.withLock { $0.stages = [counts] }
        }

        @discardableResult
        func act(_ event: PlanEvent, local: Bool = false) async throws(ChangeRefused) -> PlanOutcome {
            try await self.engine.act(
                "move", event, origin: ChangeOrigin(.api, who: "ann"), ifMatch: [], dryRun: false, local: local)
        }

        /// The file that all began with, or one with another split.
        func load(
            core: UInt32 = 1, gateway: UInt32 = 0, fingerprint: String = "same", stages: [PlanSpec.Stage]? = nil
        ) async throws {
            let configuration = PlanAgreementTests.configuration(
                core: core, gateway: gateway, fingerprint: fingerprint, stages: stages)
            _ = try await self.replica.publisher.load(configuration, origin: ChangeOrigin(.start))
            for upstream in await self.replica.publisher.current.table.upstreams {
                for endpoint in upstream.endpoints { endpoint.setOperational(.up, now: 0) }
            }
        }

        func words() async -> [String] {
            await self.replica.publisher.entries.filter { $0.subject == "move" }.map(\.detail)
        }
    }

    static func configuration(
        core: UInt32 = 1, gateway: UInt32 = 0, fingerprint: String = "same", stages: [PlanSpec.Stage]? = nil
    ) -> BalancerConfiguration {
        var configuration = Sample.configuration(core: core, gateway: gateway)
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: stages ?? [
                .init(.share(50_000), hold: 0), .init(.share(250_000), hold: 0),
                .init(.share(500_000), hold: 3_600_000),
            ])
        plan.gates.mismatches = nil
        plan.gates.p50 = nil
        plan.gates.p99 = nil
        configuration.migrations = [MigrationSpec(plan: plan)]
        configuration.table.routes[0].migration = MigrationTraffic(name: "move", from: 0, to: 1)
        configuration.fingerprint = fingerprint
        return configuration
    }

    static func with(
        _ names: [String] = ["a", "b", "c"], lease: UInt64 = 60_000, live: LiveState? = nil,
        _ body: @escaping @Sendable ([Planner], MemoryCluster) async throws -> Void
    ) async throws {
        let cluster = MemoryCluster()
        let planners = names.map { Planner($0, in: cluster, lease: lease) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, planner) in planners.enumerated() {
                let publisher = planner.replica.publisher
                if index == 0, let live {
                    await publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
                }
                group.addTask { await publisher.runCluster() }
                await publisher.joinCluster()
                try await planner.load()
            }
            #expect(
                await happens {
                    for planner in planners {
                        let agreement = planner.replica.agreement
                        // Each has heard of all, with the file that they have now.
                        guard await agreement.picture.count(applied: 0).of == names.count, await agreement.holds.isEmpty
                        else { return false }
                    }
                    return await Self.leader(planners) != nil
                })
            try await body(planners, cluster)
            group.cancelAll()
        }
    }

    static func leader(_ planners: [Planner]) async -> Int? {
        for index in planners.indices where await planners[index].leads { return index }
        return nil
    }

    /// Of two, the one that leads starts the plan, and both have it under way.
    static func begin(_ planners: [Planner]) async throws -> (leader: Planner, other: Planner) {
        let first = try #require(await Self.leader(planners))
        let (leader, other) = (planners[first], planners[1 - first])
        try await leader.act(.start(by: "ann"))
        #expect(await happens { await other.phase == .running })
        return (leader, other)
    }

    /// Looks at all of them, until what is wanted is so.
    static func ticks(_ planners: [Planner], until isSo: @escaping @Sendable () async -> Bool) async -> Bool {
        await happens {
            for planner in planners { await planner.tick() }
            return await isSo()
        }
    }

    private static func isUnreachable(_ error: ChangeRefused) -> Bool {
        if case .unreachable = error { true } else { false }
    }

    @Test(
        "A third of the evidence on each of three is enough for all, and each step is taken once, told in every journal"
    )
    func sums() async throws {
        try await Self.with { planners, _ in
            let leader = try #require(await Self.leader(planners))
            let other = planners[(leader + 1) % 3]
            let started = try await other.act(.start(by: "ann"))
            #expect(started.replicas == ReplicaCount(applied: 3, of: 3))
            for planner in planners {
                #expect(await planner.phase == .running)
                #expect(await planner.replica.weights() == ["core": 950_000, "gateway": 50_000])
            }
            // A third of what the gates want: neither one of them nor two would pass.
            for planner in planners { planner.count(epoch: 1, new: (0, 400), old: (0, 8_000)) }
            #expect(await Self.ticks(planners) { await planners[leader].stage == 1 })
            for planner in planners { #expect(await happens { await planner.stage == 1 }) }
            #expect(await planners[leader].standing?.baseline?.routes["api"]?.samples == 24_000)
            for planner in planners { planner.count(epoch: 2, new: (0, 1_000), old: (0, 3_000)) }
            #expect(await Self.ticks(planners) { await planners[leader].stage == 2 })
            // Nothing was lost of what one has told while the others go on.
            for planner in planners {
                #expect(await happens { await planner.replica.weights() == ["core": 500_000, "gateway": 500_000] })
                #expect(await happens { await planner.words().filter { $0.hasPrefix("advanced") }.count == 2 })
                let words = await planner.words()
                #expect(words.filter { $0.hasPrefix("started") }.count == 1, "\(words)")
            }
            // What goes wrong where nobody leads sends all of them back.
            other.count(epoch: 3, new: (30, 60), old: (0, 60))
            #expect(await Self.ticks(planners) { await planners[leader].phase == .retreated })
            for planner in planners {
                #expect(await happens { await planner.phase == .retreated })
                #expect(await happens { await planner.replica.weights()["gateway"] == 0 })
                let entry = await planner.replica.publisher.entries.last { $0.detail.hasPrefix("goes back") }
                #expect(entry?.evidence?.contains("\"bad\":30") == true)
            }
        }
    }

    @Test("Whoever leads next goes on from there; the one before writes nothing more")
    func succession() async throws {
        try await Self.with(["a", "b"], lease: 900) { planners, cluster in
            let (former, next) = try await Self.begin(planners)
            for planner in planners { planner.count(epoch: 1, new: (0, 1_000), old: (0, 19_000)) }
            #expect(await Self.ticks(planners) { await former.stage == 1 })
            #expect(await happens { await next.stage == 1 })
            former.replica.store.isDown = true
            cluster.depose()
            #expect(await happens { await next.leads })
            let held = await former.stage
            for planner in planners { planner.count(epoch: 2, new: (0, 3_000), old: (0, 9_000)) }
            #expect(await Self.ticks(planners) { await next.stage == 2 })
            #expect(await former.stage == held)
            former.replica.store.isDown = false
            #expect(await Self.ticks(planners) { await former.stage == 2 })
            #expect(await next.words().filter { $0.hasPrefix("advanced") }.count == 2)
            #expect(await happens { await former.words().filter { $0.hasPrefix("advanced") }.count == 2 })
        }
    }

    @Test(
        "Cut off, nobody goes on; one that sees the new side fail goes back alone, and all go back when they hear of it"
    )
    func cutOff() async throws {
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            let (cut, other) = try await Self.begin(planners)
            cut.replica.store.isDown = true
            cluster.depose()
            #expect(await happens { await cut.replica.agreement.obstacle() != nil })
            cut.count(epoch: 1, new: (0, 9_000), old: (0, 90_000))
            await cut.tick()
            #expect(await cut.stage == 0)
            do throws(ChangeRefused) {
                _ = try await cut.act(.retreat(by: "ann", reason: "bad"))
                Issue.record("it was taken")
            } catch {
                #expect(Self.isUnreachable(error), "\(error)")
            }
            cut.count(epoch: 1, new: (300, 600), old: (0, 9_000))
            #expect(await Self.ticks([cut]) { await cut.phase == .retreated })
            #expect(await cut.replica.weights()["gateway"] == 0)
            #expect(await cut.replica.publisher.entries.last { $0.subject == "move" }?.evidence == "detached")
            #expect(await other.replica.weights()["gateway"] == 50_000)
            cut.replica.store.isDown = false
            #expect(await happens { await other.phase == .retreated })
            #expect(await happens { await other.replica.weights()["gateway"] == 0 })
            #expect(await happens { await cut.replica.publisher.current.state.detachedPlans.isEmpty })
            #expect(await cut.phase == .retreated)
            #expect(await other.words().contains { $0.contains("alone") })
        }
    }

    @Test("What went back alone gives way, once the others are in another run")
    func overtaken() async throws {
        try await Self.with(["a", "b"], lease: 600) { planners, cluster in
            let (cut, other) = try await Self.begin(planners)
            cut.replica.store.isDown = true
            cluster.depose()
            #expect(await happens { await cut.replica.agreement.obstacle() != nil })
            try await cut.act(.retreat(by: "ann", reason: "bad"), local: true)
            #expect(await cut.replica.weights()["gateway"] == 0)
            #expect(await happens { await other.leads })
            try await other.act(.advance(by: "bob", force: true, reason: "well"))
            cut.replica.store.isDown = false
            #expect(await happens { await cut.stage == 1 })
            #expect(await happens { await cut.replica.weights()["gateway"] == 250_000 })
            #expect(await cut.replica.journal(.cluster).contains { $0.detail.contains("gives way") })
            do throws(ChangeRefused) {
                _ = try await cut.act(.retreat(by: "ann", reason: "bad"), local: true)
                Issue.record("it was taken")
            } catch {
                #expect("\(error)".contains("local"), "\(error)")
            }
        }
    }

    @Test("A hand on the weights pauses the plan on every replica, and any of them resumes it")
    func hand() async throws {
        try await Self.with(["a", "b"]) { planners, _ in
            let (_, other) = try await Self.begin(planners)
            _ = try await other.replica.set(["core": 99, "gateway": 1])
            for planner in planners {
                #expect(await planner.phase == .paused)
                #expect(await planner.standing?.state.pause == .weightsByHand)
                #expect(await planner.standing?.state.share == 10_000)
            }
            try await other.act(.resume(by: "ann"))
            for planner in planners {
                #expect(await planner.phase == .running)
                #expect(await planner.standing?.state.epoch == 2)
                #expect(await planner.replica.weights()["gateway"] == 50_000)
            }
        }
    }

    @Test("A plan that was under way before there were replicas goes on among them")
    func underWay() async throws {
        let bench = Bench()
        _ = try await bench.load(Self.configuration())
        _ = try await bench.publisher.step(
            PlanChange(
                "move", .start(by: "ann"),
                facts: PlanFacts(now: 0, judgement: GateBook.Judgement(readings: [], thinRoutes: []))),
            origin: ChangeOrigin(.api, who: "ann"))
        let live = try await bench.publisher.beginHandOver()
        try await Self.with(live: live) { planners, _ in
            for planner in planners {
                #expect(await happens { await planner.phase == .running })
                #expect(await happens { await planner.replica.weights()["gateway"] == 50_000 })
            }
        }
    }
}
