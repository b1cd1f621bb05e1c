import HTTP2
import HTTPWire
import Traffic

/// What a connection for copies has beside its bytes where it speaks HTTP/2: one stream at a time, as one copy has the connection
/// at a time. `Session` decides about frames, streams and windows; nothing here reads or writes a socket.
final class MirrorHTTP2 {
    /// What a frame meant for the copy.
    enum Event {
        case nothing
        /// The final head, in the thread's memory until the next frame.
        case head(ResponseHead, UnsafeRawBufferPointer, isEnd: Bool)
        /// A piece of the body, of the bytes that were given.
        case data(Range<Int>, isEnd: Bool)
        /// Trailers ended the answer; nothing of them is wanted.
        case end
        /// There will be no answer.
        case lost(MirrorDrop)
    }

    private let core: MirrorCore
    private var session: Session
    private var tables: HPACKTables
    /// -1: no copy.
    private var slot = -1
    private var body: [UInt8] = []
    /// Bytes of the body that have gone.
    private var sent = 0
    /// Frames to be sent.
    private(set) var outbox: [UInt8] = []

    /// nil: there is no memory.
    init?(_ core: MirrorCore, limits: Limits) {
        guard let tables = HPACKTables() else { return nil }
        self.core = core
        self.tables = tables
        self.session = Session(
            role: .client, limits: SessionLimits(upstream: limits), timeouts: SessionTimeouts(), lifetime: .max,
            now: core.now)
        var out = FrameWriter(core.http2.control)
        self.session.begin(into: &out)
        self.keep(out)
    }

    /// Another copy may follow.
    var takesCopies: Bool { self.session.takesStreams }

    func takeOutbox() -> [UInt8] {
        defer { self.outbox = [] }
        return self.outbox
    }

    private func keep(_ out: borrowing FrameWriter) { self.outbox.append(contentsOf: out.bytes) }

    // MARK: the request

