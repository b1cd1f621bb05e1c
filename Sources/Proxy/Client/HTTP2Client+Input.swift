import HTTP2
import HTTPWire
import Reactor
import Traffic

/// The client's bytes on their way in: frames, requests, bodies.
extension HTTP2Client {
    /// One read takes at most this.
    private static let readSize = 131_072
    /// Requests begun per event: a client that floods takes turns with the others.
    private static let requestsPerEvent = 64

    func readFrames() {
        guard self.hasRoom else { return }
        if self.hasUntried {
            self.hasUntried = false
            self.isParsing = true
            let used = self.take(self.inbound.mutableBytes)
            self.isParsing = false
            return self.keepRest(of: used)
        }
        guard self.channel.isReadable else { return }
        let input = self.core.memory.input
        // Part of a frame may wait for the rest of it.
        let held = self.inbound.count
        guard held < input.count else { return self.fail(ConnectionFault(.frameSizeError)) }
        if held > 0 { input.copyMemory(from: self.inbound.bytes) }
        let limit = min(input.count, held + Self.readSize)
        switch self.channel.read(
            into: UnsafeMutableRawBufferPointer(rebasing: input[held..<limit]), pool: &self.core.buffers)
        {
        case .bytes(let count):
            let bytes = UnsafeMutableRawBufferPointer(rebasing: input[0..<held + count])
            self.inbound.clear(pool: &self.core.buffers)
            let used = self.take(bytes)
            guard self.state == .serving else { return }
            self.inbound.append(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...]), pool: &self.core.buffers)
        case .dry: break
        case .ended, .failed: self.lost(.clientClosed)
        }
    }

    private func keepRest(of used: Int) {
        if self.state != .serving {
            self.inbound.clear(pool: &self.core.buffers)
        } else if used > 0 {
            self.inbound.consume(used, pool: &self.core.buffers)
        }
    }

    /// Takes whole frames. Answers how many bytes were used. DATA of one stream that comes in frames one behind the other is
    /// moved together and passed on at once: the upstream gets it with one write.
    private func take(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var offset = 0
        var requests = 0
        var run = DataRun()
        while self.state == .serving {
            guard requests < Self.requestsPerEvent, self.hasRoom else {
                self.hasUntried = true
                break
            }
            let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[offset...])
            guard self.hasPreface else {
                switch Preface.match(rest) {
                case .whole:
                    offset += Preface.count
                    self.hasPreface = true
                    continue
                case .part: return offset
                case .other:
                    self.fail(ConnectionFault(.protocolError))
                    return offset
                }
            }
            do throws(ConnectionFault) {
                guard let (frame, size) = try FrameReader.next(rest, blockLimit: self.session.blockLimit) else { break }
                if case .headers = frame { requests += 1 }
                if case .data = frame {} else { self.passOn(&run, bytes) }
                let step = try self.receive(frame, size, rest)
                if case .reset(_, let code) = frame { self.core.counts.http2.resetsReceived[code.index] &+= 1 }
                if case .data(let slot, let content, let isEnd) = step {
                    if run.slot != slot { self.passOn(&run, bytes) }
                    run.add(content, at: offset, of: slot, in: bytes)
                    if isEnd { self.passOn(&run, bytes, isEnd: true) }
                } else {
                    if case .reset = step { self.passOn(&run, bytes) }
                    try self.follow(step, frame, rest, behind: size)
                }
                offset += size
            } catch {
                self.fail(error)
            }
        }
        if self.state == .serving { self.passOn(&run, bytes) }
        return offset
    }

    /// Content of a stream that stands together in the bytes that were read.
    private struct DataRun {
        /// -1: none.
        var slot = -1
        var lower = 0
        var upper = 0

        mutating func add(_ content: Range<Int>, at offset: Int, of slot: Int, in bytes: UnsafeMutableRawBufferPointer)
        {
            let start = offset + content.lowerBound
            if self.slot != slot {
                self.slot = slot
                self.lower = start
                self.upper = start + content.count
                return
            }
            if !content.isEmpty, let base = bytes.baseAddress {
                (base + self.upper).copyMemory(from: base + start, byteCount: content.count)
            }
            self.upper += content.count
        }
    }

    private func passOn(_ run: inout DataRun, _ bytes: UnsafeMutableRawBufferPointer, isEnd: Bool = false) {
        guard run.slot >= 0 else { return }
        let slot = run.slot
        run.slot = -1
        self.takeBody(
            slot, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[run.lower..<run.upper]), isEnd: isEnd)
    }

    private func receive(
        _ frame: Frame, _ size: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectionFault) -> Session.Step {
        var out = FrameWriter(self.core.http2.control)
        do throws(ConnectionFault) {
            let step = try self.session.receive(frame, size: size, in: bytes, now: self.core.now, into: &out)
            self.keep(out)
            return step
        } catch {
            self.keep(out)
            throw error
        }
    }

    private func follow(
        _ step: Session.Step, _ frame: Frame, _ bytes: UnsafeRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) {
        switch step {
        case .none:
            if let (least, last) = self.session.takePeerTable() {
                self.tables.deflater.adopt(tableSize: least)
                self.tables.deflater.adopt(tableSize: last)
            }
        case .request(let slot, let block): try self.open(slot, block, bytes, behind: size)
        case .trailers(let slot, let block): try self.takeTrailers(slot, block, bytes)
        case .discard(let block, let slot):
            try self.skip(block, bytes)
            if let slot { self.cancelled(slot, .badRequest) }
        // Passed on with what else comes of it.
        case .data: break
        case .reset(let slot):
            if case .reset = frame { self.cancelled(slot, .clientClosed) } else { self.cancelled(slot, .badRequest) }
        case .windowOpened, .windowsOpened:
            self.canSend = true
            if let (least, last) = self.session.takePeerTable() {
                self.tables.deflater.adopt(tableSize: least)
                self.tables.deflater.adopt(tableSize: last)
            }
        }
    }

    // MARK: requests

    /// `size`: of the block's frames, behind which its body may stand.
    private func open(
        _ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) {
        while self.streams.count <= slot { self.streams.append(HTTP2Stream()) }
        self.streams[slot].identifier = block.stream
        self.core.counts.http2.streams += 1
        self.core.counts.http2.streamsTotal &+= 1
        let limits = self.core.headLimits
        let room = self.core.http2.request
        var fields = RequestFields(room, limits: limits, allowsProtocol: self.opensWebSockets)
        var pieces = BlockPieces(block, in: bytes)
        while let (piece, isLast) = pieces.next() {
            var rest = piece
            while let field = try self.tables.inflater.next(&rest, isLast: isLast) {
                guard fields.add(field.name, field.value) else { throw ConnectionFault(.fields) }
            }
        }
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
        _ = self.writeReply(answer, on: StreamID(bitPattern: self.streams[slot].identifier))
        self.end(slot, .noError)
    }

    private func record(rejected status: UInt16, _ word: String) {
        self.core.countRejected(status)
        guard let log = self.core.log else { return }
        AccessRecord.writeRejected(
            self, requestID: (self.core.random.next(), self.core.random.next()), status: status, word: word, to: log)
    }

    /// Decodes a block of which nothing is wanted: the table of the connection changes with it.
    private func skip(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var pieces = BlockPieces(block, in: bytes)
        var count = 0
        var size = 0
        while let (piece, isLast) = pieces.next() {
            var rest = piece
            while let field = try self.tables.inflater.next(&rest, isLast: isLast) {
                count += 1
                size += field.name.count + field.value.count + 32
                guard count <= 10 * self.core.headLimits.count, size <= 4 * self.core.headLimits.bytes else {
                    throw ConnectionFault(.fields)
                }
            }
        }
    }

    // MARK: bodies

    private func takeBody(_ slot: Int, _ data: UnsafeRawBufferPointer, isEnd: Bool) {
        if isEnd { self.streams[slot].hasEnd = true }
        guard let exchange = self.streams[slot].exchange, self.streams[slot].hasBody else {
            return self.left(slot, data.count)
        }
        if self.streams[slot].inbound.isEmpty, exchange.with({ $0.takesBody }) {
            self.give(slot, data, isEnd: isEnd, trailerBytes: 0)
        } else {
            self.streams[slot].inbound.append(data, pool: &self.core.buffers)
        }
    }

    private func takeTrailers(
        _ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectionFault) {
        guard let exchange = self.streams[slot].exchange, self.streams[slot].hasBody else {
            return try self.skip(block, bytes)
        }
        let rules = exchange.with { $0.requestTrailers }
        let limit = exchange.with { $0.chunkLimits.trailers }
        let frames = self.core.memory.frames
        var fields = TrailerFields(frames: frames, limit: limit)
        var pieces = BlockPieces(block, in: bytes)
        while let (piece, isLast) = pieces.next() {
            var rest = piece
            while let field = try self.tables.inflater.next(&rest, isLast: isLast) {
                guard fields.add(field.name, field.value, rules: rules) else { throw ConnectionFault(.fields) }
            }
        }
        guard let count = fields.finish() else {
            var out = FrameWriter(self.core.http2.control)
            defer { self.cancelled(slot, .badRequest) }
            // Its END_STREAM came with them; the answer is what is reset.
            try self.session.reset(slot, .protocolError, isCharged: true, now: self.core.now, into: &out)
            return self.keep(out)
        }
        self.session.decoded(fields.bytes)
        self.streams[slot].hasEnd = true
        if self.streams[slot].inbound.isEmpty, exchange.with({ $0.takesBody }) {
            self.give(slot, UnsafeRawBufferPointer(start: nil, count: 0), isEnd: true, trailerBytes: count)
        } else {
            self.streams[slot].trailers.takeOver(
                BodyPiece(isEnd: true, trailerBytes: count), from: frames, pool: &self.core.buffers)
        }
    }

    /// Passes a piece of the body on; it has left once the upstream's kernel has it.
    private func give(_ slot: Int, _ data: UnsafeRawBufferPointer, isEnd: Bool, trailerBytes: Int) {
        guard data.count > 0 || isEnd, let exchange = self.streams[slot].exchange else { return }
        let identifier = self.streams[slot].identifier
        self.streams[slot].lent += data.count
        if isEnd { self.streams[slot].hasGivenEnd = true }
        let piece = BodyPiece(data: data.count, consumed: data.count, isEnd: isEnd, trailerBytes: trailerBytes)
        exchange.with { $0.requestBody(piece, data.baseAddress) }
        // Its exchange may have ended by that, and the stream with it.
        guard self.streams[slot].identifier == identifier, self.streams[slot].exchange != nil else { return }
        if isEnd || exchange.with({ $0.takesBody }) { self.returnLent(slot) }
    }

    private func returnLent(_ slot: Int) {
        let lent = self.streams[slot].lent
        self.streams[slot].lent = 0
        self.left(slot, lent)
    }

    private func left(_ slot: Int, _ count: Int) {
        guard count > 0 else { return }
        var out = FrameWriter(self.core.http2.control)
        self.session.left(slot, count, into: &out)
        self.keep(out)
    }

    func feedLater(_ stream: StreamID) {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)) else { return }
        self.streams[slot].wantsBody = true
        self.canSend = true
        self.wantTurn()
    }

    /// The exchange takes bytes again: what it had has left, and what is held goes on.
    func feed(_ slot: Int) {
        guard let exchange = self.streams[slot].exchange, exchange.with({ $0.takesBody }) else { return }
        self.returnLent(slot)
        guard self.streams[slot].hasBody, !self.streams[slot].hasGivenEnd else { return }
        var held = self.streams[slot].inbound
        self.streams[slot].inbound = ByteQueue()
        let isEnd = self.streams[slot].hasEnd
        var trailers = 0
        if isEnd {
            trailers = self.streams[slot].trailers.putBack(into: self.core.memory.frames)
            self.streams[slot].trailers.clear(pool: &self.core.buffers)
        }
        self.give(slot, held.bytes, isEnd: isEnd, trailerBytes: trailers)
        held.clear(pool: &self.core.buffers)
    }
}
