import Compression
import HTTPWire
import Reactor
import Traffic

/// The answer on its way down.
extension Exchange {
    /// What of an answer's trailers passes.
    var answerTrailers: TrailerRules { self.route?.with { $0.answerTrailers } ?? TrailerRules() }

    func interim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer) {
        self.interims &+= 1
        // Beyond the limit they are dropped: they only inform.
        guard self.interims <= self.limits.interimResponses else {
            self.core.counts.interimsDropped &+= 1
            return
        }
        let stream = self.clientStream
        if self.client?.with({ $0.answerInterim(head, source, on: stream) }) == .tooLarge {
            self.core.counts.interimsDropped &+= 1
        }
    }

    func answerBegan(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, _ data: UnsafeRawPointer?
    ) {
        guard let route, self.phase.isUnanswered else { return }
        if route.with({ $0.watchesAnswers }) { return self.watchedAnswerBegan(head, source, piece, data) }
        _ = self.pass(head, source, piece, data)
    }

    /// Gives the head to the client; its fields are in the worker's memory. False: nothing was sent, for the body could not be
    /// coded.
    func pass(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ piece: BodyPiece, _ data: UnsafeRawPointer?
    ) -> Bool {
        guard let client, let route, self.phase.isUnanswered else { return true }
        let stream = self.clientStream
        self.status = head.status
        self.headAt = self.core.nowMicroseconds
        if self.isGRPC { self.noteGRPCHead(source) }
        let outcome: Coded
        if self.coder == nil {
            outcome = .sent(
                route.with { route in
                    client.with { $0.answer(head, source, edits: route.responseEdits, piece, data, on: stream) }
                })
        } else {
            outcome = self.sendCoded(piece, data, behind: (head, source))
        }
        switch outcome {
        case .failed(hasBegun: false): return false
        case .sent(let flow) where flow.isRefused:
            self.malformedAnswer(flow == .tooLarge ? .answerTooLarge : .unexpectedUpgrade)
            return true
        case .sent, .failed(hasBegun: true): break
        }
        self.phase.answerBegan()
        self.isProxied = true
        self.held.clear(pool: &self.core.buffers)
        if let coder { route.with { $0.route.record.compression.count(coder.coding) } }
        if case .sent(let flow) = outcome { self.passed(piece, flow) } else { self.cutCoded() }
        return true
    }

    func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?) {
        guard let client else { return }
        let stream = self.clientStream
        if self.phase.isTunnel { return self.tunnelDown(piece, data) }
        if self.tap != nil { self.tapBody(piece, data) }
        if self.isGRPC, piece.isEnd { self.noteGRPCTrailers(piece) }
        guard self.coder == nil else { return self.answerCoded(piece, data) }
        self.passed(piece, client.with { $0.answerBody(piece, data, on: stream) })
    }

    func passed(_ piece: BodyPiece, _ flow: Flow) {
        self.answerBytes &+= UInt64(piece.data)
        if flow == .waits { self.readsLittle = true }
        if piece.isEnd { return self.answerEnded() }
        if flow == .gone { return self.abandonClient() }
        self.deadline = self.core.now + self.answerBodyIdle
        self.arm()
    }

    private func answerEnded() {
        self.phase.answerEnded()
        self.bodyDeadline = self.core.now + self.requestBodyIdle
        if self.phase.isRequestArriving {
            // The upstream may read on: the rest of the body goes to it until it closes.
            self.report(Outcome(status: self.status))
            if self.endpoint?.object.isWritable(self.endpointStream) ?? false {
                self.client?.object.endAnswer(self.clientStream)
                self.flushOrArm()
                self.client?.object.wantBody(self.clientStream)
                return
            }
            self.phase.requestAbandoned()
        }
        self.letEndpointGoWhenClear()
    }

    /// The client sent all of it, and the endpoint gets all of it, although its answer is out.
    func letEndpointGoWhenClear() {
        let stream = self.endpointStream
        let holds = self.endpoint?.with { !$0.isClear(stream) && $0.isWritable(stream) } ?? false
        guard holds, self.phase.isRequestWhole else { return self.letEndpointGo() }
        // The kernel may keep the last answer back for our end, which would otherwise wait for the endpoint.
        self.client?.object.endAnswer(self.clientStream)
        self.flushOrArm()
    }

    /// Both messages have ended as far as the endpoint is concerned.
    func letEndpointGo() {
        self.report(Outcome(status: self.status))
        self.release(self.phase.isRequestWhole ? .clean : .closed)
        self.settle()
    }

    // MARK: what goes wrong

    /// What came is no answer, or breaks a limit of ours. Never sent again: it was an answer of some kind.
    func malformedAnswer(_ reason: LocalReason) {
        self.release(.closed)
        self.report(.malformed)
        self.reply(reason)
    }

    /// The body of an answer that had begun breaks its framing.
    func answerBroke(_ reason: LocalReason, isMalformed: Bool) {
        self.release(.closed)
        self.report(isMalformed ? .malformed : .failure)
        self.cut(reason)
    }

    /// What came for this exchange alone breaks the protocol.
    func answerIsNone() {
        switch self.phase.answer {
        case .none: self.malformedAnswer(.badResponse)
        case .flowing: self.answerBroke(.badResponse, isMalformed: true)
        case .whole: self.abandonRest()
        case .tunnel: self.cutTunnel()
        }
    }

    /// The endpoint ended cleanly, but not where a message ends. `hasPart`: part of a head had come.
    func endpointEnded(hasPart: Bool) {
        switch self.phase.answer {
        case .none: self.attemptFailed(hasPart ? .badResponse : .closedEarly)
        case .flowing: self.answerBroke(.truncated, isMalformed: false)
        case .whole: self.abandonRest()
        case .tunnel: self.cutTunnel()
        }
    }

    /// The endpoint reset its connection, or what of it was this exchange's.
    func endpointBroke(_ reason: LocalReason = .reset) {
        switch self.phase.answer {
        case .none: self.attemptFailed(reason)
        case .flowing: self.answerBroke(reason == .reset ? .truncated : reason, isMalformed: false)
        case .whole: self.abandonRest()
        case .tunnel: self.cutTunnel()
        }
    }

    /// The answer is whole and the upstream reads no further: what still comes of the request is thrown away.
    func abandonRest() {
        self.phase.requestAbandoned()
        self.letEndpointGo()
    }

    /// The answer had begun and will not be whole. No last chunk is invented.
    func cut(_ reason: LocalReason) {
        self.reason = reason
        self.isCut = true
        self.phase.requestAbandoned()
        self.phase.answerEnded()
        self.settle()
    }

    // MARK: the client's side

    /// Bytes of memory held for it, apart from what its client's connection holds.
    var heldBytes: Int {
        let stream = self.endpointStream
        return self.held.held + (self.endpoint?.with { $0.held(for: stream) } ?? 0)
    }

    func clientMoved() {
        self.unacknowledged = .max
        guard !self.phase.isTunnel else { return }
        self.deadline = self.core.now + self.answerBodyIdle
    }

    /// The client took all that waited for it.
    func clientClear() {
        if self.phase.isTunnel {
            if self.phase.isTunnelOver { return self.endTunnel() }
        } else if self.phase.isComplete {
            return self.endpoint == nil ? self.settle() : self.arm()
        }
        let stream = self.endpointStream
        self.endpoint?.with { $0.readAnswer(stream) }
    }
}
