import Glibc
import HTTP2
import HTTPWire
import Reactor

/// Frames on their way out: field blocks and bodies, as windows and the socket let them.
extension HTTP2Carrier {
    /// Data of a stream that one pass sends before the next stream has its turn.
    private static var turn: Int { 16_384 }
    /// From here on data is sent from where it lies; below it is copied behind what else the turn sends.
    private static var directWrite: Int { 8_192 }
    /// Held bytes that a window must let through to count as progress: one that opens a byte at a time holds memory for ever.
    private static var progress: Int { 1_024 }
    /// Milliseconds for which a window under `progress` is left alone while more waits than it lets through: a frame for each few
    /// bytes costs more than they are worth.
    private static var dribble: UInt64 { 200 }

    // MARK: field blocks

    /// HEADERS, or trailers, from the fields in the worker's memory. False if they are too many: nothing was written then.
    func writeBlock(_ slot: Int, isEnd: Bool) -> Bool {
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

    /// HEADERS behind a body, which end the stream.
    private func writeTrailers(_ slot: Int, _ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        self.core.http2.fields.removeAll()
        var lines = FieldLines(bytes, startsWithLine: false)
        while let (name, value) = lines.next() { self.core.http2.fields.append(name: name, value: value) }
        return self.writeBlock(slot, isEnd: true)
    }

    // MARK: bodies

    func hasLeft(_ stream: StreamID) -> Bool {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)) else { return true }
        // Behind END_STREAM nothing of it waits but what the connection holds.
        return self.session.streams[slot].hasEnded || (self.streams[slot].isClear && self.channel.isClear)
    }

    /// Bytes whose going down shows that the peer takes what it is sent: of the stream where a window holds them, else the
    /// connection's.
    func heldBack(_ stream: StreamID) -> Int {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), !self.streams[slot].outbound.isEmpty
        else { return self.channel.unacknowledged() }
        return (self.streams[slot].outbound.count + Self.progress - 1) / Self.progress
    }

    func flow(_ slot: Int) -> Flow {
        if self.channel.isBroken { return .gone }
        return self.streams[slot].isClear && self.channel.isClear ? .clear : .waits
    }

    /// Sends as much of a piece as windows and socket take, and holds the rest.
    func send(_ slot: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?) -> Flow {
        let bytes = UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : piece.data)
        var sent = 0
        if self.streams[slot].outbound.isEmpty, !self.yields(slot) {
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

    /// One that is more urgent has something to send and may: it goes first, as soon as it is its turn.
    private func yields(_ slot: Int) -> Bool {
        let above = self.session.streams.urgencies & ((1 << self.session.streams[slot].urgency) &- 1)
        guard above != 0 else { return false }
        for other in self.streams.indices where self.streams[other].identifier != 0 {
            let waiting = self.streams[other].outbound.count
            guard waiting > 0, above & 1 << self.session.streams[other].urgency != 0,
                self.session.room(other) >= min(waiting, Self.progress)
            else { continue }
            self.pace.canSend = true
            self.wantTurn()
            return true
        }
        return false
    }

    private func keepTrailers(_ slot: Int, _ count: Int) {
        let lines = self.core.memory.frames[BodyFrames.trailerOffset...].prefix(count)
        self.streams[slot].outboundTrailers.append(
            UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: lines)), pool: &self.core.buffers)
    }

    /// END_STREAM, with the trailers or by itself.
    private func sendEnd(_ slot: Int) {
        self.streams[slot].endsOutput = false
        if !self.streams[slot].outboundTrailers.isEmpty {
            let isWritten = self.writeTrailers(slot, self.streams[slot].outboundTrailers.mutableBytes)
            self.streams[slot].outboundTrailers.clear(pool: &self.core.buffers)
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
            guard room > 0, self.isWorth(slot, room, of: bytes.count - sent) else { break }
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
        if sent > 0 { self.noteProgress() }
        return sent
    }

    /// Whether a window is used now: a small one, with more waiting than it lets through, only after a while.
    private func isWorth(_ slot: Int, _ room: Int, of waiting: Int) -> Bool {
        if room >= min(waiting, Self.progress) {
            self.streams[slot].dribblesAt = 0
            return true
        }
        let now = self.core.now
        if self.streams[slot].dribblesAt == 0 {
            self.streams[slot].dribblesAt = now + Self.dribble
        } else if now >= self.streams[slot].dribblesAt {
            self.streams[slot].dribblesAt = 0
            return true
        }
        self.schedule(self.streams[slot].dribblesAt)
        return false
    }

    /// Has `streamsAreDue` called at that time at the latest.
    func schedule(_ time: UInt64) {
        guard time < self.pace.streamsDue else { return }
        self.pace.streamsDue = time
        self.rearm()
    }

    /// A deadline of a stream has passed, or of several.
    func streamsAreDue() {
        guard self.core.now >= self.pace.streamsDue else { return }
        self.pace.streamsDue = .max
        // Those that dribble go on, or say again when.
        self.pace.canSend = true
        for slot in self.streams.indices {
            let leaves = self.streams[slot].leavesAt
            guard leaves > 0 else { continue }
            if self.core.now >= leaves { self.giveUpOn(slot) } else { self.schedule(leaves) }
        }
        self.wantTurn()
    }

    /// One without an exchange has had long enough.
    private func giveUpOn(_ slot: Int) {
        self.reset(slot, .cancel)
        self.forget(slot)
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

    /// What was held back, both ways, goes on as far as it may; then exchanges hear that they may go on. Streams of one urgency take
    /// turns, and the less urgent get what those above leave (RFC 9218 10).
    func passHeld() {
        guard self.pace.canSend || self.pace.hasCleared else { return }
        self.pace.canSend = false
        for slot in self.streams.indices where self.streams[slot].wantsBody {
            self.streams[slot].wantsBody = false
            self.feed(slot)
        }
        let hasCleared = self.pace.hasCleared
        self.pace.hasCleared = false
        var urgencies = self.session.streams.urgencies
        guard urgencies & (urgencies &- 1) != 0 else {
            self.sendHeld(of: .max)
            self.askForMore(of: .max, hasCleared: hasCleared)
            return
        }
        while urgencies != 0, self.channel.isClear, !self.channel.isBroken {
            let level = urgencies & (0 &- urgencies)
            urgencies ^= level
            let before = self.pace.sent
            self.sendHeld(of: level)
            self.noteMove(of: self.pace.sent &- before, over: urgencies)
            guard self.askForMore(of: level, hasCleared: hasCleared), urgencies != 0 else { continue }
            // What was asked for may be there within this turn, and goes before those below; they are next in any case, unless
            // it fills what is open.
            self.pace.canSend = true
            self.pace.hasCleared = hasCleared
            return
        }
    }

    /// Whether the stream's urgency is among those, a bit for each.
    private func isAmong(_ urgencies: UInt8, _ slot: Int) -> Bool {
        urgencies == .max || urgencies & 1 << self.session.streams[slot].urgency != 0
    }

    /// One turn for each stream of these urgencies after the other, until windows, socket or bytes end.
    private func sendHeld(of urgencies: UInt8) {
        var isMoving = true
        while isMoving, self.channel.isClear, !self.channel.isBroken {
            isMoving = false
            let first = self.pace.nextSlot
            for step in 0..<self.streams.count {
                let slot = (first + step) % self.streams.count
                guard self.streams[slot].identifier != 0, !self.streams[slot].isClear, self.isAmong(urgencies, slot),
                    self.sendTurn(slot)
                else { continue }
                isMoving = true
                // Those for which nothing was left come first when there is.
                self.pace.nextSlot = (slot + 1) % self.streams.count
            }
        }
    }

    /// Streams of these urgencies were passed over for one that moved: the peer takes what it has asked for first, and is not slow
    /// for them. One whose own window is closed waits for nobody else.
    private func noteMove(of count: Int, over urgencies: UInt8) {
        guard urgencies != 0 else { return }
        self.pace.passedOver += count
        guard self.pace.passedOver >= Self.progress else { return }
        self.pace.passedOver = 0
        for slot in self.streams.indices where self.streams[slot].identifier != 0 && self.isAmong(urgencies, slot) {
            let waiting = self.streams[slot].outbound.count
            guard waiting > 0, self.session.ownRoom(slot) >= min(waiting, Self.progress) else { continue }
            self.streams[slot].exchange?.with { self.peerMoved($0) }
        }
    }

    /// Exchanges of which all has gone hear so. True: there was one that had been held back.
    @discardableResult
    private func askForMore(of urgencies: UInt8, hasCleared: Bool) -> Bool {
        let tellsAll = hasCleared && self.channel.isClear
        var wasBlocked = false
        let first = self.pace.nextTold
        for step in 0..<self.streams.count {
            let slot = (first + step) % self.streams.count
            guard self.streams[slot].isBlocked || tellsAll, self.streams[slot].isClear,
                let exchange = self.streams[slot].exchange, self.isAmong(urgencies, slot)
            else { continue }
            guard self.channel.isClear else {
                // Those before have filled the socket: this one is first when it clears.
                self.pace.nextTold = slot
                break
            }
            if self.streams[slot].isBlocked {
                self.streams[slot].isBlocked = false
                wasBlocked = true
                exchange.with { self.peerMoved($0) }
            }
            exchange.with { self.peerCleared($0) }
        }
        return wasBlocked
    }

    private func sendTurn(_ slot: Int) -> Bool {
        var held = self.streams[slot].outbound
        let bytes = UnsafeRawBufferPointer(rebasing: held.bytes.prefix(Self.turn))
        let isWhole = bytes.count == held.count
        let isEnd = isWhole && self.streams[slot].endsOutput && self.streams[slot].outboundTrailers.isEmpty
        let sent = bytes.isEmpty ? 0 : self.sendData(slot, bytes, isEnd: isEnd)
        if sent > 0 {
            held.consume(sent, pool: &self.core.buffers)
            self.streams[slot].outbound = held
            self.streams[slot].moved += sent
            self.pace.sent &+= sent
            if self.streams[slot].moved >= Self.progress || held.isEmpty {
                self.streams[slot].moved = 0
                self.streams[slot].exchange?.with { self.peerMoved($0) }
            }
        }
        guard self.streams[slot].outbound.isEmpty, self.streams[slot].endsOutput else { return sent > 0 }
        if self.session.streams[slot].hasEnded {
            self.streams[slot].endsOutput = false
        } else {
            self.sendEnd(slot)
        }
        if self.streams[slot].leavesAt > 0 {
            // Its exchange has gone before.
            self.reset(slot, .noError)
            self.forget(slot)
        }
        return true
    }
}
