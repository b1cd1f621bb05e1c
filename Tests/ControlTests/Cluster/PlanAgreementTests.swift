@testable import Control
import Migration
import RoutesFile
import Testing
import Traffic

/// Plans where replicas share what is live: they begin no more there, and one that was under way goes back only.
@Suite("Plans among replicas", .serialized) struct PlanAgreementTests {
    private static func configuration() -> BalancerConfiguration {
        var configuration = Sample.configuration(core: 1, gateway: 0)
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [.init(.share(50_000), hold: 0), .init(.share(250_000), hold: 10_000)])
        plan.gates.mismatches = nil
        configuration.migrations = [MigrationSpec(plan: plan)]
        configuration.table.routes[0].migration = MigrationTraffic(name: "move", from: 0, to: 1)
        configuration.fingerprint = "same"
        return configuration
    }

    private static func judgement(_ verdict: GateBook.Verdict) -> GateBook.Judgement {
        GateBook.Judgement(readings: [
            GateBook.Reading(
                gate: .errors, route: nil, verdict: verdict, new: Arm(bad: 1, count: 2), old: Arm(bad: 0, count: 2),
                retreat: .init(evidence: 1, threshold: 2), advance: nil)
        ])
    }

    private static func step(
        _ event: PlanEvent, _ verdict: GateBook.Verdict, on replica: Replica
    ) async throws(ChangeRefused) -> PlanOutcome {
        try await replica.publisher.step(
            PlanChange("move", event, facts: PlanFacts(now: 1_000_000, judgement: Self.judgement(verdict))),
            origin: ChangeOrigin(.migration, who: "move"))
    }

    /// Where the plan stood in a process before there were others.
    private static func underWay() async throws -> LiveState {
        let bench = Bench()
        _ = try await bench.load(Self.configuration())
        _ = try await bench.publisher.step(
            PlanChange("move", .start(by: "ann"), facts: PlanFacts(now: 0, judgement: Self.judgement(.pass))),
            origin: ChangeOrigin(.api, who: "ann"))
        return try await bench.publisher.beginHandOver()
    }

    private static func with(
        _ live: LiveState?, _ body: @escaping @Sendable ([Replica]) async throws -> Void
    ) async throws {
        let cluster = MemoryCluster()
        let replicas = ["a", "b"].map { Replica($0, in: cluster) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, replica) in replicas.enumerated() {
                if index == 0, let live {
                    await replica.publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
                }
                group.addTask { await replica.publisher.runCluster() }
                await replica.publisher.joinCluster()
                _ = try await replica.publisher.load(Self.configuration(), origin: ChangeOrigin(.start))
            }
            #expect(
                await happens {
                    for replica in replicas where await replica.agreement.picture.count(applied: 0).of != 2 {
                        return false
                    }
                    return true
                })
            try await body(replicas)
            group.cancelAll()
        }
    }

    private static func isRefused(_ body: () async throws(ChangeRefused) -> PlanOutcome) async -> Bool {
        do throws(ChangeRefused) {
            _ = try await body()
        } catch {
            if case .invalid(let problems) = error { return problems.first?.message.contains("$.cluster") == true }
        }
        return false
    }

    @Test("A start is refused, by force too")
    func start() async throws {
        try await Self.with(nil) { replicas in
            for force in [false, true] {
                #expect(
                    await Self.isRefused { () async throws(ChangeRefused) in
                        try await Self.step(.start(by: "ann", force: force, reason: "now"), .pass, on: replicas[0])
                    })
            }
            #expect(await replicas[0].publisher.current.state.plans["move"]?.state.phase == .ready)
            #expect(await replicas[0].weights() == ["core": 1, "gateway": 0])
        }
    }

    @Test("One that was under way rises no more; what it takes back stays taken, on every replica")
    func underWay() async throws {
        try await Self.with(try await Self.underWay()) { replicas in
            let first = replicas[0]
            #expect(await first.weights() == ["core": 950_000, "gateway": 50_000])
            #expect(
                await Self.isRefused { () async throws(ChangeRefused) in
                    try await Self.step(.tick, .pass, on: first)
                })
            #expect(
                await Self.isRefused { () async throws(ChangeRefused) in
                    try await Self.step(.advance(by: "ann", force: true, reason: "now"), .pass, on: first)
                })
            #expect(await first.publisher.current.state.plans["move"]?.state.phase == .running)
            #expect(await first.weights() == ["core": 950_000, "gateway": 50_000])

            _ = try await Self.step(.tick, .fail, on: first)
            #expect(await first.publisher.current.state.plans["move"]?.state.phase == .retreated)
            #expect(await first.weights()["gateway"] == 0)
            let entry = await first.publisher.entries.last { $0.what == .migration && $0.subject == "api" }
            #expect(entry?.evidence == "detached" && entry?.after?.weights?["gateway"] == 0)
            // Whatever they agree on next, it is back.
            #expect(await happens { await replicas[1].weights()["gateway"] == 0 })
            _ = try await replicas[1].publisher.setAdministrative(
                AdministrativeChange(state: .drain, addresses: [Sample.address(3301)], name: "x"),
                origin: ChangeOrigin(.api))
            for replica in replicas {
                let key = EndpointKey(upstream: "gateway", address: Sample.address(3301))
                #expect(await happens { await replica.publisher.current.state.administrative[key] == .drain })
                #expect(await replica.weights()["gateway"] == 0)
            }
        }
    }
}
