import Traffic

/// A table as one worker uses it: the shared plan, and this worker's own pools and queues beside it. An exchange pins the
/// plan that it began with.
final class WorkerPlan {
    let shared: TablePlan
    let upstreams: ContiguousArray<Reference<UpstreamPlan>>
    private let owners: ContiguousArray<UpstreamPlan>
    /// Exchanges that began with it and have not ended. A plain count: one thread.
    var exchanges = 0

    init(shared: TablePlan, upstreams: ContiguousArray<UpstreamPlan>) {
        self.shared = shared
        self.owners = upstreams
        self.upstreams = ContiguousArray(upstreams.map { Reference(to: $0) })
    }

    var table: RoutingTable { self.shared.table }
}

/// An upstream with this worker's pools.
final class UpstreamPlan {
    let group: Upstream
    let pools: ContiguousArray<Reference<EndpointPool>>
    let state: UpstreamState
    let passive: PassiveSpec
    private let owners: ContiguousArray<EndpointPool>

    init(group: Upstream, pools: ContiguousArray<EndpointPool>, state: UpstreamState) {
        self.group = group
        self.owners = pools
        self.pools = ContiguousArray(pools.map { Reference(to: $0) })
        self.state = state
        self.passive = group.spec.passive
    }
}

/// What a worker knows about an upstream across tables.
final class UpstreamState {
    let record: UpstreamRecord
    var budget: RetryBudget
    /// Exchanges (by token) that wait for a slot, first come first served.
    var waiting = SlotQueue()
    /// It stands in the worker's list of queues to serve.
    var isListed = false
    var retries: UInt64 = 0
    var retriesDenied: UInt64 = 0

    init(record: UpstreamRecord, budget: RetryBudget) {
        self.record = record
        self.budget = budget
    }
}
