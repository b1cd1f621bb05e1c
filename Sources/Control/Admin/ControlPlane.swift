import Traffic

/// The parts that the admin API speaks for.
package struct ControlPlane: Sendable {
    package var publisher: TablePublisher
    package var dataPlane: any DataPlane
    package var health: HealthMonitor
    package var reloader: ConfigurationReloader
    package var discovery: EndpointDiscovery?
    package var lifecycle: Lifecycle
    package var adminConnections: AdminConnections
    package var clock: ControlClock
    /// Milliseconds since 1970.
    package var startedAt: UInt64

    package init(
        publisher: TablePublisher, dataPlane: any DataPlane, health: HealthMonitor, reloader: ConfigurationReloader,
        discovery: EndpointDiscovery? = nil, lifecycle: Lifecycle,
        adminConnections: AdminConnections = AdminConnections(), clock: ControlClock = .system
    ) {
        self.publisher = publisher
        self.dataPlane = dataPlane
        self.health = health
        self.reloader = reloader
        self.discovery = discovery
        self.lifecycle = lifecycle
        self.adminConnections = adminConnections
        self.clock = clock
        self.startedAt = clock.wall()
    }

    /// nil if traffic can be sent here, else why not.
    package func unreadyReason() async -> String? {
        if self.lifecycle.current == .draining { return "draining" }
        let view = await self.publisher.current
        if !view.isInForce { return "no routing table is in force yet" }
        if !view.listenersBound { return "listeners are not bound yet" }
        return nil
    }

    package func metrics() async -> MetricsPage {
        MetricsPage(
            workers: await self.dataPlane.snapshots(), view: await self.publisher.current,
            probes: await self.health.records, discovery: await self.discovery?.records ?? [:],
            report: await self.reloader.report, admin: self.adminConnections.counts,
            process: ProcessFacts.read(startedMilliseconds: self.startedAt), now: self.clock.monotonic())
    }
}
