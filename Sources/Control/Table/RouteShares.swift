import Traffic

/// What one upstream gets of a route's traffic, in intention and at this moment.
package struct UpstreamShare: Sendable, Equatable, Codable {
    package var upstream: String
    package var weight: UInt32
    /// Weight ÷ sum of weights, 0…1.
    package var share: Double
    /// What it gets now that sides without an available endpoint lose their share to the others, and where all of them have
    /// none, to one in reserve, 0…1.
    package var effectiveShare: Double
    /// Whether an endpoint of it could serve a request now.
    package var available: Bool
    package var endpoints: Int
    package var availableEndpoints: Int
}

extension UpstreamShare {
    /// The shares that `entries` mean in a world where `upstreams` are as they are at `now` (monotonic milliseconds).
    static func compute(
        _ entries: [SplitEntry], failover: Bool, reserve: [String] = [], upstreams: [String: Upstream], now: UInt64
    ) -> [UpstreamShare] {
        Self.compute(entries, failover: failover, reserve: reserve, now: now) { upstreams[$0] }
    }

    /// Likewise for the upstreams of a table.
    static func compute(
        _ entries: [SplitEntry], failover: Bool, reserve: [String] = [], in table: RoutingTable, now: UInt64
    ) -> [UpstreamShare] {
        Self.compute(entries, failover: failover, reserve: reserve, now: now) { table.upstream(named: $0) }
    }

    private static func compute(
        _ entries: [SplitEntry], failover: Bool, reserve: [String], now: UInt64, _ find: (String) -> Upstream?
    ) -> [UpstreamShare] {
        var rows = entries.map { entry -> UpstreamShare in
            let upstream = find(entry.upstream)
            return UpstreamShare(
                upstream: entry.upstream, weight: entry.weight, share: 0, effectiveShare: 0,
                available: upstream?.isAvailable(now: now) ?? false, endpoints: upstream?.endpoints.count ?? 0,
                availableEndpoints: upstream?.endpoints.count { $0.isSelectable(now: now) } ?? 0)
        }
        let total = rows.reduce(UInt64(0)) { $0 + UInt64($1.weight) }
        let availableTotal = rows.reduce(UInt64(0)) { $0 + ($1.available ? UInt64($1.weight) : 0) }
        for index in rows.indices {
            let weight = Double(rows[index].weight)
            rows[index].share = total == 0 ? 0 : weight / Double(total)
            if !rows[index].available {
                rows[index].effectiveShare = 0
            } else if failover {
                rows[index].effectiveShare = availableTotal == 0 ? 0 : weight / Double(availableTotal)
            } else {
                rows[index].effectiveShare = rows[index].share
            }
        }
        if total > 0, availableTotal == 0,
            let spare = rows.firstIndex(where: { $0.weight == 0 && $0.available && reserve.contains($0.upstream) })
        {
            rows[spare].effectiveShare = 1
        }
        return rows
    }
}
