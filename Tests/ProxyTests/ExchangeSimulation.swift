import Glibc
import HTTPWire
import Reactor
import Synchronization
import Testing
import Traffic

@testable import Proxy

/// Exchanges between clients and endpoints that do at random whatever a real one may do, in any order. A failure names its
/// seed, which repeats it.
@Suite("Exchanges between any client and any endpoint") struct ExchangeSimulation {
    @Test("Each is recorded once, and gives back its slot, its connection and its memory", arguments: 1...60)
    func random(seed: UInt64) throws {
        let world = try World(seed: seed)
        defer { world.core.dismantle() }
        world.run(steps: 3_000)
        #expect(world.fault == nil, "seed \(seed)")
        #expect(world.begun > 100)
        #expect(world.recorded == world.begun)
        #expect(world.clients.reduce(0) { $0 + $1.ends } == world.begun)
        #expect(world.core.counts.exchanges == 0)
        #expect(world.core.counts.tunnels == 0)
        #expect(world.core.buffers.lent == 0)
        for endpoint in world.registry.all() {
            #expect(endpoint.outstanding.load(ordering: .relaxed) == 0)
            #expect(endpoint.connections.load(ordering: .relaxed) == 0)
        }
        let waiting = world.core.plan.upstreams.map { $0.object.state.waiting.isEmpty }
        #expect(waiting.allSatisfy { $0 })
        let record = world.registry.upstreamRecord("core")
        #expect(record.waitingWorkers.load(ordering: .relaxed) == 0)
        #expect(record.connectionsWanted.load(ordering: .relaxed) == 0)
    }
}

/// One worker, some clients, and endpoints whose connections the simulation makes; where there is none it dials a port at
/// which nothing listens.
private final class World {
    private static let requests = [
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /kept HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\nExpect: 100-continue\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", "GET /away HTTP/1.1\r\nHost: h\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
    ]
    private static let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n".utf8)
    private static let busy = Array("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 400\r\n\r\n".utf8)
    private static let early = Array("HTTP/1.1 103 Early Hints\r\n\r\n".utf8)
    private static let switching = Array(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".utf8)
    private static let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 100)

    let registry = EndpointRegistry()
    let core: WorkerCore
    private(set) var clients: [FakeClient] = []
    private(set) var begun = 0
    /// What went wrong first.
    private(set) var fault: String?
    private let counters = CounterRegistry()
    private let loop: EventLoop
    private let dice: Dice
    private var endpoints: [FakeEndpoint] = []
    private let body = [UInt8](repeating: 0x62, count: 1_000)

    init(seed: UInt64) throws {
        self.dice = Dice(seed: seed)
        self.loop = try EventLoop()
        var upstream = UpstreamSpec(name: "core")
        // Nothing listens on this port of the loopback network.
        upstream.endpoints = (1...3).map { SocketAddress(ip: IPAddress(v4: 0x7F00_0000 | UInt32($0)), port: 1) }
        upstream.maxOutstanding = seed % 2 == 0 ? 1 : 0
        upstream.maxConnections = seed % 3 == 0 ? 2 : 0
        upstream.queueLength = 3
        var kept = RouteSpec(name: "kept", action: .split([SplitEntry(upstream: "core", weight: 1)]))
        kept.match.paths = [.exact("/kept")]
        kept.buffering.request = 300
        var away = RouteSpec(name: "away", action: .redirect(RedirectSpec()))
        away.match.paths = [.exact("/away")]
        var all = RouteSpec(name: "all", action: .split([SplitEntry(upstream: "core", weight: 1)]))
        all.match.paths = [.exact("/a")]
        var spec = TableSpec()
        spec.upstreams = [upstream]
        spec.routes = [kept, away, all]
        let table = RoutingTable(spec: spec, generation: 1, registry: self.registry)
        let (_, trouble) = AsyncStream<ListenerTrouble>.makeStream()
        self.core = WorkerCore(
            index: 0, loop: self.loop, admission: Admission(accessLog: nil, ceiling: 1_000, trouble: trouble),
            plan: TablePlan(table, registry: self.counters, previous: nil), pacing: TurnPacing(spacing: 0), seed: seed)
        for _ in 0..<6 {
            let client = FakeClient(core: self.core, dice: self.dice)
            if client.enter() { self.clients.append(client) }
        }
    }

