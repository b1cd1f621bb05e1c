import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Control

/// Each sample takes its number from where its name says: all numbers differ, and workers are summed.
@Suite("Where metrics take their numbers from")
struct MetricSourceTests {
    private let bench = Bench()

    private func page(_ workers: [WorkerSnapshot]) async -> MetricsPage {
        MetricsPage(
            workers: workers, view: await self.bench.publisher.current, probes: [:],
            report: ReloadReport(at: 0, ok: false, problems: [], needsRestart: [], successes: 71, failures: 72),
            admin: AdminConnections.Counts(active: 73, refused: 74), denied: 75, logLinesDropped: 76,
            process: ProcessFacts(
                residentBytes: 77, processorMicroseconds: 78_000_000, openDescriptors: 79,
                startedMilliseconds: 80_000), now: self.bench.time.clock.monotonic())
    }

    private func expect(_ samples: [(String, UInt64)], on page: String, _ place: SourceLocation = #_sourceLocation) {
        let lines = Set(page.split(separator: "\n").map(String.init))
        for (series, count) in samples {
            let words = "\(series) \(count)"
            let found = lines.filter { $0.hasPrefix(series + " ") }
            #expect(lines.contains(words), "\(words), found \(found)", sourceLocation: place)
        }
    }

    @Test("Workers")
    func workers() async throws {
        _ = try await self.bench.load(Sample.configuration())
        let singles: [(WritableKeyPath<WorkerSnapshot, UInt64>, String)] = [
            (\.connectionsActive, "connections_active"), (\.connectionsAccepted, "connections_accepted_total"),
            (\.connectionsRefused, "connections_refused_total"), (\.acceptFailures, "accept_failures_total"),
            (\.connectionsRelieved, "connections_relieved_total"), (\.tunnelsActive, "tunnels_active"),
            (\.exchangesActive, "exchanges_active"), (\.interimsDropped, "interim_responses_dropped_total"),
            (\.handshakesActive, "tls_handshakes_active"), (\.authenticationWaiting, "auth_waiting"),
            (\.accessLogDropped, "access_log_dropped_total"),
        ]
        var worker = WorkerSnapshot(worker: 0, generation: 1)
        var expected: [(String, UInt64)] = []
        for (place, (path, name)) in singles.enumerated() {
            worker[keyPath: path] = 1_000 + UInt64(place)
            expected.append(("balancer_" + name, 2 * (1_000 + UInt64(place))))
        }
        worker.http2.connections = 11
        worker.http2.streams = 12
        worker.http2.streamsTotal = 13
        expected += [
            ("balancer_http2_connections_active", 22), ("balancer_http2_streams_active", 24),
            ("balancer_http2_streams_total", 26),
        ]
        for (place, name) in HTTP2Counters.codeNames.enumerated() {
            worker.http2.resetsReceived[place] = 100 + UInt64(place)
            worker.http2.resetsSent[place] = 200 + UInt64(place)
            worker.http2.goAwaysSent[place] = 300 + UInt64(place)
            for (family, first) in [("resets_received", 100), ("resets_sent", 200), ("goaways_sent", 300)] {
                expected.append(
                    ("balancer_http2_\(family)_total{code=\"\(name)\"}", 2 * UInt64(first + place)))
            }
        }
        for (place, name) in HTTP2Counters.floodNames.enumerated() {
            worker.http2.floods[place] = 400 + UInt64(place)
            expected.append(("balancer_http2_floods_total{kind=\"\(name)\"}", 2 * (400 + UInt64(place))))
        }
        worker.rejected = [400: 51, 431: 52]
        worker.retries = ["core": 53]
        worker.retriesDenied = ["core": 54]
        expected += [
            (#"balancer_rejected_total{status="400"}"#, 102), (#"balancer_rejected_total{status="431"}"#, 104),
            (#"balancer_retries_total{upstream="core"}"#, 106),
            (#"balancer_retries_denied_total{upstream="core"}"#, 108),
            ("balancer_reloads_total{result=\"success\"}", 71),
            ("balancer_reloads_total{result=\"failure\"}", 72), ("balancer_admin_connections_active", 73),
            ("balancer_admin_connections_refused_total", 74), ("balancer_admin_denied_total", 75),
            ("balancer_log_lines_dropped_total", 76), ("balancer_config_last_reload_successful", 0),
        ]
        var page = await self.page([worker, worker])
        page.tracing = TracingFigures(spans: 81, dropped: [("queue", 82), ("refused", 83)])
        expected += [
            ("balancer_spans_total", 81), (#"balancer_spans_dropped_total{reason="queue"}"#, 82),
            (#"balancer_spans_dropped_total{reason="refused"}"#, 83),
        ]
        self.expect(expected, on: page.render())
    }

    @Test("Listeners and endpoints")
    func connections() async throws {
        _ = try await self.bench.load(Sample.configuration())
        var headers = ProxyHeaderCounts()
        (headers.accepted, headers.local, headers.malformed, headers.timeout, headers.closed) = (21, 22, 23, 24, 25)
        var handshakes = HandshakeCounts()
        for (place, count) in [1, 2, 3, 4].enumerated() {
            for _ in 0..<count { handshakes.succeed(isNewest: place > 1, isResumed: place % 2 == 1) }
        }
        for reason in HandshakeCounts.reasons.indices { for _ in 0...reason { handshakes.fail(reason) } }
        handshakes.fail(HandshakeCounts.reasons.count)
        var listener = ListenerCounters(listener: "public", proxyHeaders: headers, handshakes: handshakes)
        listener.denied = 26
        listener.handshakeDuration.record(microseconds: 1_500)
        var endpoint = EndpointCounters(
            upstream: "core", address: Sample.address(3300), requests: 31, connectFailures: 32, connectionsOpened: 33,
            connectionsIdle: 34)
        endpoint.malformedAnswers = 35
        endpoint.handshakes = handshakes
        endpoint.lastHandshakeFailure = HandshakeFailure(at: 5, cause: "older")
        var worker = WorkerSnapshot(worker: 0, generation: 1)
        worker.listeners = [listener]
        worker.endpoints = [endpoint]
        var second = worker
        second.endpoints[0].lastHandshakeFailure = HandshakeFailure(at: 6, cause: "newer")
        let page = await self.page([worker, second, worker])
        #expect(page.endpointCounters.first?.lastHandshakeFailure?.cause == "newer")
        let of = #"upstream="core",endpoint="127.0.0.1:3300""#
        var expected: [(String, UInt64)] = [
            (#"balancer_connections_denied_total{listener="public"}"#, 78),
            (#"balancer_tls_handshake_duration_seconds_count{listener="public"}"#, 3),
            (#"balancer_tls_handshakes_total{listener="public",version="TLSv1.2",resumed="false"}"#, 3),
            (#"balancer_tls_handshakes_total{listener="public",version="TLSv1.2",resumed="true"}"#, 6),
            (#"balancer_tls_handshakes_total{listener="public",version="TLSv1.3",resumed="false"}"#, 9),
            (#"balancer_tls_handshakes_total{listener="public",version="TLSv1.3",resumed="true"}"#, 12),
            ("balancer_endpoint_requests_total{\(of)}", 93),
            ("balancer_endpoint_connect_failures_total{\(of)}", 96),
            ("balancer_endpoint_connections_opened_total{\(of)}", 99),
            ("balancer_endpoint_connections_idle{\(of)}", 102),
            ("balancer_endpoint_malformed_answers_total{\(of)}", 105),
        ]
        for (place, result) in ["accepted", "local", "malformed", "timeout", "closed"].enumerated() {
            expected.append(
                ("balancer_proxy_protocol_total{listener=\"public\",result=\"\(result)\"}", 3 * (21 + UInt64(place))))
        }
        for (place, reason) in HandshakeCounts.reasons.enumerated() {
            let count = 3 * (UInt64(place) + 1)
            expected += [
                ("balancer_tls_handshake_failures_total{listener=\"public\",reason=\"\(reason)\"}", count),
                ("balancer_endpoint_tls_failures_total{\(of),reason=\"\(reason)\"}", count),
            ]
        }
        self.expect(expected, on: page.render())
    }

    @Test("What routes' policies count")
    func policies() async throws {
        var configuration = Sample.configuration()
        configuration.table.routes[0].access.deny = [AddressBlock(base: IPAddress(v4: 1), prefixLength: 128)]
        configuration.table.routes[0].basicAuth = BasicAuthSpec(realm: "a")
        configuration.table.routes[0].rateLimits = [
            RateLimitSpec(name: "each", key: .all, rate: RateSpec(interval: 1, burst: 1))
        ]
        _ = try await self.bench.load(configuration)
        let route = try #require(await self.bench.publisher.current.table.routes.first)
        let counts = route.record.authentication
        let table = try #require(route.rateLimits.first).table
        var expected: [(String, UInt64)] = []
        counts.allowed.add(41, ordering: .relaxed)
        counts.remembered.add(42, ordering: .relaxed)
        counts.denied.add(43, ordering: .relaxed)
        counts.missing.add(44, ordering: .relaxed)
        counts.malformed.add(45, ordering: .relaxed)
        counts.busy.add(46, ordering: .relaxed)
        counts.limited.add(47, ordering: .relaxed)
        let results = ["allowed", "remembered", "denied", "missing", "malformed", "busy", "limited"]
        for (place, result) in results.enumerated() {
            expected.append(("balancer_auth_checks_total{route=\"api\",result=\"\(result)\"}", 41 + UInt64(place)))
        }
        route.record.denied.add(61, ordering: .relaxed)
        route.record.notAllowed.add(62, ordering: .relaxed)
        table.refused.add(63, ordering: .relaxed)
        table.wouldRefuse.add(64, ordering: .relaxed)
        table.evictions.add(65, ordering: .relaxed)
        expected += [
            (#"balancer_access_denied_total{route="api",reason="denied"}"#, 61),
            (#"balancer_access_denied_total{route="api",reason="not-allowed"}"#, 62),
            (#"balancer_rate_limited_total{route="api",rule="each",mode="refused"}"#, 63),
            (#"balancer_rate_limited_total{route="api",rule="each",mode="dry-run"}"#, 64),
            (#"balancer_rate_limit_evictions_total{route="api",rule="each"}"#, 65),
        ]
        self.expect(expected, on: await self.page([]).render())
    }

    @Test("Certificates and discovery")
    func files() async throws {
        var configuration = Sample.configuration()
        let spec = DiscoverySpec.srv(NameLookup(name: "gateway"))
        configuration.table.upstreams[1].discovery = spec
        _ = try await self.bench.load(configuration)
        let made = try TestCertificates()
        let pair = try made.make("metrics", names: ["a.example"])
        configuration.listeners[0].tls = ListenerTLS(certificates: [
            ListenerTLS.Certificate(chain: NamedFile(path: pair.certificate), key: NamedFile(path: pair.key))
        ])
        var record = try #require(NamedFiles.read(configuration, now: 0).certificates.first)
        record.stapleUntil = 1_000
        let listener = try #require(record.listeners.first)
        var page = await self.page([])
        page.certificates.records = [record]
        (page.certificates.reloads, page.certificates.failures) = (81, 82)
        page.certificates.ticketKeyAge = 83_000
        page.certificates.now = 999
        var discovered = DiscoveryRecord(spec: spec)
        discovered.lastSuccess = 84_000
        discovered.failures = 85
        page.discovery = [DiscoveryKey(upstream: "gateway", spec: spec): discovered]
        let of = "{listener=\"\(listener)\",name=\"a.example\"}"
        self.expect(
            [
                ("balancer_tls_certificate_not_after_timestamp_seconds\(of)", UInt64(record.facts.notAfter)),
                ("balancer_tls_staple_expired\(of)", 0),
                (#"balancer_tls_certificate_reloads_total{result="success"}"#, 81),
                (#"balancer_tls_certificate_reloads_total{result="failure"}"#, 82),
                ("balancer_tls_ticket_key_age_seconds", 83),
                (#"balancer_discovery_last_success_timestamp_seconds{upstream="gateway"}"#, 84),
                (#"balancer_discovery_failures_total{upstream="gateway"}"#, 85),
                (#"balancer_discovery_stale{upstream="gateway"}"#, 0),
            ], on: page.render())
        page.certificates.now = 1_000
        // Of two certificates of one name the one that ends first.
        var other = record
        other.facts.notAfter -= 1
        page.certificates.records = [record, other]
        discovered.failure = "none"
        page.discovery = [DiscoveryKey(upstream: "gateway", spec: spec): discovered]
        self.expect(
            [
                ("balancer_tls_staple_expired\(of)", 1),
                ("balancer_tls_certificate_not_after_timestamp_seconds\(of)", UInt64(record.facts.notAfter - 1)),
                (#"balancer_discovery_stale{upstream="gateway"}"#, 1),
            ], on: page.render())
    }
}
