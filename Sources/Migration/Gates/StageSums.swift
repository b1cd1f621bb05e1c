/// Everything that a stage's run has counted, of all workers and replicas together. Sums only: evidence of parts is never
/// averaged.
package struct StageSums: Sendable {
    /// What one side did on one route.
    package struct Side: Sendable, Equatable {
        package var samples: UInt64
        package var errors: UInt64
        package var clientErrors: UInt64
        package var cancelled: UInt64

        package init(samples: UInt64 = 0, errors: UInt64 = 0, clientErrors: UInt64 = 0, cancelled: UInt64 = 0) {
            self.samples = samples
            self.errors = errors
            self.clientErrors = clientErrors
            self.cancelled = cancelled
        }

        package static func + (left: Side, right: Side) -> Side {
            Side(
                samples: left.samples &+ right.samples, errors: left.errors &+ right.errors,
                clientErrors: left.clientErrors &+ right.clientErrors, cancelled: left.cancelled &+ right.cancelled)
        }
    }

    package struct Route: Sendable {
        package var name: String
        package var new: Side
        package var old: Side

        package init(name: String, new: Side, old: Side) {
            self.name = name
            self.new = new
            self.old = old
        }
    }

    /// Durations of both sides; nil where they travel so differently that they are not judged.
    package struct Latency: Sendable {
        package var new: DurationCounts
        package var old: DurationCounts
        /// Where the old side's come from another stage, what is tolerated is doubled.
        package var isFromAnotherStage: Bool

        package init(new: DurationCounts, old: DurationCounts, isFromAnotherStage: Bool = false) {
            self.new = new
            self.old = old
            self.isFromAnotherStage = isFromAnotherStage
        }
    }

    /// Answers that were compared with copies'.
    package struct Comparisons: Sendable {
        package struct RealClass: Sendable, Equatable {
            package var number: String
            /// Among the classes found, from 1.
            package var position: Int
            /// Comparisons in which it was confirmed.
            package var confirmed: UInt64

            package init(number: String, position: Int, confirmed: UInt64) {
                self.number = number
                self.position = position
                self.confirmed = confirmed
            }
        }

        package var count: UInt64
        /// With a difference in an open or real class that no recheck cleared.
        package var standing: UInt64
        package var real: [RealClass]

        package init(count: UInt64 = 0, standing: UInt64 = 0, real: [RealClass] = []) {
            self.count = count
            self.standing = standing
            self.real = real
        }
    }

    /// All live requests of the new side beside what the old one did in the stage before.
    package struct All: Sendable {
        package var routes: [Route]

        package init(routes: [Route]) { self.routes = routes }

        var new: Side { self.routes.reduce(Side()) { $0 + $1.new } }
        var old: Side { self.routes.reduce(Side()) { $0 + $1.old } }
    }

    package var routes: [Route]
    /// nil: `routes` are all of them.
    package var all: All?
    package var latency: Latency?
    package var comparisons: Comparisons

    package init(
        routes: [Route], all: All? = nil, latency: Latency? = nil, comparisons: Comparisons = Comparisons()
    ) {
        self.routes = routes
        self.all = all
        self.latency = latency
        self.comparisons = comparisons
    }

    var new: Side { self.routes.reduce(Side()) { $0 + $1.new } }
    var old: Side { self.routes.reduce(Side()) { $0 + $1.old } }
}
