import Glibc
import NIOCore
import Synchronization

/// The process's connections: how many there may be, and which of them give way when memory is short.
final class Connections: Sendable {
    /// A body of which so much waits is watched until it has gone out.
    static let watchedBody = 16 * 1024

    let budget: MemoryBudget
    /// The most connections at a time.
    private let limit: Int
    private let open = Atomic<Int>(0)
    private let cut = Atomic<Int>(0)
    private let loops = Mutex<[ObjectIdentifier: Loop]>([:])

    private struct Loop {
        let loop: any EventLoop
        let connections: NIOLoopBound<LoopConnections>
    }

    init(budget: MemoryBudget, limit: Int) {
        self.budget = budget
        self.limit = limit
    }

    /// How many there are, what they are sent, and what that takes. Asks every event loop.
    func use() async -> ConnectionUse {
        var unsent = 0
        for loop in loops.withLock({ Array($0.values) }) {
            // A loop that has ended has no connections.
            unsent += (try? await loop.loop.submit { loop.connections.value.unsentBytes }.get()) ?? 0
        }
        return ConnectionUse(
            open: open.load(ordering: .relaxed), limit: limit, cut: cut.load(ordering: .relaxed), unsent: unsent,
            budget: budget.total, used: budget.used, waiting: budget.waiting, refusals: budget.refusals)
    }

    /// Those of one event loop; to be called on it.
    func on(_ loop: any EventLoop) -> LoopConnections {
        loops.withLock { loops in
            if let known = loops[ObjectIdentifier(loop)] { return known.connections.value }
            let connections = LoopConnections(self, loop)
            loops[ObjectIdentifier(loop)] = Loop(
                loop: loop, connections: NIOLoopBound(connections, eventLoop: loop))
            return connections
        }
    }

    /// Cuts off those that have stopped reading what they asked for.
    func cutStopped() {
        for loop in loops.withLock({ Array($0.values) }) {
            loop.loop.execute { loop.connections.value.cutStopped() }
        }
    }

    /// Counts one more; false when there are too many then.
    fileprivate func opened() -> Bool {
        open.add(1, ordering: .relaxed).newValue <= limit
    }

    fileprivate func closed() {
        open.subtract(1, ordering: .relaxed)
    }

    fileprivate func countCut() {
        cut.add(1, ordering: .relaxed)
    }
}

/// The process's connections, and the memory for what they are sent.
struct ConnectionUse: Sendable, Equatable {
    var open = 0
    /// The most at a time.
    var limit = 0
    /// How many were cut off because they had stopped reading, or to make room.
    var cut = 0
    /// Bytes of answers that wait for their clients.
    var unsent = 0
    /// The memory for answers, in bytes.
    var budget = 0
    /// How much of it is taken.
    var used = 0
    /// How many wait for some of it.
    var waiting = 0
    /// How often there was none.
    var refusals = 0
}

/// The connections of one event loop.
final class LoopConnections {
    /// Who has taken nothing for so long has stopped, when others need the memory. The kernel takes in large pieces: a reader
    /// that is merely slow may seem to stand for a second or two.
    private static let patience = TimeAmount.seconds(5)
    /// For how long a look at all of them may be relied on.
    private static let lookInterval = TimeAmount.milliseconds(100)

    private let all: Connections
    private let loop: any EventLoop
    private var handlers: [ObjectIdentifier: ShortcutHandler] = [:]
    /// Those whose answers have not gone out.
    private var sending: [ObjectIdentifier: ShortcutHandler] = [:]
    private var isLookDue = false
    /// Who gives way next, the next one last: those that were of least use when all were looked at.
    private var spare: [Spare] = []
    private var lookedAt = NIODeadline.now()
    /// The last look found nobody: those that have come to rest since then say so, and those that come are noted.
    private var areAllAtWork = false
    /// Those that have come since that look, as far as they may be of little use, in their order.
    private var arrived = Notes()
    /// Those that have come to rest since a look that found nobody, in their order.
    private var rested = Notes()

    /// A connection that may give way, as it was when it was looked at.
    private struct Spare {
        let handler: ShortcutHandler
        let worth: ShortcutHandler.Worth
        let lastActivity: NIODeadline

        /// Whether it goes before the other one.
        func isLess(than other: Spare) -> Bool {
            (worth.rawValue, lastActivity) < (other.worth.rawValue, other.lastActivity)
        }
    }

    /// Connections that were noted since a look, each of them to be asked once.
    private struct Notes {
        /// Beyond so many a look at all is no more work.
        private static let most = 1024

        private var connections: [ObjectIdentifier] = []
        private var next = 0

        /// - Returns: false when there is no more room.
        mutating func add(_ handler: ShortcutHandler) -> Bool {
            guard connections.count < Self.most else { return false }
            connections.append(ObjectIdentifier(handler))
            return true
        }

        mutating func take() -> ObjectIdentifier? {
            guard next < connections.count else { return nil }
            defer { next += 1 }
            return connections[next]
        }

        mutating func removeAll() {
            connections.removeAll(keepingCapacity: true)
            next = 0
        }
    }

    init(_ all: Connections, _ loop: any EventLoop) {
        self.all = all
        self.loop = loop
    }

    var budget: MemoryBudget { all.budget }

    /// What waits to be sent on all of them.
    var unsentBytes: Int { handlers.values.reduce(0) { $0 + $1.unsentBytes } }

