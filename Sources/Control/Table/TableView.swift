import Traffic

/// A consistent look at what is in force.
package struct TableView: Sendable {
    package var table: RoutingTable
    /// Monotonic milliseconds.
    package var publishedAt: UInt64
    /// What the file says, by route; where `table` differs, an operator changed it live.
    package var fileWeights: [String: [String: UInt32]]
    package var listenersBound: Bool
    /// A configuration has been published; until then the table is the empty one that a process starts with.
    package var isInForce: Bool

    /// Strong entity tag of `GET /api/v1/routes`. The generation is part of it because the answer's body names it.
    package var etag: String { "\"\(self.table.generation)-\(self.table.fingerprint.prefix(16))\"" }
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
