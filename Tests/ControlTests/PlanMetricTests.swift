@testable import Control
import Migration
import RoutesFile
import Synchronization
import Testing
import Traffic

/// The families of metrics that tell of plans, copies, compression, reserves, gRPC and replicas, sample by sample.
@Suite("Metrics of plans and of what else few tables have") struct PlanMetricTests {
    private let bench = Bench()

    private func page() async -> MetricsPage {
        MetricsPage(
            workers: await self.bench.dataPlane.snapshots(), view: await self.bench.publisher.current, probes: [:],
            report: ReloadReport(at: 0, ok: true, problems: [], needsRestart: [], successes: 0, failures: 0),
            process: ProcessFacts(
                residentBytes: 0, processorMicroseconds: 0, openDescriptors: 0, startedMilliseconds: 0),
            now: self.bench.time.clock.monotonic())
    }

    /// Samples of the families whose names begin so, without `balancer_`.
    private func samples(_ page: MetricsPage, _ prefixes: String...) -> String {
        page.render().split(separator: "\n").filter { line in prefixes.contains { line.hasPrefix("balancer_" + $0) } }
            .map { $0.dropFirst("balancer_".count) }.joined(separator: "\n")
    }

    private func standing(_ name: String, _ change: (inout PlanState) -> Void) throws -> PlanStanding {
        var plan = PlanSpec(
            name: name, routes: ["api"], from: "core", to: "gateway",
            stages: [.init(.share(50_000), hold: 10_000), .init(.share(1_000_000), hold: 10_000)])
        plan.gates.mismatches = nil
        var state = PlanState()
        change(&state)
        return try #require(PlanStanding(MigrationSpec(plan: plan), state: state))
    }

    private func reading(
        _ gate: GateName, _ verdict: GateBook.Verdict, route: String? = nil, advance: GateBook.Test?
    ) -> GateBook.Reading {
        GateBook.Reading(
            gate: gate, route: route, verdict: verdict, new: Arm(bad: 1, count: 2), old: Arm(bad: 3, count: 4),
            retreat: .init(evidence: 1.234_56, threshold: 8.187_3), advance: advance)
    }

