import HTTP2
import HTTPWire
import Reactor

/// Requests on their way out, and answers on their way in.
extension HTTP2Endpoint {
    // MARK: requests

    func writeRequest(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, policy: RequestPolicy,
        context: UnsafePointer<RequestContext>, _ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        var writer = ByteWriter(self.core.memory.head)
        RequestRewriter.write(
            head, fields: fields, source: source.bindMemory(to: UInt8.self).span, policy: policy,
            context: context.pointee, into: &writer)
        guard !writer.overflowed,
            var lines = RequestLines(UnsafeMutableRawBufferPointer(rebasing: self.core.memory.head[0..<writer.count]))
        else { return .tooLarge }
        let opensWebSocket = context.pointee.upgrades
        let hasBody = opensWebSocket || (head.framing != .none && head.framing != .length(0))
        let isEnd = !hasBody || (piece.isEnd && piece.data == 0 && piece.trailerBytes == 0)
        self.core.http2.fields.removeAll()
        if opensWebSocket {
            self.core.http2.fields.append(":method", "CONNECT")
            self.core.http2.fields.append(":protocol", "websocket")
        } else {
            self.core.http2.fields.append(":method", lines.method)
        }
        self.core.http2.fields.append(":scheme", self.tls == nil ? "http" : "https")
        self.core.http2.fields.append(":path", lines.path)
        if !lines.authority.isEmpty { self.core.http2.fields.append(":authority", lines.authority) }
        while let (name, value) = lines.fields.next() {
            if opensWebSocket, RequestLines.isWebSocketKey(name) {
                self.streams[slot].webSocketAnswer = WebSocketKey.answer(to: value)
                continue
            }
            self.core.http2.fields.append(name: name, value: value, isSecret: RequestLines.isSecret(name))
        }
        guard self.takesFields(writtenAs: writer.count) else { return .unsuitable }
        guard self.writeBlock(slot, isEnd: isEnd) else { return .tooLarge }
        self.session.began(slot)
        return isEnd ? self.flow(slot) : self.send(slot, piece, data)
    }

    /// Of all protocols that may be asked for, HTTP/2 has a form for WebSockets alone, where the server takes it (RFC 8441); and without
    /// its one key (RFC 6455 4.1) nobody could answer the client.
    func opens(_ exchange: Exchange) -> Bool {
        guard self.session.peerTakesConnect, let head = exchange.kept.head else { return false }
        let span = exchange.kept.bytes.bindMemory(to: UInt8.self).span
        let fields = exchange.kept.fields
        var keys = 0
        for index in 0..<fields.count
        where !fields[index].nominated
            && ASCII.equalsIgnoringCase(span, fields[index].name, lowercase: "sec-websocket-key")
        { keys += 1 }
        guard keys == 1 else { return false }
        var wishes = UpgradeList(head.upgrade)
        while let wish = wishes.next(in: span) {
            let name = UpgradeList.name(of: wish, in: span)
            if ASCII.equalsIgnoringCase(span, name, lowercase: "websocket") { return true }
        }
        return false
    }

    /// Whether the server takes as many fields as stand in the worker's memory, which are `count` bytes as lines. Some end the
    /// connection where more come than they have said, with the requests of all clients that share it.
    private func takesFields(writtenAs count: Int) -> Bool {
        let limit = self.session.peerFieldBytes
        // Names and values are less than their lines, and the names that lines do not have less than the last number.
        let most = count + 32 * self.core.http2.fields.count + 64
        return most <= limit || self.core.http2.fields.size <= limit
    }

    // MARK: answers

    func follow(
        _ step: Session.Step, _ frame: Frame, _ bytes: UnsafeMutableRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) -> Int {
        switch step {
        case .answer(let slot, let block): return try self.takeHead(slot, block, bytes, behind: size)
        case .reset(let slot):
            guard case .reset(_, let code) = frame else {
                self.streamBroke(slot)
                return 0
            }
            // Behind a whole answer it says that the rest of the request is not wanted (RFC 9113 8.1), and no more.
            guard !self.holdsWholeAnswer(slot) else {
                self.stopSending(slot)
                return 0
            }
            self.tell(slot) { $0.endpointBroke(code == .refusedStream ? .streamRefused : .streamReset) }
        case .leaving(let last): self.leftBehind(last)
        default: try self.followShared(step, UnsafeRawBufferPointer(bytes))
        }
        return 0
    }

    /// The server ends the connection. What it has not looked at goes elsewhere (RFC 9113 6.8).
    private func leftBehind(_ last: UInt32) {
        self.retire()
        for slot in self.streams.indices where self.streams[slot].identifier > last {
            self.session.leftBehind(slot)
            self.tell(slot) { $0.endpointBroke(.leftBehind) }
        }
    }

