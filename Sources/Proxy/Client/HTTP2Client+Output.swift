import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// Answers on their way out.
extension HTTP2Client {
    /// Data of a stream that one pass sends before the next stream has its turn.
    private static let turn = 16_384
    /// From here on data is sent from where it lies; below it is copied behind what else the turn sends.
    private static let directWrite = 8_192
    /// Held bytes that a window must let through to count as progress: one that opens a byte at a time holds memory for ever.
    private static let progress = 1_024

    // MARK: heads

    func writeAnswer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        // To the client it would mean that the WebSocket is open (RFC 8441 5).
        if self.streams[slot].webSocket != nil, head.status < 300 { return .unsuitable }
        var writer = ByteWriter(self.core.memory.head)
        let span = source.bindMemory(to: UInt8.self).span
        // Frames say where a body ends: neither chunks nor a close are announced.
        let framing = head.framing == .chunked ? .untilClose : head.framing
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
        let isEnd = piece.isEnd && piece.data == 0 && piece.trailerBytes == 0
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
        writer.append("Content-Length: ")
        writer.append(decimal: UInt64(answer.bodyLength))
        writer.append("\r\n")
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

    private func slot(of stream: StreamID) -> Int? {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), !self.session.streams[slot].isCancelled
        else { return nil }
        return slot
    }

    /// HEADERS from lines in the worker's head memory. False if they are too many: nothing was written then.
    private func writeHead(_ slot: Int, _ count: Int, status: UInt16, startsWithLine: Bool, isEnd: Bool) -> Bool {
        let digits = self.core.http2.status
        digits[0] = UInt8(truncatingIfNeeded: 0x30 + status / 100 % 10)
        digits[1] = UInt8(truncatingIfNeeded: 0x30 + status / 10 % 10)
        digits[2] = UInt8(truncatingIfNeeded: 0x30 + status % 10)
        let name: StaticString = ":status"
        self.core.http2.fields.removeAll()
        self.core.http2.fields.append(
            name: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount),
            value: UnsafeRawBufferPointer(digits))
        let text = UnsafeMutableRawBufferPointer(rebasing: self.core.memory.head[0..<count])
        return self.writeBlock(slot, FieldLines(text, startsWithLine: startsWithLine), isEnd: isEnd)
    }

    /// HEADERS behind a body, which end the stream.
    private func writeTrailers(_ slot: Int, _ lines: UnsafeMutableRawBufferPointer) -> Bool {
        self.core.http2.fields.removeAll()
        return self.writeBlock(slot, FieldLines(lines, startsWithLine: false), isEnd: true)
    }

    private func writeBlock(_ slot: Int, _ source: FieldLines, isEnd: Bool) -> Bool {
        var lines = source
        while let (name, value) = lines.next() {
            // It answers a key that the client knows nothing of.
            if self.streams[slot].isTunnel, FieldLines.isWebSocketAccept(name) { continue }
            self.core.http2.fields.append(name: name, value: value)
        }
        guard let count = self.tables.deflater.encode(self.core.http2.fields, into: self.core.http2.block) else {
            return false
        }
        let needed = FrameWriter.headersRoom(count)
        let room = self.outbox.room(atLeast: needed, pool: &self.core.buffers)
        var out = FrameWriter(UnsafeMutableRawBufferPointer(rebasing: room[0..<needed]))
        out.headers(
            self.streams[slot].identifier,
            UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.core.http2.block)[0..<count]), isEnd: isEnd)
        self.outbox.commit(out.count)
        self.session.decoded(count)
        if isEnd { self.session.ended(slot) }
        self.wantTurn()
        return true
    }

    // MARK: bodies

    func writeBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        guard let slot = self.slot(of: stream) else { return .gone }
        return self.send(slot, piece, data)
    }

    func hasLeft(_ stream: StreamID) -> Bool {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)) else { return true }
        // Behind END_STREAM nothing of it waits but what the connection holds.
        return self.session.streams[slot].hasEnded || (self.streams[slot].isClear && self.channel.isClear)
    }

    /// Bytes whose going down shows that the client takes its answer: of the stream where a window holds them, else the
    /// connection's.
    func heldBack(_ stream: StreamID) -> Int {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), !self.streams[slot].outbound.isEmpty
        else { return self.channel.unacknowledged() }
        return (self.streams[slot].outbound.count + Self.progress - 1) / Self.progress
    }

    private func flow(_ slot: Int) -> Flow {
        if self.channel.isBroken { return .gone }
        return self.streams[slot].isClear && self.channel.isClear ? .clear : .waits
    }

    /// Sends as much of a piece as windows and socket take, and holds the rest.
    private func send(_ slot: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?) -> Flow {
        let bytes = UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : piece.data)
        var sent = 0
        if self.streams[slot].outbound.isEmpty {
            sent = self.sendData(slot, bytes, isEnd: piece.isEnd && piece.trailerBytes == 0)
        }
        if sent < bytes.count {
            self.streams[slot].outbound.append(
                UnsafeRawBufferPointer(rebasing: bytes[sent...]), pool: &self.core.buffers)
        }
        if piece.isEnd, !self.session.streams[slot].hasEnded {
            if piece.trailerBytes > 0 { self.keepTrailers(slot, piece.trailerBytes) }
            self.streams[slot].endsOutput = true
            if self.streams[slot].outbound.isEmpty { self.sendEnd(slot) }
        }
        let flow = self.flow(slot)
        if flow == .waits { self.streams[slot].isBlocked = true }
        return flow
    }

    private func keepTrailers(_ slot: Int, _ count: Int) {
        let lines = self.core.memory.frames[BodyFrames.trailerOffset...].prefix(count)
        self.streams[slot].answerTrailers.append(
            UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: lines)), pool: &self.core.buffers)
    }

    /// END_STREAM, with the trailers or by itself.
    private func sendEnd(_ slot: Int) {
        self.streams[slot].endsOutput = false
        if !self.streams[slot].answerTrailers.isEmpty {
            let isWritten = self.writeTrailers(slot, self.streams[slot].answerTrailers.mutableBytes)
            self.streams[slot].answerTrailers.clear(pool: &self.core.buffers)
            if isWritten { return }
        }
        self.append(slot, UnsafeRawBufferPointer(start: nil, count: 0), isEnd: true)
    }

    /// DATA, as far as windows and socket allow; answers how many bytes went.
    private func sendData(_ slot: Int, _ bytes: UnsafeRawBufferPointer, isEnd: Bool) -> Int {
        if bytes.isEmpty {
            if isEnd { self.append(slot, bytes, isEnd: true) }
            return 0
        }
        var sent = 0
        while sent < bytes.count, self.channel.isClear, !self.channel.isBroken {
            let room = self.session.room(slot)
            guard room > 0 else { break }
            let count = min(bytes.count - sent, room, HTTP2Memory.framesPerWrite * FrameReader.maximumLength)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[sent..<sent + count])
            let isLast = isEnd && sent + count == bytes.count
            if count < Self.directWrite, self.outbox.count < 4 * Self.turn {
                self.append(slot, piece, isEnd: isLast)
            } else {
                self.write(slot, piece, isEnd: isLast)
            }
            sent += count
        }
        if sent > 0 { self.lastProgress = self.core.now }
        return sent
    }

    /// One DATA frame behind what else the turn sends.
    private func append(_ slot: Int, _ bytes: UnsafeRawBufferPointer, isEnd: Bool) {
        let size = FrameReader.headerSize + bytes.count
        let room = self.outbox.room(atLeast: size, pool: &self.core.buffers)
        guard let base = room.baseAddress else { return }
        FrameWriter.header(
            length: bytes.count, type: FrameType.data, flags: isEnd ? FrameFlag.endStream : 0,
            stream: self.streams[slot].identifier, into: base)
        if let source = bytes.baseAddress {
            (base + FrameReader.headerSize).copyMemory(from: source, byteCount: bytes.count)
        }
        self.outbox.commit(size)
        self.session.sent(slot, bytes.count)
        if isEnd { self.session.ended(slot) }
        self.wantTurn()
    }

    /// The outbox, and behind it DATA from where it lies: one write.
    private func write(_ slot: Int, _ bytes: UnsafeRawBufferPointer, isEnd: Bool) {
        let pieces = self.core.http2.pieces
        let headers = self.core.http2.headers
        var count = 0
        if !self.outbox.isEmpty {
            let held = self.outbox.mutableBytes
            pieces[0] = iovec(iov_base: held.baseAddress, iov_len: held.count)
            count = 1
        }
        var offset = 0
        var frame = 0
        while offset < bytes.count, let base = headers.baseAddress {
            let length = min(bytes.count - offset, FrameReader.maximumLength)
            let isLast = offset + length == bytes.count
            let header = base + frame * FrameReader.headerSize
            FrameWriter.header(
                length: length, type: FrameType.data, flags: isEnd && isLast ? FrameFlag.endStream : 0,
                stream: self.streams[slot].identifier, into: header)
            pieces[count] = iovec(iov_base: header, iov_len: FrameReader.headerSize)
            pieces[count + 1] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress.map { $0 + offset }), iov_len: length)
            self.session.sent(slot, length)
            count += 2
            offset += length
            frame += 1
        }
        if isEnd { self.session.ended(slot) }
        self.wrote(
            self.channel.write(UnsafeMutableBufferPointer(rebasing: pieces[0..<count]), pool: &self.core.buffers))
    }

    // MARK: going on

    /// What was held back, both ways, goes on as far as it may; then exchanges hear that they may go on.
    func passHeld() {
        guard self.canSend || self.hasCleared else { return }
        self.canSend = false
        for slot in self.streams.indices where self.streams[slot].wantsBody {
            self.streams[slot].wantsBody = false
            self.feed(slot)
        }
        self.sendHeld()
        let tellsAll = self.hasCleared && self.channel.isClear
        self.hasCleared = false
        let first = self.nextTold
        for step in 0..<self.streams.count {
            let slot = (first + step) % self.streams.count
            guard self.streams[slot].isBlocked || tellsAll, self.streams[slot].isClear,
                let exchange = self.streams[slot].exchange
            else { continue }
            guard self.channel.isClear else {
                // Those before have filled the socket: this one is first when it clears.
                self.nextTold = slot
                return
            }
            if self.streams[slot].isBlocked {
                self.streams[slot].isBlocked = false
                exchange.with { $0.clientMoved() }
            }
            exchange.with { $0.clientClear() }
        }
    }

    /// One turn for each stream after the other, until windows, socket or bytes end.
    private func sendHeld() {
        var isMoving = true
        while isMoving, self.channel.isClear, !self.channel.isBroken {
            isMoving = false
            for step in 0..<self.streams.count {
                let slot = (self.nextSlot + step) % self.streams.count
                guard self.streams[slot].identifier != 0, !self.streams[slot].isClear else { continue }
                if self.sendTurn(slot) { isMoving = true }
            }
            if !self.streams.isEmpty { self.nextSlot = (self.nextSlot + 1) % self.streams.count }
        }
    }

    private func sendTurn(_ slot: Int) -> Bool {
        var held = self.streams[slot].outbound
        let bytes = UnsafeRawBufferPointer(rebasing: held.bytes.prefix(Self.turn))
        let isWhole = bytes.count == held.count
        let isEnd = isWhole && self.streams[slot].endsOutput && self.streams[slot].answerTrailers.isEmpty
        let sent = bytes.isEmpty ? 0 : self.sendData(slot, bytes, isEnd: isEnd)
        if sent > 0 {
            held.consume(sent, pool: &self.core.buffers)
            self.streams[slot].outbound = held
            self.streams[slot].moved += sent
            if self.streams[slot].moved >= Self.progress || held.isEmpty {
                self.streams[slot].moved = 0
                self.streams[slot].exchange?.with { $0.clientMoved() }
            }
        }
        guard self.streams[slot].outbound.isEmpty, self.streams[slot].endsOutput else { return sent > 0 }
        if self.session.streams[slot].hasEnded {
            self.streams[slot].endsOutput = false
        } else {
            self.sendEnd(slot)
        }
        return true
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