    @Test("Where plans stand, by what numbers, and who still needs the old side")
    func plans() async throws {
        _ = try await self.bench.load(Sample.configuration())
        var counts = [StageCounts(route: "api", epoch: 3), StageCounts(route: "more", epoch: 3)]
        for index in counts.indices {
            counts[index].old.samples = 101
            counts[index].old.errors = 102
            counts[index].old.clientErrors = 103
            counts[index].old.cancelled = 104
            counts[index].new.samples = 201
            counts[index].new.errors = 202
            counts[index].new.clientErrors = 203
            counts[index].new.cancelled = 204
        }
        var reading = PlanReading()
        reading.counts = counts
        reading.own = counts
        reading.judgement.readings = [
            self.reading(.errors, .fail, advance: .init(evidence: -0.5, threshold: 2.995_7)),
            self.reading(.clientErrors, .fail, route: "api", advance: nil),
            self.reading(.cancelled, .pass, advance: nil),
            self.reading(.p50, .off, advance: nil), self.reading(.p99, .collecting, advance: nil),
        ]
        let blocked = PlanState.Retreat(cause: .unavailable, began: 0, from: 250_000, aim: 0, blockedSince: 1)
        let move = try self.standing("move") {
            $0.phase = .retreating
            $0.stage = 1
            $0.epoch = 3
            $0.share = 250_001
            $0.held = 1_234
            $0.retreat = blocked
        }
        let rest = try self.standing("rest") { $0.retreat = blocked }
        let back = try self.standing("back") {
            $0.phase = .running
            $0.retreat = blocked
        }
        var page = await self.page()
        page.migrations = MigrationFigures(
            plans: [
                .init(
                    standing: move, reading: reading, quiet: 77, needs: [(cause: "override", count: 5), ("weight", 6)]),
                .init(standing: rest, reading: PlanReading(), quiet: nil, needs: []),
                .init(standing: back, reading: PlanReading(), quiet: nil, needs: []),
            ],
            transitions: [
                PlanTransition(migration: "rest", to: "running", reason: "by-hand"): 1,
                PlanTransition(migration: "move", to: "running", reason: "gates"): 2,
                PlanTransition(migration: "move", to: "retreating", reason: "unavailable"): 3,
                PlanTransition(migration: "move", to: "retreating", reason: "errors"): 4,
            ])
        let phases = [
            "ready", "running", "waiting", "frozen", "inconclusive", "paused", "retreating", "retreated", "complete",
            "stopped",
        ]
        let states = [("move", "retreating"), ("rest", "ready"), ("back", "running")].flatMap { name, present in
            phases.map { "migration_state{migration=\"\(name)\",state=\"\($0)\"} \($0 == present ? 1 : 0)" }
        }.joined(separator: "\n")
        #expect(
            self.samples(page, "migration_", "gate_", "arm_", "needs", "quiet", "old_side") == states + "\n" + """
                migration_stage{migration="move"} 2
                migration_stage{migration="rest"} 0
                migration_stage{migration="back"} 1
                migration_share{migration="move"} 0.250001
                migration_share{migration="rest"} 0
                migration_share{migration="back"} 0
                migration_epoch{migration="move"} 3
                migration_epoch{migration="rest"} 0
                migration_epoch{migration="back"} 0
                migration_held_seconds{migration="move"} 1.234
                migration_held_seconds{migration="rest"} 0
                migration_held_seconds{migration="back"} 0
                migration_retreat_blocked{migration="move"} 1
                migration_retreat_blocked{migration="rest"} 0
                migration_retreat_blocked{migration="back"} 0
                migration_transitions_total{migration="move",to="retreating",reason="errors"} 4
                migration_transitions_total{migration="move",to="retreating",reason="unavailable"} 3
                migration_transitions_total{migration="move",to="running",reason="gates"} 2
                migration_transitions_total{migration="rest",to="running",reason="by-hand"} 1
                gate_evidence{migration="move",gate="errors",test="retreat"} 1.2346
                gate_evidence{migration="move",gate="errors",test="advance"} -0.5
                gate_evidence{migration="move",gate="cancelled",test="retreat"} 1.2346
                gate_evidence{migration="move",gate="p99",test="retreat"} 1.2346
                gate_threshold{migration="move",gate="errors",test="retreat"} 8.1873
                gate_threshold{migration="move",gate="errors",test="advance"} 2.9957
                gate_threshold{migration="move",gate="cancelled",test="retreat"} 8.1873
                gate_threshold{migration="move",gate="p99",test="retreat"} 8.1873
                gate_verdict{migration="move",gate="errors"} -1
                gate_verdict{migration="move",gate="cancelled"} 1
                gate_verdict{migration="move",gate="p99"} 0
                arm_samples_total{migration="move",side="from"} 202
                arm_samples_total{migration="move",side="to"} 402
                arm_samples_total{migration="rest",side="from"} 0
                arm_samples_total{migration="rest",side="to"} 0
                arm_samples_total{migration="back",side="from"} 0
                arm_samples_total{migration="back",side="to"} 0
                arm_bad_total{migration="move",side="from",kind="errors"} 204
                arm_bad_total{migration="move",side="from",kind="clientErrors"} 206
                arm_bad_total{migration="move",side="from",kind="cancelled"} 208
                arm_bad_total{migration="move",side="to",kind="errors"} 404
                arm_bad_total{migration="move",side="to",kind="clientErrors"} 406
                arm_bad_total{migration="move",side="to",kind="cancelled"} 408
                arm_bad_total{migration="rest",side="from",kind="errors"} 0
                arm_bad_total{migration="rest",side="from",kind="clientErrors"} 0
                arm_bad_total{migration="rest",side="from",kind="cancelled"} 0
                arm_bad_total{migration="rest",side="to",kind="errors"} 0
                arm_bad_total{migration="rest",side="to",kind="clientErrors"} 0
                arm_bad_total{migration="rest",side="to",kind="cancelled"} 0
                arm_bad_total{migration="back",side="from",kind="errors"} 0
                arm_bad_total{migration="back",side="from",kind="clientErrors"} 0
                arm_bad_total{migration="back",side="from",kind="cancelled"} 0
                arm_bad_total{migration="back",side="to",kind="errors"} 0
                arm_bad_total{migration="back",side="to",kind="clientErrors"} 0
                arm_bad_total{migration="back",side="to",kind="cancelled"} 0
                needs_total{migration="move",cause="override"} 5
                needs_total{migration="move",cause="weight"} 6
                quiet_seconds{migration="move"} 77
                """)
    }

    @Test("Figures of a running plan: how long it has been quiet, and what needed the old side, by cause")
    func figures() async throws {
        let rig = MigrationRig()
        try await rig.load()
        var figures = await rig.engine.figures()
        #expect(figures.plans.map(\.standing.plan.name) == ["move"])
        #expect(figures.plans[0].quiet == nil && figures.plans[0].needs.isEmpty && figures.transitions.isEmpty)
        try await rig.act(.start(stage: 4, by: "ann", force: true, reason: "a drill"))
        for _ in 0..<3 { await rig.tick() }
        figures = await rig.engine.figures()
        #expect(figures.plans[0].quiet == 3 && figures.plans[0].needs.isEmpty)
        #expect(figures.plans[0].reading.epoch == nil && figures.plans[0].standing.state.stage == 3)
        rig.bench.dataPlane.state.withLock {
            $0.needs = [
                NeedCount(route: "api", template: "/b", cause: .weight, count: 4),
                NeedCount(route: "api", template: "/a", cause: .override, count: 3),
                NeedCount(route: "api", template: "/b", cause: .override, count: 2),
                NeedCount(route: "other", template: "/b", cause: .retry, count: 1),
            ]
        }
        await rig.tick()
        await rig.tick(2_500)
        figures = await rig.engine.figures()
        #expect(figures.plans[0].quiet == 2)
        #expect(figures.plans[0].needs.map(\.cause) == ["override", "weight"])
        #expect(figures.plans[0].needs.map(\.count) == [5, 4])
        #expect(
            figures.transitions == [PlanTransition(migration: "move", to: "running", reason: ""): 1],
            "\(figures.transitions)")
    }

    @Test("Copies by side and status, why some were dropped, and what they hold")
    func copies() async throws {
        var configuration = Sample.configuration()
        configuration.table.routes[0].migration = MigrationTraffic(name: "move", from: 0, to: 1)
        _ = try await self.bench.load(configuration)
        let record = self.bench.registry.mirrorRecord("move")
        for status in [UInt16(99), 100, 200, 201, 302, 404, 500, 599, 600] {
            record.answered(by: "gateway", status: status, microseconds: 400)
        }
        record.answered(by: "core", status: 503, microseconds: 70_000_000)
        for (place, reason) in MirrorDrop.allCases.enumerated() { for _ in 0...place { record.drop(reason) } }
        record.memory.setLimit(1_000)
        let lease = MirrorLease(record.memory)
        #expect(lease.grow(by: 321))
        let page = await self.page()
        let words = [
            "queue", "memory", "body", "rate", "busy", "unavailable", "timeout", "except", "method", "decode",
            "answered-elsewhere",
        ]
        let drops = words.enumerated().map { "mirror_dropped_total{migration=\"move\",reason=\"\($1)\"} \($0 + 1)" }
        #expect(
            self.samples(page, "mirror_copies", "mirror_dropped", "mirror_memory") == """
                mirror_copies_total{migration="move",upstream="core",status_class="5xx"} 1
                mirror_copies_total{migration="move",upstream="gateway",status_class="other"} 2
                mirror_copies_total{migration="move",upstream="gateway",status_class="1xx"} 1
                mirror_copies_total{migration="move",upstream="gateway",status_class="2xx"} 2
                mirror_copies_total{migration="move",upstream="gateway",status_class="3xx"} 1
                mirror_copies_total{migration="move",upstream="gateway",status_class="4xx"} 1
                mirror_copies_total{migration="move",upstream="gateway",status_class="5xx"} 2

                """ + drops.joined(separator: "\n") + "\nmirror_memory_bytes 321")
        let durations = self.samples(page, "mirror_duration").split(separator: "\n")
        let of = #"{migration="move",upstream="#
        for line in [
            "mirror_duration_seconds_bucket\(of)\"core\",le=\"60\"} 0",
            "mirror_duration_seconds_bucket\(of)\"core\",le=\"+Inf\"} 1",
            "mirror_duration_seconds_bucket\(of)\"gateway\",le=\"0.0005\"} 9",
            "mirror_duration_seconds_sum\(of)\"core\"} 70", "mirror_duration_seconds_count\(of)\"gateway\"} 9",
            "mirror_duration_seconds_sum\(of)\"gateway\"} 0.0036",
        ] { #expect(durations.contains { $0 == line }, "\(line)") }
        withExtendedLifetime(lease) {}
    }

    @Test("What live requests and their copies were answered, of one run of a stage")
    func pairs() {
        let record = self.bench.registry.mirrorRecord("pairs")
        record.paired(epoch: 1, live: 500, copy: 404)
        for (live, copy) in [(399, 400), (499, 500), (599, 600), (200, 404)] as [(UInt16, UInt16)] {
            record.paired(epoch: 2, live: live, copy: copy)
        }
        let arms = record.arms
        #expect(arms.epoch == 2 && arms.live.samples == 4 && arms.copies.samples == 4)
        #expect(arms.live.clientErrors == 1 && arms.live.errors == 1 && arms.live.cancelled == 0)
        #expect(arms.copies.clientErrors == 2 && arms.copies.errors == 1 && arms.copies.cancelled == 0)
        #expect(self.bench.registry.mirrorRecord("pairs") === record)
    }

    @Test("Comparisons: every result and every state has its sample")
    func comparisons() async throws {
        _ = try await self.bench.load(Sample.configuration())
        var plan = ComparedPlan(MigrationSpec(plan: try self.standing("move") { _ in }.plan), key: 1)
        plan.rechecks = 7
        var page = await self.page()
        page.compared = [plan]
        #expect(
            self.samples(page, "comparisons", "classes", "rechecks") == """
                comparisons_total{migration="move",result="drift"} 0
                comparisons_total{migration="move",result="equal"} 0
                comparisons_total{migration="move",result="mismatch"} 0
                comparisons_total{migration="move",result="noise"} 0
                comparisons_total{migration="move",result="unconfirmed"} 0
                classes{migration="move",state="open"} 0
                classes{migration="move",state="noise"} 0
                classes{migration="move",state="real"} 0
                classes{migration="move",state="accepted"} 0
                rechecks_total{migration="move"} 7
                """)
    }

    @Test("Compression by coding, direction and reason; reserves; gRPC by status; streams")
    func routes() async throws {
        var configuration = Sample.configuration(core: 1, gateway: 0)
        configuration.table.routes[0].compression = CompressionSpec()
        configuration.table.routes[0].reserve = ["gateway"]
        _ = try await self.bench.load(configuration)
        let counts = try #require(await self.bench.publisher.current.table.routes.first).record.compression
        for (coding, count) in [(ContentCoding.gzip, 1), (.brotli, 2), (.zstd, 3)] {
            for _ in 0..<count { counts.count(coding) }
        }
        counts.add(taken: 100, given: 10)
        counts.add(taken: 1, given: 2)
        for (place, reason) in CompressionCounts.Skip.allCases.enumerated() {
            for _ in 0...place { counts.skip(reason) }
        }
        var route = RouteCounters(
            route: "api", upstream: "core", statusClasses: [1, 2, 3, 4, 5, 6], cancelled: 7, latency: LatencyHistogram()
        )
        route.grpc = ContiguousArray(repeating: 0, count: RouteCounters.grpcStatuses)
        (route.grpc[0], route.grpc[16], route.grpc[17]) = (1, 2, 3)
        var plain = route
        plain.grpc = []
        var endpoint = EndpointCounters(
            upstream: "core", address: Sample.address(3300), requests: 0, connectFailures: 0, connectionsOpened: 0,
            connectionsIdle: 0)
        endpoint.streamsActive = 4
        var workers = [WorkerSnapshot(worker: 0, generation: 1), WorkerSnapshot(worker: 1, generation: 1)]
        workers[0].routes = [plain, route]
        workers[1].routes = [route]
        for index in workers.indices { workers[index].endpoints = [endpoint] }
        self.bench.dataPlane.state.withLock { [workers] in $0.workers = workers }
        let skips = [
            "not-accepted", "status", "type", "size", "encoded", "no-transform", "credentials", "saturated", "contexts",
        ].enumerated().map { "compression_skipped_total{route=\"api\",reason=\"\($1)\"} \($0 + 1)" }
        #expect(
            self.samples(await self.page(), "compression", "requests_total", "grpc", "endpoint_streams", "reserve")
                == """
                requests_total{route="api",upstream="core",status_class="other"} 3
                requests_total{route="api",upstream="core",status_class="1xx"} 6
                requests_total{route="api",upstream="core",status_class="2xx"} 9
                requests_total{route="api",upstream="core",status_class="3xx"} 12
                requests_total{route="api",upstream="core",status_class="4xx"} 15
                requests_total{route="api",upstream="core",status_class="5xx"} 18
                requests_total{route="api",upstream="core",status_class="cancelled"} 21
                grpc_requests_total{route="api",upstream="core",grpc_status="0"} 2
                grpc_requests_total{route="api",upstream="core",grpc_status="16"} 4
                grpc_requests_total{route="api",upstream="core",grpc_status="none"} 6
                compression_responses_total{route="api",encoding="gzip"} 1
                compression_responses_total{route="api",encoding="br"} 2
                compression_responses_total{route="api",encoding="zstd"} 3
                compression_bytes_total{route="api",direction="in"} 101
                compression_bytes_total{route="api",direction="out"} 12

                """ + skips.joined(separator: "\n") + "\n" + """
                    endpoint_streams_active{upstream="core",endpoint="127.0.0.1:3300"} 8
                    reserve_serves{route="api",upstream="gateway"} 0
                    """)
        for port in [UInt16(3301), 3302] {
            self.bench.registry.endpoint(upstream: "gateway", address: Sample.address(port), probed: true)
                .setOperational(.up, now: 0)
        }
        self.bench.registry.endpoint(upstream: "core", address: Sample.address(3300), probed: true)
            .setOperational(.down, now: 0)
        #expect(
            self.samples(await self.page(), "reserve") == #"reserve_serves{route="api",upstream="gateway"} 1"#)
    }

    @Test("Replicas are told of where there are any")
    func cluster() async throws {
        _ = try await self.bench.load(Sample.configuration())
        var page = await self.page()
        #expect(self.samples(page, "cluster").isEmpty)
        var figures = ClusterFigures()
        figures.present = 3
        figures.differing = 2
        figures.lag = 1_250
        figures.conflicts = 9
        for (leads, reachable) in [(true, false), (false, true)] {
            figures.leads = leads
            figures.isReachable = reachable
            page.cluster = figures
            #expect(
                self.samples(page, "cluster") == """
                    cluster_reachable \(reachable ? 1 : 0)
                    cluster_leader \(leads ? 1 : 0)
                    cluster_replicas 3
                    cluster_replicas_differing 2
                    cluster_lag_seconds 1.25
                    cluster_conflicts_total 9
                    """)
        }
    }
}
