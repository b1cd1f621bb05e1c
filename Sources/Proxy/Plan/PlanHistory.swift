import Reactor
import Traffic

/// The plans that workers use: the newest, and older ones that exchanges still pin. Builds, compares and frees them away
/// from the workers' threads, so that a table of ten thousand routes stops no worker.
actor PlanHistory {
    nonisolated let first: TablePlan
    private let registry: CounterRegistry
    /// Of runs of stages: the epoch stands in the place of the upstream.
    private let stages = CounterRegistry()
    private var plans: [TablePlan]

    init(_ table: RoutingTable, registry: CounterRegistry = CounterRegistry()) {
        self.registry = registry
        self.first = TablePlan(table, registry: registry, stages: self.stages, previous: nil)
        self.plans = [self.first]
    }

    /// Returns when every worker routes by the table.
    func publish(_ table: RoutingTable, to workers: [Worker]) async {
        let plan = TablePlan(table, registry: self.registry, stages: self.stages, previous: self.plans.last)
        self.plans.append(plan)
        var pinned: Set<UInt64> = []
        for worker in workers { pinned.formUnion(await worker.adopt(plan)) }
        await self.sweep(pinned, workers)
    }

    /// One snapshot a worker; the first also has the series of the newest table that no worker has counted in yet.
    func snapshots(of workers: [Worker]) async -> [WorkerSnapshot] {
        var pinned: Set<UInt64> = []
        for worker in workers { pinned.formUnion(await worker.pinnedGenerations()) }
        await self.sweep(pinned, workers)
        let names = self.registry.names
        var snapshots: [WorkerSnapshot] = []
        for worker in workers { snapshots.append(await worker.snapshot(names: names)) }
        guard !snapshots.isEmpty, let newest = self.plans.last else { return snapshots }
        var counted: Set<CounterRegistry.Series> = []
        for snapshot in snapshots {
            for row in snapshot.routes {
                counted.insert(CounterRegistry.Series(route: row.route, upstream: row.upstream))
            }
        }
        for number in newest.counters {
            guard number < names.count, let series = names[number], !counted.contains(series) else { continue }
            snapshots[0].routes.append(RouteMetrics().snapshot(route: series.route, upstream: series.upstream))
        }
        return snapshots
    }

    /// What the runs of stages have counted that are known yet, all workers together.
    func stageCounts(of workers: [Worker]) async -> [StageCounts] {
        let names = self.stages.names
        var sums: [Int: StageCounts] = [:]
        for worker in workers { sums = await worker.add(to: sums, names: names) }
        return sums.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Who needed a watched side since it was last asked, all workers together.
    func takeNeeds(of workers: [Worker]) async -> [NeedCount] {
        var needs: [NeedCount] = []
        for worker in workers { needs += await worker.takeNeeds() }
        return needs
    }

    /// Frees what no worker pins, and the counters of series that have been gone for a while.
    private func sweep(_ pinned: Set<UInt64>, _ workers: [Worker]) async {
        let newest = self.plans.last?.table.generation
        self.plans.removeAll { $0.table.generation != newest && !pinned.contains($0.table.generation) }
        let used = self.plans.reduce(into: Set<Int>()) { $0.formUnion($1.counters) }
        let goneStages = self.stages.sweep(
            used: self.plans.reduce(into: Set<Int>()) { $0.formUnion($1.stages.keys) },
            now: MonotonicClock.milliseconds())
        if !goneStages.isEmpty {
            for worker in workers { await worker.forgetStages(goneStages) }
            self.stages.release(goneStages)
        }
        let gone = self.registry.sweep(used: used, now: MonotonicClock.milliseconds())
        guard !gone.isEmpty else { return }
        for worker in workers { await worker.forgetMetrics(gone) }
        self.registry.release(gone)
    }
}
