@testable import Control
import RoutesFile
import Synchronization
import Testing
import Traffic

struct MetricsTests {
    /// One route, two workers, one endpoint probed: small enough to read whole.
    private func page() async throws -> MetricsPage {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let core = bench.registry.endpoint(upstream: "core", address: Sample.address(3300), probed: true)
        core.setOperational(.up, now: 0)
        core.outstanding.add(2, ordering: .relaxed)
        bench.registry.endpoint(upstream: "gateway", address: Sample.address(3301), probed: true)
            .setOperational(.down, now: 0)
        var latency = LatencyHistogram()
        latency.record(microseconds: 400)
        latency.record(microseconds: 1_500)
        latency.record(microseconds: 70_000_000)
        var first = WorkerSnapshot(worker: 0, generation: 1)
        first.connectionsActive = 3
        first.connectionsAccepted = 10
        first.rejected = [400: 2]
        first.retries = ["core": 1]
        first.routes = [
            RouteCounters(
                route: "api", upstream: "core", statusClasses: [0, 0, 3, 0, 1, 0], cancelled: 1, latency: latency)
        ]
        first.endpoints = [
            EndpointCounters(
                upstream: "core", address: Sample.address(3300), requests: 5, connectFailures: 1, connectionsOpened: 2,
                connectionsIdle: 1)
        ]
        var second = first
        second.worker = 1
        second.rejected = [408: 1]
        bench.dataPlane.state.withLock { $0.workers = [first, second] }
        bench.time.advance(1_500)
        let key = EndpointKey(upstream: "core", address: Sample.address(3300))
        // Of an endpoint that no probe has answered yet nothing is told.
        let fresh = EndpointKey(upstream: "gateway", address: Sample.address(3301))
        let result = ProbeResult(at: 1, wallClock: 1, cause: .ok, status: 200, microseconds: 1_250)
        return MetricsPage(
            workers: await bench.dataPlane.snapshots(), view: await bench.publisher.current,
            probes: [
                key: ProbeRecord(
                    results: [result], counts: [.ok: 7, .refused: 1], lastMicroseconds: 1_250, outlook: ""),
                fresh: ProbeRecord(results: [], counts: [:], lastMicroseconds: 0, outlook: ""),
            ],
            report: ReloadReport(at: 0, ok: true, problems: [], needsRestart: [], successes: 2, failures: 1),
            admin: AdminConnections.Counts(active: 3, refused: 7), logLinesDropped: 4,
            process: ProcessFacts(
                residentBytes: 1_048_576, processorMicroseconds: 2_500_000, openDescriptors: 12,
                startedMilliseconds: 1_767_323_045_000),
            now: bench.time.clock.monotonic())
    }

