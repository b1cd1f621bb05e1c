import Traffic

/// The parts that the admin API speaks for.
package struct ControlPlane: Sendable {
    package var publisher: TablePublisher
    package var dataPlane: any DataPlane
    package var health: HealthMonitor
    package var reloader: ConfigurationReloader
    package var discovery: EndpointDiscovery?
    /// nil: nothing is compared.
    package var comparisons: ComparisonService?
    /// nil: plans of the file do not run.
    package var migrations: MigrationEngine?
    /// nil: spans go nowhere.
    package var tracing: SpanExporter?
    package var lifecycle: Lifecycle
    package var access: AdminAccess
    package var events: EventFeed
    package var adminConnections: AdminConnections
    /// Those of the address for probes and metrics only.
    package var observeConnections: AdminConnections
    /// Lines of the operational log that were not written.
    package var logLinesDropped: @Sendable () -> UInt64
    /// Addresses of a host name, as the file's endpoints have them; it may wait for a name service.
    package var lookUp: @Sendable (String) async -> [IPAddress]
    package var clock: ControlClock
    /// The machine's name.
    package var host: String
    /// Milliseconds since 1970.
    package var startedAt: UInt64
    /// Monotonic milliseconds.
    private let startedMonotonic: UInt64

    package init(
        publisher: TablePublisher, dataPlane: any DataPlane, health: HealthMonitor, reloader: ConfigurationReloader,
        discovery: EndpointDiscovery? = nil, comparisons: ComparisonService? = nil,
        migrations: MigrationEngine? = nil, tracing: SpanExporter? = nil, lifecycle: Lifecycle,
        access: AdminAccess = AdminAccess(), events: EventFeed? = nil,
        adminConnections: AdminConnections = AdminConnections(),
        observeConnections: AdminConnections = AdminConnections(),
        logLinesDropped: @escaping @Sendable () -> UInt64 = { 0 },
        lookUp: @escaping @Sendable (String) async -> [IPAddress] = { _ in [] }, clock: ControlClock = .system,
        host: String = ""
    ) {
        self.publisher = publisher
        self.dataPlane = dataPlane
        self.health = health
        self.reloader = reloader
        self.discovery = discovery
        self.comparisons = comparisons
        self.migrations = migrations
        self.tracing = tracing
        self.lifecycle = lifecycle
        self.access = access
        self.events =
            events
            ?? EventFeed(
                publisher: publisher, dataPlane: dataPlane, health: health, reloader: reloader, discovery: discovery,
                lifecycle: lifecycle, clock: clock)
        self.adminConnections = adminConnections
        self.observeConnections = observeConnections
        self.logLinesDropped = logLinesDropped
        self.lookUp = lookUp
        self.clock = clock
        self.host = host
        self.startedAt = clock.wall()
        self.startedMonotonic = clock.monotonic()
    }

    /// How long the process has run, in milliseconds, whatever was done to the wall clock.
    var uptime: UInt64 {
        let now = self.clock.monotonic()
        return now > self.startedMonotonic ? now - self.startedMonotonic : 0
    }

    /// What an operator may mean by `text`: `127.0.0.1:3301`, or `localhost:3301` as the file may have it.
    func endpoints(at text: String) async -> [SocketAddress] {
        if let address = SocketAddress(parsing: text) { return [address] }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return []
        }
        let host = String(text[..<colon])
        guard (1...253).contains(host.utf8.count) else { return [] }
        return await self.lookUp(host).map { SocketAddress(ip: $0, port: port) }
    }

    /// nil if traffic can be sent here, else why not.
    package func unreadyReason() async -> String? {
        if self.lifecycle.current == .draining { return "draining" }
        let view = await self.publisher.current
        if !view.isInForce { return "no routing table is in force yet" }
        if !view.listenersBound { return "listeners are not bound yet" }
        return nil
    }

    /// What a probe's reader should know of the cluster: traffic is served all the same.
    func clusterRemark() async -> String {
        guard let agreement = self.publisher.agreement else { return "" }
        if let fault = await agreement.fault { return "; the live state in the store is not taken on: \(fault)" }
        guard let since = await agreement.cutOffSince else { return "" }
        return "; the cluster's store does not answer since \(Timestamp.iso8601(since))"
    }

    package func metrics() async -> MetricsPage {
        var page = MetricsPage(
            workers: await self.dataPlane.snapshots(), view: await self.publisher.current,
            probes: await self.health.records, discovery: await self.discovery?.records ?? [:],
            report: await self.reloader.report, admin: self.adminConnections.counts + self.observeConnections.counts,
            denied: self.access.denied, logLinesDropped: self.logLinesDropped(),
            process: ProcessFacts.read(startedMilliseconds: self.startedAt), now: self.clock.monotonic())
        page.tracing = self.tracing?.figures
        page.cluster = await self.publisher.agreement?.figures
        page.certificates = await self.reloader.certificateFigures
        page.compared = await self.comparisons?.known ?? []
        page.eventClients = UInt64(self.events.clients.count)
        page.eventClientsCut = self.events.clients.cutCount
        page.migrations = await self.migrations?.figures()
        page.certificates.ticketKeyAge = await self.dataPlane.ticketKeyAge()
        return page
    }
}
