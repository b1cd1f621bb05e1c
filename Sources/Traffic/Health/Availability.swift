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

/// What an attempt says about its endpoint. A class, never a raw status.
package enum Outcome: UInt8, Sendable {
    case success
    /// Refused, reset, timed out, malformed, or an answer that blames the server.
    case failure
    /// Asked to come back later: no sign of ill health, and none of recovery.
    case overload
    /// The client's own fault.
    case clientFault
    /// Ended before it could say anything.
    case cancelled
}

/// Why passive observation took an endpoint out.
package enum EjectionReason: Sendable, Equatable {
    case consecutiveFailures(UInt32)
    /// `failures` of `requests` within the window.
    case failureRate(failures: UInt32, requests: UInt32)
    case failedTrial
}

/// The third factor. While `until` lies ahead no request comes; then one trial request at a time decides.
package enum EjectionState: Sendable, Equatable {
    case none
    /// Milliseconds. `count`: for the how manieth time in close succession.
    case until(UInt64, reason: EjectionReason, count: UInt32)
    case trialDue(reason: EjectionReason, count: UInt32)
    case trialRunning(reason: EjectionReason, count: UInt32)
}

/// An endpoint's availability in words, for operators.
package struct EndpointExplanation: Sendable, Equatable {
    /// `up`, `down`, `starting`, `draining`, `maintenance` or `ejected`.
    package var availability: String
    /// One clause; empty if there is nothing to say.
    package var reason: String
    /// Since when, in monotonic milliseconds.
    package var since: UInt64
}