    @Test("Every sample, with counters of all workers summed")
    func samples() async throws {
        let lines = try await self.page().render().split(separator: "\n").map(String.init)
        let samples = lines.filter { !$0.hasPrefix("#") }
        let expected = """
            balancer_requests_total{route="api",upstream="core",status_class="2xx"} 6
            balancer_requests_total{route="api",upstream="core",status_class="4xx"} 2
            balancer_requests_total{route="api",upstream="core",status_class="cancelled"} 2
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.0005"} 2
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.001"} 2
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.0025"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.005"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.01"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.025"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.05"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.1"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.25"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="0.5"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="1"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="2.5"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="5"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="10"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="60"} 4
            balancer_request_duration_seconds_bucket{route="api",upstream="core",le="+Inf"} 6
            balancer_request_duration_seconds_sum{route="api",upstream="core"} 140.0038
            balancer_request_duration_seconds_count{route="api",upstream="core"} 6
            balancer_connections_active 6
            balancer_connections_accepted_total 20
            balancer_connections_refused_total 0
            balancer_accept_failures_total 0
            balancer_connections_relieved_total 0
            balancer_tls_handshakes_active 0
            balancer_tls_certificate_reloads_total{result="success"} 0
            balancer_tls_certificate_reloads_total{result="failure"} 0
            balancer_interim_responses_dropped_total 0
            balancer_tunnels_active 0
            balancer_exchanges_active 0
            balancer_http2_connections_active 0
            balancer_http2_streams_active 0
            balancer_http2_streams_total 0
            balancer_rejected_total{status="400"} 2
            balancer_rejected_total{status="408"} 1
            balancer_retries_total{upstream="core"} 2
            balancer_guard_refusals_total{reason="available"} 0
            balancer_guard_refusals_total{reason="minimum"} 0
            balancer_guard_refusals_total{reason="headroom"} 0
            balancer_guard_refusals_total{reason="failing"} 0
            balancer_ledger_errors_total 0
            balancer_access_log_dropped_total 0
            balancer_log_lines_dropped_total 4
            balancer_auth_waiting 0
            balancer_endpoint_available{upstream="core",endpoint="127.0.0.1:3300"} 1
            balancer_endpoint_available{upstream="gateway",endpoint="127.0.0.1:3301"} 0
            balancer_endpoint_available{upstream="gateway",endpoint="127.0.0.1:3302"} 0
            balancer_endpoint_outstanding{upstream="core",endpoint="127.0.0.1:3300"} 2
            balancer_endpoint_outstanding{upstream="gateway",endpoint="127.0.0.1:3301"} 0
            balancer_endpoint_outstanding{upstream="gateway",endpoint="127.0.0.1:3302"} 0
            balancer_ejections_total{upstream="core",endpoint="127.0.0.1:3300"} 0
            balancer_ejections_total{upstream="gateway",endpoint="127.0.0.1:3301"} 0
            balancer_ejections_total{upstream="gateway",endpoint="127.0.0.1:3302"} 0
            balancer_endpoint_requests_total{upstream="core",endpoint="127.0.0.1:3300"} 10
            balancer_endpoint_connect_failures_total{upstream="core",endpoint="127.0.0.1:3300"} 2
            balancer_endpoint_malformed_answers_total{upstream="core",endpoint="127.0.0.1:3300"} 0
            balancer_endpoint_connections_opened_total{upstream="core",endpoint="127.0.0.1:3300"} 4
            balancer_endpoint_connections_idle{upstream="core",endpoint="127.0.0.1:3300"} 2
            balancer_endpoint_streams_active{upstream="core",endpoint="127.0.0.1:3300"} 0
            balancer_probe_results_total{upstream="core",endpoint="127.0.0.1:3300",cause="ok"} 7
            balancer_probe_results_total{upstream="core",endpoint="127.0.0.1:3300",cause="refused"} 1
            balancer_probe_duration_seconds{upstream="core",endpoint="127.0.0.1:3300"} 0.00125
            balancer_route_weight{route="api",upstream="core"} 90
            balancer_route_weight{route="api",upstream="gateway"} 10
            balancer_route_share{route="api",upstream="core"} 1.0
            balancer_route_share{route="api",upstream="gateway"} 0.0
            balancer_table_generation 1
            balancer_table_age_seconds 1.5
            balancer_reloads_total{result="success"} 2
            balancer_reloads_total{result="failure"} 1
            balancer_config_last_reload_successful 1
            balancer_mirror_memory_bytes 0
            balancer_admin_connections_active 3
            balancer_admin_connections_refused_total 7
            balancer_admin_denied_total 0
            balancer_admin_event_clients 0
            balancer_admin_event_clients_cut_total 0
            balancer_build_info{version="\(BalancerVersion.current)"} 1
            process_resident_memory_bytes 1048576
            process_cpu_seconds_total 2.5
            process_open_fds 12
            process_start_time_seconds 1767323045
            """.split(separator: "\n").map(String.init)
        for (index, pair) in zip(samples, expected).enumerated() { #expect(pair.0 == pair.1, "sample \(index)") }
        #expect(samples.count == expected.count)
    }

    @Test("Counters of names that have gone are shown for a while, then leave the page; those that return are back")
    func departed() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        var worker = WorkerSnapshot(worker: 0, generation: 1)
        worker.retries = ["core": 1, "gateway": 2]
        worker.routes = [("api", "core"), ("api", "gateway"), ("old", ""), ("never", "core")].map { route, upstream in
            RouteCounters(
                route: route, upstream: upstream, statusClasses: [0, 0, 1, 0, 0, 0], cancelled: 0,
                latency: LatencyHistogram())
        }
        worker.endpoints = [("core", 3300), ("gateway", 3301), ("gateway", 3302)].map { upstream, port in
            EndpointCounters(
                upstream: upstream, address: Sample.address(port), requests: 5, connectFailures: 0,
                connectionsOpened: 0, connectionsIdle: 0)
        }
        bench.dataPlane.state.withLock { [worker] in $0.workers = [worker] }
        func names() async -> [String] {
            let page = MetricsPage(
                workers: await bench.dataPlane.snapshots(), view: await bench.publisher.current, probes: [:],
                report: ReloadReport(at: 0, ok: true, problems: [], needsRestart: [], successes: 0, failures: 0),
                process: ProcessFacts(
                    residentBytes: 0, processorMicroseconds: 0, openDescriptors: 0, startedMilliseconds: 0),
                now: bench.time.clock.monotonic())
            return page.render().split(separator: "\n").map(String.init).filter { line in
                ["balancer_requests_total{", "balancer_retries_total{", "balancer_endpoint_requests_total{"]
                    .contains { line.hasPrefix($0) }
            }.map { String($0.drop { $0 != "{" }.prefix { $0 != "}" }.dropFirst()) }
        }
        let all = [
            #"route="api",upstream="core",status_class="2xx""#, #"route="api",upstream="gateway",status_class="2xx""#,
            #"route="old",upstream="",status_class="2xx""#, #"upstream="core""#, #"upstream="gateway""#,
            #"upstream="core",endpoint="127.0.0.1:3300""#, #"upstream="gateway",endpoint="127.0.0.1:3301""#,
            #"upstream="gateway",endpoint="127.0.0.1:3302""#,
        ]
        #expect(await names() == all)

        var less = Sample.configuration()
        less.table.upstreams.removeLast()
        less.table.routes = [RouteSpec(name: "api", action: .split([SplitEntry(upstream: "core", weight: 1)]))]
        _ = try await bench.load(less)
        bench.time.advance(DepartedNames.grace - 1)
        #expect(await names() == all)
        bench.time.advance(1)
        #expect(await names() == [all[0], all[3], all[5]])
        _ = try await bench.load(Sample.configuration())
        #expect(await names() == all)
    }

