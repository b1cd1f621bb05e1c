import Migration

/// A migration as the admin API tells it. Shares and rates are percent, differences of rates are points, times are seconds.
package struct MigrationBody: Sendable, Equatable, Codable {
    package struct Stage: Sendable, Equatable, Codable {
        /// From 1.
        package var stage: Int
        /// `mirror`, `share` or `retire`.
        package var kind: String
        package var share: Double
        /// Percent of requests that are copied.
        package var mirror: Double
        package var holdSeconds: Double
        package var approval: Bool
        /// `done`, `present` or `ahead`.
        package var state: String
    }

    package struct Retreat: Sendable, Equatable, Codable {
        /// `gate`, `unavailable` or `by-hand`.
        package var cause: String
        package var words: String
        /// Percent where it began, and where it leads.
        package var from: Double
        package var aim: Double
        package var blocked: Bool
    }

    package struct Cluster: Sendable, Equatable, Codable {
        package struct Replica: Sendable, Equatable, Codable {
            package var name: String
            /// Since it told last what it has counted of this run.
            package var ageSeconds: Double
        }

        /// The replica that takes the plan's steps; nil: none is known to.
        package var leader: String?
        /// This one cannot ask the others: it goes back alone, and never on.
        package var alone: Bool
        /// Those that have told what they counted of this run.
        package var counted: [Replica]
        /// What is not in the sums, in words.
        package var leftOut: [String]
    }

    package var name: String
    package var routes: [String]
    package var from: String
    package var to: String
    /// `ready`, `running`, `waiting`, `frozen`, `inconclusive`, `paused`, `retreating`, `retreated`, `complete` or `stopped`.
    package var state: String
    /// ISO 8601; nil: since it is in the file.
    package var since: String?
    /// From 1; 0: not started.
    package var stage: Int
    package var stageSince: String?
    package var stages: [Stage]
    /// Number of the stage's run.
    package var epoch: UInt64
    /// Percent of live requests that the new side is given, and that are copied.
    package var share: Double
    package var mirror: Double
    package var heldSeconds: Double
    package var holdSeconds: Double
    /// What comes next, and what it waits for.
    package var next: String
    /// Seconds until the gates should pass at the present rate; nil: they pass, or it is not known.
    package var remainingSeconds: Double?
    /// Why it pauses or is inconclusive.
    package var reason: String?
    /// Who started the plan or approved the stage.
    package var responsible: String
    package var approvedBy: String?
    /// false: retreats are only told, and nothing rises by itself.
    package var enforces: Bool
    package var fourEyes: Bool
    /// A freeze window is open.
    package var frozen: Bool
    package var toAvailable: Bool
    package var fromAvailable: Bool
    package var gates: [GateBody]
    /// Routes with too few samples to say anything of.
    package var thinRoutes: [String]
    package var retreat: Retreat?
    package var wouldHaveRetreated: Bool
    /// The other replicas; nil: there are none.
    package var cluster: Cluster?
}

/// A gate with the numbers behind its verdict.
package struct GateBody: Sendable, Equatable, Codable {
    package struct Side: Sendable, Equatable, Codable {
        package var bad: UInt64
        package var of: UInt64
        /// Percent that went wrong, or the quantile in milliseconds; nil: there are no samples.
        package var value: Double?
    }

    package var gate: String
    /// The route that is judged by itself; nil: all together.
    package var route: String?
    /// `off`, `collecting`, `pass` or `fail`.
    package var verdict: String
    /// Of `value`: `percent` or `milliseconds`.
    package var unit: String
    package var new: Side
    package var old: Side
    /// New less old: points, or percent slower; nil: a side has no samples.
    package var estimate: Double?
    /// All differences that are not refuted at 95 %, in points; nil: not known of this gate.
    package var interval: [Double]?
    /// What the new side may be worse, and what it must surely not be worse by: points, or percent slower.
    package var tolerance: Double?
    package var margin: Double?
    /// Fails where its evidence reaches its threshold; natural logarithms.
    package var retreat: PlanEvidence.Test
    /// Passes likewise, with enough samples; nil of a single route.
    package var advance: PlanEvidence.Test?
    /// Samples of the new side below which it does not pass.
    package var minimum: UInt64
    /// About so many seconds until it passes; nil: it does, or it is not known.
    package var remainingSeconds: Double?
    /// The class of differences that made it fail.
    package var differenceClass: String?
}

package struct MigrationsBody: Sendable, Codable {
    package var migrations: [MigrationBody]
}

/// What an operator's word did, or would do.
package struct MigrationChangeBody: Sendable, Codable {
    package var dryRun: Bool
    package var changed: Bool
    /// Step by step, as the journal has it.
    package var steps: [String]
    package var warnings: [String]
    /// As it stands now; in a dry run, as it would.
    package var migration: MigrationBody
    /// What the stages need at the present rate; in dry runs.
    package var forecast: PlanForecast?
    /// Of the replicas that are there, how many have it in force; nil: there are no others.
    package var replicas: ReplicaCount?
}

/// Whether the old side can be turned off.
package struct VerdictBody: Sendable, Codable {
    package struct Need: Sendable, Codable {
        package var route: String
        package var template: String
        package var cause: String
        /// ISO 8601.
        package var last: String
        package var count: UInt64
        package var perDay: Double
    }

    package var migration: String
    package var from: String
    /// `retirable` or `needed`.
    package var verdict: String
    /// What is in the way, and what to do about it.
    package var obstacles: [String]
    /// Seconds that nothing has needed it; nil: it is still given requests.
    package var quietSeconds: Double?
    package var wantedSeconds: Double
    package var needs: [Need]
    /// Whose requests and comparisons it is told of; nil: there are no other replicas, or nothing is exchanged of the plan.
    package var replicas: [String]?
}
