import Reactor
import Synchronization
import Traffic

/// Everything that the metrics page shows, gathered at one moment. Rendering is pure.
package struct MetricsPage: Sendable {
    package var workers: [WorkerSnapshot]
    package var view: TableView
    package var probes: [EndpointKey: ProbeRecord]
    package var discovery: [DiscoveryKey: DiscoveryRecord]
    package var report: ReloadReport
    package var admin: AdminConnections.Counts
    /// Calls of the admin API for want of a token.
    package var denied: UInt64
    package var logLinesDropped: UInt64
    package var certificates = CertificateFigures()
    /// Who follows events, and who was cut because they did not read.
    package var eventClients: UInt64 = 0
    package var eventClientsCut: UInt64 = 0
    /// nil: plans do not run here.
    package var migrations: MigrationFigures?
    /// nil: nothing has been traced since the start.
    package var tracing: TracingFigures?
    /// nil: this process is alone.
    package var cluster: ClusterFigures?
    /// What is known of plans whose sides are compared.
    var compared: [ComparedPlan] = []
    package var process: ProcessFacts
    /// Monotonic milliseconds.
    package var now: UInt64

    package init(
        workers: [WorkerSnapshot], view: TableView, probes: [EndpointKey: ProbeRecord],
        discovery: [DiscoveryKey: DiscoveryRecord] = [:], report: ReloadReport,
        admin: AdminConnections.Counts = AdminConnections.Counts(), denied: UInt64 = 0, logLinesDropped: UInt64 = 0,
        process: ProcessFacts,
        now: UInt64
    ) {
        self.workers = workers
        self.view = view
        self.probes = probes
        self.discovery = discovery
        self.report = report
        self.admin = admin
        self.denied = denied
        self.logLinesDropped = logLinesDropped
        self.process = process
        self.now = now
    }

    package func render() -> String {
        var text = MetricsText()
        self.writeRequests(&text)
        self.writeConnections(&text)
        self.writePolicies(&text)
        self.writeEndpoints(&text)
        self.writeProbes(&text)
        self.writeDiscovery(&text)
        self.writeTable(&text)
        self.writeMigrations(&text)
        self.writeCluster(&text)
        self.writeMirror(&text)
        self.writeProcess(&text)
        return text.text
    }

    // MARK: names that have gone

    /// Whether counters of that name belong on the page: part of the table, or gone not long ago.
    private func shows(route: String) -> Bool {
        self.view.table.route(named: route) != nil || self.view.state.departed.isRecent(route: route, at: self.now)
    }

    /// The empty name stands for answers of our own.
    private func shows(upstream: String) -> Bool {
        upstream.isEmpty || self.view.table.upstream(named: upstream) != nil
            || self.view.state.departed.isRecent(upstream: upstream, at: self.now)
    }

    // MARK: requests

    private struct RouteKey: Hashable, Comparable {
        var route: String
        var upstream: String
        static func < (left: RouteKey, right: RouteKey) -> Bool {
            (left.route, left.upstream) < (right.route, right.upstream)
        }
    }

    static let classes = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"]

    private func writeRequests(_ text: inout MetricsText) {
        var merged: [RouteKey: RouteCounters] = [:]
        for counters in self.workers.lazy.flatMap(\.routes)
        where self.shows(route: counters.route) && self.shows(upstream: counters.upstream) {
            let key = RouteKey(route: counters.route, upstream: counters.upstream)
            guard var sum = merged[key] else {
                merged[key] = counters
                continue
            }
            for index in sum.statusClasses.indices where index < counters.statusClasses.count {
                sum.statusClasses[index] &+= counters.statusClasses[index]
            }
            sum.cancelled &+= counters.cancelled
            sum.latency.merge(counters.latency)
            if sum.grpc.isEmpty {
                sum.grpc = counters.grpc
            } else {
                for (status, count) in counters.grpc.enumerated() { sum.grpc[status] &+= count }
            }
            merged[key] = sum
        }
        let ordered = merged.sorted { $0.key < $1.key }

        text.family(.requests)
        for (key, counters) in ordered {
            let labels = [("route", key.route), ("upstream", key.upstream)]
            for (index, count) in counters.statusClasses.enumerated() where count > 0 && index < Self.classes.count {
                text.sample(.requests, labels + [("status_class", Self.classes[index])], count)
            }
            if counters.cancelled > 0 {
                text.sample(.requests, labels + [("status_class", "cancelled")], counters.cancelled)
            }
        }
        text.family(.requestDuration)
        for (key, counters) in ordered where counters.latency.count > 0 {
            let labels = [("route", key.route), ("upstream", key.upstream)]
            text.histogram(.requestDuration, labels, counters.latency)
        }
        text.family(.grpcRequests)
        for (key, counters) in ordered {
            for (status, count) in counters.grpc.enumerated() where count > 0 {
                text.sample(
                    .grpcRequests,
                    [
                        ("route", key.route), ("upstream", key.upstream),
                        ("grpc_status", status < RouteCounters.grpcStatuses - 1 ? "\(status)" : "none"),
                    ], count)
            }
        }
    }

    // MARK: connections

    private func sum(_ path: KeyPath<WorkerSnapshot, UInt64>) -> UInt64 {
        self.workers.reduce(0) { $0 &+ $1[keyPath: path] }
    }

    private func merged<Key: Hashable & Comparable>(_ path: KeyPath<WorkerSnapshot, [Key: UInt64]>) -> [(Key, UInt64)] {
        var sums: [Key: UInt64] = [:]
        for worker in self.workers { sums.merge(worker[keyPath: path]) { $0 &+ $1 } }
        return sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    private func writeListeners(_ text: inout MetricsText) {
        text.family(.connectionsDenied)
        var denied: [String: UInt64] = [:]
        for counters in self.workers.lazy.flatMap(\.listeners) where counters.denied > 0 {
            denied[counters.listener, default: 0] &+= counters.denied
        }
        for (listener, count) in denied.sorted(by: { $0.key < $1.key }) {
            text.sample(.connectionsDenied, [("listener", listener)], count)
        }
        text.family(.proxyProtocol)
        var sums: [String: [UInt64]] = [:]
        for counters in self.workers.lazy.flatMap(\.listeners) {
            for (place, entry) in counters.proxyHeaders.byResult.enumerated() {
                sums[counters.listener, default: [0, 0, 0, 0, 0]][place] &+= entry.count
            }
        }
        let results = ProxyHeaderCounts().byResult.map(\.result)
        for (listener, counts) in sums.sorted(by: { $0.key < $1.key }) {
            for (result, count) in zip(results, counts) where count > 0 {
                text.sample(.proxyProtocol, [("listener", listener), ("result", result)], count)
            }
        }
    }

    /// Of several certificates of a name the one that ends first.
    private func writeCertificates(_ text: inout MetricsText) {
        struct Key: Hashable, Comparable {
            var listener: String
            var name: String
            static func < (left: Key, right: Key) -> Bool {
                (left.listener, left.name) < (right.listener, right.name)
            }
        }
        var ends: [Key: Int64] = [:]
        var staples: [Key: Int64] = [:]
        for record in self.certificates.records {
            for listener in record.listeners {
                let key = Key(listener: listener, name: record.facts.names.first ?? record.certificate)
                ends[key] = min(ends[key] ?? .max, record.facts.notAfter)
                if let until = record.stapleUntil { staples[key] = min(staples[key] ?? .max, until) }
            }
        }
        func labels(_ key: Key) -> [(String, String)] { [("listener", key.listener), ("name", key.name)] }
        text.family(.tlsCertificateNotAfter)
        for (key, end) in ends.sorted(by: { $0.key < $1.key }) {
            text.sample(.tlsCertificateNotAfter, labels(key), UInt64(clamping: end))
        }
        text.family(.tlsStapleExpired)
        for (key, until) in staples.sorted(by: { $0.key < $1.key }) {
            text.sample(.tlsStapleExpired, labels(key), until <= self.certificates.now ? 1 : 0)
        }
    }

    private func writeHandshakes(_ text: inout MetricsText) {
        var sums: [String: (counts: HandshakeCounts, duration: LatencyHistogram)] = [:]
        for counters in self.workers.lazy.flatMap(\.listeners) where !counters.handshakes.isEmpty {
            var sum = sums[counters.listener] ?? (HandshakeCounts(), LatencyHistogram())
            sum.counts.merge(counters.handshakes)
            sum.duration.merge(counters.handshakeDuration)
            sums[counters.listener] = sum
        }
        let listeners = sums.sorted { $0.key < $1.key }
        text.family(.tlsHandshakes)
        for (listener, sum) in listeners {
            for (index, count) in sum.counts.agreed.enumerated() where count > 0 {
                let labels = [
                    ("listener", listener), ("version", index < 2 ? "TLSv1.2" : "TLSv1.3"),
                    ("resumed", index % 2 == 0 ? "false" : "true"),
                ]
                text.sample(.tlsHandshakes, labels, count)
            }
        }
        text.family(.tlsHandshakeFailures)
        for (listener, sum) in listeners {
            for (reason, count) in zip(HandshakeCounts.reasons, sum.counts.failed) where count > 0 {
                text.sample(.tlsHandshakeFailures, [("listener", listener), ("reason", reason)], count)
            }
        }
        text.family(.tlsHandshakeDuration)
        for (listener, sum) in listeners {
            text.histogram(.tlsHandshakeDuration, [("listener", listener)], sum.duration)
        }
        text.family(.tlsTicketKeyAge)
        if let age = self.certificates.ticketKeyAge {
            text.sample(.tlsTicketKeyAge, [], MetricsText.seconds(microseconds: age &* 1_000))
        }
        text.single(.tlsHandshakesActive, self.sum(\.handshakesActive))
        self.writeCertificates(&text)
        text.family(.tlsCertificateReloads)
        text.sample(.tlsCertificateReloads, [("result", "success")], self.certificates.reloads)
        text.sample(.tlsCertificateReloads, [("result", "failure")], self.certificates.failures)
    }

    private func writeCompression(_ text: inout MetricsText) {
        let routes = self.view.table.routes.filter { $0.spec.compression != nil }
        text.family(.compressionAnswers)
        for route in routes {
            for entry in route.record.compression.byCoding {
                text.sample(
                    .compressionAnswers, [("route", route.name), ("encoding", entry.coding)], entry.count)
            }
        }
        text.family(.compressionBytes)
        for route in routes {
            let counts = route.record.compression
            for (direction, count) in [("in", counts.taken), ("out", counts.given)] as [(String, UInt64)] {
                text.sample(.compressionBytes, [("route", route.name), ("direction", direction)], count)
            }
        }
        text.family(.compressionSkipped)
        for route in routes {
            for entry in route.record.compression.bySkip where entry.count > 0 {
                text.sample(.compressionSkipped, [("route", route.name), ("reason", entry.reason)], entry.count)
            }
        }
    }

    private func writePolicies(_ text: inout MetricsText) {
        let routes = self.view.table.routes
        text.family(.accessDenied)
        for route in routes where !route.spec.access.isOpen {
            let counts = [
                ("denied", route.record.denied.load(ordering: .relaxed)),
                ("not-allowed", route.record.notAllowed.load(ordering: .relaxed)),
            ]
            for (reason, count) in counts {
                text.sample(.accessDenied, [("route", route.name), ("reason", reason)], count)
            }
        }
        text.family(.authenticationChecks)
        for route in routes where route.spec.basicAuth != nil {
            for entry in route.record.authentication.byResult {
                text.sample(
                    .authenticationChecks, [("route", route.name), ("result", entry.result)], entry.count)
            }
        }
        text.single(.authenticationWaiting, self.sum(\.authenticationWaiting))
        self.writeCompression(&text)
        text.family(.rateLimited)
        for route in routes {
            for limit in route.rateLimits {
                let labels = [("route", route.name), ("rule", limit.spec.name)]
                text.sample(
                    .rateLimited, labels + [("mode", "refused")], limit.table.refused.load(ordering: .relaxed))
                text.sample(
                    .rateLimited, labels + [("mode", "dry-run")], limit.table.wouldRefuse.load(ordering: .relaxed))
            }
        }
        text.family(.rateLimitEvictions)
        for route in routes {
            for limit in route.rateLimits {
                text.sample(
                    .rateLimitEvictions, [("route", route.name), ("rule", limit.spec.name)],
                    limit.table.evictions.load(ordering: .relaxed))
            }
        }
    }

    private func writeConnections(_ text: inout MetricsText) {
        text.single(.connectionsActive, self.sum(\.connectionsActive))
        text.single(.connectionsAccepted, self.sum(\.connectionsAccepted))
        text.single(.connectionsRefused, self.sum(\.connectionsRefused))
        text.single(.acceptFailures, self.sum(\.acceptFailures))
        text.single(.connectionsRelieved, self.sum(\.connectionsRelieved))
        self.writeListeners(&text)
        self.writeHandshakes(&text)
        text.single(.interimsDropped, self.sum(\.interimsDropped))
        text.single(.tunnelsActive, self.sum(\.tunnelsActive))
        text.single(.exchangesActive, self.sum(\.exchangesActive))
        self.writeHTTP2(&text)
        text.family(.rejected)
        for (status, count) in self.merged(\.rejected) { text.sample(.rejected, [("status", String(status))], count) }
        text.family(.retries)
        for (upstream, count) in self.merged(\.retries) where self.shows(upstream: upstream) {
            text.sample(.retries, [("upstream", upstream)], count)
        }
        text.family(.retriesDenied)
        for (upstream, count) in self.merged(\.retriesDenied) where self.shows(upstream: upstream) {
            text.sample(.retriesDenied, [("upstream", upstream)], count)
        }
        text.family(.guardRefusals)
        for reason in GuardReason.allCases {
            text.sample(.guardRefusals, [("reason", reason.rawValue)], self.view.guardRefusals[reason] ?? 0)
        }
        text.single(.ledgerErrors, self.view.ledger?.errors ?? 0)
        text.single(.accessLogDropped, self.sum(\.accessLogDropped))
        text.single(.logLinesDropped, self.logLinesDropped)
        self.writeTracing(&text)
    }

    private func writeTracing(_ text: inout MetricsText) {
        guard let tracing = self.tracing else { return }
        text.single(.tracingSpans, tracing.spans)
        text.family(.tracingDropped)
        for (reason, count) in tracing.dropped { text.sample(.tracingDropped, [("reason", reason)], count) }
    }

    // MARK: endpoints

    private func labels(_ upstream: String, _ address: SocketAddress) -> [(String, String)] {
        [("upstream", upstream), ("endpoint", address.description)]
    }

    private func writeEndpoints(_ text: inout MetricsText) {
        let endpoints = self.view.table.upstreams.flatMap(\.endpoints)
        text.family(.endpointAvailable)
        for upstream in self.view.table.upstreams {
            for endpoint in upstream.endpoints {
                text.sample(
                    .endpointAvailable, self.labels(upstream.name, endpoint.address),
                    endpoint.isSelectable(now: self.now) ? 1 : 0)
            }
        }
        text.family(.endpointOutstanding)
        for endpoint in endpoints {
            text.sample(
                .endpointOutstanding, self.labels(endpoint.upstream, endpoint.address),
                UInt64(clamping: endpoint.outstanding.load(ordering: .relaxed)))
        }
        text.family(.ejections)
        for endpoint in endpoints {
            text.sample(.ejections, self.labels(endpoint.upstream, endpoint.address), endpoint.ejections)
        }
        let counters = self.endpointCounters
        self.writeCounter(&text, .endpointRequests, counters, \.requests)
        self.writeCounter(&text, .endpointConnectFailures, counters, \.connectFailures)
        self.writeCounter(&text, .endpointMalformedAnswers, counters, \.malformedAnswers)
        self.writeCounter(&text, .endpointConnectionsOpened, counters, \.connectionsOpened)
        self.writeCounter(&text, .endpointConnectionsIdle, counters, \.connectionsIdle)
        self.writeCounter(&text, .endpointStreams, counters, \.streamsActive)
        text.family(.endpointTLSFailures)
        for counters in counters {
            for (reason, count) in zip(HandshakeCounts.reasons, counters.handshakes.failed) where count > 0 {
                text.sample(
                    .endpointTLSFailures,
                    [
                        ("upstream", counters.upstream), ("endpoint", counters.address.description),
                        ("reason", reason),
                    ], count)
            }
        }
    }

    private func writeCounter(
        _ text: inout MetricsText, _ name: MetricName, _ counters: [EndpointCounters],
        _ path: KeyPath<EndpointCounters, UInt64>
    ) {
        text.family(name)
        for entry in counters { text.sample(name, self.labels(entry.upstream, entry.address), entry[keyPath: path]) }
    }

    /// Summed over the workers, ordered by upstream and address.
    package var endpointCounters: [EndpointCounters] {
        var merged: [EndpointKey: EndpointCounters] = [:]
        let present = Set(self.view.table.spec.endpointKeys)
        for counters in self.workers.lazy.flatMap(\.endpoints) {
            let key = EndpointKey(upstream: counters.upstream, address: counters.address)
            guard present.contains(key) || self.view.state.departed.isRecent(endpoint: key, at: self.now) else {
                continue
            }
            guard var sum = merged[key] else {
                merged[key] = counters
                continue
            }
            sum.requests &+= counters.requests
            sum.connectFailures &+= counters.connectFailures
            sum.malformedAnswers &+= counters.malformedAnswers
            sum.handshakes.merge(counters.handshakes)
            if let failure = counters.lastHandshakeFailure, failure.at >= sum.lastHandshakeFailure?.at ?? 0 {
                sum.lastHandshakeFailure = failure
            }
            sum.connectionsOpened &+= counters.connectionsOpened
            sum.connectionsIdle &+= counters.connectionsIdle
            sum.streamsActive &+= counters.streamsActive
            sum.speaksHTTP2 = sum.speaksHTTP2 ?? counters.speaksHTTP2
            merged[key] = sum
        }
        return merged.values.sorted {
            ($0.upstream, $0.address.description) < ($1.upstream, $1.address.description)
        }
    }

    // MARK: probes, table, process

    private func writeProbes(_ text: inout MetricsText) {
        let ordered = self.probes.sorted {
            ($0.key.upstream, $0.key.address.description) < ($1.key.upstream, $1.key.address.description)
        }
        text.family(.probeResults)
        for (key, record) in ordered {
            for (cause, count) in record.counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                text.sample(.probeResults, self.labels(key.upstream, key.address) + [("cause", cause.rawValue)], count)
            }
        }
        text.family(.probeDuration)
        for (key, record) in ordered where !record.results.isEmpty {
            text.sample(
                .probeDuration, self.labels(key.upstream, key.address),
                MetricsText.seconds(microseconds: record.lastMicroseconds))
        }
    }

    // MARK: discovery

    /// nil if the file names the upstream's endpoints.
    package func discovery(of upstream: Upstream) -> DiscoveryRecord? {
        upstream.spec.discovery.flatMap { self.discovery[DiscoveryKey(upstream: upstream.name, spec: $0)] }
    }

    private func writeDiscovery(_ text: inout MetricsText) {
        let rows = self.view.table.upstreams.compactMap { upstream in
            self.discovery(of: upstream).map { (upstream, $0) }
        }
        text.family(.discoveryEndpoints)
        for (upstream, _) in rows {
            text.sample(.discoveryEndpoints, [("upstream", upstream.name)], UInt64(upstream.endpoints.count))
        }
        text.family(.discoveryLastSuccess)
        for (upstream, record) in rows {
            guard let success = record.lastSuccess else { continue }
            text.sample(
                .discoveryLastSuccess, [("upstream", upstream.name)],
                MetricsText.seconds(microseconds: success &* 1_000))
        }
        text.family(.discoveryFailures)
        for (upstream, record) in rows {
            text.sample(.discoveryFailures, [("upstream", upstream.name)], record.failures)
        }
        text.family(.discoveryStale)
        for (upstream, record) in rows {
            text.sample(.discoveryStale, [("upstream", upstream.name)], record.isStale ? 1 : 0)
        }
    }

    private func writeTable(_ text: inout MetricsText) {
        let rows = self.view.table.spec.routes.flatMap { route in
            UpstreamShare.compute(
                route.split ?? [], failover: route.failover, reserve: route.reserve, in: self.view.table, now: self.now
            ).map { (route.name, $0) }
        }
        text.family(.routeWeight)
        for (route, row) in rows {
            text.sample(.routeWeight, [("route", route), ("upstream", row.upstream)], UInt64(row.weight))
        }
        text.family(.routeShare)
        for (route, row) in rows {
            text.sample(.routeShare, [("route", route), ("upstream", row.upstream)], "\(row.effectiveShare)")
        }
        text.family(.reserveServes)
        for route in self.view.table.routes where !route.spec.reserve.isEmpty {
            let serving = route.servingReserve(now: self.now).flatMap { route.upstream($0)?.name }
            for name in route.spec.reserve {
                text.sample(
                    .reserveServes, [("route", route.name), ("upstream", name)], name == serving ? UInt64(1) : 0)
            }
        }
        text.single(.tableGeneration, self.view.table.generation)
        let age = self.now > self.view.publishedAt ? self.now - self.view.publishedAt : 0
        text.family(.tableAge)
        text.sample(.tableAge, [], MetricsText.seconds(microseconds: age &* 1_000))
        text.family(.reloads)
        text.sample(.reloads, [("result", "success")], self.report.successes)
        text.sample(.reloads, [("result", "failure")], self.report.failures)
        text.single(.lastReloadSuccessful, self.report.ok ? 1 : 0)
    }

    private func writeProcess(_ text: inout MetricsText) {
        text.single(.adminConnectionsActive, self.admin.active)
        text.single(.adminConnectionsRefused, self.admin.refused)
        text.single(.adminDenied, self.denied)
        text.single(.eventClients, self.eventClients)
        text.single(.eventClientsCut, self.eventClientsCut)
        text.family(.buildInfo)
        text.sample(.buildInfo, [("version", BalancerVersion.current)], 1)
        text.single(.residentMemory, self.process.residentBytes)
        text.family(.cpuSeconds)
        text.sample(.cpuSeconds, [], MetricsText.seconds(microseconds: self.process.processorMicroseconds))
        text.single(.openDescriptors, self.process.openDescriptors)
        text.family(.startTime)
        text.sample(.startTime, [], MetricsText.seconds(microseconds: self.process.startedMilliseconds &* 1_000))
    }
}
