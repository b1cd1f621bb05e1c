import HTTPWire
import Reactor
import Testing
import Traffic

@testable import Proxy

/// Which deadline runs while an exchange waits, how long it is, and whose fault its passing is.
@Suite("Deadlines of an exchange") struct ExchangeDeadlineTests {
    /// No two are alike.
    private func stage(_ change: @escaping (inout TableSpec) -> Void = { _ in }) throws -> ExchangeStage {
        try ExchangeStage { spec in
            var timeouts = Timeouts()
            timeouts.connect = 101_000
            timeouts.queue = 102_000
            timeouts.requestBodyIdle = 103_000
            timeouts.responseHeader = 104_000
            timeouts.responseBodyIdle = 105_000
            timeouts.tunnelIdle = 106_000
            timeouts.tunnelHalfClosed = 107_000
            spec.routes[0].timeouts = timeouts
            spec.upstreams[0].retry.attempts = 0
            change(&spec)
        }
    }

    private static let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    private static let post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n"
    private static let upgrade = "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    private static let head = "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"

    /// Whether its own timer fires at that time, 16 milliseconds of which are the wheel's. Moves the wheel there.
    private func isArmed(_ exchange: Exchange, at deadline: UInt64) -> Bool {
        let core = exchange.core
        let slot = Int32(exchange.slot)
        var early: ContiguousArray<Int32> = []
        var due: ContiguousArray<Int32> = []
        core.wheel.advance(to: deadline - 32, expired: &early)
        core.wheel.advance(to: deadline + 32, expired: &due)
        return !early.contains(slot) && due.contains(slot)
    }

    private func fail(_ exchange: Exchange) {
        exchange.deadline = 0
        exchange.bodyDeadline = 0
        exchange.expired()
    }

