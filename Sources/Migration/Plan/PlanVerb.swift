/// What people say to a plan.
package enum PlanVerb: String, Sendable, CaseIterable {
    case start, pause, resume, approve, advance, retreat, stop
}

extension PlanState.Phase {
    /// Whether the plan takes it while it stands here.
    package func takes(_ verb: PlanVerb) -> Bool {
        switch verb {
        case .start: [.ready, .stopped, .retreated].contains(self)
        case .pause: self.isActive
        case .resume: self == .paused || self == .inconclusive
        case .approve: self == .waiting
        case .advance: [.running, .inconclusive, .waiting, .frozen].contains(self)
        case .retreat: self.isActive || self == .retreating
        case .stop: self.isActive || self == .retreated
        }
    }
}
