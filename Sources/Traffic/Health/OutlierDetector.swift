/// Decides on passive removal from failures of real traffic. Pure; its owner holds the lock.
///
/// Two trips: consecutive failures, which need no minimum, and the share of failures in a window, which does.
struct OutlierDetector: Sendable {
    /// A good time this many times the longest ejection wipes the record of earlier ones.
    private static let forgiveness: UInt64 = 5

    private var windowStart: UInt64 = 0
    private var successesAtStart: UInt64 = 0
    private var failuresAtStart: UInt64 = 0
    private var ejectionsInARow: UInt64 = 0
    private var lastEjectionEnd: UInt64 = 0
    private(set) var reason = ""

    mutating func shouldEject(
        streak: UInt32, successes: UInt64, failures: UInt64, policy: PassiveSpec, now: UInt64
    ) -> Bool {
        if self.windowStart == 0 || now - min(now, self.windowStart) > UInt64(policy.window) {
            // A new window begins with the failure that is being judged.
            self.windowStart = max(1, now)
            self.successesAtStart = successes
            self.failuresAtStart = failures > 0 ? failures - 1 : 0
        }
        if policy.consecutiveFailures > 0, streak >= policy.consecutiveFailures {
            self.reason = "\(streak) consecutive failures"
            return true
        }
        let good = successes - min(successes, self.successesAtStart)
        let bad = failures - min(failures, self.failuresAtStart)
        let all = good + bad
        guard all >= UInt64(policy.minimumRequests), policy.failureRate > 0 else { return false }
        guard bad * 100 >= all * UInt64(policy.failureRate) else { return false }
        self.reason = "\(bad) of \(all) requests failed"
        return true
    }

    /// Milliseconds of the ejection that begins now: the base times the number in a row, up to the maximum.
    mutating func eject(policy: PassiveSpec, now: UInt64, successes: UInt64, failures: UInt64) -> UInt64 {
        let good = now - min(now, self.lastEjectionEnd)
        if self.lastEjectionEnd > 0, good > Self.forgiveness * UInt64(policy.maxEjection) { self.ejectionsInARow = 0 }
        self.ejectionsInARow += 1
        let wanted = UInt64(policy.baseEjection).multipliedReportingOverflow(by: self.ejectionsInARow)
        let length = max(1, wanted.overflow ? UInt64(policy.maxEjection) : min(wanted.partialValue, UInt64(policy.maxEjection)))
        self.lastEjectionEnd = now + length
        self.windowStart = 0
        return length
    }

    mutating func recovered(now: UInt64) {
        self.lastEjectionEnd = now
        self.windowStart = 0
    }
}
