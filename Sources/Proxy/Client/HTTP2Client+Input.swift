import HTTP2
import HTTPWire
import Reactor
import Traffic

/// Requests on their way in.
extension HTTP2Client {
    func follow(
        _ step: Session.Step, _ frame: Frame, _ bytes: UnsafeMutableRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) -> Int {
        switch step {
        case .request(let slot, let block): try self.open(slot, block, UnsafeRawBufferPointer(bytes), behind: size)
        case .reset(let slot):
            if case .reset = frame { self.cancelled(slot, .clientClosed) } else { self.cancelled(slot, .badRequest) }
        default: try self.followShared(step, UnsafeRawBufferPointer(bytes))
        }
        if case .reset(_, let code) = frame { self.core.counts.http2.resetsReceived[code.index] &+= 1 }
        return 0
    }

    /// `size`: of the block's frames, behind which its body may stand.
    private func open(
        _ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) {
        self.prepare(slot, block.stream)
        self.core.counts.http2.streams += 1
        self.core.counts.http2.streamsTotal &+= 1
        let limits = self.core.headLimits
        let room = self.core.http2.request
        var fields = RequestFields(room, limits: limits, allowsProtocol: self.opensWebSockets)
        var decoded = BlockFields(block, in: bytes)
        var priority = PriorityField()
        while let field = try decoded.next(&self.tables.inflater) {
            guard fields.add(field.name, field.value) else { throw ConnectionFault(.fields) }
            if PriorityField.isName(field.name) { priority.add(field.value) }
        }
        if let urgency = priority.urgency { self.session.requested(slot, urgency: urgency) }
        self.session.decoded(fields.size)
        if fields.isWebSocket {
            let key = WebSocketKey((self.core.random.next(), self.core.random.next()))
            self.streams[slot].webSocket = key
            fields.open(key)
        }
        switch fields.finish(isEnd: block.isEnd) {
        case .malformed(let why): try self.refuse(slot, why)
        case .tooLarge: self.reject(slot, .tooManyFields, hasBody: !fields.isHead)
        case .head(let count):
            let source = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<count])
            let behind = UnsafeRawBufferPointer(rebasing: bytes[size...])
            try self.begin(slot, source, isEnd: block.isEnd, announced: fields.announced, behind)
        }
    }

    /// The head is read by the one parser that decides about all of them.
    private func begin(
        _ slot: Int, _ source: UnsafeRawBufferPointer, isEnd: Bool, announced: UInt64?, _ behind: UnsafeRawBufferPointer
    ) throws(ConnectionFault) {
        let parsed: RequestHead?
        do throws(HeadError) {
            parsed = try HeadParser.request(
                source.bindMemory(to: UInt8.self).span, limits: self.core.headLimits, fields: &self.core.memory.fields)
        } catch {
            guard case .malformed(let why) = error else {
                return self.reject(slot, error, hasBody: !source.starts(with: Self.headMethod))
            }
            return try self.refuse(slot, why)
        }
        guard let head = parsed, head.length == source.count else { return try self.refuse(slot, .badTarget) }
        self.session.opened(slot, expected: announced.map { Int(clamping: $0) })
        // What comes before a WebSocket is open waits for it.
        let opensWebSocket = self.streams[slot].webSocket != nil
        self.streams[slot].hasBody = opensWebSocket || (!isEnd && head.framing != .length(0))
        self.streams[slot].hasEnd = isEnd
        let exchange = self.core.openExchange()
        self.streams[slot].exchange = exchange
        let stream = StreamID(bitPattern: self.streams[slot].identifier)
        let available = self.streams[slot].hasBody ? self.wholeBody(of: self.streams[slot].identifier, in: behind) : 0
        exchange.with { self.serve(head, source, $0, hasBody: self.streams[slot].hasBody, available, on: stream) }
    }

    /// Bytes of the stream's body, if it stands whole behind its head in what was read, as one frame; else 0. Such a request may
    /// be sent again.
    private func wholeBody(of stream: UInt32, in bytes: UnsafeRawBufferPointer) -> Int {
        guard let next = try? FrameReader.next(bytes, blockLimit: self.session.blockLimit),
            case .data(stream, let content, _, isEnd: true) = next.frame
        else { return 0 }
        return content.count
    }

    private func serve(
        _ head: RequestHead, _ source: UnsafeRawBufferPointer, _ exchange: Exchange, hasBody: Bool, _ available: Int,
        on stream: StreamID
    ) {
        guard exchange.begin(head, source, for: self, on: stream) else { return }
        if head.wantsUpgrade {
            // Nothing else than the WebSocket would be an answer.
            guard exchange.grantsUpgrade else { return exchange.reply(.connectRefused) }
        } else if hasBody, exchange.collects(head, available: available) {
            return
        }
        if exchange.attach() { exchange.send(head, source, BodyPiece(), nil) }
    }

    /// The request is none: RST_STREAM, at the client's charge.
    private func refuse(_ slot: Int, _ why: Malformation) throws(ConnectionFault) {
        self.record(rejected: 400, why.rawValue)
        var out = FrameWriter(self.core.http2.control)
        defer { self.forget(slot) }
        do throws(ConnectionFault) {
            try self.session.reset(slot, .protocolError, isCharged: true, now: self.core.now, into: &out)
        } catch {
            self.keep(out)
            throw error
        }
        self.keep(out)
    }

    private static let headMethod = Array("HEAD ".utf8)

    /// It is one, and breaks a limit: it gets its status.
    private func reject(_ slot: Int, _ error: HeadError, hasBody: Bool) {
        self.record(rejected: error.status, error.reason)
        let answer = LocalAnswer(
            status: error.status, word: "bad-request", detail: error.reason,
            requestID: (self.core.random.next(), self.core.random.next()),
            explains: self.core.plan.table.spec.explainErrors, takesJSON: false, hasBody: hasBody)
        self.streams[slot].hasBody = false
        let flow = self.writeReply(answer, on: StreamID(bitPattern: self.streams[slot].identifier))
        guard flow != .gone else { return }
        if self.session.streams[slot].hasEnded { return self.end(slot, .noError) }
        // A window or the socket holds it back: it goes by itself, for no exchange waits for it.
        let time = self.core.now + UInt64(self.core.timeouts.responseBodyIdle)
        self.streams[slot].leavesAt = time
        self.schedule(time)
    }

    private func record(rejected status: UInt16, _ word: String) {
        self.core.countRejected(status)
        guard let log = self.core.log else { return }
        AccessRecord.writeRejected(
            self, requestID: (self.core.random.next(), self.core.random.next()), status: status, word: word, to: log)
    }

    func trailersBroke(_ slot: Int) throws(ConnectionFault) {
        var out = FrameWriter(self.core.http2.control)
        defer { self.cancelled(slot, .badRequest) }
        // Its END_STREAM came with them; the answer is what is reset.
        try self.session.reset(slot, .protocolError, isCharged: true, now: self.core.now, into: &out)
        self.keep(out)
    }
}
