/// What a client does beside what both sides do: it opens streams, and takes answers.
extension Session {
    /// Streams that are opened before the server has said how many it takes.
    private static let streamsBeforeSettings = 8

    /// Streams that may be open at a time.
    package var streamLimit: Int {
        min(self.limits.concurrentStreams, self.hasPeerSettings ? self.peerStreams : Self.streamsBeforeSettings)
    }

    /// Further streams may ever be opened.
    package var takesStreams: Bool {
        guard case .open = self.phase else { return false }
        return !self.isPeerLeaving && self.next <= UInt32(Self.largestWindow)
    }

    /// One more may be opened now. With what its answer may make us hold all streams stay within the connection's window: slow
    /// clients stall nobody else's answers, so no window can be closed for that.
    package var hasRoomForStream: Bool {
        self.takesStreams && self.streams.count < self.streamLimit
            && self.streams.targets + SessionLimits.firstWindow <= self.limits.connectionWindow
    }

    /// A new stream, whose HEADERS follow before another is opened; nil: there is no room.
    package mutating func open() -> Int? {
        guard self.hasRoomForStream else { return nil }
        let identifier = self.next
        self.next += 2
        self.streams.note(identifier)
        self.floods.opened()
        var new = Stream(
            sendWindow: self.peerFirstWindow,
            window: ReceiveWindow(available: SessionLimits.firstWindow, target: SessionLimits.firstWindow))
        new.hasBegun = false
        return self.streams.insert(identifier, new)
    }

    /// HEADERS went.
    package mutating func began(_ slot: Int) { self.streams[slot].hasBegun = true }

    /// The server has said that it never looked at the stream.
    package mutating func leftBehind(_ slot: Int) { self.streams[slot].isCancelled = true }

    /// The final head of the answer was taken. `expected`: how long its body is; nil: nothing says so.
    package mutating func answered(_ slot: Int, expected: Int?) {
        self.streams[slot].hasHead = true
        self.streams[slot].expected = expected
    }

    /// Whether the answer ended, after its head, with as many bytes as were announced. Else the stream is to be reset.
    package func isAnswerExact(_ slot: Int) -> Bool {
        let stream = self.streams[slot]
        guard stream.hasPeerEnded, let expected = stream.expected else { return true }
        return stream.received == expected
    }

    /// HEADERS of the server's: of an answer, or behind its body.
    mutating func answerHeaders(
        _ block: HeaderBlock, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        let stream = block.stream
        try self.refuseIdle(stream)
        guard let slot = self.streams.find(stream) else {
            guard self.streams.wasReset(stream, now: now) else { throw ConnectionFault(.streamClosed) }
            return .discard(block, slot: nil)
        }
        guard !self.streams[slot].isCancelled else { return .discard(block, slot: nil) }
        guard !self.streams[slot].hasPeerEnded else {
            _ = try self.fault(of: stream, .streamClosed, now: now, into: &out)
            return .discard(block, slot: slot)
        }
        guard self.streams[slot].hasHead else {
            self.streams[slot].hasPeerEnded = block.isEnd
            return .answer(slot: slot, block)
        }
        guard block.isEnd, self.streams[slot].takesLength(0, isEnd: true) else {
            _ = try self.fault(of: stream, .protocolError, now: now, into: &out)
            return .discard(block, slot: slot)
        }
        self.streams[slot].hasPeerEnded = true
        return .trailers(slot: slot, block)
    }

    /// A part of a field block that is too large: its stream is reset, and the block decoded to its end, for the table of the
    /// connection changes with it (RFC 7541 2.2).
    mutating func passOver(
        _ block: HeaderBlock, _ size: Int, now: UInt64, into out: inout FrameWriter
    ) throws(ConnectionFault) -> Step {
        var passed = self.passedOver ?? PassedOver(stream: block.stream)
        let isFirst = self.passedOver == nil
        passed.bytes += size
        passed.parts += 1
        guard passed.bytes <= 8 * self.blockLimit, passed.parts <= PassedOver.mostParts else {
            throw ConnectionFault(.fields)
        }
        self.passedOver = block.isWhole ? nil : passed
        guard isFirst else { return .discard(block, slot: nil) }
        try self.refuseIdle(block.stream)
        guard let slot = self.streams.find(block.stream) else {
            guard self.streams.wasReset(block.stream, now: now) else { throw ConnectionFault(.streamClosed) }
            return .discard(block, slot: nil)
        }
        guard !self.streams[slot].isCancelled else { return .discard(block, slot: nil) }
        _ = try self.fault(of: block.stream, .protocolError, now: now, into: &out)
        return .discard(block, slot: slot)
    }
}

/// What has come of a field block of which nothing is wanted.
struct PassedOver: Sendable {
    let stream: UInt32
    var bytes = 0
    var parts = 0

    /// CONTINUATIONs behind the first part, empty ones included.
    static let mostParts = 1_024
}
