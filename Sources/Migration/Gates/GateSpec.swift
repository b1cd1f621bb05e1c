/// What a plan asks of the new side, and how surely. Rates are fractions: 0.005 is half a percent.
package struct GateSpec: Sendable, Equatable {
    /// The new side may be worse by `tolerance`; it passes when it is surely not worse by `margin`.
    package struct Rate: Sendable, Equatable {
        package var tolerance: Double
        package var margin: Double

        package init(tolerance: Double, margin: Double) {
            self.tolerance = tolerance
            self.margin = margin
        }
    }

    /// Samples of the new side below which no gate passes.
    package var minimum: UInt64 = 500
    /// Chance that a healthy new side is ever sent back, in the whole plan.
    package var falseAlarm = 0.01
    /// Chance that a stage passes although the truth is at the margin.
    package var falseAdvance = 0.05
    /// A gate that is nil is switched off.
    package var errors: Rate? = Rate(tolerance: 0.001, margin: 0.005)
    package var clientErrors: Rate? = Rate(tolerance: 0.005, margin: 0.01)
    package var cancelled: Rate? = Rate(tolerance: 0.01, margin: 0.02)
    /// Of these, shares by which an answer may take longer.
    package var p50: Rate? = Rate(tolerance: 0.1, margin: 0.25)
    package var p99: Rate? = Rate(tolerance: 0.25, margin: 0.5)
    /// Microseconds that are no difference.
    package var latencyFloor = 1_000.0
    /// Share of comparisons that may differ.
    package var mismatches: Double? = 0.001
    /// Milliseconds after a stage began from which durations count: caches are cold at first.
    package var settle: Int64 = 30_000
    /// Otherwise retreats are only told, and nothing rises by itself.
    package var enforce = true

    package init() {}

    /// α of each test: the false alarm divided by all tests of all stages before the last side is retired.
    package func alpha(stages: Int, routes: Int) -> Double {
        let tests = 2 * (routes == 1 ? 1 : routes + 1) + 4
        return self.falseAlarm / Double(max(1, stages) * tests)
    }
}

/// Public: in journals, metrics and the admin API.
package enum GateName: String, Sendable, CaseIterable {
    case errors, clientErrors, cancelled, p50, p99, mismatches
}
