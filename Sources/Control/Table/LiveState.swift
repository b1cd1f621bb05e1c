import Traffic

/// What operators changed by hand since the process started, and which endpoints it had found: handed to the process that
/// takes over, so that nothing is lost.
package struct LiveState: Sendable, Equatable, Codable {
    package struct Weights: Sendable, Equatable, Codable {
        package var route: String
        package var weights: [String: UInt32]
        /// The file's weights that these were set over: once the file says something else, the file wins.
        package var fileWeights: [String: UInt32]
    }

    package struct AdministrativeState: Sendable, Equatable, Codable {
        package var upstream: String
        package var address: String
        /// `drain` or `maintenance`.
        package var state: String
    }

    /// What discovery had found: where the successor finds nothing at its start, this holds.
    package struct Discovered: Sendable, Equatable, Codable {
        package var upstream: String
        package var endpoints: [String]
    }

    /// What the host name of an endpoint has stood for.
    package struct ResolvedName: Sendable, Equatable, Codable {
        package var host: String
        package var addresses: [String]
    }

    /// What a route's retreat on this replica alone goes back on, and who asked for it: it is still to be proposed to the others.
    package struct Detached: Sendable, Equatable, Codable {
        /// What all had agreed on for the route; nil: nothing.
        package var base: Weights?
        package var change: SharedChange
    }

    /// A plan's way back on this replica alone, likewise.
    package struct DetachedPlan: Sendable, Equatable, Codable {
        package var name: String
        /// The run that it went back in.
        package var epoch: UInt64
        /// What is to be told of it, oldest first.
        package var changes: [SharedChange]
    }

    package var generation: UInt64 = 0
    package var weights: [Weights] = []
    package var administrative: [AdministrativeState] = []
    /// nil: from a version that knew no discovery.
    package var discovered: [Discovered]?
    /// nil: from a version that took addresses for names once and for all.
    package var names: [ResolvedName]?
    /// nil: from a version that knew no limits, or not from a running process.
    package var limits: RateDebts?
    /// Where plans stand; nil: nowhere, or from a version that knew none.
    package var plans: [PlanRecord]?
    /// nil: nothing, or from a version that did not hand it over.
    package var detached: [Detached]?
    /// Likewise.
    package var detachedPlans: [DetachedPlan]?

    package init() {}
}

extension Administrative {
    package init?(word: some StringProtocol) {
        switch word {
        case "ready": self = .ready
        case "drain": self = .drain
        case "maintenance": self = .maintenance
        default: return nil
        }
    }

    package var word: String {
        switch self {
        case .ready: "ready"
        case .drain: "drain"
        case .maintenance: "maintenance"
        }
    }
}
