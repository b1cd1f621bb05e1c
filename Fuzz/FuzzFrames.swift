import HTTP2
import HTTPWire

/// Bytes of an HTTP/2 client, whole and in pieces: both read to the same frames, answers and requests, no slot is given twice,
/// and whatever becomes a head is read by the head parser whole or not at all.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
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
        limits.concurrentStreams = 4
        self.session = Session(limits: limits, timeouts: SessionTimeouts(), lifetime: 1_000_000, now: 1)
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
                        guard let (frame, size) = try FrameReader.next(rest, blockLimit: Self.limits.bytes) else {
                            return
                        }
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
        case .request(let slot, let block):
            precondition(self.open.insert(slot).inserted, "a slot is given twice")
            try self.open(slot, block, bytes)
        case .trailers(let slot, let block):
            precondition(self.open.contains(slot))
            try self.skip(block, bytes)
        case .discard(let block, let slot):
            try self.skip(block, bytes)
            if let slot { try self.detach(slot) }
        case .data(let slot, let content, _):
            precondition(self.open.contains(slot) && content.upperBound <= size)
            try self.write { session, out throws(ConnectionFault) in session.left(slot, content.count, into: &out) }
        case .reset(let slot): try self.detach(slot)
        case .windowOpened, .windowsOpened, .none: break
        case .answer, .leaving: preconditionFailure("a server gets no answers")
        }
    }

    private func detach(_ slot: Int) throws(ConnectionFault) {
        precondition(self.open.remove(slot) != nil, "a stream ends twice")
        try self.write { session, out throws(ConnectionFault) in _ = session.detach(slot, now: 1, into: &out) }
    }

    private func skip(_ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        var fields = BlockFields(block, in: bytes)
        while try fields.next(&self.tables.inflater) != nil {}
    }

    private func open(_ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: RequestFields.room(limit: Self.limits.bytes), alignment: 8)
        defer { room.deallocate() }
        var fields = RequestFields(room, limits: Self.limits)
        var decoded = BlockFields(block, in: bytes)
        while let field = try decoded.next(&self.tables.inflater) {
            guard fields.add(field.name, field.value) else { throw ConnectionFault(.fields) }
        }
        guard case .head(let count) = fields.finish(isEnd: block.isEnd) else {
            try self.write { session, out throws(ConnectionFault) in
                try session.reset(slot, .protocolError, isCharged: true, now: 1, into: &out)
            }
            return try self.detach(slot)
        }
        let head = Array(room[0..<count])
        var table = FieldTable()
        do {
            // A head that means another request behind it, or less than it says, would smuggle one.
            guard let parsed = try HeadParser.request(head.span, limits: Self.limits, fields: &table) else {
                preconditionFailure("half a head")
            }
            precondition(parsed.length == count, "a head and more")
            self.heads.append(head)
        } catch {}
        self.session.opened(slot, expected: fields.announced.map { Int(clamping: $0) })
    }
}
