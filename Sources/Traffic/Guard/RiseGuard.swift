/// What must hold before a side of a route gets a larger share.
package struct GuardSpec: Sendable, Equatable {
    /// First attempts of the last quarter of an hour.
    package var minimum: UInt32 = 200
    /// Percent of a side's endpoints.
    package var available: UInt32 = 50
    /// Percent of `maxOutstanding` that the mean of its endpoints may reach.
    package var headroom: UInt32 = 80

    package init() {}
}

/// What is known of a side whose share is to rise.
package struct RisingSide: Sendable, Equatable {
    package var upstream: String
    /// Of the route's requests, 0…1, once the change is in force.
    package var share: Double
    package var endpoints: Int
    package var availableEndpoints: Int
    /// First attempts of the last quarter of an hour that have ended, and how many of them failed.
    package var attempts: UInt64
    package var failed: UInt64
    /// Those of the route's other sides.
    package var othersAttempts: UInt64
    package var othersFailed: UInt64
    /// Requests under way per endpoint, on average, once the change is in force; nil: not known.
    package var outstanding: Double?
    /// 0: no cap.
    package var maxOutstanding: UInt32
    /// ln of the test that it fails more often than the others.
    package var evidence: Double

    package init(
        upstream: String, share: Double, endpoints: Int, availableEndpoints: Int, attempts: UInt64 = 0,
        failed: UInt64 = 0, othersAttempts: UInt64 = 0, othersFailed: UInt64 = 0, outstanding: Double? = nil,
        maxOutstanding: UInt32 = 0, evidence: Double = 0
    ) {
        self.upstream = upstream
        self.share = share
        self.endpoints = endpoints
        self.availableEndpoints = availableEndpoints
        self.attempts = attempts
        self.failed = failed
        self.othersAttempts = othersAttempts
        self.othersFailed = othersFailed
        self.outstanding = outstanding
        self.maxOutstanding = maxOutstanding
        self.evidence = evidence
    }
}

/// Why a rise is refused.
package enum GuardReason: String, Sendable, CaseIterable {
    /// No endpoint available, or too few of them.
    case available
    /// Too little is known of it.
    case minimum
    /// It would be too busy.
    case headroom
    /// It fails more often than the others already.
    case failing
}

package struct GuardObjection: Sendable, Equatable {
    package var reason: GuardReason
    package var upstream: String
    /// In words, with the numbers.
    package var message: String
}

extension GuardSpec {
    /// A share up to which a side may rise without having been tried: what it gets there is the trial.
    package static let trialShare = 0.01
    /// ln 100: a side that fails as often as the others comes to this once in a hundred times at most, however often it is
    /// looked at.
    package static let failing = 4.605_170_185_988_092

    /// Everything that speaks against the rise.
    package func objections(to side: RisingSide) -> [GuardObjection] {
        var objections: [GuardObjection] = []
        func object(_ reason: GuardReason, _ message: String) {
            objections.append(GuardObjection(reason: reason, upstream: side.upstream, message: message))
        }
        if side.availableEndpoints == 0 || side.availableEndpoints * 100 < side.endpoints * Int(self.available) {
            object(
                .available,
                "\(side.availableEndpoints) of its \(side.endpoints) endpoints are available, and \(self.available) % must be"
            )
        }
        if side.attempts < UInt64(self.minimum), side.share > Self.trialShare {
            object(
                .minimum,
                "it was tried \(side.attempts) times in the last 15 minutes, and must have been \(self.minimum) times for more "
                    + "than 1 % (begin with that)")
        }
        let limit = Double(side.maxOutstanding) * Double(self.headroom) / 100
        if let outstanding = side.outstanding, side.maxOutstanding > 0, outstanding > limit {
            object(
                .headroom,
                "each of its endpoints would have \(Self.rounded(outstanding)) requests under way, and \(Self.rounded(limit)) "
                    + "are \(self.headroom) % of its maxOutstanding of \(side.maxOutstanding)")
        }
        if side.evidence >= Self.failing {
            object(
                .failing,
                "\(side.failed) of its \(side.attempts) requests of the last 15 minutes failed, and \(side.othersFailed) of the "
                    + "others' \(side.othersAttempts)")
        }
        return objections
    }

    private static func rounded(_ value: Double) -> String {
        let tenths = (value * 10).rounded()
        return tenths < 1e15 ? "\(tenths / 10)" : "\(value)"
    }
}

/// Shares of a split, and what a change of them means for keys.
package enum ShareMove {
    /// The part of sticky keys that go elsewhere when weights change, exactly: keys land where the first of exponential
    /// clocks with these rates rings, so one stays at a side that wins both races.
    package static func moved(from before: [UInt32], to after: [UInt32]) -> Double {
        let count = min(before.count, after.count)
        var staying = 0.0
        for side in 0..<count where before[side] > 0 && after[side] > 0 {
            var rivals = 1.0
            for other in 0..<count where other != side {
                rivals += max(
                    Double(before[other]) / Double(before[side]), Double(after[other]) / Double(after[side]))
            }
            staying += 1 / rivals
        }
        return max(0, 1 - staying)
    }
}