    @Test("A dial has timeouts.connect")
    func dial() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        let exchange = stage.begin(Self.get)
        try #require(exchange.phase.attempt == .dialling)
        #expect(exchange.deadline == stage.core.now + 101_000 && self.isArmed(exchange, at: exchange.deadline))
        self.fail(exchange)
        #expect(exchange.reason == .connectTimeout && stage.pool.counters.connectFailures == 1)
        #expect(stage.endpoint.failures == 1)
    }

    @Test("A place in a queue has timeouts.queue, once for the whole wait")
    func queue() throws {
        let stage = try self.stage {
            $0.upstreams[0].maxOutstanding = 1
            $0.upstreams[0].queueLength = 9
        }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        _ = stage.begin(Self.get)
        let other = FakeClient(core: stage.core, dice: Dice())
        try #require(other.enter())
        let waiter = stage.begin(Self.get, other)
        try #require(waiter.phase.attempt == .queued)
        let deadline = waiter.deadline
        #expect(deadline == stage.core.now + 102_000)
        _ = waiter.takeSlot()
        #expect(waiter.deadline == deadline && waiter.queue != nil)
        self.fail(waiter)
        #expect(waiter.reason == .queueTimeout && waiter.queue == nil && waiter.queuePlace == nil)
        #expect(other.ends == 1)
        let state = stage.core.plan.upstreams[0].object.state
        #expect(state.waiting.isEmpty)
    }

    @Test(
        "An answer's head has timeouts.responseHeader from the request's last byte, and the endpoint is looked at before"
    )
    func head() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        #expect(exchange.deadline == stage.core.now + 104_000 && self.isArmed(exchange, at: stage.core.now + 1_000))
        exchange.expired()
        #expect(stage.client.ends == 0, "it is not over yet")
        self.fail(exchange)
        #expect(exchange.reason == .responseTimeout && exchange.status == 504 && stage.endpoint.failures == 1)
        // Neither it nor another is asked again.
        #expect(stage.client.ends == 1 && exchange.retries == 0)
    }

    @Test("A body has timeouts.requestBodyIdle from each byte; what is missing then is the client's fault")
    func body() throws {
        let stage = try self.stage { $0.routes[0].limits.requestBodyRate = 0 }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.post)
        let input = UnsafeRawPointer(stage.core.memory.input.baseAddress)
        #expect(exchange.bodyDeadline == stage.core.now + 103_000 && self.isArmed(exchange, at: exchange.bodyDeadline))
        exchange.bodyDeadline = 1
        exchange.requestBody(BodyPiece(data: 1, consumed: 1), input)
        #expect(exchange.bodyDeadline == stage.core.now + 103_000)
        exchange.expired()
        #expect(stage.client.ends == 0)
        self.fail(exchange)
        #expect(exchange.reason == .bodyTimeout && exchange.status == 408 && stage.endpoint.failures == 0)
    }

    @Test("A body below limits.requestBodyRate has its grace and what it has earned", arguments: [0, 100, 250])
    func rate(rate: UInt32) throws {
        let stage = try self.stage {
            $0.routes[0].limits.requestBodyRate = rate
            $0.routes[0].timeouts.requestBodyIdle = 1_000
        }
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.post)
        exchange.requestBody(
            BodyPiece(data: 100, consumed: 100), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        let earned: UInt64 = rate == 0 ? 0 : 100_000 / UInt64(rate)
        exchange.bodyBegan = stage.core.now - 1_000 - earned + 10
        exchange.expired()
        #expect(stage.client.ends == 0, "ten milliseconds are left")
        exchange.bodyBegan -= 10
        exchange.expired()
        #expect(stage.client.ends == (rate == 0 ? 0 : 1))
        if rate > 0 { #expect(exchange.reason == .bodyTooSlow && exchange.status == 408) }
    }

    @Test("An upload that the endpoint does not take has timeouts.requestBodyIdle, by what it acknowledges")
    func upload() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin(Self.post)
        endpoint.isTaking = false
        exchange.requestBody(BodyPiece(data: 9, consumed: 9), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        #expect(exchange.bodyDeadline == stage.core.now + 103_000)
        #expect(self.isArmed(exchange, at: stage.core.now + 103_000 / 2 + 1))
        exchange.expired()
        #expect(stage.client.ends == 0)
        self.fail(exchange)
        #expect(exchange.reason == .uploadStalled && exchange.status == 504 && stage.endpoint.failures == 1)
    }

    @Test("An answer's bytes have timeouts.responseBodyIdle from each piece; what is missing is the endpoint's fault")
    func answer() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        stage.answer(exchange, Self.head)
        #expect(exchange.deadline == stage.core.now + 105_000)
        exchange.deadline = 1
        exchange.answerBody(BodyPiece(data: 1, consumed: 1), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        #expect(exchange.deadline == stage.core.now + 105_000)
        exchange.deadline = 1
        exchange.clientMoved()
        #expect(exchange.deadline == stage.core.now + 105_000)
        exchange.expired()
        #expect(stage.client.ends == 0)
        self.fail(exchange)
        #expect(exchange.reason == .truncated && exchange.isCut && stage.endpoint.failures == 1)
    }

    @Test("Both bodies under way: either side's bytes move the deadline, and what is missing is the client's fault")
    func both() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin(Self.post)
        stage.answer(exchange, Self.head)
        #expect(exchange.deadline == stage.core.now + 105_000)
        exchange.deadline = 1
        exchange.requestBody(BodyPiece(data: 1, consumed: 1), UnsafeRawPointer(stage.core.memory.input.baseAddress))
        #expect(exchange.deadline == stage.core.now + 105_000)
        (exchange.deadline, exchange.bodyDeadline, exchange.unacknowledged) = (1, 1, 5)
        exchange.endpointMoved()
        #expect(exchange.deadline == stage.core.now + 105_000 && exchange.bodyDeadline == stage.core.now + 103_000)
        #expect(exchange.unacknowledged == .max)
        self.fail(exchange)
        #expect(exchange.reason == .bodyTimeout && exchange.isCut && stage.endpoint.failures == 0)
        #expect(endpoint.state == .closed)
    }

    @Test(
        "The rest of a request behind its answer has timeouts.requestBodyIdle, and then is thrown away without a word")
    func rest() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.post)
        stage.answer(exchange, Self.head, body: [UInt8](repeating: 1, count: 400), isEnd: true)
        #expect(exchange.phase.answer == .whole && exchange.phase.isRequestArriving && stage.client.ends == 0)
        #expect(exchange.bodyDeadline == stage.core.now + 103_000)
        #expect(self.isArmed(exchange, at: exchange.bodyDeadline))
        exchange.expired()
        #expect(stage.client.ends == 0)
        self.fail(exchange)
        #expect(stage.client.ends == 1 && exchange.reason == nil && exchange.status == 200)
        #expect(stage.endpoint.failures == 0)
    }

    @Test("An answer that waits for its client has timeouts.responseBodyIdle, which the endpoint does not pay for")
    func flush() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.get)
        stage.client.isTaking = false
        stage.answer(exchange, Self.head, body: [UInt8](repeating: 1, count: 400), isEnd: true)
        try #require(exchange.phase.isComplete && stage.client.ends == 0)
        #expect(exchange.deadline == stage.core.now + 105_000)
        #expect(self.isArmed(exchange, at: stage.core.now + 105_000 / 2 + 1))
        // A look half-way of the wait before says nothing of this one.
        exchange.unacknowledged = 7
        exchange.flushOrArm()
        #expect(exchange.unacknowledged == .max)
        exchange.unacknowledged = 7
        exchange.clientMoved()
        #expect(exchange.unacknowledged == .max)
        self.fail(exchange)
        #expect(stage.client.ends == 1 && exchange.reason == .truncated && stage.endpoint.failures == 0)
    }

    @Test("A tunnel has timeouts.tunnelIdle from each byte, and tunnelHalfClosed once a side has ended")
    func tunnel() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        let endpoint = try stage.offer()
        let exchange = stage.begin(Self.upgrade)
        stage.switching(exchange)
        try #require(exchange.phase.isTunnel)
        #expect(exchange.deadline == stage.core.now + 106_000 && stage.core.counts.tunnels == 1)
        let input = UnsafeRawPointer(stage.core.memory.input.baseAddress)
        for step in [
            { exchange.requestBody(BodyPiece(data: 3, consumed: 3), input) },
            { exchange.answerBody(BodyPiece(data: 5, consumed: 5), input) },
        ] {
            exchange.deadline = 1
            step()
            #expect(exchange.deadline == stage.core.now + 106_000)
        }
        #expect(exchange.requestBytes == 3 && exchange.answerBytes == 5)
        // What waits in a peer's kernel moves nothing.
        exchange.deadline = 1
        exchange.clientMoved()
        exchange.endpointMoved()
        #expect(exchange.deadline == 1)
        exchange.requestBody(BodyPiece(isEnd: true), nil)
        #expect(exchange.deadline == stage.core.now + 107_000)
        exchange.expired()
        #expect(stage.client.ends == 0)
        self.fail(exchange)
        #expect(stage.client.ends == 1 && stage.core.counts.tunnels == 0 && endpoint.state == .closed)
        #expect(stage.endpoint.failures == 0)
    }

    @Test("gRPC may be silent for as long as a tunnel, both ways, and waits no longer than its client does")
    func grpc() throws {
        let stage = try self.stage()
        defer { stage.core.dismantle() }
        _ = try stage.offer()
        let exchange = stage.begin(Self.post)
        exchange.isGRPC = true
        #expect(exchange.answerBodyIdle == 106_000 && exchange.requestBodyIdle == 106_000)
        exchange.isGRPC = false
        #expect(exchange.answerBodyIdle == 105_000 && exchange.requestBodyIdle == 103_000)
        #expect(exchange.shortened(50) == 50)
        exchange.grpcDeadline = 40
        #expect(exchange.shortened(50) == 40 && exchange.shortened(30) == 30)
    }

    @Test("An endpoint that probes take down is left while its answer is awaited, by what may be sent again alone")
    func down() throws {
        for (request, ends) in [(Self.get, 1), ("POST / HTTP/1.1\r\nHost: h\r\n\r\n", 0)] {
            let stage = try self.stage()
            defer { stage.core.dismantle() }
            _ = try stage.offer()
            let exchange = stage.begin(request)
            try #require(exchange.phase.attempt == .open)
            // A pooled connection that had ended would be no attempt.
            exchange.isReused = false
            stage.endpoint.setOperational(.down, now: stage.core.now)
            exchange.expired()
            #expect(stage.client.ends == ends)
            if ends > 0 { #expect(exchange.reason == .endpointDown) }
        }
    }
}
