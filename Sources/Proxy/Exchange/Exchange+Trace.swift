import HTTPWire
import Reactor
import Traffic

/// Spans of requests. None of it is reached where nothing is traced.
extension Exchange {
    /// Bytes of a path that a span holds.
    private static let pathLimit = 1_024

    /// Whether spans are made of it: as a trusted peer's own trace says, else as the dice fall. A flag costs its sender nothing, so
    /// that of anybody else asks for spans and does not order them; and by the dice, since identifiers are the sender's choice.
    func beginTrace(_ choice: TraceChoice, _ source: borrowing Span<UInt8>) {
        switch TraceWord.of(self.core.memory.fields.list, in: source) {
        case .parent(let parent):
            guard parent.isSampled, self.isTrusted || choice.chooses(self.core.random.next()) else { return }
            self.trace = ExchangeTrace(
                trace: TraceID(high: parent.traceHigh, low: parent.traceLow),
                span: self.core.random.nextIdentifier(), parent: parent.parent, flags: parent.flags)
        case .none, .invalid:
            guard choice.chooses(self.core.random.next()) else { return }
            self.trace = ExchangeTrace(
                trace: TraceID(high: self.core.random.nextIdentifier(), low: self.core.random.nextIdentifier()),
                span: self.core.random.nextIdentifier(), parent: 0, flags: 1)
        }
    }

    /// What the upstream hangs its own spans on.
    func writeTraceParent(_ route: RoutePlan, into writer: inout ByteWriter) {
        guard let trace = self.trace else { return }
        self.openAttempt()
        guard route.tracing?.writesParent ?? false else { return }
        TraceParent(
            traceHigh: trace.trace.high, traceLow: trace.trace.low, parent: trace.attempt, flags: trace.flags
        ).writeLine(into: &writer)
    }

    /// An endpoint is dialled, or asked over a connection that there is: the same attempt.
    @inline(never)
    func openAttempt() {
        guard let trace = self.trace, trace.attempt == 0 else { return }
        trace.openAttempt(self.core.random.nextIdentifier(), at: self.core.nowMicroseconds)
    }

    /// The attempt has failed. Another may follow.
    @inline(never)
    func closeAttempt(_ reason: LocalReason) {
        guard let trace = self.trace else { return }
        // One that could not even begin to dial took no time.
        self.openAttempt()
        guard var span = self.record(.attempt, of: trace) else { return trace.forgetAttempt() }
        span.isError = true
        span.reason = "\(reason.word)"
        trace.failed.append(span)
        trace.forgetAttempt()
    }

    /// The exchange is recorded: its spans are handed over.
    @inline(never)
    func endTrace(_ client: ClientConnection) {
        guard let trace = self.trace else { return }
        self.trace = nil
        guard let spans = self.core.spanBuffer(), var request = self.record(.request, of: trace) else { return }
        let reason = self.reason.map { "\($0.word)" } ?? ""
        let isFault =
            self.isCut || self.status >= 500 || (self.isGRPC && GRPC.isServerFault(self.grpcStatus))
        // What the client did is no fault of whoever serves it.
        let isLeft = self.reason == .clientClosed || self.reason == .heldTooMuch
        // It began, and its client did not get all of it.
        let isShort = self.isCut || (self.isProxied && (self.reason == .shutdown || self.reason == .truncated))
        for span in trace.failed { spans.append(span) }
        if trace.attempt != 0, var attempt = self.record(.attempt, of: trace) {
            attempt.status = self.isProxied ? self.status : 0
            attempt.grpc = self.isProxied ? self.grpcStatus : -1
            attempt.isError = !isLeft && (self.isProxied ? isFault : (self.reason?.status ?? 502) >= 500)
            if !self.isProxied || self.isCut { attempt.reason = reason }
            spans.append(attempt)
        }
        request.status = self.status
        request.grpc = self.grpcStatus
        request.isError = isFault || isShort
        // That of a failed attempt stays where another one was answered.
        if !self.isProxied || isShort || isLeft { request.reason = reason }
        request.peer = client.peer
        spans.append(request)
    }

    /// nil: there is no request.
    private func record(_ kind: SpanRecord.Kind, of trace: ExchangeTrace) -> SpanRecord? {
        guard let head = self.kept.head else { return nil }
        let isRequest = kind == .request
        var span = SpanRecord(
            kind, trace: trace.trace, span: isRequest ? trace.span : trace.attempt,
            parent: isRequest ? trace.parent : trace.span, flags: trace.flags,
            began: isRequest ? self.began : trace.attemptBegan,
            ended: isRequest || trace.attemptEnded == 0 ? self.core.nowMicroseconds : trace.attemptEnded,
            method: head.method.spanName,
            path: Array(self.kept.bytes[head.path.bounds].prefix(Self.pathLimit)))
        guard let route = self.route?.object else { return span }
        span.route = route.name
        if let migration = route.route.spec.migration {
            span.stage = Int(migration.stage)
            span.epoch = migration.epoch
        }
        guard let member = self.placement.member else { return span }
        // The request's own is the one that answered.
        if !isRequest || self.isProxied { span.upstream = route.route.upstream(member)?.name ?? "" }
        guard !isRequest else { return span }
        span.endpoint = self.pool?.object.endpoint.address
        span.resends = UInt32(clamping: trace.failed.count)
        return span
    }
}

extension HTTPMethod {
    /// As the semantic conventions have it.
    var spanName: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .connect: "CONNECT"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .other: "_OTHER"
        }
    }
}
