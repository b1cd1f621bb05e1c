import Traffic

/// A consistent look at what is in force.
package struct TableView: Sendable {
    package var table: RoutingTable
    package var state: RoutingState
    package var listenersBound: Bool
    /// nil: nothing outlives the process.
    package var ledger: LedgerStanding?
    /// Rises that the guard has refused.
    package var guardRefusals: [GuardReason: UInt64] = [:]

    /// Monotonic milliseconds.
    package var publishedAt: UInt64 { self.state.since }

    /// A configuration has been published; until then the table is the empty one that a process starts with.
    package var isInForce: Bool { self.state.configuration != nil }
    /// Endpoints given by name that are not, or not any more, what their name says.
    package var unresolved: [UnresolvedEndpoint] { self.state.unresolved }

    /// Strong entity tag of `GET /api/v1/routes`. The generation is part of it because the answer's body names it.
    package var etag: String { self.state.tag }

    /// What the file says of a route; where the table differs, an operator changed it live.
    package func fileWeights(of route: String) -> [String: UInt32]? { self.state.fileWeights(of: route) }
}

/// What a load did.
package struct LoadOutcome: Sendable, Equatable {
    package var generation: UInt64
    package var changed: Bool
}

extension RoutingTable {
    var upstreamsByName: [String: Upstream] {
        Dictionary(self.upstreams.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
}
