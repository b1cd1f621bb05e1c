/// What probes say. Unknown: probed, but no answer yet.
package enum Operational: UInt8, Sendable, CaseIterable {
    case unknown, up, down
}

/// What the operator says. Drain: nothing new, finish the old. Maintenance: out, and not probed either.
package enum Administrative: UInt8, Sendable, CaseIterable {
    case ready, drain, maintenance
}

/// How one attempt went, as far as the endpoint is to be judged by it.
package enum Outcome: UInt8, Sendable {
    case success, failure
    /// It said that it is too busy: no failure, but no proof of recovery either.
    case overload
    case clientFault
    /// Ended for reasons that say nothing of the endpoint.
    case cancelled
}

/// Passive removal, as seen from outside.
package enum EjectionState: Sendable, Equatable {
    case none
    /// Milliseconds of the monotonic clock.
    case until(UInt64)
    /// Over, but one trial request decides the return.
    case trialDue
    case trialRunning
}

/// Why an endpoint gets traffic or not.
package struct EndpointExplanation: Sendable, Equatable {
    /// up, starting, unknown, down, draining, maintenance, ejected.
    package var availability: String
    package var reason: String
    /// Monotonic milliseconds of the last change.
    package var since: UInt64
}
