import HTTP2
import HTTPWire

/// Bytes of an HTTP/2 server to which four requests went, whole and in pieces: both read to the same frames, answers and heads, no
/// slot ends twice, and whatever becomes a head is read by the head parser whole or not at all.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAnswers(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let bytes = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    guard let whole = Carrier(), let pieces = Carrier() else { return 0 }
    whole.take(bytes, piece: bytes.count)
    pieces.take(bytes, piece: Int(start[0] & 31) + 1)
    precondition(whole.fault == pieces.fault, "pieces end otherwise")
    precondition(whole.written == pieces.written, "pieces are answered otherwise")
    precondition(whole.heads == pieces.heads, "pieces say otherwise")
    return 0
}

private final class Carrier {
    private var session: Session
    private var tables: HPACKTables
    private var held: [UInt8] = []
    private var open: Set<Int> = []
    private(set) var written: [UInt8] = []
    private(set) var heads: [[UInt8]] = []
    private(set) var fault: ConnectionFault?
    private static let limits = HeadLimits(requestLine: 512, bytes: 2_048, count: 32)

    init?() {
        guard let tables = HPACKTables() else { return nil }
        self.tables = tables
        var limits = SessionLimits()
        limits.headerBytes = Self.limits.bytes
        self.session = Session(
            role: .client, limits: limits, timeouts: SessionTimeouts(), lifetime: 1_000_000, now: 1)
        for number in 0..<4 {
            guard let slot = self.session.open() else { preconditionFailure("eight may be opened") }
            precondition(self.open.insert(slot).inserted, "a slot is given twice")
            self.session.began(slot)
            // Two of them are whole; the bodies of the others go on.
            if number < 2 { self.session.ended(slot) }
        }
    }

    func take(_ bytes: [UInt8], piece: Int) {
        var offset = 0
        while offset < bytes.count, self.fault == nil {
            let end = min(bytes.count, offset + piece)
            self.held += bytes[offset..<end]
            offset = end
            var used = 0
            let copy = self.held
            copy.withUnsafeBytes { bytes in
                do throws(ConnectionFault) {
                    while true {
                        let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
                        guard
                            let (frame, size) = try FrameReader.next(
                                rest, blockLimit: self.session.blockLimit, oversized: self.session.oversizedBlocks)
                        else { return }
                        try self.take(frame, size, rest)
                        used += size
                    }
                } catch {
                    self.fault = error
                }
            }
            self.held.removeFirst(used)
        }
    }

    private func write(
        _ body: (inout Session, inout FrameWriter) throws(ConnectionFault) -> Void
    ) throws(ConnectionFault) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: FrameWriter.controlRoom, alignment: 8)
        defer { room.deallocate() }
        var out = FrameWriter(room)
        defer {
            precondition(!out.overflowed, "an event writes more than it may")
            self.written += Array(out.bytes)
        }
        try body(&self.session, &out)
    }

    private func take(_ frame: Frame, _ size: Int, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var step = Session.Step.none
        try self.write { session, out throws(ConnectionFault) in
            step = try session.receive(frame, size: size, in: bytes, now: 1, into: &out)
        }
        switch step {
        case .answer(let slot, let block):
            precondition(self.open.contains(slot))
            try self.takeHead(slot, block, bytes)
        case .trailers(let slot, let block):
            precondition(self.open.contains(slot))
            try self.skip(block, bytes)
            try self.end(slot)
        case .discard(let block, let slot):
            try self.skip(block, bytes)
            if let slot { try self.end(slot) }
        case .data(let slot, let content, let isEnd):
            precondition(self.open.contains(slot) && content.upperBound <= size)
            try self.write { session, out throws(ConnectionFault) in session.left(slot, content.count, into: &out) }
            if isEnd { try self.end(slot) }
        case .reset(let slot): try self.end(slot)
        case .leaving(let last):
            for slot in self.open.sorted() where self.session.streams[slot].identifier > last {
                self.session.leftBehind(slot)
                try self.end(slot)
            }
        case .windowOpened(let slot): precondition(self.open.contains(slot))
        case .windowsOpened, .none: break
        case .request: preconditionFailure("a client is asked nothing")
        }
    }

    /// Its exchange lets go, whatever is still open.
    private func end(_ slot: Int) throws(ConnectionFault) {
        precondition(self.open.remove(slot) != nil, "a stream ends twice")
        try self.write { session, out throws(ConnectionFault) in
            try session.reset(slot, .cancel, isCharged: false, now: 1, into: &out)
        }
        var isDone = false
        try self.write { session, out throws(ConnectionFault) in isDone = session.detach(slot, now: 1, into: &out) }
        precondition(isDone, "a stream without an exchange stays")
    }

    private func skip(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var fields = BlockFields(block, in: bytes)
        while try fields.next(&self.tables.inflater) != nil {}
    }

    private func takeHead(_ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: AnswerFields.room(limit: Self.limits.bytes), alignment: 8)
        defer { room.deallocate() }
        var fields = AnswerFields(room, limits: Self.limits)
        var decoded = BlockFields(block, in: bytes)
        while let field = try decoded.next(&self.tables.inflater, upTo: self.session.passedOverLimit) {
            fields.add(field.name, field.value)
        }
        guard case .head(let count) = fields.finish() else { return try self.end(slot) }
        let head = Array(room[0..<count])
        var table = FieldTable()
        let parsed: ResponseHead
        do throws(HeadError) {
            // A head that means another answer behind it, or less than it says, would split one.
            guard
                let whole = try HeadParser.response(head.span, to: .get, limits: Self.limits, fields: &table)
            else { preconditionFailure("half a head") }
            parsed = whole
        } catch { return try self.end(slot) }
        precondition(parsed.length == count, "a head and more")
        precondition(parsed.status != 101, "a server switches protocols")
        self.heads.append(head)
        if parsed.status < 200 {
            if block.isEnd { try self.end(slot) }
            return
        }
        var expected: Int?
        switch parsed.framing {
        case .none: expected = 0
        case .length(let length): expected = Int(clamping: length)
        case .untilClose, .chunked: break
        }
        self.session.answered(slot, expected: expected)
        if block.isEnd || !self.session.isAnswerExact(slot) { try self.end(slot) }
    }
}