    /// Takes in a new connection. When there are too many, the one that is of least use gives way, see
    /// ``ShortcutHandler/Worth``; of those that are equal the one that has been silent longest.
    ///
    /// - Returns: false when none can: then it is the new one that has to go.
    func open(_ handler: ShortcutHandler) -> Bool {
        let isRoom = all.opened()
        handlers[ObjectIdentifier(handler)] = handler
        if isRoom {
            // It has asked for nothing yet, and the look did not see it.
            if areAllAtWork || !spare.isEmpty, !arrived.add(handler) { forgetLook() }
            return true
        }
        all.countCut()
        guard let victim = leastUseful(besides: handler) else { return false }
        victim.cut()
        if !arrived.add(handler) { forgetLook() }
        return true
    }

    /// A connection has nothing to do any more. Told by those that were at work.
    func rests(_ handler: ShortcutHandler) {
        if areAllAtWork, !rested.add(handler) { forgetLook() }
    }

    /// The next one that needs another one's place looks at all of them.
    private func forgetLook() {
        spare.removeAll(keepingCapacity: true)
        areAllAtWork = false
    }

    /// Looking at all connections for each new one would be much work for whoever opens many. A look finds the next few, too;
    /// they are used up as long as they are as they were. Those that have asked for something are so for a moment only, since
    /// one of less use may have come.
    private func leastUseful(besides newest: ShortcutHandler) -> ShortcutHandler? {
        let now = NIODeadline.now()
        while let next = spare.last, next.worth == .nothing || now - lookedAt < Self.lookInterval {
            if next.worth != .nothing, let newcomer = silentNewcomer(now, besides: newest) { return newcomer }
            spare.removeLast()
            if next.handler !== newest, handlers[ObjectIdentifier(next.handler)] != nil,
                next.handler.lastActivity == next.lastActivity,
                next.handler.worth(before: now - Self.patience) == next.worth
            {
                return next.handler
            }
        }
        if areAllAtWork {
            if let other = silentNewcomer(now, besides: newest) ?? restedSince(now, besides: newest) { return other }
            // Nothing but time makes one that stands still a stopped one: it is noticed so much later at most.
            if now - lookedAt < Self.lookInterval { return nil }
        }
        lookedAt = now
        arrived.removeAll()
        rested.removeAll()
        spare = handlers.values.compactMap { other in
            guard other !== newest, let worth = other.worth(before: now - Self.patience) else { return nil }
            return Spare(handler: other, worth: worth, lastActivity: other.lastActivity)
        }
        areAllAtWork = spare.isEmpty
        spare.sort { $1.isLess(than: $0) }
        spare.removeFirst(max(0, spare.count - max(1, spare.count / 16)))
        return spare.popLast()?.handler
    }

    /// Of those that came since the look the first that has still asked for nothing. A note may be of one that has closed, in
    /// whose memory the newest is now.
    private func silentNewcomer(_ now: NIODeadline, besides newest: ShortcutHandler) -> ShortcutHandler? {
        while let next = arrived.take() {
            guard let newcomer = handlers[next], newcomer !== newest else { continue }
            switch newcomer.worth(before: now - Self.patience) {
            case .nothing: return newcomer
            case .stopped, .resting: rests(newcomer)
            case nil: break
            }
        }
        return nil
    }

    /// Of those that have come to rest since the look the first that still has nothing to do.
    private func restedSince(_ now: NIODeadline, besides newest: ShortcutHandler) -> ShortcutHandler? {
        while let next = rested.take() {
            if let other = handlers[next], other !== newest, other.worth(before: now - Self.patience) != nil {
                return other
            }
        }
        return nil
    }

    func close(_ handler: ShortcutHandler) {
        guard handlers.removeValue(forKey: ObjectIdentifier(handler)) != nil else { return }
        sending[ObjectIdentifier(handler)] = nil
        all.closed()
    }

    /// It is watched until ``hasSent(_:)``, see ``ShortcutHandler/noteTaken()``.
    func beginsToSend(_ handler: ShortcutHandler) {
        guard handlers[ObjectIdentifier(handler)] != nil else { return }
        sending[ObjectIdentifier(handler)] = handler
        if !isLookDue { scheduleLook() }
    }

    func hasSent(_ handler: ShortcutHandler) {
        sending[ObjectIdentifier(handler)] = nil
    }

    func cutStopped() {
        let now = NIODeadline.now()
        for handler in Array(sending.values) where now - handler.lastTaken >= Self.patience {
            all.countCut()
            handler.cut()
        }
    }

    /// Every second, as long as something is being sent: who takes what.
    private func scheduleLook() {
        isLookDue = true
        loop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.look() }
    }

    private func look() {
        isLookDue = false
        for handler in sending.values { handler.noteTaken() }
        if !sending.isEmpty { scheduleLook() }
    }
}

@available(*, unavailable)
extension LoopConnections: Sendable {}

/// Told to a connection before the first byte of a large body.
struct BodyBegins {}

/// Told to a connection after the last byte of a large body. Whoever holds the body holds its memory: it is let go when
/// everything before this has gone out.
struct BodyEnds {
    let body: Body
}

extension Channel {
    /// Lets no more than so many bytes wait in the kernel, which counts them against the process's own limit.
    func boundUnsentBytes(_ bytes: Int) {
        let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: CInt(TCP_NOTSENT_LOWAT)))
        try? syncOptions?.setOption(option, value: bytes)
    }
}
