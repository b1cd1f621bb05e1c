import FoundationEssentials
import NIOCore
import Traffic

/// What the operator's surface is told once a second, and what it shows of the last quarter of an hour.
///
/// While nobody follows, a sample is taken every five seconds, for the plots of whoever comes. One message is made a second
/// and shared by all who follow.
package actor EventFeed {
    /// Milliseconds between two messages.
    static let interval: UInt64 = 1_000
    /// Milliseconds that rates and times are of, at most.
    static let window: UInt64 = 10_000

    private let publisher: TablePublisher
    private let dataPlane: any DataPlane
    private let health: HealthMonitor
    private let reloader: ConfigurationReloader
    private let discovery: EndpointDiscovery?
    private let lifecycle: Lifecycle
    private let clock: ControlClock
    nonisolated let clients = EventClients()

    /// Oldest first; the first is the last one from before the window, if there is one.
    private var samples: [TrafficSample] = []
    private var plots = TrafficPlots()
    private var connections: UInt64 = 0
    private var exchanges: UInt64 = 0
    private var sequence: UInt64 = 0

    package init(
        publisher: TablePublisher, dataPlane: any DataPlane, health: HealthMonitor, reloader: ConfigurationReloader,
        discovery: EndpointDiscovery? = nil, lifecycle: Lifecycle, clock: ControlClock = .system
    ) {
        self.publisher = publisher
        self.dataPlane = dataPlane
        self.health = health
        self.reloader = reloader
        self.discovery = discovery
        self.lifecycle = lifecycle
        self.clock = clock
    }

    /// Until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            await self.tick()
            do { try await self.clock.sleep(Self.interval) } catch { return }
        }
    }

    /// Takes a sample where one is due, and tells whoever follows.
    func tick() async {
        let age = self.clock.monotonic() &- (self.samples.last?.at ?? 0)
        guard self.clients.count > 0 || self.samples.isEmpty || age >= TrafficPlots.interval else { return }
        await self.sample()
        guard self.clients.count > 0 else { return }
        self.sequence += 1
        if let message = Self.message("state", await self.state()) { self.clients.broadcast(message) }
    }

    private func sample() async {
        let view = await self.publisher.current
        let workers = await self.dataPlane.snapshots()
        let shown = view.table.routes.lazy.filter { $0.spec.split != nil }.prefix(EventBody.routeLimit).map(\.name)
        let sample = TrafficSample(workers, routes: Set(shown), at: self.clock.monotonic())
        // Two may be under way at once; the one that was taken first may come last.
        guard sample.at > self.samples.last?.at ?? 0 || self.samples.isEmpty else { return }
        self.samples.append(sample)
        while self.samples.count > 2, sample.at &- self.samples[1].at >= Self.window { self.samples.removeFirst() }
        self.connections = workers.reduce(0) { $0 &+ $1.connectionsActive }
        self.exchanges = workers.reduce(0) { $0 &+ $1.exchangesActive }
        self.plots.take(sample, sides: view.table.upstreams.prefix(TrafficPlots.sideLimit).map(\.name))
    }

    // MARK: what is told

    /// How things are, by the last sample.
    package func state() async -> EventBody {
        if self.samples.isEmpty { await self.sample() }
        let view = await self.publisher.current
        let report = await self.reloader.report
        let records = await self.health.records
        let stale = await self.discovery?.records.filter(\.value.isStale).map(\.key.upstream) ?? []
        let journal = await self.publisher.lastSequence
        let now = self.clock.monotonic()
        let flow = self.samples.last.map { TrafficFlow(from: self.samples.first ?? $0, to: $0) }
        var body = EventBody(
            at: Timestamp.iso8601(self.clock.wall()), sequence: self.sequence,
            sentence: Sentence(level: .calm, text: ""), generation: view.table.generation, etag: view.etag,
            journal: journal, unready: Self.unready(view), draining: self.lifecycle.current == .draining,
            connections: self.connections, exchanges: self.exchanges, requestsPerSecond: flow?.requestsPerSecond ?? 0,
            windowSeconds: rounded(flow?.seconds ?? 0, 10), sides: [], routes: [], routesOmitted: 0, troubles: [],
            troublesOmitted: 0, loadProblems: report.ok ? 0 : report.problems.count,
            loadProblem: report.ok ? nil : report.problems.first?.description,
            stale: Set(stale + view.unresolved.map(\.upstream)).sorted(), journalTrouble: view.ledger?.trouble)
        body.tell(routes: view.table, flow, now: now)
        body.tell(sides: view.table, flow, now: now)
        body.tell(troubles: view.table, records, now: now)
        body.cluster = await self.publisher.agreement?.standing
        body.sentence = Sentence(body)
        return body
    }

    private static func unready(_ view: TableView) -> String? {
        if !view.isInForce { return "no routing table is in force yet" }
        return view.listenersBound ? nil : "listeners are not bound yet"
    }

    var plotsBody: PlotsBody { self.plots.body }

    // MARK: messages

    /// A message as server-sent events have it (HTML Living Standard 9.2); nil: the value has no JSON.
    static func message(_ name: String, _ body: some Encodable) -> ByteBuffer? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // JSON as it is written here has no line end: one line of data is enough.
        guard let data = try? encoder.encode(body) else { return nil }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(data.count + 64)
        buffer.writeString("event: \(name)\ndata: ")
        buffer.writeBytes(data)
        buffer.writeString("\n\n")
        return buffer
    }

    /// The state as a message, for one who comes in between.
    func stateMessage() async -> ByteBuffer? { Self.message("state", await self.state()) }

    /// No stream is left open, and none is opened: another process serves the address from now on.
    package nonisolated func close() { self.clients.close() }
}
