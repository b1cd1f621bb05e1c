@testable import Control
import Migration
import RoutesFile
import Synchronization
import Traffic

/// A plan between core and gateway over counters that a test sets, by a clock that it moves.
struct MigrationRig: Sendable {
    let bench = Bench()
    let engine: MigrationEngine

    init(_ mirror: (any MirrorEvidence)? = nil, peers: (any PlanPeers)? = nil) {
        self.engine = MigrationEngine(
            publisher: self.bench.publisher, dataPlane: self.bench.dataPlane, clock: self.bench.time.clock,
            mirror: mirror, peers: peers)
    }

    static func configuration(
        _ change: (inout PlanSpec) -> Void = { _ in }, core: UInt32 = 1, gateway: UInt32 = 0
    ) -> BalancerConfiguration {
        var configuration = Sample.configuration(core: core, gateway: gateway)
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [
                .init(.share(50_000), hold: 10_000), .init(.share(250_000), hold: 10_000),
                .init(.share(1_000_000), hold: 10_000, approval: true), .init(.retire, hold: 20_000),
            ])
        plan.gates.mismatches = nil
        plan.gates.p50 = nil
        plan.gates.p99 = nil
        change(&plan)
        configuration.migrations = [MigrationSpec(plan: plan)]
        configuration.table.routes[0].migration = MigrationTraffic(name: "move", from: 0, to: 1)
        return configuration
    }

    func load(_ configuration: BalancerConfiguration = Self.configuration()) async throws {
        _ = try await self.bench.load(configuration)
        for port in [UInt16(3300), 3301, 3302] { self.set(port, .up) }
    }

    func set(_ port: UInt16, _ state: Operational) {
        self.bench.registry.endpoint(
            upstream: port == 3300 ? "core" : "gateway", address: Sample.address(port), probed: true
        ).setOperational(state, now: self.bench.time.clock.monotonic())
    }

    func count(epoch: UInt64, new: (bad: UInt64, of: UInt64), old: (bad: UInt64, of: UInt64)) {
        var counts = StageCounts(route: "api", epoch: epoch)
        counts.new.samples = new.of
        counts.new.errors = new.bad
        counts.old.samples = old.of
        counts.old.errors = old.bad
        self.bench.dataPlane.state.withLock { state in
            state.stages.removeAll { $0.epoch == epoch }
            state.stages.append(counts)
        }
    }

    func tick(_ milliseconds: UInt64 = 1_000) async {
        self.bench.time.advance(milliseconds)
        await self.engine.tick()
    }

    @discardableResult
    func act(_ event: PlanEvent) async throws -> PlanOutcome {
        try await self.engine.act(
            "move", event, origin: ChangeOrigin(.api, who: "ann"), ifMatch: [], dryRun: false)
    }

    var standing: PlanStanding? { get async { await self.bench.publisher.current.state.plans["move"] } }
    var phase: PlanState.Phase? { get async { await self.standing?.state.phase } }
    var weights: [String: UInt32] { get async { await self.bench.weights } }
}
