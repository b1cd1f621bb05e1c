import HTTPWire
import Reactor
import Traffic

/// The request on its way up.
extension Exchange {
    /// What of a request's trailers passes.
    var requestTrailers: TrailerRules { self.route?.with { $0.requestTrailers } ?? TrailerRules() }

    /// The first attempt, inside the client's event: the head where it was parsed, and as much of the body as came with it.
    func send(_ head: RequestHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        self.startBodyClock()
        self.requestBytes &+= UInt64(piece.data)
        guard !self.isBodyTooLarge else { return self.requestBroke(.bodyTooLarge) }
        if piece.trailerBytes > 0 { self.keepTrailers(piece) }
        self.give(head, self.core.memory.fields.list, source, piece, data)
    }

    /// From what was kept: a further attempt, or the first one after a wait.
    func sendKept() {
        guard self.phase.attempt == .open, var head = self.kept.head else { return }
        if self.meetsExpectation { head.expectContinue = false }
        // What it waited in our own queue is not the client's delay.
        self.startBodyClock()
        let isWhole = self.phase.isRequestWhole && head.framing != .none && head.framing != .length(0)
        var piece = BodyPiece(data: self.held.count, isEnd: isWhole)
        if isWhole { piece.trailerBytes = self.heldTrailers.putBack(into: self.core.memory.frames) }
        self.give(head, self.kept.fields, self.kept.bytes, piece, self.held.bytes.baseAddress)
        if self.phase.takesBody { self.client?.object.wantBody(self.clientStream) }
    }

    private func give(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?
    ) {
        guard let endpoint, let route, let client, let upstream, let pool else { return }
        if self.retries == 0, !self.wantsFreshConnection {
            upstream.with { $0.state.budget.deposit(now: self.core.now) }
        }
        pool.with { $0.requests &+= 1 }
        let stream = self.endpointStream
        let flow = client.with { client in
            client.context.isPeerTrusted = self.isTrusted
            client.context.requestID = self.requestID
            client.context.upgrades = self.grantsUpgrade
            return route.with { route in
                if route.rewritesHostToEndpoint || client.context.endpointHost.baseAddress != nil {
                    client.context.endpointHost =
                        route.rewritesHostToEndpoint
                        ? pool.with { $0.authority } : UnsafeRawBufferPointer(start: nil, count: 0)
                }
                guard !route.addsLines else {
                    client.context.addedLines = self.addedLines(route, client, isAttempt: true)
                    defer { client.context.addedLines = UnsafeRawBufferPointer(start: nil, count: 0) }
                    let policy = self.trace.flatMap { route.tracing?.policy(of: $0) } ?? route.policy
                    return withUnsafePointer(to: &client.context) { context in
                        endpoint.with {
                            $0.request(
                                head, fields, source, policy: policy, context: context, piece, data, on: stream)
                        }
                    }
                }
                return withUnsafePointer(to: &client.context) { context in
                    endpoint.with {
                        $0.request(
                            head, fields, source, policy: route.policy, context: context, piece, data, on: stream)
                    }
                }
            }
        }
        guard !flow.isRefused else {
            // Routes may add fields without end; a head that outgrows its room is refused, never cut.
            self.release(.closed)
            self.report(.cancelled)
            return self.reply(flow == .tooLarge ? .shortage : .headTooLarge)
        }
        self.phase.sent()
        self.sentAt = self.core.nowMicroseconds
        if !self.keepsBody { self.held.clear(pool: &self.core.buffers) }
        if flow == .waits { self.blockedSince = self.core.now }
        if piece.isEnd { self.phase.requestEnded() }
        if self.phase.isRequestWhole { self.requestEnded() } else { self.arm() }
    }

