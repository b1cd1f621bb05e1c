import Migration
import RoutesFile
import Traffic

/// A plan of the file in force, and where it stands.
package struct PlanStanding: Sendable {
    package var spec: MigrationSpec
    package var machine: PlanMachine
    /// Of the plan: equal where it says the same.
    package var fingerprint: String
    package var state: PlanState
    /// Milliseconds since 1970 at which the phase began, and the stage.
    package var since: UInt64 = 0
    package var stageSince: UInt64 = 0
    /// Likewise, since the new side has had all of it; nil: it has not.
    package var fullSince: UInt64?
    /// nil: no stage was before.
    package var baseline: StageBaseline?

    package var plan: PlanSpec { self.spec.plan }

    /// nil if the plan has faults, which no file in force has.
    init?(_ spec: MigrationSpec, state: PlanState) {
        guard let machine = PlanMachine(spec.plan) else { return nil }
        self.spec = spec
        self.machine = machine
        self.fingerprint = Self.fingerprint(spec.plan)
        self.state = state
    }

    static func fingerprint(_ plan: PlanSpec) -> String {
        let text = Array(plan.canonicalText.utf8)
        return String(KeyHash.hash(text.span), radix: 16)
    }

    /// Its weights are the plan's affair: raised by its rows, or by force.
    var ownsWeights: Bool { self.state.phase.isActive || self.state.phase == .retreating }

    /// A stage's requests are counted. After a retreat copies go on, so that a repair is seen.
    var counts: Bool { self.ownsWeights || self.state.phase == .retreated }

    /// The old side should not be needed any more: the new one has all, by a stage or by hand, whatever became of the plan.
    var watchesOldSide: Bool { self.state.phase != .ready && self.state.share == PlanSpec.fullWeight }

    /// Its weights are nobody's affair any more, and where they stand still tells whether the old side should be needed.
    var leftWeights: Bool { self.state.phase == .stopped || self.state.phase == .complete }

    /// The plan stands in the stage that retires the old side.
    var isRetiring: Bool { self.plan.stages[self.state.stage].kind == .retire }

    /// Weights of a route's split at a share of a million.
    func split(_ entries: [SplitEntry], share: UInt32) -> [SplitEntry] {
        entries.map { entry in
            let weight =
                switch entry.upstream {
                case self.plan.to: share
                case self.plan.from: PlanSpec.fullWeight - share
                default: UInt32(0)
                }
            return SplitEntry(upstream: entry.upstream, weight: weight)
        }
    }

    /// The new side's share of a split, of a million.
    func share(of entries: [SplitEntry]) -> UInt32 { self.share(of: entries.weights) }

    func share(of weights: [String: UInt32]) -> UInt32 {
        let total = weights.values.reduce(UInt64(0)) { $0 + UInt64($1) }
        guard total > 0, let weight = weights[self.plan.to] else { return 0 }
        return UInt32(UInt64(weight) * UInt64(PlanSpec.fullWeight) / total)
    }
}