    var recorded: Int {
        self.core.snapshot(names: self.counters.names).routes.reduce(0) {
            $0 + Int($1.statusClasses.reduce(0, +) + $1.cancelled)
        }
    }

    /// Takes `steps` turns, then ends all that is left.
    func run(steps: Int) {
        var left = steps
        self.loop.run { batch in
            var next = self.core.turn(batch)
            next.timeout = 0
            if left > 0 {
                left -= 1
                self.step()
            } else if left == 0 {
                left = -1
                for client in self.clients { self.leave(client) }
                for endpoint in self.endpoints where endpoint.state != .closed { self.core.plan.closeIdle(endpoint) }
            } else {
                self.loop.stop()
            }
            return next
        }
    }

    private func step() {
        if self.dice.isOne(in: 4) { self.addEndpoint() }
        self.act(self.clients[self.dice.below(self.clients.count)])
        self.endpoints.removeAll { $0.state == .closed }
        if !self.endpoints.isEmpty { self.act(self.endpoints[self.dice.below(self.endpoints.count)]) }
        let serving = self.clients.count { $0.exchange != nil }
        if self.core.counts.exchanges != serving, self.fault == nil {
            self.fault = "\(self.core.counts.exchanges) exchanges are open, \(serving) clients have one"
        }
        for client in self.clients where self.fault == nil {
            if client.wasMisled { self.fault = "an answer goes on whose head was never written" }
            if let exchange = client.exchange { self.fault = self.stall(of: exchange, client) }
        }
    }

    /// What an exchange waits for that will never come.
    private func stall(of exchange: Exchange, _ client: FakeClient) -> String? {
        let phase = exchange.phase
        if phase.isComplete {
            if !exchange.isProxied, exchange.endpoint != nil { return "an answer of our own keeps an endpoint" }
            let isClear = exchange.endpoint.map { $0.object.isClear(0) } ?? true
            if client.isTaking, isClear { return "an exchange stays although its answer is whole and has left" }
        } else if !phase.isUnanswered, !phase.isTunnel {
            if phase.isRequestArriving, phase.answer == .whole, exchange.endpoint == nil {
                return "the rest of a request has nobody to go to"
            }
        } else if phase.attempt == .none, phase.isUnanswered, !exchange.isRunnable {
            return "an exchange is nowhere on its way"
        }
        return nil
    }

    /// A connection that waits for work.
    private func addEndpoint() {
        guard self.endpoints.count < 5 else { return }
        let pools = self.core.plan.upstreams[0].object.pools
        let pool = pools[self.dice.below(pools.count)].object
        guard pool.admitConnection() else { return }
        let endpoint = FakeEndpoint(core: self.core, pool: pool, dice: self.dice)
        guard (try? endpoint.enter()) != nil else { return }
        endpoint.state = .leased
        if endpoint.rest(idleMilliseconds: 60_000) { self.endpoints.append(endpoint) } else { endpoint.close() }
    }

    // MARK: what a client does

    private func act(_ client: FakeClient) {
        guard let exchange = client.exchange else { return self.begin(client) }
        switch self.dice.below(12) {
        case 0...5 where client.bodyLeft > 0 && exchange.takesBody:
            let count = min(client.bodyLeft, 1 + self.dice.below(200))
            client.bodyLeft -= count
            exchange.requestBody(
                BodyPiece(data: count, consumed: count, isEnd: client.bodyLeft == 0), self.bytes(count))
        case 6...7:
            guard !client.isTaking else { break }
            client.isTaking = true
            exchange.clientMoved()
            exchange.clientClear()
        case 8:
            if self.dice.isOne(in: 6) { self.leave(client) }
        case 9 where client.bodyLeft > 0 && !exchange.phase.isTunnel:
            guard self.dice.isOne(in: 6) else { break }
            if self.dice.isOne(in: 2) {
                exchange.requestBroke(.badChunk)
            } else if !exchange.requestCut() {
                self.leave(client)
            }
        case 10:
            guard self.dice.isOne(in: 4) else { break }
            // Every deadline is over.
            exchange.deadline = 0
            exchange.bodyDeadline = 0
            exchange.expired()
        default: break
        }
    }