    /// Who asks, for the upstream, and of an attempt below which span. Valid up to the write.
    func addedLines(
        _ route: RoutePlan, _ client: ClientConnection, isAttempt: Bool = false
    ) -> UnsafeRawBufferPointer {
        let room = self.core.memory.roomForChanges()
        var writer = ByteWriter(room)
        route.authentication?.writeLine(ofUser: Int(self.user), into: &writer)
        if route.policy.forwardsCertificate, let lines = client.certificateLines { writer.append(raw: lines) }
        if isAttempt { self.writeTraceParent(route, into: &writer) }
        return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<writer.count])
    }

    /// The request is whole; from here the answer's deadline runs.
    private func requestEnded() {
        guard self.phase.isUnanswered else {
            if self.phase.answer == .whole { self.letEndpointGoWhenClear() }
            return
        }
        self.deadline = self.core.now + UInt64(self.route?.with { $0.timeouts.responseHeader } ?? 60_000)
        if self.isGRPC { self.deadline = self.shortened(self.deadline) }
        self.arm()
    }

    /// A body that came whole with its head is kept for a further attempt: of what may be sent twice, and of gRPC, which endpoints
    /// may refuse unseen.
    var keepsBody: Bool {
        self.method.isIdempotent || self.isGRPC || (self.route?.with { $0.copiesBodies } ?? false)
    }

    /// A further piece of the body.
    func requestBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        self.requestBytes &+= UInt64(piece.data)
        if self.phase.isTunnel { return self.tunnelUp(piece, data) }
        guard !self.isBodyTooLarge else { return self.requestBroke(.bodyTooLarge) }
        self.bodyDeadline = self.core.now + self.requestBodyIdle
        if self.phase.attempt == .collecting { return self.hold(piece, data) }
        guard let endpoint else { return }
        if piece.trailerBytes > 0 { self.keepTrailers(piece) }
        let stream = self.endpointStream
        let flow = endpoint.with { $0.requestBody(piece, data, on: stream) }
        if flow == .waits { self.blockedSince = self.core.now }
        if self.phase.answer == .flowing { self.deadline = self.core.now + self.answerBodyIdle }
        if piece.isEnd {
            self.phase.requestEnded()
            self.requestEnded()
        } else {
            self.arm()
        }
    }

    /// A request whose body is kept, be it because there is nothing of it, may go again: then with what stands behind it.
    private func keepTrailers(_ piece: BodyPiece) {
        guard self.phase.isUnanswered, UInt64(self.held.count) == self.requestBytes else { return }
        self.heldTrailers.takeOver(piece, from: self.core.memory.frames, pool: &self.core.buffers)
    }

    /// Takes the body in, until it is whole or as much as is wanted.
    private func hold(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        if piece.data > 0 {
            self.held.append(UnsafeRawBufferPointer(start: data, count: piece.data), pool: &self.core.buffers)
        }
        if piece.isEnd {
            self.heldTrailers.takeOver(piece, from: self.core.memory.frames, pool: &self.core.buffers)
            self.phase.requestEnded()
        }
        guard piece.isEnd || self.held.count >= self.collectLimit else { return self.arm() }
        self.phase.collected()
        self.dispatch()
    }

    /// The client's body breaks its framing or a limit. What the endpoint has so far ends without an end, so it cannot be
    /// taken for whole.
    func requestBroke(_ reason: LocalReason) {
        self.release(.closed)
        self.report(.cancelled)
        if self.phase.isUnanswered {
            self.reply(reason, endsConnection: true)
        } else {
            self.cut(reason)
        }
    }

    /// The client ended inside its body. True if that ends nothing but the body: its answer is out already.
    func requestCut() -> Bool {
        guard self.phase.answer == .whole else { return false }
        self.phase.requestAbandoned()
        self.letEndpointGo()
        return true
    }

    /// The endpoint took bytes that waited for it: the body is not stalled.
    func endpointMoved() {
        guard !self.phase.isTunnel else { return }
        self.bodyDeadline = self.core.now + self.requestBodyIdle
        if self.phase.answer == .flowing { self.deadline = self.core.now + self.answerBodyIdle }
        self.unacknowledged = .max
    }

    /// The endpoint took all that waited for it.
    func endpointClear() {
        if self.blockedSince > 0 {
            // The time that it did not take the body is not the client's.
            self.bodyBegan += self.core.now - min(self.core.now, self.blockedSince)
            self.blockedSince = 0
        }
        if self.phase.isTunnelOver { return self.endTunnel() }
        if self.phase.takesBody { self.client?.object.wantBody(self.clientStream) }
        // Between exchanges nothing may wait: an answer that ended before its request had left ends here.
        if self.phase.isComplete { self.letEndpointGo() }
    }
}
