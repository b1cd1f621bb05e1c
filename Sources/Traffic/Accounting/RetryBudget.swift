/// Bounds retries to a share of requests, so that a failing upstream is not buried under its own repetitions. One for
/// each worker and upstream; sliding over the last ten seconds.
///
/// A retry is allowed if this second has had fewer than `minimumPerSecond` (a quiet upstream can still retry), or if the
/// window's retries are below `budgetPercent` of its requests.
package struct RetryBudget: Sendable {
    private struct Second {
        var number: UInt64 = 0
        var requests: UInt32 = 0
        var retries: UInt32 = 0
    }

    private static let seconds: UInt64 = 10

    private var percent: UInt64
    private var minimumPerSecond: UInt32
    private var ring: InlineArray<10, Second> = InlineArray(repeating: Second())

    package init(_ spec: RetrySpec) {
        self.percent = UInt64(spec.budgetPercent)
        self.minimumPerSecond = spec.minimumPerSecond
    }

    /// Other limits from now on; what was counted stays.
    package mutating func adopt(_ spec: RetrySpec) {
        self.percent = UInt64(spec.budgetPercent)
        self.minimumPerSecond = spec.minimumPerSecond
    }

    /// Counts a request: once when it is first sent, never for a further attempt, since a budget that retries pay into
    /// allows more of them (of 20 % it would make 25 %). `now` in monotonic milliseconds.
    package mutating func deposit(now: UInt64) {
        let slot = self.turn(to: now)
        self.ring[slot].requests = self.ring[slot].requests.addingSaturated(1)
    }

    /// Asks for a retry and, if it is allowed, counts it.
    package mutating func withdraw(now: UInt64) -> Bool {
        let slot = self.turn(to: now)
        if self.ring[slot].retries >= self.minimumPerSecond {
            let number = self.ring[slot].number
            var requests: UInt64 = 0
            var retries: UInt64 = 0
            for index in self.ring.indices where number - min(self.ring[index].number, number) < Self.seconds {
                requests += UInt64(self.ring[index].requests)
                retries += UInt64(self.ring[index].retries)
            }
            // Whole retries only: the next one must still fit.
            guard (retries + 1) * 100 <= requests * self.percent else { return false }
        }
        self.ring[slot].retries = self.ring[slot].retries.addingSaturated(1)
        return true
    }

    /// The slot of `now`'s second, emptied if it held an older one.
    private mutating func turn(to now: UInt64) -> Int {
        // From 1, so that an untouched slot belongs to no second of the present.
        let number = now / 1_000 + 1
        let slot = Int(number % Self.seconds)
        if self.ring[slot].number != number { self.ring[slot] = Second(number: number) }
        return slot
    }
}

extension UInt32 {
    fileprivate func addingSaturated(_ other: UInt32) -> UInt32 {
        let (sum, overflow) = self.addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
