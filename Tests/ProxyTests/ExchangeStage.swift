import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// A worker with one endpoint that answers when the test says so.
final class ExchangeStage {
    let registry = EndpointRegistry()
    let counters = CounterRegistry()
    let core: WorkerCore
    let client: FakeClient
    /// What listeners report.
    let troubles: AsyncStream<ListenerTrouble>
    let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 1)
    private let loop: EventLoop
    private static let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 100)

    init(log: AccessLogSink? = nil, _ change: (inout TableSpec) -> Void = { _ in }) throws {
        self.loop = try EventLoop()
        var upstream = UpstreamSpec(name: "core")
        // Never asked: it is there so that the other one may be ejected.
        let other = SocketAddress(ip: IPAddress(v4: 0x7F00_0002), port: 1)
        upstream.endpoints = [self.address, other]
        var spec = TableSpec()
        spec.upstreams = [upstream]
        spec.routes = [RouteSpec(name: "all", action: .split([SplitEntry(upstream: "core", weight: 1)]))]
        change(&spec)
        let table = RoutingTable(spec: spec, generation: 1, registry: self.registry)
        let (troubles, trouble) = AsyncStream<ListenerTrouble>.makeStream()
        self.troubles = troubles
        self.core = WorkerCore(
            index: 0, loop: self.loop, admission: Admission(accessLog: log, ceiling: 10, trouble: trouble),
            plan: TablePlan(table, registry: self.counters, previous: nil), pacing: TurnPacing(spacing: 0), seed: 1)
        self.client = FakeClient(core: self.core, dice: Dice())
        try #require(self.client.enter())
        self.registry.endpoint(upstream: "core", address: other, probed: false).setAdministrative(.drain, now: 1)
    }

    var endpoint: Endpoint { self.registry.endpoint(upstream: "core", address: self.address, probed: false) }
    var pool: EndpointPool { self.core.plan.upstreams[0].object.pools[0].object }

    /// A connection that waits for work.
    func offer() throws -> FakeEndpoint {
        try #require(self.pool.admitConnection())
        let connection = FakeEndpoint(core: self.core, pool: self.pool, dice: Dice())
        try connection.enter()
        connection.state = .leased
        try #require(connection.rest(idleMilliseconds: 60_000))
        return connection
    }

    /// A request whose head has come, and none of its body.
    func begin(_ text: String, _ client: ClientConnection? = nil) -> Exchange {
        let client = client ?? self.client
        let exchange = self.core.openExchange().object
        Array(text.utf8).withUnsafeBytes { source in
            let span = source.bindMemory(to: UInt8.self).span
            let parsed = try? HeadParser.request(span, limits: Self.limits, fields: &self.core.memory.fields)
            guard let head = parsed else {
                Issue.record("no request: \(text)")
                return
            }
            (client as? FakeClient)?.exchange = exchange
            guard exchange.begin(head, source, for: client, on: 0) else { return }
            if head.framing != .none, exchange.collects(head, available: 0) { return }
            if exchange.attach() { exchange.send(head, source, BodyPiece(), nil) }
        }
        return exchange
    }

    /// One turn of the worker, whose clock moves with it. Once for each worker.
    func turn() { self.turns(1) }

    /// Likewise several.
    func turns(_ count: Int) {
        var left = count
        self.loop.run { batch in
            var next = self.core.turn(batch)
            next.timeout = 0
            left -= 1
            if left == 0 { self.loop.stop() }
            return next
        }
    }

    /// The endpoint's 101.
    func switching(_ exchange: Exchange, to name: String = "websocket") {
        let text = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: \(name)\r\n\r\n"
        Array(text.utf8).withUnsafeBytes { source in
            let span = source.bindMemory(to: UInt8.self).span
            let parsed = try? HeadParser.response(
                span, to: exchange.method, limits: Self.limits, fields: &self.core.memory.fields)
            if let head = parsed { _ = exchange.switched(head, source) }
        }
    }

    /// The head of the endpoint's answer, and what of its body comes with it.
    func answer(_ exchange: Exchange, _ text: String, body: [UInt8] = [], isEnd: Bool = false) {
        Array(text.utf8).withUnsafeBytes { source in
            let span = source.bindMemory(to: UInt8.self).span
            let parsed = try? HeadParser.response(
                span, to: exchange.method, limits: Self.limits, fields: &self.core.memory.fields)
            guard let head = parsed else {
                Issue.record("no answer: \(text)")
                return
            }
            body.withUnsafeBytes { body in
                exchange.answerBegan(
                    head, source, BodyPiece(data: body.count, consumed: body.count, isEnd: isEnd), body.baseAddress)
            }
        }
    }
}
