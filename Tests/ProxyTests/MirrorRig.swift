import Proxy
import Reactor
import Synchronization
import TestSupport
import Testing
import Traffic

/// A data plane in this process before two upstreams, one of which gets copies.
final class MirrorRig: Sendable {
    let server: ProxyServer
    let record: MirrorRecord
    let port: UInt16
    private let registry: EndpointRegistry
    private let pairs: Task<Void, Never>
    private let seen = Seen()

    /// What was traced.
    let spans = SpanQueue()

    /// All live requests go to `old`, and copies of `share` of a million to `new`.
    init(
        _ old: UInt16, _ new: UInt16, share: UInt32 = 1_000_000, keepsPairs: Bool = true,
        log: AccessLogSink? = nil,
        change: (inout RouteSpec, inout TableSpec) -> Void = { _, _ in }
    ) async throws {
        let registry = EndpointRegistry(now: MonotonicClock.milliseconds(), secret: (1, 2))
        var spec = TableSpec()
        for (name, port) in [("old", old), ("new", new)] {
            var upstream = UpstreamSpec(name: name)
            upstream.endpoints = [SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: port)]
            upstream.passive.enabled = false
            spec.upstreams.append(upstream)
        }
        var route = RouteSpec(
            name: "api",
            action: .split([SplitEntry(upstream: "old", weight: 1), SplitEntry(upstream: "new", weight: 0)]))
        var traffic = MigrationTraffic(name: "move", from: 0, to: 1)
        traffic.epoch = 3
        traffic.mirrorShare = share
        traffic.mirror.perSecond = 100_000
        traffic.mirror.timeout = 1_000
        route.migration = traffic
        change(&route, &spec)
        spec.routes = [route]
        let empty = RoutingTable(spec: TableSpec(), generation: 0, registry: registry)
        let server = try ProxyServer(workers: 1, table: empty, registry: registry, accessLog: log, spans: self.spans)
        try server.start()
        let table = RoutingTable(spec: spec, generation: 1, registry: registry)
        await server.publish(table)
        try await server.listen(on: [
            ListenerSpec(name: "public", address: SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 0))
        ])
        self.server = server
        self.registry = registry
        self.record = registry.mirrorRecord("move")
        self.port = await server.boundAddresses()["public"]?.port ?? 0
        let seen = self.seen
        self.pairs = Task {
            guard keepsPairs else { return }
            for await pair in server.mirroredPairs { seen.pairs.withLock { $0.append(pair) } }
        }
    }

    deinit {
        self.pairs.cancel()
        self.server.stop()
    }

    var compared: [MirroredPair] { self.seen.pairs.withLock { $0 } }
    func forget() { self.seen.pairs.withLock { $0 = [] } }

    func dropped(_ reason: MirrorDrop) -> UInt64 {
        self.record.dropped.first { $0.reason == reason.word }?.count ?? 0
    }

    var allDropped: UInt64 { self.record.dropped.reduce(0) { $0 + $1.count } }

    func request(
        _ target: String = "/", method: String = "GET", fields: String = "", body: String? = nil
    ) throws -> Message {
        let connection = try RawConnection(port: self.port)
        let length = body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
        connection.send(
            "\(method) \(target) HTTP/1.1\r\nHost: test\r\n\(fields)\(length)Connection: close\r\n\r\n\(body ?? "")")
        var reader = MessageReader(connection)
        return try reader.message(toHEAD: method == "HEAD")
    }

    func endpoint(_ upstream: String) -> Traffic.Endpoint? {
        self.registry.all().first { $0.upstream == upstream }
    }

    /// Waits for so many pairs.
    func awaitPairs(_ count: Int) throws {
        guard eventually({ self.compared.count >= count }) else {
            throw TestFailure("\(self.compared.count) of \(count) pairs; dropped \(self.record.dropped)")
        }
    }
}

/// What came to be compared, kept where a task can have it.
private final class Seen: Sendable {
    let pairs = Mutex<[MirroredPair]>([])
}
