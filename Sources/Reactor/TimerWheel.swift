/// Deadlines of things that are known by small integers, at a coarse tick.
///
/// Moving a deadline later costs one store: the entry stays in its bucket and is looked at again when that bucket comes
/// round. That is the common case by far (every request moves its connection's deadline), so it is what is cheap.
/// Buckets are doubly linked lists through arrays indexed by identifier; nothing is allocated but when a larger
/// identifier than ever before is scheduled.
package struct TimerWheel: ~Copyable {
    /// Sixteen milliseconds: fine enough for the shortest deadline people set (tenths of seconds), coarse enough that
    /// an advance touches few buckets.
    private static let tickShift: UInt64 = 4
    /// 1,024 buckets of 16 ms: entries further than 16 s ahead wait in the last bucket and are moved on when it comes.
    private static let bucketCount = 1024
    private static let none: Int32 = -1

    private struct Entry {
        var next: Int32 = TimerWheel.none
        var previous: Int32 = TimerWheel.none
        /// Milliseconds; 0 is not scheduled.
        var deadline: UInt64 = 0
        /// The tick at which the bucket that it is linked in is visited; 0: it is in none.
        var visit: UInt64 = 0
    }

    /// Memory of the wheel's own: an array would ask at each move of a deadline whether it is shared.
    private var entries = UnsafeMutableBufferPointer<Entry>(start: nil, count: 0)
    /// Of these, the ones that have been scheduled once; the memory behind them has not been touched.
    private var used = 0
    private var heads = ContiguousArray<Int32>(repeating: TimerWheel.none, count: TimerWheel.bucketCount)
    private var occupied = ContiguousArray<UInt64>(repeating: 0, count: TimerWheel.bucketCount / 64)
    /// The last tick whose bucket was visited.
    private var tick: UInt64
    package private(set) var count = 0

    package init(now: UInt64) {
        self.tick = now >> Self.tickShift
    }

    deinit { self.entries.deallocate() }

    /// Sets or moves the deadline of `identifier` (milliseconds).
    package mutating func schedule(_ identifier: Int, at deadline: UInt64) {
        let deadline = max(deadline, 1)
        // As unsigned numbers: what stands nowhere, a negative one, is found in `enter`.
        if UInt(bitPattern: identifier) < UInt(bitPattern: self.used) {
            // Its bucket is visited in time: the deadline is all that most requests change. What has one is linked.
            if self.entries[identifier].deadline != 0, self.entries[identifier].visit <= self.dueTick(of: deadline) {
                self.entries[identifier].deadline = deadline
                return
            }
        }
        self.enter(identifier, at: deadline)
    }

    @inline(never)
    private mutating func enter(_ identifier: Int, at deadline: UInt64) {
        precondition(identifier >= 0, "what has no slot has no deadline")
        if identifier >= self.used { self.grow(toHold: identifier) }
        if self.entries[identifier].deadline == 0 { self.count += 1 }
        self.entries[identifier].deadline = deadline
        let due = self.dueTick(of: deadline)
        if self.entries[identifier].visit != 0 {
            if self.entries[identifier].visit <= due { return }
            self.unlink(identifier)
        }
        self.link(identifier, due: due)
    }

    private mutating func grow(toHold identifier: Int) {
        if identifier >= self.entries.count {
            let larger = UnsafeMutableBufferPointer<Entry>.allocate(
                capacity: max(identifier + 1, self.entries.count * 2, 64))
            _ = larger.moveInitialize(fromContentsOf: self.entries[..<self.used])
            self.entries.deallocate()
            self.entries = larger
        }
        self.entries[self.used...identifier].initialize(repeating: Entry())
        self.used = identifier + 1
    }

    package mutating func cancel(_ identifier: Int) {
        guard UInt(bitPattern: identifier) < UInt(bitPattern: self.used), self.entries[identifier].deadline != 0
        else { return }
        self.entries[identifier].deadline = 0
        self.count -= 1
        self.unlink(identifier)
    }

    /// Appends every identifier whose deadline has passed to `expired`; they are no longer scheduled.
    package mutating func advance(to now: UInt64, expired: inout ContiguousArray<Int32>) {
        let target = now >> Self.tickShift
        guard target > self.tick else { return }
        // After a long sleep every bucket is visited once, not once a tick.
        let steps = min(target - self.tick, UInt64(Self.bucketCount))
        let first = target - steps + 1
        self.tick = target
        for step in 0..<steps {
            let bucket = Self.bucket(of: first + step)
            guard self.occupied[bucket / 64] & (1 << UInt64(bucket % 64)) != 0 else { continue }
            var current = self.heads[bucket]
            self.heads[bucket] = Self.none
            self.occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64))
            while current != Self.none {
                let identifier = Int(current)
                current = self.entries[identifier].next
                self.entries[identifier].visit = 0
                let due = self.dueTick(of: self.entries[identifier].deadline)
                if due <= target {
                    self.entries[identifier].deadline = 0
                    self.count -= 1
                    expired.append(Int32(truncatingIfNeeded: identifier))
                } else {
                    self.link(identifier, due: due)
                }
            }
        }
    }

    /// Milliseconds until the next bucket that holds something must be visited; nil if nothing is scheduled.
    package func nextVisit(after now: UInt64) -> UInt64? {
        guard self.count > 0 else { return nil }
        // From the bucket after the present tick's, once round, a word of buckets at a time.
        let start = Int(truncatingIfNeeded: (self.tick + 1) % UInt64(Self.bucketCount))
        let words = Self.bucketCount / 64
        for step in 0...words {
            let index = (start / 64 + step) % words
            var word = self.occupied[index]
            // The first word is looked at twice: at first only what lies ahead, at last only what lies behind.
            let ahead = UInt64.max << UInt64(start % 64)
            if step == 0 { word &= ahead } else if step == words { word &= ~ahead }
            guard word != 0 else { continue }
            let bucket = index * 64 + word.trailingZeroBitCount
            let distance = UInt64((bucket - start + Self.bucketCount) % Self.bucketCount)
            let at = (self.tick + 1 + distance) << Self.tickShift
            return at > now ? at - now : 0
        }
        return nil
    }

    /// The first tick at which the whole of `deadline` has passed.
    private func dueTick(of deadline: UInt64) -> UInt64 {
        (deadline &+ (1 << Self.tickShift) &- 1) >> Self.tickShift
    }

    private static func bucket(of tick: UInt64) -> Int { Int(truncatingIfNeeded: tick % UInt64(self.bucketCount)) }

    private mutating func link(_ identifier: Int, due: UInt64) {
        let visit = min(max(due, self.tick + 1), self.tick + UInt64(Self.bucketCount) - 1)
        let bucket = Self.bucket(of: visit)
        let head = self.heads[bucket]
        self.entries[identifier].next = head
        self.entries[identifier].previous = Self.none
        self.entries[identifier].visit = visit
        if head != Self.none { self.entries[Int(head)].previous = Int32(truncatingIfNeeded: identifier) }
        self.heads[bucket] = Int32(truncatingIfNeeded: identifier)
        self.occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
    }

    private mutating func unlink(_ identifier: Int) {
        let entry = self.entries[identifier]
        guard entry.visit != 0 else { return }
        let bucket = Self.bucket(of: entry.visit)
        if entry.previous != Self.none {
            self.entries[Int(entry.previous)].next = entry.next
        } else {
            self.heads[bucket] = entry.next
            if entry.next == Self.none { self.occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64)) }
        }
        if entry.next != Self.none { self.entries[Int(entry.next)].previous = entry.previous }
        self.entries[identifier].visit = 0
    }
}
