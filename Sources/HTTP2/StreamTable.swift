/// What a session knows of one stream.
package struct Stream: Sendable {
    /// 0: the slot is free.
    package fileprivate(set) var identifier: UInt32 = 0
    /// Each side's END_STREAM.
    package internal(set) var hasPeerEnded = false
    package internal(set) var hasEnded = false
    /// RST_STREAM went or came.
    package internal(set) var isCancelled = false
    /// A client's: its HEADERS went; and the final head of the answer came.
    var hasBegun = true
    package internal(set) var hasHead = false
    /// The carrier still has something to do with it.
    package internal(set) var isAttached = true
    var sendWindow: Int
    var window: ReceiveWindow
    /// Bytes that its content-length announced; nil: nothing was.
    var expected: Int?
    var received = 0
    var emptyData = 0
    /// When it is its turn to send: 0 first, 7 last (RFC 9218 4.1).
    package internal(set) var urgency = PriorityField.normal
    /// A PRIORITY_UPDATE has said so.
    var hasUpdate = false

    var isDone: Bool { self.isCancelled || (self.hasPeerEnded && self.hasEnded) }
}

/// The streams of one connection, each in a slot that stays its own until it is done, and what is remembered of those that were
/// reset.
package struct StreamTable: ~Copyable, Sendable {
    /// By slot, 0: free. Beside the streams, so that finding one reads few lines of memory.
    private var identifiers: ContiguousArray<UInt32> = []
    private var streams: ContiguousArray<Stream> = []
    private var free: ContiguousArray<Int> = []
    package private(set) var count = 0
    /// The highest that the peer has used.
    package private(set) var last: UInt32 = 0
    /// Sum of the windows' targets.
    var targets = 0
    /// How many streams there are of each urgency; and of which there are any, a bit for each.
    private var ofUrgency = SIMD8<UInt32>()
    package private(set) var urgencies: UInt8 = 0
    /// Streams that we reset, the oldest overwritten: the peer's frames for them may still be on their way.
    private var resets: ContiguousArray<(identifier: UInt32, until: UInt64)> = []
    private var nextReset = 0
    /// Of those that were overwritten before their time: the highest, and until when. Up to there frames on streams that are gone
    /// cannot be told from late ones.
    private var overwritten: (last: UInt32, until: UInt64) = (0, 0)

    private static let resetsKept = 1_024
    /// Milliseconds. What a client had sent before our RST_STREAM reached it comes through all that its kernel holds.
    private static let resetKeptFor: UInt64 = 60_000

    package init() {}

    package var isEmpty: Bool { self.count == 0 }

    /// Slots, free ones included: each below may hold a stream.
    package var slots: Int { self.streams.count }

    package subscript(slot: Int) -> Stream {
        get { self.streams[slot] }
        _modify { yield &self.streams[slot] }
    }

    package func find(_ identifier: UInt32) -> Int? {
        guard identifier > 0 else { return nil }
        for slot in self.identifiers.indices where self.identifiers[slot] == identifier { return slot }
        return nil
    }

    /// Streams that are neither whole nor reset, as the peer may count them.
    var openCount: Int {
        var count = 0
        for slot in self.streams.indices where self.identifiers[slot] != 0 && !self.streams[slot].isDone { count += 1 }
        return count
    }

    package func isFree(_ slot: Int) -> Bool { self.identifiers[slot] == 0 }

    /// Notes an identifier of the peer's that is new.
    mutating func note(_ identifier: UInt32) { self.last = max(self.last, identifier) }

    mutating func insert(_ identifier: UInt32, _ stream: Stream) -> Int {
        var stream = stream
        stream.identifier = identifier
        self.count += 1
        self.targets += stream.window.target
        self.count(stream.urgency, 1)
        if let slot = self.free.popLast() {
            self.identifiers[slot] = identifier
            self.streams[slot] = stream
            return slot
        }
        self.identifiers.append(identifier)
        self.streams.append(stream)
        return self.streams.count - 1
    }

    mutating func remove(_ slot: Int) {
        guard self.identifiers[slot] != 0 else { return }
        self.targets -= self.streams[slot].window.target
        self.count(self.streams[slot].urgency, -1)
        self.identifiers[slot] = 0
        self.streams[slot].identifier = 0
        self.free.append(slot)
        self.count -= 1
    }

    mutating func setUrgency(_ urgency: UInt8, of slot: Int) {
        guard urgency < 8, urgency != self.streams[slot].urgency else { return }
        self.count(self.streams[slot].urgency, -1)
        self.streams[slot].urgency = urgency
        self.count(urgency, 1)
    }

    private mutating func count(_ urgency: UInt8, _ change: Int) {
        let count = Int(self.ofUrgency[Int(urgency)]) + change
        self.ofUrgency[Int(urgency)] = UInt32(truncatingIfNeeded: count)
        if count > 0 { self.urgencies |= 1 << urgency } else { self.urgencies &= ~(1 << urgency) }
    }

    mutating func rememberReset(_ identifier: UInt32, now: UInt64) {
        let entry = (identifier, now + Self.resetKeptFor)
        if self.resets.count < Self.resetsKept {
            self.resets.append(entry)
        } else {
            let old = self.resets[self.nextReset]
            if now <= old.until {
                self.overwritten = (max(self.overwritten.last, old.identifier), max(self.overwritten.until, old.until))
            }
            self.resets[self.nextReset] = entry
            self.nextReset = (self.nextReset + 1) % Self.resetsKept
        }
    }

    /// Whether we reset the stream a moment ago, or may have.
    func wasReset(_ identifier: UInt32, now: UInt64) -> Bool {
        for entry in self.resets where entry.identifier == identifier { return now <= entry.until }
        return identifier <= self.overwritten.last && now <= self.overwritten.until
    }
}