    /// An interim head or the final one; with the latter, the DATA that stands behind it: one write for both.
    private func takeHead(
        _ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeMutableRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) -> Int {
        let room = self.core.http2.request
        let limits =
            self.streams[slot].exchange?.with { $0.answerHeadLimits }
            ?? HeadLimits(requestLine: 8_192, bytes: self.session.blockLimit, count: 200)
        let webSocketAnswer = self.streams[slot].webSocketAnswer
        var fields = AnswerFields(room, limits: limits, webSocketAnswer: webSocketAnswer)
        var decoded = BlockFields(block, in: UnsafeRawBufferPointer(bytes))
        while let field = try decoded.next(&self.tables.inflater, upTo: self.session.passedOverLimit) {
            fields.add(field.name, field.value)
        }
        self.session.decoded(decoded.size)
        guard let exchange = self.streams[slot].exchange else { return 0 }
        guard case .head(let count) = fields.finish() else {
            self.broke(slot)
            return 0
        }
        let source = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<count])
        let parsed: ResponseHead?
        do throws(HeadError) {
            parsed = try HeadParser.response(
                source.bindMemory(to: UInt8.self).span, to: exchange.with { $0.method }, limits: limits,
                fields: &self.core.memory.fields)
        } catch {
            self.broke(slot)
            return 0
        }
        guard var head = parsed, head.length == source.count else {
            self.broke(slot)
            return 0
        }
        if head.status == 101 {
            // As this side writes it; no server can.
            return self.open(slot, head, source, exchange, isEnd: block.isEnd)
        }
        if head.status < 200 {
            // It ends nothing (8.1).
            if block.isEnd { self.broke(slot) } else { exchange.with { $0.interim(head, source) } }
            return 0
        }
        return try self.begin(
            slot, &head, source, exchange, isEnd: block.isEnd,
            UnsafeMutableRawBufferPointer(rebasing: bytes[size...]))
    }

    /// The server has opened the WebSocket: from here DATA both ways.
    private func open(
        _ slot: Int, _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ exchange: Reference<Exchange>,
        isEnd: Bool
    ) -> Int {
        self.session.answered(slot, expected: nil)
        self.streams[slot].isTunnel = true
        let identifier = self.streams[slot].identifier
        guard exchange.with({ $0.switched(head, source) }), isEnd, self.streams[slot].identifier == identifier
        else { return 0 }
        self.takeBody(slot, UnsafeRawBufferPointer(start: nil, count: 0), isEnd: true)
        return 0
    }

    /// What came is no answer.
    private func broke(_ slot: Int) {
        self.reset(slot, .protocolError)
        self.streamBroke(slot)
    }

    private func begin(
        _ slot: Int, _ head: inout ResponseHead, _ source: UnsafeRawBufferPointer, _ exchange: Reference<Exchange>,
        isEnd: Bool, _ behind: UnsafeMutableRawBufferPointer
    ) throws(ConnectionFault) -> Int {
        // Frames say where the body ends: what a length says must be true, and without one it is made anew.
        switch head.framing {
        case .none: self.session.answered(slot, expected: 0)
        case .length(let length): self.session.answered(slot, expected: Int(clamping: length))
        case .untilClose, .chunked:
            self.session.answered(slot, expected: nil)
            head.framing = isEnd ? .length(0) : .chunked
        }
        guard self.session.isAnswerExact(slot) else {
            self.broke(slot)
            return 0
        }
        if isEnd { self.streams[slot].hasEnd = true }
        let identifier = self.streams[slot].identifier
        var piece = BodyPiece(isEnd: isEnd)
        var data: UnsafeRawPointer?
        var used = 0
        // What would be more than this turn codes waits for its own.
        let isInTurn = !exchange.with { $0.mayCode } || !self.core.hasCodedEnough
        if !isEnd, isInTurn, let next = self.dataBehind(behind, of: identifier) {
            used = next.size
            guard
                case .data(_, let content, isEnd: let endsBody) = try self.judge(
                    next.frame, next.size, UnsafeRawBufferPointer(behind))
            else {
                // It does not fit what was announced: the stream was reset.
                self.streamBroke(slot)
                return used
            }
            piece = BodyPiece(data: content.count, consumed: content.count, isEnd: endsBody)
            data = UnsafeRawPointer(behind.baseAddress.map { $0 + content.lowerBound })
            if endsBody { self.streams[slot].hasEnd = true }
        }
        self.lend(slot, piece.data, isEnd: piece.isEnd)
        exchange.with { $0.answerBegan(head, source, piece, data) }
        self.returnLent(of: identifier, slot, isEnd: piece.isEnd)
        return used
    }

    /// DATA of the stream that stands whole behind its head.
    private func dataBehind(
        _ bytes: UnsafeMutableRawBufferPointer, of stream: UInt32
    ) -> (frame: Frame, size: Int)? {
        guard
            let (frame, size) = try? FrameReader.next(
                UnsafeRawBufferPointer(bytes), blockLimit: self.session.blockLimit),
            case .data(stream, _, _, _) = frame
        else { return nil }
        return (frame, size)
    }
}
