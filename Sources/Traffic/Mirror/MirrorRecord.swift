import Synchronization

/// What is known of a plan's copies by its name, across tables. All threads count here.
package final class MirrorRecord: Sendable {
    /// Both sides of what was copied, by status: the gates of a stage in which every live request goes to one side.
    package struct Arms: Sendable, Equatable {
        package var epoch: UInt64 = 0
        package var live = ArmCounters()
        package var copies = ArmCounters()
    }

    /// Copies that one upstream answered.
    package struct Copies: Sendable, Equatable {
        /// Index 0…5: other, 1xx … 5xx.
        package var statusClasses = [UInt64](repeating: 0, count: 6)
        package var duration = LatencyHistogram()
    }

    package let migration: String
    package let memory = MirrorMemory()
    package let rare = RareTemplates()
    package let seen = SeenRequests()
    private let drops: DropCounts
    private struct Figures {
        var copies: [String: Copies] = [:]
        var arms = Arms()
    }
    private let figures = Mutex(Figures())

    init(migration: String) {
        self.migration = migration
        self.drops = DropCounts()
    }

    package func drop(_ reason: MirrorDrop) { self.drops.count(reason) }

    /// With the words that metrics have for them.
    package var dropped: [(reason: String, count: UInt64)] {
        MirrorDrop.allCases.map { ($0.word, self.drops.value($0)) }
    }

    /// A copy was answered. Not on a worker's thread.
    package func answered(by upstream: String, status: UInt16, microseconds: UInt64) {
        self.figures.withLock { figures in
            let place = (1...5).contains(status / 100) ? Int(status / 100) : 0
            figures.copies[upstream, default: Copies()].statusClasses[place] &+= 1
            figures.copies[upstream, default: Copies()].duration.record(microseconds: microseconds)
        }
    }

    /// A live answer and a copy's, of one request.
    package func paired(epoch: UInt64, live: UInt16, copy: UInt16) {
        self.figures.withLock { figures in
            if figures.arms.epoch != epoch { figures.arms = Arms(epoch: epoch) }
            figures.arms.live.count(live)
            figures.arms.copies.count(copy)
        }
    }

    /// By upstream.
    package var copies: [String: Copies] { self.figures.withLock { $0.copies } }

    package var arms: Arms { self.figures.withLock { $0.arms } }
}

extension ArmCounters {
    fileprivate mutating func count(_ status: UInt16) {
        self.samples &+= 1
        switch status {
        case 400...499: self.clientErrors &+= 1
        case 500...599: self.errors &+= 1
        default: break
        }
    }
}

/// One counter for each reason.
private final class DropCounts: Sendable {
    /// Allocated here, freed with this object, and never handed out.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        self.cells = .allocate(capacity: MirrorDrop.allCases.count)
        for index in MirrorDrop.allCases.indices { (self.cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        self.cells.deinitialize(count: MirrorDrop.allCases.count)
        self.cells.deallocate()
    }

    func count(_ reason: MirrorDrop) { (self.cells + reason.rawValue).pointee.add(1, ordering: .relaxed) }

    func value(_ reason: MirrorDrop) -> UInt64 { (self.cells + reason.rawValue).pointee.load(ordering: .relaxed) }
}

extension MigrationTraffic {
    /// Whether some of the route's requests are copied.
    package var mirrors: Bool { self.mirrorShare > 0 }

    /// The side to which a copy goes whose live request a member has answered; nil: that is neither side.
    package func other(than member: Int) -> Int? {
        member == self.from ? self.to : member == self.to ? self.from : nil
    }

    /// Exact interleave: of any million positions as many as the share says, evenly spread.
    package func copies(position: UInt64) -> Bool {
        let whole: UInt64 = 1_000_000
        let position = position % whole
        let share = UInt64(min(self.mirrorShare, 1_000_000))
        return (position + 1) * share / whole > position * share / whole
    }
}
