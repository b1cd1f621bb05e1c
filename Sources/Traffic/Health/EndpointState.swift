/// What judges an endpoint by the outcomes of real traffic.
struct Detectors: Sendable {
    var failures = OutlierDetector()
    var malformed = MalformedAnswers()
}

/// The part of an endpoint that lies behind its mutex.
struct EndpointState: Sendable {
    var detectors = Detectors()
    var operationalSince: UInt64
    var administrativeSince: UInt64
    var ejectedSince: UInt64 = 0
    /// When it last came back from an ejection.
    var returnedAt: UInt64 = 0
    /// Ejections in close succession; decides how long the next one lasts.
    var ejectionCount: UInt32 = 0
    var reason: EjectionReason = .failedTrial

    init(since: UInt64) {
        self.operationalSince = since
        self.administrativeSince = since
    }

    /// Counts another ejection and answers how many milliseconds it lasts: the base times the count, up to the maximum.
    /// Each `maxEjection` spent in service since the last return takes one off the count, so that an endpoint that has
    /// been good for long starts over.
    mutating func lengthen(policy: PassiveSpec, now: UInt64) -> UInt64 {
        if self.returnedAt > 0, now > self.returnedAt {
            let good = (now - self.returnedAt) / UInt64(max(policy.maxEjection, 1))
            self.ejectionCount -= UInt32(min(good, UInt64(self.ejectionCount)))
        }
        // A second trial that fails has not been in service in between.
        self.returnedAt = 0
        self.ejectionCount = min(self.ejectionCount, .max - 1) + 1
        let length = UInt64(policy.baseEjection) * UInt64(self.ejectionCount)
        return max(min(length, UInt64(policy.maxEjection)), 1)
    }
}
