import Traffic

extension Upstream {
    /// Whether the endpoint, one of this upstream's, takes new requests at `now` (monotonic milliseconds). At start,
    /// while nothing in the upstream has a verdict yet, endpoints without one do.
    func isSelectable(_ endpoint: Endpoint, now: UInt64) -> Bool {
        endpoint.isSelectable(now: now, unknownCounts: self.endpoints.allSatisfy { $0.operational == .unknown })
    }

    func selectableCount(now: UInt64) -> Int {
        let unknownCounts = self.endpoints.allSatisfy { $0.operational == .unknown }
        return self.endpoints.count { $0.isSelectable(now: now, unknownCounts: unknownCounts) }
    }
}
