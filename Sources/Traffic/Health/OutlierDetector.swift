/// Judges an endpoint by the failures of real traffic. Pure; successes are counted elsewhere, without a lock, and
/// handed in with each failure.
///
/// Two trips: a streak of failures (at once, whatever the traffic), and the rate within the window (only from
/// `minimumRequests` on).
struct OutlierDetector: Sendable {
    private var streak: UInt32 = 0
    /// The successes as they were at the last failure: if nothing has changed since, the streak goes on.
    private var lastSuccesses = SIMD4<UInt64>()
    /// As in `SuccessWindow`.
    private var failures = SIMD4<UInt64>()

    /// Counts a failure in `quarter`. Answers why the endpoint should be ejected, if it should.
    mutating func fail(quarter: UInt64, successes: SIMD4<UInt64>, policy: PassiveSpec) -> EjectionReason? {
        if successes != self.lastSuccesses {
            self.streak = 0
            self.lastSuccesses = successes
        }
        self.streak &+= 1
        let slot = Int(quarter % SuccessWindow.quarters)
        if self.failures[slot] >> 32 == quarter {
            self.failures[slot] &+= 1
        } else {
            self.failures[slot] = quarter << 32 | 1
        }
        if self.streak >= max(policy.consecutiveFailures, 1) { return .consecutiveFailures(self.streak) }
        let failed = SuccessWindow.successes(in: self.failures, quarter: quarter)
        let requests = failed + SuccessWindow.successes(in: successes, quarter: quarter)
        guard requests >= UInt64(policy.minimumRequests), policy.failureRate > 0,
            failed * 100 >= requests * UInt64(policy.failureRate)
        else { return nil }
        return .failureRate(failures: UInt32(clamping: failed), requests: UInt32(clamping: requests))
    }
}
