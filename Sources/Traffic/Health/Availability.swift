/// Availability is operational × administrative × ejection; these are its first two factors.

/// What the probes say.
package enum Operational: UInt8, Sendable {
    /// Probed, but without a verdict yet. Such an endpoint takes requests only while no endpoint of its upstream has a
    /// verdict: at the start of a process somebody must serve before the first probes are answered, but an endpoint
    /// that a reload adds to a working upstream waits for its first answer.
    case unknown
    /// Also: not probed at all.
    case up
    case down
    /// Found while the process was serving already: it takes nothing until its first probe has passed, whatever the
    /// others are.
    case joining

    /// Whether a probe has decided.
    var isVerdict: Bool { self == .up || self == .down }
}

/// What the operator says. Set by hand, kept across reloads.
package enum Administrative: UInt8, Sendable {
    case ready
    /// Nothing new; what runs finishes. Probes go on.
    case drain
    /// As `drain`, and not probed.
    case maintenance
}

/// Why passive observation took an endpoint out.
package enum EjectionReason: Sendable, Equatable {
    case consecutiveFailures(UInt32)
    /// `failures` of `requests` within the window.
    case failureRate(failures: UInt32, requests: UInt32)
    case failedTrial
    /// So many different pages, and nothing else meanwhile, were answered in a form that was refused.
    case malformed(pages: UInt32)
}

/// The third factor. While `until` lies ahead no request comes; then one trial request at a time decides.
package enum EjectionState: Sendable, Equatable {
    case none
    /// Milliseconds. `count`: ordinal of this ejection in the current streak.
    case until(UInt64, reason: EjectionReason, count: UInt32)
    case trialDue(reason: EjectionReason, count: UInt32)
    case trialRunning(reason: EjectionReason, count: UInt32)
}

/// An endpoint's availability in words, for operators.
package struct EndpointExplanation: Sendable, Equatable {
    /// `up`, `down`, `starting`, `draining`, `maintenance`, `ejected` or `refused`.
    package var availability: String
    /// One clause; empty if there is nothing to say.
    package var reason: String
    /// Since when, in monotonic milliseconds.
    package var since: UInt64
}
