import Reactor
import Traffic

/// What a route's plan makes of its requests, for the workers.
struct StagePlan: Sendable {
    /// Where its counters stand in each worker; −1: no stage runs.
    var number = -1
    var epoch: UInt64 = 0
    /// Members of the split.
    var from = -1
    var to = -1
    /// Monotonic microseconds from which durations count.
    var settled: UInt64 = .max
    var isSticky = false

    /// Of no plan.
    init() {}

    /// `previous`: of the same route in the table before. A stage that goes on in another table has settled when it had.
    init(_ spec: RouteSpec, registry: CounterRegistry, previous: StagePlan?) {
        guard let migration = spec.migration, migration.epoch > 0 else { return }
        self.number = registry.series(route: spec.name, upstream: "\(migration.epoch)")
        self.epoch = migration.epoch
        self.from = migration.from
        self.to = migration.to
        self.isSticky = spec.sticky != nil
        if let previous, previous.epoch == migration.epoch, previous.number == self.number {
            self.settled = previous.settled
        } else {
            self.settled = MonotonicClock.microseconds() + UInt64(migration.settle) * 1_000
        }
    }
}
