/// What one run of a stage has counted on one route: both sides' requests, and how long their answers took.
package struct StageCounts: Sendable, Equatable {
    package var route: String
    /// Number of the stage's run.
    package var epoch: UInt64
    package var old = ArmCounters()
    package var new = ArmCounters()
    package var oldDurations = LatencyGrid()
    package var newDurations = LatencyGrid()

    package init(route: String, epoch: UInt64) {
        self.route = route
        self.epoch = epoch
    }

    package mutating func merge(_ other: StageCounts) {
        self.old.merge(other.old)
        self.new.merge(other.new)
        self.oldDurations.merge(other.oldDurations)
        self.newDurations.merge(other.newDurations)
    }
}

/// Why a request reached a side that should not be needed any more.
package enum NeedCause: String, Sendable, CaseIterable {
    case weight, failover, retry, override, sticky
    /// The route leads nowhere else.
    case onlyRoute = "only-route"
}

/// Requests of one kind that reached such a side.
package struct NeedCount: Sendable, Equatable {
    package var route: String
    /// Path with its names taken out, `/candidate/*`.
    package var template: String
    package var cause: NeedCause
    package var count: UInt64

    package init(route: String, template: String, cause: NeedCause, count: UInt64) {
        self.route = route
        self.template = template
        self.cause = cause
        self.count = count
    }
}
