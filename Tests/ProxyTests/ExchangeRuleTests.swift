import Glibc
import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// One exchange at a time, to which what the test says happens: whom it blames, what it counts, what the next one inherits.
@Suite("What an exchange makes of what happens to it") struct ExchangeRuleTests {
    @Test(
        "Connect failures are dials that came to nothing, and no connections that were lost",
        arguments: [
            (LocalReason.refused, 1), (.connectTimeout, 1), (.unreachable, 1), (.reset, 0), (.closedEarly, 0),
            (.badResponse, 0), (.endpointDown, 0),
        ] as [(LocalReason, UInt64)])
    func connectFailures(reason: LocalReason, count: UInt64) throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        try #require(exchange.phase.attempt == .open)
        exchange.attemptFailed(reason)
        #expect(stage.pool.counters.connectFailures == count)
    }

    @Test(
        "What the kernel says of a dial is what the client is told",
        arguments: [
            (ECONNREFUSED, LocalReason.refused), (ETIMEDOUT, .connectTimeout), (ECONNRESET, .reset),
            (EHOSTUNREACH, .unreachable),
        ])
    func dialFailures(code: Int32, reason: LocalReason) throws {
        let stage = try Stage { $0.upstreams[0].retry.attempts = 0 }
        defer { stage.core.dismantle() }
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        try #require(exchange.phase.attempt == .dialling)
        exchange.dialFailed(code)
        #expect(stage.client.ends == 1 && exchange.reason == reason && exchange.status == reason.status)
    }

    @Test("An endpoint that ends within a head has sent a bad response, one that says nothing none")
    func earlyEnds() throws {
        for (hasPart, reason) in [(true, LocalReason.badResponse), (false, .closedEarly)] {
            let stage = try Stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin("POST / HTTP/1.1\r\nHost: h\r\n\r\n")
            exchange.endpointEnded(hasPart: hasPart)
            #expect(stage.client.ends == 1 && exchange.reason == reason)
        }
    }

    @Test("An answer does not wait for a client to whom nothing can be written any more")
    func lostClient() throws {
        for isLost in [true, false] {
            let stage = try Stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            stage.client.isTaking = false
            if isLost { stage.client.breakChannel() }
            stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n", isEnd: true)
            #expect(stage.client.ends == (isLost ? 1 : 0))
        }
    }

    @Test("A body is sent on once as much as buffering.request says is there")
    func buffered() throws {
        let stage = try Stage { $0.routes[0].buffering.request = 300 }
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n")
        let input = UnsafeRawPointer(stage.core.memory.input.baseAddress)
        exchange.requestBody(BodyPiece(data: 299, consumed: 299), input)
        #expect(endpoint.heard == nil)
        exchange.requestBody(BodyPiece(data: 1, consumed: 1), input)
        #expect(endpoint.heard != nil)
    }

    @Test(
        "Only a switch to the protocol that was asked for is one",
        arguments: [
            ("websocket", true), ("WebSocket", true), ("websocket/13", true), ("h2c", false), ("", false),
            ("websocket, h2c", false),
            ("websocket\r\nUpgrade: h2c", false),
        ])
    func switches(answer: String, isTaken: Bool) throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        stage.switching(exchange, to: answer)
        #expect(exchange.phase.isTunnel == isTaken)
        #expect(exchange.reason == (isTaken ? nil : .unexpectedUpgrade))
    }

    @Test("A retry that the budget denies is counted, and is none")
    func denied() throws {
        let stage = try Stage { spec in
            spec.upstreams[0].retry.budgetPercent = 0
            spec.upstreams[0].retry.minimumPerSecond = 0
        }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        exchange.attemptFailed(.connectTimeout)
        #expect(stage.client.ends == 1)
        let snapshot = stage.core.snapshot(names: stage.counters.names)
        #expect(snapshot.retries == ["core": 0] && snapshot.retriesDenied == ["core": 1])
    }

    @Test("An upload that stalls behind a begun answer is the client's fault, a stalled answer the endpoint's")
    func blame() throws {
        for (request, failures) in [
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n", 0), ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 1),
        ] as [(String, UInt64)] {
            let stage = try Stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin(request)
            stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
            #expect(exchange.phase.answer == .flowing)
            exchange.deadline = 0
            exchange.expired()
            #expect(stage.client.ends == 1)
            #expect(stage.endpoint.failures == failures, "\(request)")
        }
    }

    @Test("Malformed answers judge an endpoint by pages: a path on two routes is two of them")
    func pages() throws {
        let stage = try Stage { spec in
            spec.upstreams[0].passive.consecutiveFailures = 2
            var posts = RouteSpec(name: "posts", action: .split([SplitEntry(upstream: "core", weight: 1)]))
            posts.match.methods = ["POST"]
            spec.routes.append(posts)
        }
        defer { stage.core.dismantle() }
        for (method, ejections) in [("GET", 0), ("GET", 0), ("POST", 1)] as [(String, UInt64)] {
            _ = try stage.offer()
            stage.begin("\(method) /p HTTP/1.1\r\nHost: h\r\n\r\n").malformedAnswer(.badResponse)
            #expect(stage.endpoint.ejections == ejections, "\(method)")
        }
        #expect(stage.pool.counters.malformedAnswers == 3)
    }

    @Test("An exchange that is used again trusts nobody because the last one did")
    func trust() throws {
        let stage = try Stage { spec in
            spec.forwarding.trustedProxies = [AddressBlock(base: IPAddress(v4: 0x7F00_0001), prefixLength: 128)]
        }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let first = stage.begin("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
        #expect(first.isTrusted && first.clientAddress == IPAddress(v4: 0xC000_0201))
        stage.client.isOver()
        first.clientGone(.clientClosed)
        let stranger = FakeClient(core: stage.core, dice: Dice(), peer: IPAddress(v4: 0xC000_0209))
        try #require(stranger.enter())
        _ = try stage.offer()
        let next = stage.begin("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", stranger)
        #expect(next === first, "the test is about one that is used again")
        #expect(!next.isTrusted && next.clientAddress == IPAddress(v4: 0xC000_0209))
    }

    @Test("As many passes as maxPasses says come here, no more, and the first is always free", arguments: [0, 1, 2, 3])
    func loop(maximum: UInt32) throws {
        for passes in 0...4 {
            let stage = try Stage { $0.forwarding.maxPasses = maximum }
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let via = String(repeating: "Via: 1.1 balancer\r\n", count: passes)
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\(via)\r\n")
            #expect((exchange.status == 508) == (passes >= max(1, maximum)), "\(passes) passes")
        }
    }

    @Test("Every protocol of an upgrade's list must be allowed, or none is asked for")
    func upgrades() throws {
        for (wish, isGranted) in [
            ("websocket", true), ("WebSocket/13", true), ("websocket, websocket", true), ("h2c, websocket", false),
            ("websocket, h2c", false), ("h2c", false),
        ] {
            let stage = try Stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: \(wish)\r\n\r\n")
            #expect(exchange.grantsUpgrade == isGranted, "\(wish)")
        }
    }

    @Test("An expectation that was met here goes no further", arguments: [0, 300] as [UInt32])
    func expectation(buffered: UInt32) throws {
        let stage = try Stage { $0.routes[0].buffering.request = buffered }
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 400\r\n\r\n")
        exchange.requestBody(
            BodyPiece(data: 400, consumed: 400, isEnd: true),
            UnsafeRawPointer(stage.core.memory.input.baseAddress))
        let heard = try #require(endpoint.heard)
        #expect(heard.expectContinue == (buffered == 0))
    }

    @Test("A client that does not take a write whole is slow from then on, for this answer")
    func slowness() throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        for isTaking in [true, false, true] {
            _ = try stage.offer()
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            stage.client.isTaking = isTaking
            stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n")
            #expect(exchange.readsLittle == !isTaking)
            stage.client.isOver()
            exchange.clientGone(.clientClosed)
        }
    }

    @Test(
        "Clients whose sticky field is missing or empty are shared out by weight",
        arguments: ["A: b", "X-User:", "X-User: x"])
    func stickyField(field: String) throws {
        let stage = try Stage { spec in
            var gateway = spec.upstreams[0]
            gateway.name = "gateway"
            spec.upstreams.append(gateway)
            spec.routes[0].action = .split([
                SplitEntry(upstream: "core", weight: 1), SplitEntry(upstream: "gateway", weight: 1),
            ])
            spec.routes[0].sticky = .header("x-user")
        }
        defer { stage.core.dismantle() }
        var sides: Set<Int?> = []
        for _ in 0..<8 {
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\n")
            sides.insert(exchange.placement.member)
            stage.client.isOver()
            exchange.clientGone(.clientClosed)
        }
        #expect(sides.count == (field.hasSuffix("x") ? 1 : 2))
    }

    @Test("How long a tunnel lives says nothing about how fast anybody answers")
    func tunnelLatency() throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        stage.switching(exchange)
        try #require(exchange.phase.isTunnel)
        usleep(20_000)
        stage.turn()
        exchange.cutTunnel()
        let rows = stage.core.snapshot(names: stage.counters.names).routes
        #expect(rows.reduce(0) { $0 + $1.latency.count } == 1)
        #expect(rows.reduce(0) { $0 + $1.latency.sumMicroseconds } < 20_000)
    }

    @Test("The time for which the endpoint takes no body is not the client's delay")
    func bodyClock() throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n")
        let began = exchange.bodyBegan
        endpoint.isTaking = false
        exchange.requestBody(
            BodyPiece(data: 100, consumed: 100), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        usleep(30_000)
        stage.turn()
        let waited = stage.core.now - exchange.blockedSince
        #expect(waited >= 30)
        endpoint.isTaking = true
        exchange.endpointClear()
        #expect(exchange.bodyBegan == began + waited && exchange.blockedSince == 0)
    }

    @Test("A client that takes its answer slowly is waited for, one that takes nothing is not")
    func slowReader() throws {
        let stage = try Stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        stage.client.isTaking = false
        stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n", isEnd: true)
        try #require(exchange.phase.isComplete)
        func look(unacknowledged: Int, isLate: Bool) {
            stage.client.inFlight = unacknowledged
            if isLate { exchange.deadline = 0 }
            exchange.expired()
        }
        // Half-way there is nothing to compare with yet.
        look(unacknowledged: 1_000, isLate: false)
        look(unacknowledged: 900, isLate: true)
        look(unacknowledged: 899, isLate: true)
        #expect(stage.client.ends == 0)
        look(unacknowledged: 899, isLate: true)
        #expect(stage.client.ends == 1)
    }

    @Test("A client that goes while its answer flows is logged with the answer's status, else with 499")
    func statusOfGone() throws {
        for (isAnswered, status) in [(true, 200), (false, 499)] as [(Bool, UInt16)] {
            let stage = try Stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            if isAnswered { stage.answer(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n") }
            stage.client.isOver()
            exchange.clientGone(.clientClosed)
            #expect(exchange.status == status)
        }
    }
}

private typealias Stage = ExchangeStage
