/// Either side of one HTTP/2 connection, without its bytes: settings, streams, windows, floods, and how it ends.
///
/// The carrier gives it each frame (`receive`) and does what the answer says; control frames are written to `out`, which has
/// `FrameWriter.controlRoom` free. A `ConnectionFault` ends the connection: the carrier calls `fail` and closes. `now` is in
/// milliseconds.
///
/// It is never copied: a carrier that only looks at it would otherwise copy it first, with all that it refers to, twenty times a
/// request.
package struct Session: ~Copyable, Sendable {
    /// Which side we are. Streams are the client's to open: nothing is ever pushed.
    package enum Role: Sendable {
        case server, client
    }

    /// What a frame asks of the carrier.
    package enum Step: Equatable, Sendable {
        case none
        /// A new stream: decode, then `opened` or `reset`.
        case request(slot: Int, HeaderBlock)
        /// The head of an answer, an interim one or the final one: decode, then `answered` behind the latter.
        case answer(slot: Int, HeaderBlock)
        /// The fields behind a body, and its end.
        case trailers(slot: Int, HeaderBlock)
        /// Decode and forget. `slot`: that stream was reset by this; its exchange goes.
        case discard(HeaderBlock, slot: Int?)
        case data(slot: Int, content: Range<Int>, isEnd: Bool)
        /// The stream was reset, by the peer or for its fault: its exchange goes, then `detach`.
        case reset(slot: Int)
        /// The stream may send more.
        case windowOpened(slot: Int)
        /// Every stream may.
        case windowsOpened
        /// The server takes no more streams, and has not looked at those above `last`, which may be opened elsewhere.
        case leaving(last: UInt32)
    }

    enum Phase: Sendable {
        case open
        /// The first GOAWAY went; the second follows at the latest at that time.
        case warned(until: UInt64)
        /// The second went: streams above are not served.
        case last(UInt32)
        case failed
    }

    package static let largestWindow = 0x7FFF_FFFF

    package let role: Role
    let limits: SessionLimits
    let timeouts: SessionTimeouts
    package internal(set) var streams = StreamTable()
    var phase = Phase.open
    var floods: FloodMeter
    /// What we may send on the connection.
    var sendWindow = 65_535
    var window: ReceiveWindow
    /// What the peer's SETTINGS say: the window that its streams begin with.
    var peerFirstWindow = 65_535
    /// Its HPACK table sizes, the least and the last that were said since the carrier asked.
    var peerTable: (least: Int, last: Int)?
    package internal(set) var hasPeerSettings = false
    /// Streams at a time that the peer takes; it bounds a client only.
    var peerStreams = Int.max
    /// Bytes of fields in one block that the server takes (6.5.2).
    package internal(set) var peerFieldBytes = Int.max
    /// The server opens WebSockets (RFC 8441 3).
    package internal(set) var peerTakesConnect = false
    /// The stream that a client opens next.
    var next: UInt32 = 1
    /// Urgencies of streams that the client has not opened yet.
    var early: ContiguousArray<(stream: UInt32, urgency: UInt8)> = []
    /// Streams refused before the peer can have known how many there may be.
    var earlyRefusals = 0
    var isAcknowledged = false
    /// The rest of a field block that is too large, and of which nothing is wanted; nil: none is on its way.
    var passedOver: PassedOver?
    package internal(set) var isPeerLeaving = false
    // Times.
    var began: UInt64
    var lifetime: UInt64
    /// When the last whole frame came.
    var lastFrame: UInt64
    /// Since when no stream is open.
    var idleSince: UInt64
    var pingSent: UInt64?
    var pings: UInt64 = 0

    /// `lifetime` in milliseconds, with whatever spread the carrier gives it.
    package init(
        role: Role = .server, limits: SessionLimits, timeouts: SessionTimeouts, lifetime: UInt64, now: UInt64
    ) {
        self.role = role
        self.limits = limits
        self.timeouts = timeouts
        self.floods = FloodMeter(limits, of: role, now: now)
        self.window = ReceiveWindow(available: 65_535, target: limits.connectionWindow)
        self.began = now
        self.lifetime = lifetime
        self.lastFrame = now
        self.idleSince = now
    }

    /// Bytes that a compressed field block may have: beyond them a client's connection ends. That of a server has requests of many
    /// clients on it, so that a head which is too large costs its own stream alone: it is decoded in parts, and forgotten.
    package var blockLimit: Int { self.role == .server ? self.limits.headerBytes : 2 * self.limits.headerBytes }

    /// How the frame reader goes on.
    package var oversizedBlocks: FrameReader.Oversized {
        if let passedOver { return .following(stream: passedOver.stream) }
        return self.role == .server ? .refused : .split
    }

    /// Bytes of fields that a block, or a part of one, may come to where nothing of it is wanted (as RFC 9113 6.5.2 counts them): a
    /// few bytes can stand for many.
    package var passedOverLimit: Int { 4 * self.blockLimit }

    /// Our SETTINGS, and the connection's window. `extendedConnect`: the client may ask for a WebSocket (RFC 8441 3).
    package mutating func begin(into out: inout FrameWriter, extendedConnect: Bool = false) {
        if self.role == .client {
            out.preface()
            // ENABLE_PUSH 0: a promise is refused by the frame reader.
            out.settings([
                (0x2, 0), (0x4, UInt32(SessionLimits.firstWindow)), (0x6, UInt32(clamping: self.limits.headerBytes)),
            ])
            let opening = self.window.sharedOpening()
            if opening > 0 { out.windowUpdate(0, opening) }
            return
        }
        let entries: [(UInt16, UInt32)] = [
            (0x3, UInt32(clamping: self.limits.concurrentStreams)), (0x4, UInt32(SessionLimits.firstWindow)),
            (0x6, UInt32(clamping: self.limits.headerBytes)), (0x9, 1),
        ]
        out.settings(extendedConnect ? entries + [(0x8, 1)] : entries)
        let opening = self.window.sharedOpening()
        if opening > 0 { out.windowUpdate(0, opening) }
    }

    // MARK: frames

    /// Judges one whole frame of `size` bytes, which stands at the start of `bytes`.
    package mutating func receive(
        _ frame: Frame, size: Int, in bytes: UnsafeRawBufferPointer, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        if !self.hasPeerSettings {
            // The preface is not whole without it (3.4).
            guard case .settings = frame else { throw ConnectionFault(.protocolError) }
        }
        self.lastFrame = now
        try self.floods.came(size)
        switch frame {
        case .data(let stream, let content, let flow, let isEnd):
            return try self.data(stream, content, flow: flow, isEnd: isEnd, now: now, into: &out)
        case .headers(let block):
            if self.passedOver != nil || !block.isWhole { return try self.passOver(block, size, now: now, into: &out) }
            return self.role == .server
                ? try self.headers(block, now: now, into: &out) : try self.answerHeaders(block, now: now, into: &out)
        case .priority: try self.floods.priority()
        case .priorityUpdate(let stream, let value):
            try self.priorityUpdate(stream, UnsafeRawBufferPointer(rebasing: bytes[value]))
        case .unknown: try self.floods.unknown(now: now)
        case .reset(let stream, _):
            try self.refuseIdle(stream)
            try self.floods.reset(now: now)
            guard let slot = self.streams.find(stream), !self.streams[slot].isCancelled else { return .none }
            self.streams[slot].isCancelled = true
            return .reset(slot: slot)
        case .settings(let entries): return try self.settings(entries, in: bytes, now: now, into: &out)
        case .settingsAcknowledged: self.isAcknowledged = true
        case .ping(let data, let isAcknowledgement):
            try self.floods.ping(now: now)
            if isAcknowledgement {
                self.pingAnswered(data, into: &out)
            } else {
                out.ping(data, isAcknowledgement: true)
            }
        case .goAway(let last, _):
            try self.floods.unknown(now: now)
            self.isPeerLeaving = true
            if self.role == .client { return .leaving(last: last) }
        case .windowUpdate(let stream, let increment):
            return try self.windowUpdate(stream, increment, now: now, into: &out)
        case .malformed(let stream, let code):
            // PRIORITY may name any stream.
            if code != .frameSizeError { try self.refuseIdle(stream) }
            return try self.fault(of: stream, code, now: now, into: &out)
        }
        return .none
    }

    /// The peer was told that such streams are not served.
    func isBehindLast(_ stream: UInt32) -> Bool {
        guard case .last(let last) = self.phase else { return false }
        return stream > last
    }

    /// A frame on a stream that the client has not opened (5.1).
    func refuseIdle(_ stream: UInt32) throws(ConnectionFault) {
        guard stream & 1 == 1, stream <= self.streams.last else { throw ConnectionFault(.protocolError) }
    }

    private mutating func data(
        _ stream: UInt32, _ content: Range<Int>, flow: Int, isEnd: Bool, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        try self.refuseIdle(stream)
        guard self.window.take(flow) else { throw ConnectionFault(.flowControlError) }
        // Also of what is dropped: it may have been on its way before the peer knew of our reset.
        self.floods.carried(content.count)
        // What stalled streams hold does not close it.
        self.leftConnection(0, into: &out)
        // Its HEADERS crossed our last GOAWAY and were dropped: so is what follows them (6.8).
        guard !self.isBehindLast(stream) else {
            self.leftConnection(flow, into: &out)
            return .none
        }
        guard let slot = self.streams.find(stream) else {
            guard self.streams.wasReset(stream, now: now) else { throw ConnectionFault(.streamClosed) }
            self.leftConnection(flow, into: &out)
            return .none
        }
        guard !self.streams[slot].isCancelled else {
            self.leftConnection(flow, into: &out)
            return .none
        }
        var fault: ErrorCode?
        if self.streams[slot].hasPeerEnded {
            fault = .streamClosed
        } else if self.role == .client, !self.streams[slot].hasHead {
            // A body before its head (8.1).
            fault = .protocolError
        } else if !self.streams[slot].window.take(flow) {
            fault = .flowControlError
        } else if !self.streams[slot].takesLength(content.count, isEnd: isEnd) {
            self.streams[slot].window.left(flow)
            fault = .protocolError
        }
        if let fault {
            self.leftConnection(flow, into: &out)
            return try self.fault(of: stream, fault, now: now, into: &out)
        }
        if isEnd {
            self.streams[slot].hasPeerEnded = true
        } else if content.isEmpty {
            self.streams[slot].emptyData += 1
            guard self.streams[slot].emptyData <= self.floods.emptyData else { throw ConnectionFault(.emptyData) }
        }
        if flow > content.count { self.left(slot, flow - content.count, into: &out) }
        return .data(slot: slot, content: content, isEnd: isEnd)
    }

    private mutating func headers(
        _ block: HeaderBlock, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        let stream = block.stream
        guard stream & 1 == 1 else { throw ConnectionFault(.protocolError) }
        if self.isBehindLast(stream) {
            self.streams.note(stream)
            return .discard(block, slot: nil)
        }
        if let slot = self.streams.find(stream) {
            guard !self.streams[slot].isCancelled else { return .discard(block, slot: nil) }
            guard !self.streams[slot].hasPeerEnded else {
                _ = try self.fault(of: stream, .streamClosed, now: now, into: &out)
                return .discard(block, slot: slot)
            }
            // Trailers end the stream (8.1), and the length was to be right before them.
            guard block.isEnd, self.streams[slot].takesLength(0, isEnd: true) else {
                _ = try self.fault(of: stream, .protocolError, now: now, into: &out)
                return .discard(block, slot: slot)
            }
            self.streams[slot].hasPeerEnded = true
            return .trailers(slot: slot, block)
        }
        guard stream > self.streams.last else {
            guard self.streams.wasReset(stream, now: now) else { throw ConnectionFault(.streamClosed) }
            return .discard(block, slot: nil)
        }
        self.streams.note(stream)
        let early = self.takeEarly(stream)
        self.floods.opened()
        guard self.streams.count < self.limits.concurrentStreams else {
            try self.chargeRefusal(now: now)
            self.writeReset(stream, .refusedStream, isAnswer: true, now: now, into: &out)
            return .discard(block, slot: nil)
        }
        var new = Stream(
            sendWindow: self.peerFirstWindow,
            window: ReceiveWindow(available: SessionLimits.firstWindow, target: SessionLimits.firstWindow))
        new.hasPeerEnded = block.isEnd
        if let early {
            new.urgency = early
            new.hasUpdate = true
        }
        return .request(slot: self.streams.insert(stream, new), block)
    }

    /// A stream too many is charged to the peer only where it knew: not before it has acknowledged our SETTINGS, and not where
    /// streams that it has ended, or reset, still have an attempt under way.
    private mutating func chargeRefusal(now: UInt64) throws(ConnectionFault) {
        guard self.isAcknowledged else {
            self.earlyRefusals += 1
            if self.earlyRefusals > Self.earlyRefusalsFree { try self.floods.reset(now: now) }
            return
        }
        guard self.streams.openCount >= self.limits.concurrentStreams else { return }
        try self.floods.reset(now: now)
    }

    private static let earlyRefusalsFree = 1_000

    private mutating func settings(
        _ entries: Range<Int>, in bytes: UnsafeRawBufferPointer, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        try self.floods.settings(now: now)
        guard entries.count / 6 <= FloodMeter.settingsEntries else { throw ConnectionFault(.settings) }
        var opens = false
        for offset in stride(from: entries.lowerBound, to: entries.upperBound, by: 6) {
            let value = FrameReader.word(bytes, at: offset + 2)
            switch UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) {
            case 0x1:
                let size = Int(value)
                self.peerTable = (min(self.peerTable?.least ?? size, size), size)
            // A server pushes, or does not say so (6.5.2).
            case 0x2: guard value <= (self.role == .server ? 1 : 0) else { throw ConnectionFault(.protocolError) }
            case 0x3: self.peerStreams = Int(value)
            case 0x4:
                guard value <= UInt32(Self.largestWindow) else { throw ConnectionFault(.flowControlError) }
                if try self.moveWindows(to: Int(value)) { opens = true }
            case 0x5:
                guard value >= 16_384, value <= 16_777_215 else { throw ConnectionFault(.protocolError) }
            case 0x6 where self.role == .client: self.peerFieldBytes = Int(value)
            case 0x8 where self.role == .client:
                // It cannot be taken back (RFC 8441 3).
                guard value <= 1, value == 1 || !self.peerTakesConnect else { throw ConnectionFault(.protocolError) }
                self.peerTakesConnect = value == 1
            // RFC 9218 2.1.
            case 0x9: guard value <= 1 else { throw ConnectionFault(.protocolError) }
            default: break
            }
        }
        self.hasPeerSettings = true
        out.settingsAcknowledged()
        return opens ? .windowsOpened : .none
    }

    /// The first window of the peer's streams changes, and that of each open one with it (6.9.2). True if they opened.
    private mutating func moveWindows(to first: Int) throws(ConnectionFault) -> Bool {
        let change = first - self.peerFirstWindow
        self.peerFirstWindow = first
        for slot in 0..<self.streams.slots where !self.streams.isFree(slot) {
            self.streams[slot].sendWindow += change
            guard self.streams[slot].sendWindow <= Self.largestWindow else { throw ConnectionFault(.flowControlError) }
        }
        return change > 0
    }

    private mutating func windowUpdate(
        _ stream: UInt32, _ increment: Int, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        try self.floods.windowUpdate()
        guard stream != 0 else {
            self.sendWindow += increment
            guard self.sendWindow <= Self.largestWindow else { throw ConnectionFault(.flowControlError) }
            return .windowsOpened
        }
        try self.refuseIdle(stream)
        guard let slot = self.streams.find(stream), !self.streams[slot].isCancelled else { return .none }
        self.streams[slot].sendWindow += increment
        guard self.streams[slot].sendWindow <= Self.largestWindow else {
            return try self.fault(of: stream, .flowControlError, now: now, into: &out)
        }
        return .windowOpened(slot: slot)
    }

    // MARK: resets

    /// The peer broke a rule of one stream: RST_STREAM, at its charge.
    mutating func fault(
        of stream: UInt32, _ code: ErrorCode, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        try self.floods.reset(now: now)
        guard let slot = self.streams.find(stream) else { return .none }
        guard !self.streams[slot].isCancelled else { return .none }
        self.streams[slot].isCancelled = true
        self.writeReset(stream, code, isAnswer: true, now: now, into: &out)
        return .reset(slot: slot)
    }

    private mutating func writeReset(
        _ stream: UInt32, _ code: ErrorCode, isAnswer: Bool, now: UInt64, into out: inout FrameWriter
    ) {
        self.streams.rememberReset(stream, now: now)
        out.reset(stream, code, isAnswer: isAnswer)
    }

    /// Resets a stream, unless it is done. `isCharged`: for the peer's fault.
    package mutating func reset(
        _ slot: Int, _ code: ErrorCode, isCharged: Bool, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) {
        guard !self.streams.isFree(slot), !self.streams[slot].isDone else { return }
        self.streams[slot].isCancelled = true
        // Of one that never began the server knows nothing.
        guard self.streams[slot].hasBegun else { return }
        self.writeReset(self.streams[slot].identifier, code, isAnswer: isCharged, now: now, into: &out)
        if isCharged { try self.floods.reset(now: now) }
    }

    // MARK: streams

    /// The request's fields were taken. `expected`: what its content-length says.
    package mutating func opened(_ slot: Int, expected: Int?) { self.streams[slot].expected = expected }

    /// Bytes of fields that a block came to.
    package mutating func decoded(_ count: Int) { self.floods.carried(count) }

    /// Our END_STREAM went.
    package mutating func ended(_ slot: Int) { self.streams[slot].hasEnded = true }

    /// The carrier has nothing more to do with the stream: its slot is free once it is done. True if it is now.
    package mutating func detach(_ slot: Int, now: UInt64, into out: inout FrameWriter) -> Bool {
        guard !self.streams.isFree(slot) else { return true }
        self.streams[slot].isAttached = false
        guard self.streams[slot].isDone else { return false }
        let held = self.streams[slot].window.held
        self.streams.remove(slot)
        if held > 0 { self.leftConnection(held, into: &out) }
        if self.streams.isEmpty { self.idleSince = now }
        return true
    }

    /// The HPACK table sizes of the peer's that are to be adopted, in this order.
    package mutating func takePeerTable() -> (least: Int, last: Int)? {
        defer { self.peerTable = nil }
        return self.peerTable
    }

    // MARK: windows

    /// Bytes that may be sent on the stream now.
    package func room(_ slot: Int) -> Int { max(0, min(self.sendWindow, self.streams[slot].sendWindow)) }

    /// The same as far as the stream's own window says.
    package func ownRoom(_ slot: Int) -> Int { max(0, self.streams[slot].sendWindow) }

    /// A DATA frame went.
    package mutating func sent(_ slot: Int, _ count: Int) {
        self.sendWindow -= count
        self.streams[slot].sendWindow -= count
        self.floods.sentData(count)
    }

    /// Bytes of the stream's body have left our memory.
    package mutating func left(_ slot: Int, _ count: Int, into out: inout FrameWriter) {
        guard count > 0, !self.streams.isFree(slot) else { return }
        self.streams[slot].window.left(count)
        self.leftConnection(count, into: &out)
        guard !self.streams[slot].hasPeerEnded, !self.streams[slot].isCancelled else { return }
        self.growWindow(slot)
        let opening = self.streams[slot].window.opening()
        if opening > 0 { out.windowUpdate(self.streams[slot].identifier, opening) }
    }

    /// Half of it is used up, and the upstream has drained all: twice the window, while the connection's holds all windows.
    private mutating func growWindow(_ slot: Int) {
        let window = self.streams[slot].window
        guard window.held == 0, window.available <= window.target / 2, window.target < self.limits.streamWindow else {
            return
        }
        let target = min(window.target * 2, self.limits.streamWindow)
        let further = max(0, self.limits.concurrentStreams - self.streams.count) * SessionLimits.firstWindow
        let reserve = min(further, self.limits.connectionWindow / 2)
        let increase = target - window.target
        guard self.streams.targets + increase + reserve <= self.limits.connectionWindow else { return }
        self.streams[slot].window.grow(to: target)
        self.streams.targets += increase
    }

    private mutating func leftConnection(_ count: Int, into out: inout FrameWriter) {
        self.window.left(count)
        let opening = self.window.sharedOpening()
        if opening > 0 { out.windowUpdate(0, opening) }
    }
}

extension Stream {
    /// Counts content in; false if it does not fit what was announced.
    mutating func takesLength(_ count: Int, isEnd: Bool) -> Bool {
        self.received += count
        guard let expected else { return true }
        return isEnd ? self.received == expected : self.received <= expected
    }
}
