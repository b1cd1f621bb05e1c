import Synchronization

/// What is known of a route by its name, across tables: how far its interleave has come, and who has used up what.
package final class RouteRecord: Sendable {
    package let name: String
    private let position = Atomic<UInt64>(0)
    /// Requests refused by address: denied, and not among those allowed.
    package let denied = Atomic<UInt64>(0)
    package let notAllowed = Atomic<UInt64>(0)
    package let authentication = AuthenticationCounts()
    package let compression = CompressionCounts()
    /// How far the interleave of copies has come.
    package let copyPosition = Atomic<UInt64>(0)
    private let rates = Mutex<[String: RateTable]>([:])
    private let secret: (UInt64, UInt64)
    /// What a predecessor's tables knew, by the names of tables here.
    private let inherited: [String: [UInt64]]

    init(name: String, secret: (UInt64, UInt64), inherited: [String: [UInt64]] = [:]) {
        self.name = name
        self.secret = secret
        self.inherited = inherited
    }

    /// The table of a rule, kept by its name for as long as its size and the meaning of its keys stay.
    func rateTable(_ spec: RateLimitSpec) -> RateTable {
        self.rates.withLock { rates in
            let name = "\(spec.name) \(spec.key) \(spec.ipv4Prefix) \(spec.ipv6Prefix) \(spec.entries)"
            if let table = rates[name] { return table }
            let table = RateTable(entries: Int(spec.entries), key: self.secret)
            rates[name] = table
            if let cells = self.inherited[name] {
                table.restore(
                    stride(from: 0, to: cells.count - 1, by: 2).map { (hash: cells[$0], arrival: cells[$0 + 1]) })
            }
            return table
        }
    }

    /// What its tables know at `now` (nanoseconds), at most `limit` keys.
    func debts(now: UInt64, atMost limit: Int) -> [RateDebts.Table] {
        var left = limit
        return self.rates.withLock { rates in
            rates.compactMap { name, table in
                let debts = table.debts(now: now, atMost: left)
                left -= debts.count
                guard !debts.isEmpty else { return nil }
                return RateDebts.Table(route: self.name, limit: name, cells: debts.flatMap { [$0.hash, $0.arrival] })
            }
        }
    }

    /// Forgets the tables of rules that are gone.
    func keepRateTables(of limits: [RateLimit]) {
        self.rates.withLock { rates in
            guard rates.count > limits.count else { return }
            rates = rates.filter { entry in limits.contains { $0.table === entry.value } }
        }
    }

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
    package let rateLimits: [RateLimit]
    /// nil: the route belongs to no plan.
    package let mirror: MirrorRecord?
    let digest: Digest
    /// Keeps `sides` alive.
    private let owners: [Upstream]

    init(
        index: Int, spec: RouteSpec, upstreams: [Upstream], indices: [String: Int], record: RouteRecord,
        mirror: MirrorRecord? = nil
    ) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.isSticky = spec.sticky != nil
        self.failover = spec.failover
        self.digest = spec.digest
        self.record = record
        self.mirror = mirror
        if let migration = spec.migration { mirror?.memory.setLimit(Int(clamping: migration.mirror.memory)) }
        self.rateLimits = spec.rateLimits.map { RateLimit($0, table: record.rateTable($0)) }
        record.keepRateTables(of: self.rateLimits)
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