    /// `head`: as `RequestRewriter` writes it. False: there is no stream for it, or no room for its fields.
    func send(_ head: UnsafeMutableRawBufferPointer, body: [UInt8], isSecure: Bool) -> Bool {
        guard var lines = RequestLines(head), let slot = self.session.open() else { return false }
        self.slot = slot
        self.body = body
        self.sent = 0
        self.core.http2.fields.removeAll()
        self.core.http2.fields.append(":method", lines.method)
        self.core.http2.fields.append(":scheme", isSecure ? "https" : "http")
        self.core.http2.fields.append(":path", lines.path)
        if !lines.authority.isEmpty { self.core.http2.fields.append(":authority", lines.authority) }
        while let (name, value) = lines.fields.next() {
            self.core.http2.fields.append(name: name, value: value, isSecret: RequestLines.isSecret(name))
        }
        guard self.core.http2.fields.size <= self.session.peerFieldBytes,
            let count = self.tables.deflater.encode(self.core.http2.fields, into: self.core.http2.block)
        else { return false }
        let identifier = self.session.streams[slot].identifier
        let room = FrameWriter.headersRoom(count)
        let start = self.outbox.count
        self.outbox.append(contentsOf: repeatElement(0, count: room))
        let written = self.outbox.withUnsafeMutableBytes { bytes in
            var out = FrameWriter(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            out.headers(
                identifier, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.core.http2.block)[0..<count]),
                isEnd: body.isEmpty)
            return out.count
        }
        self.outbox.removeLast(room - written)
        self.session.began(slot)
        if body.isEmpty { self.session.ended(slot) } else { self.sendBody() }
        return true
    }

    /// As much as windows let through.
    private func sendBody() {
        guard self.slot >= 0 else { return }
        let identifier = self.session.streams[self.slot].identifier
        while self.sent < self.body.count {
            let count = min(self.body.count - self.sent, self.session.room(self.slot), FrameReader.maximumLength)
            guard count > 0 else { return }
            let isEnd = self.sent + count == self.body.count
            let start = self.outbox.count
            self.outbox.append(contentsOf: repeatElement(0, count: FrameReader.headerSize + count))
            self.outbox.withUnsafeMutableBytes { bytes in
                var out = FrameWriter(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
                self.body.withUnsafeBytes { body in
                    out.data(
                        identifier, UnsafeRawBufferPointer(rebasing: body[self.sent..<self.sent + count]), isEnd: isEnd)
                }
            }
            self.session.sent(self.slot, count)
            self.sent += count
            if isEnd { self.session.ended(self.slot) }
        }
    }

    // MARK: the answer

    /// The frame at the start of `bytes`, which hold it whole, and its size; nil: more must come. Throws where the connection is
    /// at an end by it.
    func next(
        _ bytes: UnsafeRawBufferPointer, for request: CopiedRequest?
    ) throws(ConnectionFault) -> (event: Event, size: Int)? {
        guard let (frame, size) = try FrameReader.next(bytes, blockLimit: self.session.blockLimit) else { return nil }
        return (try self.take(frame, size, bytes, request), size)
    }

    private func take(
        _ frame: Frame, _ size: Int, _ bytes: UnsafeRawBufferPointer, _ request: CopiedRequest?
    ) throws(ConnectionFault) -> Event {
        let step = try self.judge(frame, size, bytes)
        switch step {
        case .none: self.adoptPeerTable()
        case .windowOpened, .windowsOpened:
            self.adoptPeerTable()
            self.sendBody()
        case .answer(let slot, let block):
            guard slot == self.slot, let request else {
                try self.skip(block, bytes)
                return .nothing
            }
            return try self.head(slot, block, bytes, request)
        case .trailers(let slot, let block):
            try self.skip(block, bytes)
            if slot == self.slot { return .end }
        case .discard(let block, let slot):
            try self.skip(block, bytes)
            if slot != nil, slot == self.slot { return .lost(.decode) }
        case .data(let slot, let content, let isEnd):
            var out = FrameWriter(self.core.http2.control)
            self.session.left(slot, content.count, into: &out)
            self.keep(out)
            if slot == self.slot { return .data(content, isEnd: isEnd) }
        case .reset(let slot):
            guard slot == self.slot else { break }
            // Its own word, or ours for a rule that it broke.
            if case .reset = frame { return .lost(.unavailable) }
            return .lost(.decode)
        case .leaving(let last):
            if self.slot >= 0, self.session.streams[self.slot].identifier > last { return .lost(.unavailable) }
        case .request: break
        }
        return .nothing
    }

    private func judge(
        _ frame: Frame, _ size: Int, _ bytes: UnsafeRawBufferPointer
    ) throws(ConnectionFault) -> Session.Step {
        var out = FrameWriter(self.core.http2.control)
        let step = try self.session.receive(frame, size: size, in: bytes, now: self.core.now, into: &out)
        self.keep(out)
        return step
    }

    private func adoptPeerTable() {
        guard let (least, last) = self.session.takePeerTable() else { return }
        self.tables.deflater.adopt(tableSize: least)
        self.tables.deflater.adopt(tableSize: last)
    }

    private func head(
        _ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer, _ request: CopiedRequest
    ) throws(ConnectionFault) -> Event {
        let limits = request.route.responseHeadLimits
        let room = self.core.http2.request
        var fields = AnswerFields(room, limits: limits)
        var decoded = BlockFields(block, in: bytes)
        while let field = try decoded.next(&self.tables.inflater, upTo: self.session.passedOverLimit) {
            fields.add(field.name, field.value)
        }
        self.session.decoded(decoded.size)
        guard case .head(let count) = fields.finish() else { return .lost(.decode) }
        let source = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<count])
        let parsed = try? HeadParser.response(
            source.bindMemory(to: UInt8.self).span, to: request.head.head.method, limits: limits,
            fields: &self.core.memory.fields)
        guard let head = parsed, head.length == count, head.status != 101 else { return .lost(.decode) }
        // Interim heads end nothing (RFC 9113 8.1).
        if head.status < 200 { return block.isEnd ? .lost(.decode) : .nothing }
        let expected: Int? =
            switch head.framing {
            case .none: 0
            case .length(let length): Int(clamping: length)
            case .untilClose, .chunked: nil
            }
        self.session.answered(slot, expected: expected)
        guard self.session.isAnswerExact(slot) else { return .lost(.decode) }
        return .head(head, source, isEnd: block.isEnd)
    }

    /// A block of which nothing is wanted: the table of the connection changes with it.
    private func skip(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var fields = BlockFields(block, in: bytes)
        while try fields.next(&self.tables.inflater, upTo: self.session.passedOverLimit) != nil {}
    }

    /// The copy is done with. True: both messages have ended, and another may follow.
    func finish() -> Bool {
        guard self.slot >= 0 else { return false }
        var out = FrameWriter(self.core.http2.control)
        let isDone = self.session.detach(self.slot, now: self.core.now, into: &out)
        self.keep(out)
        self.slot = -1
        self.body = []
        return isDone && self.takesCopies
    }
}
