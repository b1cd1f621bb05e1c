import HTTPWire
import Reactor
import Traffic

/// Ends. However an exchange ends, it is recorded exactly once, by `recordAndRest`.
extension Exchange {
    // MARK: answers of our own

    /// Answers by ourselves. `status` in place of the reason's own; `endsConnection`: the connection cannot go on.
    func reply(
        _ reason: LocalReason, status: UInt16? = nil, retryAfter: UInt64? = nil, limit: LocalAnswer.Limit? = nil,
        lines: [UInt8]? = nil, endsConnection: Bool = false
    ) {
        guard self.phase.isUnanswered else { return }
        self.reason = reason
        let status = status ?? reason.status
        let refusal = self.isGRPC ? self.refusal(status, reason, retryAfter: retryAfter) : nil
        self.give(
            LocalAnswer(
                status: refusal == nil ? status : 200, word: reason.word, grpc: refusal,
                retryAfter: retryAfter ?? reason.retryAfter, limit: limit,
                lines: lines, requestID: self.requestID, explains: self.explains, takesJSON: self.takesJSON,
                hasBody: self.method != .head && refusal == nil,
                endsConnection: endsConnection))
    }

    func replyRedirect(_ redirect: RedirectSpec, _ head: RequestHead, _ span: borrowing Span<UInt8>) {
        // A client of HTTP/1.0 need not say which host it means; the location then stays relative to where it is, which
        // cannot be on another scheme.
        let isRelative = redirect.host == nil && head.host.isEmpty
        guard !isRelative || redirect.scheme == nil else { return self.reply(.badRequest) }
        // The location is built behind the room that the answer itself takes.
        let memory = self.core.memory.head
        let area = UnsafeMutableRawBufferPointer(rebasing: memory[(memory.count / 2)...])
        var location = ByteWriter(area)
        if !isRelative {
            if let scheme = redirect.scheme {
                location.append(utf8: scheme)
            } else {
                location.append(self.isSecure ? "https" : "http")
            }
            location.append("://")
            if let host = redirect.host {
                location.append(utf8: host)
            } else {
                // The port is that of the scheme that the client used.
                location.append(span, redirect.scheme == nil ? head.host : HostSyntax.withoutPort(head.host, in: span))
            }
        }
        if let path = redirect.path {
            location.append(utf8: path)
        } else if head.path.isEmpty {
            location.append(0x2F)
        } else {
            location.append(span, head.path)
        }
        if head.hasQuery {
            location.append(0x3F)
            location.append(span, head.query)
        }
        self.reason = .redirect
        self.give(
            LocalAnswer(
                status: redirect.status, word: LocalReason.redirect.word,
                location: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(area)[0..<location.count]),
                requestID: self.requestID, explains: self.explains, takesJSON: self.takesJSON,
                hasBody: self.method != .head))
    }

    /// The client came over TLS.
    private var isSecure: Bool { self.client?.with { $0.context.scheme == .https } ?? false }

    private var explains: Bool { self.plan?.object.table.spec.explainErrors ?? true }

    /// Whether a JSON type is among those that the client takes (RFC 9110 12.5.1).
    private var takesJSON: Bool {
        guard let accept = self.kept.fields.first(.accept) else { return false }
        return Accept.takesJSON(self.kept.bytes.bindMemory(to: UInt8.self).span, accept.value)
    }

    private func give(_ answer: LocalAnswer) {
        guard let client = self.client?.object else { return }
        var answer = answer
        if let route = self.route?.object, route.policies.contains(.tellsLimits) {
            answer.lines = (answer.lines ?? []) + self.limitLines(route)
        }
        self.leaveQueue()
        if self.coder != nil { self.restCoder() }
        self.status = answer.status
        self.phase.answerBegan()
        self.phase.answerEnded()
        self.phase.requestAbandoned()
        _ = client.reply(answer, on: self.clientStream)
        self.settle()
    }

    // MARK: ends

    /// The endpoint is let go: over, once the client has taken all of it.
    func settle() {
        guard let client, self.phase.isComplete, self.endpoint == nil else { return }
        let stream = self.clientStream
        if client.with({ $0.isClear(stream) || $0.isLost }) {
            self.conclude()
        } else {
            self.flushOrArm()
        }
    }

    func flushOrArm() {
        self.deadline = self.core.now + self.answerBodyIdle
        self.unacknowledged = .max
        self.arm()
    }

    /// Records and hands the connection on to its next request.
    func conclude() {
        guard let client else { return }
        let stream = self.clientStream
        let end: AnswerEnd = self.isCut ? .cut : self.phase.request == .abandoned ? .requestAbandoned : .whole
        self.recordAndRest()
        client.with { $0.finish(stream, end) }
    }

    /// The client takes nothing any more. It is shown that its answer was cut: what the kernel still holds for it must not
    /// be followed by a clean end.
    func abandonClient() {
        guard let client else { return }
        if self.phase.isTunnel { return self.cutTunnel() }
        self.release(.closed)
        self.report(.cancelled)
        if self.reason == nil { self.reason = .truncated }
        let stream = self.clientStream
        self.recordAndRest()
        client.object.unreachable(stream)
    }

    /// The client's connection has ended, or must: it forgets this exchange.
    func clientGone(_ reason: LocalReason) {
        self.leaveQueue()
        if self.phase.isTunnel {
            // Its end is passed on as a reset: half of what was said must not look like all of it.
            self.release(.cut)
            self.report(.success)
            if reason != .clientClosed { self.reason = reason }
        } else {
            self.release(.closed)
            self.report(.cancelled)
            if self.phase.isUnanswered { self.status = reason.status }
            self.reason = reason
        }
        self.recordAndRest()
    }

    /// The series that counts it.
    private var series: Int {
        guard let route else { return self.plan?.object.shared.unrouted ?? 0 }
        let member = self.isProxied ? self.placement.member : nil
        return route.with { route in member.map { route.counters[$0] } ?? route.localCounters }
    }

    /// For plans: what a stage counts, and who needs what should not be needed.
    @inline(never)
    private func count(_ route: RoutePlan) {
        if route.stage.number >= 0 { self.countStage(route) }
        if route.watchedMember >= 0 { self.noteNeed(route) }
    }

    /// Counters and access log, exactly once for each exchange; then it is free for another.
    func recordAndRest() {
        guard let client, let plan else { return }
        assert(
            self.endpoint == nil && self.seat == nil && self.queue == nil,
            "whoever ends an exchange has let go of its connection, slot and place in a queue")
        let micros = self.core.nowMicroseconds &- self.began
        // A tunnel's life says nothing about how fast anybody answers; the way to its 101 does.
        let measured = self.tunnelledAt > 0 ? self.tunnelledAt &- self.began : micros
        let isCancelled = self.reason == .clientClosed || self.reason == .heldTooMuch
        let status = self.status
        self.core.metrics(self.series).with { metrics in
            if isCancelled {
                metrics.cancelled &+= 1
            } else {
                metrics.record(status: status, microseconds: measured)
            }
            if self.isGRPC { metrics.record(grpc: self.grpcStatus) }
        }
        if let route, route.with({ $0.isInPlan }) { self.count(route.object) }
        if self.tunnelledAt > 0 { self.core.counts.tunnels -= 1 }
        if let log = self.core.log { AccessRecord.write(self, client.object, microseconds: micros, to: log) }
        if self.coder != nil { self.restCoder() }
        if self.trace != nil { self.endTrace(client.object) }
        if self.tap != nil { self.offerCopy() }
        self.forgetHead()
        self.held.clear(pool: &self.core.buffers)
        self.heldTrailers.clear(pool: &self.core.buffers)
        // What pinned the table goes.
        plan.with { $0.exchanges -= 1 }
        self.client = nil
        self.plan = nil
        self.route = nil
        self.upstream = nil
        self.pool = nil
        self.core.closeExchange(self)
    }
}
