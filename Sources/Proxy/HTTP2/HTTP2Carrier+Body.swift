import HTTP2
import HTTPWire
import Reactor

/// Bodies on their way in, and the windows that bound what is held of them.
extension HTTP2Carrier {
    func takeBody(_ slot: Int, _ data: UnsafeRawBufferPointer, isEnd: Bool) {
        if isEnd { self.streams[slot].hasEnd = true }
        guard let exchange = self.streams[slot].exchange, self.streams[slot].hasBody else {
            return self.left(slot, data.count)
        }
        let isTaken = exchange.with { self.takesBody($0) }
        if isTaken, self.streams[slot].inbound.isEmpty, exchange.with({ self.passesAtOnce($0) }) {
            return self.give(slot, data, isEnd: isEnd, trailerBytes: 0)
        }
        self.streams[slot].inbound.append(data, pool: &self.core.buffers)
        if isTaken { exchange.with { self.passLater($0) } }
    }

    func takeTrailers(_ slot: Int, _ block: HeaderBlock, _ bytes: UnsafeRawBufferPointer) throws(ConnectionFault) {
        guard let exchange = self.streams[slot].exchange, self.streams[slot].hasBody else {
            return try self.skip(block, bytes)
        }
        let rules = exchange.with { self.trailerRules($0) }
        let limit = exchange.with { $0.chunkLimits.trailers }
        let frames = self.core.memory.frames
        var fields = TrailerFields(frames: frames, limit: limit)
        var decoded = BlockFields(block, in: bytes)
        while let field = try decoded.next(&self.tables.inflater, upTo: self.session.passedOverLimit) {
            let isTaken = fields.add(field.name, field.value, rules: rules)
            guard isTaken || self.session.role == .client else { throw ConnectionFault(.fields) }
        }
        guard let count = fields.finish() else { return try self.trailersBroke(slot) }
        self.session.decoded(fields.bytes)
        self.streams[slot].hasEnd = true
        let isTaken = exchange.with { self.takesBody($0) }
        if isTaken, self.streams[slot].inbound.isEmpty, exchange.with({ self.passesAtOnce($0) }) {
            return self.give(slot, UnsafeRawBufferPointer(start: nil, count: 0), isEnd: true, trailerBytes: count)
        }
        self.streams[slot].trailers.takeOver(
            BodyPiece(isEnd: true, trailerBytes: count), from: frames, pool: &self.core.buffers)
        if isTaken { exchange.with { self.passLater($0) } }
    }

    /// Passes a piece of the body on; it has left once the other side's kernel has it.
    private func give(_ slot: Int, _ data: UnsafeRawBufferPointer, isEnd: Bool, trailerBytes: Int) {
        guard data.count > 0 || isEnd, let exchange = self.streams[slot].exchange else { return }
        let identifier = self.streams[slot].identifier
        self.lend(slot, data.count, isEnd: isEnd)
        let piece = BodyPiece(data: data.count, consumed: data.count, isEnd: isEnd, trailerBytes: trailerBytes)
        exchange.with { self.pass(piece, data.baseAddress, to: $0) }
        self.returnLent(of: identifier, slot, isEnd: isEnd)
    }

    /// Bytes of the body are about to be passed on.
    func lend(_ slot: Int, _ count: Int, isEnd: Bool) {
        self.streams[slot].lent += count
        if isEnd { self.streams[slot].hasGivenEnd = true }
    }

    /// They were. The exchange may have ended by that, and the stream with it.
    func returnLent(of identifier: UInt32, _ slot: Int, isEnd: Bool) {
        guard self.streams[slot].identifier == identifier, let exchange = self.streams[slot].exchange else { return }
        if isEnd || exchange.with({ self.takesBody($0) }) { self.returnLent(slot) }
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
        self.pace.canSend = true
        self.wantTurn()
    }

    /// The exchange takes bytes again: what it had has left, and what is held goes on.
    func feed(_ slot: Int) {
        guard let exchange = self.streams[slot].exchange, exchange.with({ self.takesBody($0) }) else { return }
        self.returnLent(slot)
        guard self.hasHeld(slot) else { return }
        guard exchange.with({ self.passesAtOnce($0) }) else { return exchange.with { self.passLater($0) } }
        self.giveHeld(slot, atMost: .max)
    }

    /// Something came that the exchange has not been given.
    func hasHeld(_ slot: Int) -> Bool {
        self.streams[slot].hasBody && !self.streams[slot].hasGivenEnd
            && (!self.streams[slot].inbound.isEmpty || self.streams[slot].hasEnd)
    }

    /// Passes on what is held, or its begin.
    func giveHeld(_ slot: Int, atMost limit: Int) {
        let identifier = self.streams[slot].identifier
        var held = self.streams[slot].inbound
        self.streams[slot].inbound = ByteQueue()
        let count = min(held.count, limit)
        let isEnd = count == held.count && self.streams[slot].hasEnd
        var trailers = 0
        if isEnd {
            trailers = self.streams[slot].trailers.putBack(into: self.core.memory.frames)
            self.streams[slot].trailers.clear(pool: &self.core.buffers)
        }
        self.give(
            slot, UnsafeRawBufferPointer(rebasing: held.bytes.prefix(count)), isEnd: isEnd, trailerBytes: trailers)
        held.consume(count, pool: &self.core.buffers)
        // The exchange may have ended by that, and the stream with it.
        if self.streams[slot].identifier == identifier {
            self.streams[slot].inbound = held
        } else {
            held.clear(pool: &self.core.buffers)
        }
    }
}
