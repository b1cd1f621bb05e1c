import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// Answers on their way out.
extension HTTP2Client {
    func writeAnswer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        // To the client it would mean that the WebSocket is open (RFC 8441 5).
        if self.streams[slot].webSocket != nil, head.status < 300 { return .unsuitable }
        var writer = ByteWriter(self.core.memory.head)
        let span = source.bindMemory(to: UInt8.self).span
        let isEnd = piece.isEnd && piece.data == 0 && piece.trailerBytes == 0
        // Frames say where a body ends: neither chunks nor a close are announced, nor, behind nothing, that there is none.
        let framing: BodyFraming =
            head.framing == .chunked ? .untilClose : isEnd && head.framing == .length(0) ? .none : head.framing
        if let tls, !tls.strictTransport.isEmpty {
            ResponseRewriter.write(
                head, fields: self.core.memory.fields, source: span, framing: framing, persistence: .implicit,
                edits: edits, date: self.core.date, strictTransport: tls.strictTransport, into: &writer)
        } else {
            ResponseRewriter.write(
                head, fields: self.core.memory.fields, source: span, framing: framing, persistence: .implicit,
                upgrade: false, edits: edits, date: self.core.date, into: &writer)
        }
        guard !writer.overflowed else { return .tooLarge }
        guard self.writeHead(slot, writer.count, status: head.status, startsWithLine: true, isEnd: isEnd) else {
            return .tooLarge
        }
        return isEnd ? self.flow(slot) : self.send(slot, piece, data)
    }

    func writeInterim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, on stream: StreamID) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        var writer = ByteWriter(self.core.memory.head)
        ResponseRewriter.write(
            head, fields: self.core.memory.fields, source: source.bindMemory(to: UInt8.self).span, framing: .none,
            persistence: .implicit, upgrade: false, edits: .none, into: &writer)
        guard !writer.overflowed,
            self.writeHead(slot, writer.count, status: head.status, startsWithLine: true, isEnd: false)
        else { return .tooLarge }
        return self.flow(slot)
    }

    /// The endpoint has opened the WebSocket: 200, and from here DATA both ways.
    func writeSwitch(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, early: UnsafeRawBufferPointer,
        on stream: StreamID
    ) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        let span = source.bindMemory(to: UInt8.self).span
        guard let key = self.streams[slot].webSocket, self.isAnswered(key, span) else { return .unsuitable }
        var writer = ByteWriter(self.core.memory.head)
        ResponseRewriter.write(
            head, fields: self.core.memory.fields, source: span, framing: .none, persistence: .implicit,
            upgrade: false, edits: edits, into: &writer)
        self.streams[slot].isTunnel = true
        guard !writer.overflowed,
            self.writeHead(slot, writer.count, status: 200, startsWithLine: true, isEnd: false)
        else {
            self.streams[slot].isTunnel = false
            return .tooLarge
        }
        // What the client has sent, trusting in it.
        self.feedLater(stream)
        return self.send(slot, BodyPiece(data: early.count), early.baseAddress)
    }

    private func isAnswered(_ key: WebSocketKey, _ span: borrowing Span<UInt8>) -> Bool {
        let fields = self.core.memory.fields.list
        var answers = 0
        var isRight = false
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(span, fields[index].name, lowercase: Self.acceptName) {
            answers += 1
            isRight = key.isAnswered(by: span.extracting(fields[index].value.bounds))
        }
        return answers == 1 && isRight
    }

    private static let acceptName = Array("sec-websocket-accept".utf8)

    func writeContinue(on stream: StreamID) {
        guard let slot = self.slot(of: stream) else { return }
        _ = self.writeHead(slot, 0, status: 100, startsWithLine: false, isEnd: false)
    }

    func writeReply(_ answer: LocalAnswer, on stream: StreamID) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        var writer = ByteWriter(self.core.memory.head)
        answer.writeFields(date: self.core.date, into: &writer)
        if let tls { writer.append(bytes: tls.strictTransport) }
        if answer.grpc == nil {
            writer.append("Content-Length: ")
            writer.append(decimal: UInt64(answer.bodyLength))
            writer.append("\r\n")
        }
        let fields = writer.count
        if answer.hasBody { answer.writeBody(into: &writer) }
        guard !writer.overflowed,
            self.writeHead(slot, fields, status: answer.status, startsWithLine: false, isEnd: !answer.hasBody)
        else {
            self.end(slot, .internalError)
            return .gone
        }
        guard answer.hasBody else { return self.flow(slot) }
        let body = self.core.memory.head.baseAddress.map { UnsafeRawPointer($0 + fields) }
        return self.send(slot, BodyPiece(data: writer.count - fields, isEnd: true), body)
    }

    /// HEADERS from lines in the worker's head memory. False if they are too many: nothing was written then.
    private func writeHead(_ slot: Int, _ count: Int, status: UInt16, startsWithLine: Bool, isEnd: Bool) -> Bool {
        let digits = self.core.http2.status
        digits[0] = UInt8(truncatingIfNeeded: 0x30 + status / 100 % 10)
        digits[1] = UInt8(truncatingIfNeeded: 0x30 + status / 10 % 10)
        digits[2] = UInt8(truncatingIfNeeded: 0x30 + status % 10)
        self.core.http2.fields.removeAll()
        self.core.http2.fields.append(":status", UnsafeRawBufferPointer(digits))
        let text = UnsafeMutableRawBufferPointer(rebasing: self.core.memory.head[0..<count])
        return self.writeBlock(slot, FieldLines(text, startsWithLine: startsWithLine), isEnd: isEnd)
    }

    private func writeBlock(_ slot: Int, _ source: FieldLines, isEnd: Bool) -> Bool {
        var lines = source
        while let (name, value) = lines.next() {
            // It answers a key that the client knows nothing of.
            if self.streams[slot].isTunnel, FieldLines.isWebSocketAccept(name) { continue }
            self.core.http2.fields.append(name: name, value: value)
        }
        return self.writeBlock(slot, isEnd: isEnd)
    }

    func writeBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        return self.send(slot, piece, data)
    }

    // MARK: ends

    func finishStream(_ stream: StreamID, _ end: AnswerEnd) {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), self.streams[slot].exchange != nil
        else { return }
        self.streams[slot].exchange = nil
        switch end {
        case .whole, .requestAbandoned: self.end(slot, .noError)
        case .cut: self.end(slot, .internalError)
        }
    }

    func cutStream(_ stream: StreamID) {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), self.streams[slot].exchange != nil
        else { return }
        self.streams[slot].exchange = nil
        // As if a connection had been reset (RFC 8441 5).
        self.end(slot, self.streams[slot].isTunnel ? .cancel : .internalError)
    }

    /// Ends a stream on our side. One whose both sides have not ended is reset: with `code` where the answer is whole.
    func end(_ slot: Int, _ code: ErrorCode) {
        let isWhole = self.session.streams[slot].hasEnded && !self.streams[slot].isTunnel
        var out = FrameWriter(self.core.http2.control)
        try? self.session.reset(
            slot, isWhole ? .noError : code == .noError ? .internalError : code, isCharged: false, now: self.core.now,
            into: &out)
        self.keep(out)
        self.forget(slot)
        self.wantTurn()
    }
}