    @Test("Each family has one HELP and one TYPE, right before its samples, and every name is exported")
    func families() async throws {
        let lines = try await self.page().render().split(separator: "\n").map(String.init)
        var family = ""
        var seen: [String] = []
        for (index, line) in lines.enumerated() {
            let words = line.split(separator: " ").map(String.init)
            if line.hasPrefix("# HELP ") {
                family = words[2]
                seen.append(family)
                let next = lines[index + 1].split(separator: " ").map(String.init)
                #expect(next.prefix(3) == ["#", "TYPE", family])
                #expect(next.count == 4)
            } else if !line.hasPrefix("#") {
                #expect(line.hasPrefix(family))
            }
        }
        #expect(Set(seen).count == seen.count)
        // Those of replicas are told only where there are any, and those of traces where requests are traced.
        let ofReplicas: Set<MetricName> = [.migrationLeader, .migrationEvidenceAge, .migrationLeftOut]
        let expected = MetricName.allCases.filter { !ofReplicas.contains($0) }.map(\.rawValue).filter {
            !$0.hasPrefix("balancer_cluster_") && !$0.hasPrefix("balancer_spans_")
        }
        #expect(Set(seen) == Set(expected))
    }

    @Test("Counters end in _total, gauges do not")
    func kinds() {
        for name in MetricName.allCases {
            #expect((name.kind == .counter) == name.rawValue.hasSuffix("_total"), "\(name.rawValue)")
            #expect(name.help.hasSuffix("."))
        }
    }

    @Test(
        "Label values are escaped",
        arguments: [
            ("plain", "plain"), ("a\"b", "a\\\"b"), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ("a\u{1}b", "a?b"),
            ("grün", "grün"),
        ])
    func escaping(value: String, escaped: String) {
        #expect(MetricsText.escaped(value) == escaped)
    }

    @Test(
        "Microseconds become seconds without rounding",
        arguments: [
            (UInt64(0), "0"), (1, "0.000001"), (1_000_000, "1"), (1_500_000, "1.5"), (60_000_000, "60"),
            (.max, "18446744073709.551615"),
        ])
    func seconds(microseconds: UInt64, text: String) {
        #expect(MetricsText.seconds(microseconds: microseconds) == text)
    }

    @Test("The process's own figures are read")
    func process() {
        let facts = ProcessFacts.read(startedMilliseconds: 5)
        #expect(facts.residentBytes > 1 << 20)
        #expect(facts.openDescriptors > 2 && facts.openDescriptors < 100_000)
        #expect(facts.startedMilliseconds == 5)
    }
}
