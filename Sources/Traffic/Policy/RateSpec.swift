/// A rate and how far it may be run ahead of: GCRA (ITU-T I.371). All times in nanoseconds.
package struct RateSpec: Sendable, Equatable {
    /// Between two requests at the rate.
    package let interval: UInt64
    /// Requests that may come at once.
    package let burst: UInt64

    package static let largestBurst: UInt64 = 1_000_000
    /// A request an hour.
    package static let longestInterval: UInt64 = 3_600_000_000_000

    /// Both are brought into their bounds, in which no sum of theirs overflows.
    package init(interval: UInt64, burst: UInt64) {
        self.interval = min(max(1, interval), Self.longestInterval)
        self.burst = min(max(1, burst), Self.largestBurst)
    }

    /// How long all tokens take to come back.
    package var window: UInt64 { self.interval * self.burst }

    /// What a request at `now` is told by a key whose tokens are all back at `arrival`.
    package func verdict(arrival: UInt64, now: UInt64) -> RateVerdict {
        // A longer debt than the whole window is one of another rate, before a reload.
        let arrival = min(max(arrival, now), now &+ self.window)
        let next = arrival &+ self.interval
        let ahead = next &- now
        guard ahead <= self.window else {
            return RateVerdict(outcome: .refused(wait: ahead &- self.window), reset: arrival &- now)
        }
        return RateVerdict(
            outcome: .allowed(arrival: next, left: (self.window &- ahead) / self.interval), reset: ahead)
    }
}

package struct RateVerdict: Sendable, Equatable {
    package enum Outcome: Sendable, Equatable {
        /// `arrival`: when all tokens are back then; `left`: requests that may still come at once.
        case allowed(arrival: UInt64, left: UInt64)
        /// Until a request may come.
        case refused(wait: UInt64)
    }

    package var outcome: Outcome
    /// Until all tokens are back.
    package var reset: UInt64

    package var isAllowed: Bool { if case .allowed = self.outcome { true } else { false } }
}
