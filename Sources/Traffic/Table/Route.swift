import Synchronization

/// What is known of a route by its name, across tables: how far its interleave has come.
package final class RouteRecord: Sendable {
    package let name: String
    private let position = Atomic<UInt64>(0)

    init(name: String) { self.name = name }

    /// The next request's position in the interleave; `taking` it, the one after comes next.
    package func position(taking: Bool) -> UInt64 {
        taking ? self.position.wrappingAdd(1, ordering: .relaxed).oldValue : self.position.load(ordering: .relaxed)
    }
}

/// A route of a table: who it takes and where it sends them. Immutable but for its record.
package final class Route: Sendable {
    /// Index into the table's routes.
    package let index: Int
    package let name: String
    package let spec: RouteSpec
    /// nil for a route that the balancer answers itself.
    package let split: Split?
    package let record: RouteRecord
    package let isSticky: Bool
    /// By member of the split; empty in a table without upstreams.
    let sides: ContiguousArray<Unmanaged<Upstream>>
    let failover: Bool
    let digest: Digest
    /// Keeps `sides` alive.
    private let owners: [Upstream]

    init(index: Int, spec: RouteSpec, upstreams: [Upstream], indices: [String: Int], record: RouteRecord) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.isSticky = spec.sticky != nil
        self.failover = spec.failover
        self.digest = spec.digest
        self.record = record
        if case .split(let entries) = spec.action {
            let split = Split(entries, route: spec.name, upstreams: indices, reserve: spec.reserve)
            self.split = split
            self.owners = upstreams.isEmpty ? [] : split.entries.map { upstreams[$0.upstream] }
        } else {
            self.split = nil
            self.owners = []
        }
        self.sides = ContiguousArray(self.owners.map { Unmanaged.passUnretained($0) })
    }

    /// Whether its members' upstreams are those of `upstreams`.
    func leadsOnly(to upstreams: [Upstream]) -> Bool {
        self.owners.allSatisfy { $0.index < upstreams.count && upstreams[$0.index] === $0 }
    }

    /// The upstream of a member of the split.
    package func upstream(_ member: Int) -> Upstream? {
        self.owners.indices.contains(member) ? self.owners[member] : nil
    }

    /// The member of weight 0 that serves now, because no member with a weight has an available endpoint; nil: none does.
    package func servingReserve(now: UInt64) -> Int? {
        guard let split = self.split, split.reserve != 0 else { return nil }
        func first(of members: UInt64) -> Int? {
            self.owners.indices.first {
                $0 < 64 && members & (1 << UInt64($0)) != 0 && self.owners[$0].isAvailable(now: now)
            }
        }
        return first(of: split.weighted) == nil ? first(of: split.reserve) : nil
    }

    /// The position of the next request in the interleave; one for each request that is decided by it, workers and
    /// tables together, which is what makes shares exact.
    package func nextPosition() -> UInt64 { self.record.position(taking: true) }
}
