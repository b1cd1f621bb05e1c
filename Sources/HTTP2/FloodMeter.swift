/// Counts what costs us more than it costs a peer, and says when it is too much.
struct FloodMeter: Sendable {
    private let isServer: Bool
    private var resets: TokenBucket
    private var pings: TokenBucket
    private var settings: TokenBucket
    private var unknown: TokenBucket
    /// PRIORITY and PRIORITY_UPDATE: so many, and two more for each stream.
    private var priorities = 20
    /// WINDOW_UPDATE: so many, and ten more for each stream and each DATA frame of ours.
    private var windowUpdates = 100
    private static let windowUpdatesKept = 10_000
    /// Bytes of frames that came, and bytes among them or of ours that say something.
    private var bytes: UInt64 = 0
    private var payload: UInt64 = 0

    /// SETTINGS entries of one frame.
    static let settingsEntries = 32
    /// DATA without content, of one stream.
    let emptyData: Int
    /// Bytes that may carry nothing, beyond seven of eight.
    private static let idleBytes: UInt64 = 1 << 20

    /// Servers are asked by us, and some measure the path with a PING for each read: they get more of what costs little.
    init(_ limits: SessionLimits, of role: Session.Role = .server, now: UInt64) {
        let isServer = role == .server
        self.isServer = isServer
        self.emptyData = isServer ? 10 : 1_000
        self.resets = TokenBucket(capacity: limits.resets, perSecond: max(1, limits.resets / 10), now: now)
        self.pings = TokenBucket(capacity: isServer ? 100 : 10_000, perSecond: isServer ? 20 : 2_000, now: now)
        self.settings = TokenBucket(capacity: 10, perSecond: 1, now: now)
        self.unknown = TokenBucket(capacity: 100, perSecond: 10, now: now)
    }

    mutating func came(_ count: Int) throws(ConnectionFault) {
        self.bytes &+= UInt64(count)
        guard self.bytes / 8 <= self.payload + Self.idleBytes else { throw ConnectionFault(.idleBytes) }
    }

    /// Bytes of content or of decoded fields, in either direction.
    mutating func carried(_ count: Int) { self.payload &+= UInt64(max(0, count)) }

    mutating func reset(now: UInt64) throws(ConnectionFault) {
        guard self.resets.take(now: now) else { throw ConnectionFault(.resets) }
    }

    mutating func ping(now: UInt64) throws(ConnectionFault) {
        guard self.pings.take(now: now) else { throw ConnectionFault(.pings) }
    }

    mutating func settings(now: UInt64) throws(ConnectionFault) {
        guard self.settings.take(now: now) else { throw ConnectionFault(.settings) }
    }

    mutating func unknown(now: UInt64) throws(ConnectionFault) {
        guard self.unknown.take(now: now) else { throw ConnectionFault(.unknownFrames) }
    }

    mutating func priority() throws(ConnectionFault) {
        self.priorities -= 1
        guard self.priorities >= 0 else { throw ConnectionFault(.priorities) }
    }

    mutating func windowUpdate() throws(ConnectionFault) {
        self.windowUpdates -= 1
        guard self.windowUpdates >= 0 else { throw ConnectionFault(.windowUpdates) }
    }

    mutating func opened() {
        // Toward a server it is we who open streams: one reset for each, such as behind an early answer, costs us nothing.
        if !self.isServer { self.resets.give() }
        self.priorities = min(self.priorities + 2, 10_000)
        // Some widen the window of each stream, also where no body comes.
        self.windowUpdates = min(self.windowUpdates + 10, Self.windowUpdatesKept)
    }

    mutating func sentData(_ count: Int) {
        self.windowUpdates = min(self.windowUpdates + 10, Self.windowUpdatesKept)
        self.carried(count)
    }
}