    private func begin(_ client: FakeClient) {
        let text = Array(Self.requests[self.dice.below(Self.requests.count)].utf8)
        text.withUnsafeBytes { source in
            let span = source.bindMemory(to: UInt8.self).span
            let parsed = try? HeadParser.request(span, limits: Self.limits, fields: &self.core.memory.fields)
            guard let head = parsed else {
                self.fault = self.fault ?? "a request does not parse"
                return
            }
            self.begun += 1
            let exchange = self.core.openExchange().object
            client.exchange = exchange
            guard exchange.begin(head, source, for: client, on: 0) else { return }
            let hasBody = head.framing != .none
            client.bodyLeft = hasBody ? 400 : 0
            if hasBody, exchange.collects(head, available: 0) { return }
            if exchange.attach() { exchange.send(head, source, BodyPiece(), nil) }
        }
    }

    private func leave(_ client: FakeClient) {
        guard let exchange = client.exchange else { return }
        client.isOver()
        exchange.clientGone(.clientClosed)
    }

    // MARK: what an endpoint does

    private func act(_ endpoint: FakeEndpoint) {
        guard endpoint.state == .leased, let exchange = endpoint.exchange else { return }
        if !endpoint.isTaking, self.dice.isOne(in: 2) {
            endpoint.isTaking = true
            exchange.endpointMoved()
            exchange.endpointClear()
            return
        }
        switch self.dice.below(20) {
        case 0:
            endpoint.said == .nothing && self.dice.isOne(in: 2)
                ? exchange.malformedAnswer(.badResponse) : exchange.endpointBroke()
        case 1: exchange.endpointEnded(hasPart: self.dice.isOne(in: 2))
        case 2...15: if exchange.takesAnswer { self.answer(endpoint, exchange) }
        default: break
        }
    }

    private func answer(_ endpoint: FakeEndpoint, _ exchange: Exchange) {
        switch endpoint.said {
        case .nothing:
            if exchange.grantsUpgrade, self.dice.isOne(in: 2) {
                self.withHead(Self.switching, exchange) { head, source in
                    endpoint.said = .tunnel
                    _ = exchange.switched(head, source)
                }
            } else if self.dice.isOne(in: 4) {
                self.withHead(Self.early, exchange) { head, source in exchange.interim(head, source) }
            } else {
                self.withHead(self.dice.isOne(in: 5) ? Self.busy : Self.answer, exchange) { head, source in
                    let isEnd = exchange.method == .head || self.dice.isOne(in: 3)
                    endpoint.said = isEnd ? .all : .head
                    exchange.answerBegan(head, source, BodyPiece(data: 0, isEnd: isEnd), nil)
                }
            }
        case .head, .tunnel:
            if endpoint.said == .head, self.dice.isOne(in: 20) {
                return exchange.answerBroke(.badResponse, isMalformed: true)
            }
            let isEnd = self.dice.isOne(in: 4)
            if isEnd, endpoint.said == .head { endpoint.said = .all }
            exchange.answerBody(BodyPiece(data: 100, consumed: 100, isEnd: isEnd), self.bytes(100))
        case .all: break
        }
    }

    private func withHead(
        _ text: [UInt8], _ exchange: Exchange, _ use: (ResponseHead, UnsafeRawBufferPointer) -> Void
    ) {
        text.withUnsafeBytes { source in
            let span = source.bindMemory(to: UInt8.self).span
            let parsed = try? HeadParser.response(
                span, to: exchange.method, limits: Self.limits, fields: &self.core.memory.fields)
            guard let head = parsed else {
                self.fault = self.fault ?? "an answer does not parse"
                return
            }
            use(head, source)
        }
    }

    /// The worker's own memory, where what is passed on lies.
    private func bytes(_ count: Int) -> UnsafeRawPointer? { UnsafeRawPointer(self.core.memory.input.baseAddress) }
}

extension WorkerPlan {
    /// Ends a connection that no exchange has.
    fileprivate func closeIdle(_ endpoint: FakeEndpoint) {
        endpoint.pool.remove(endpoint)
        endpoint.close()
    }
}
