import Migration

/// What a plan's stages need before they pass, at a rate of requests, if the new side is as good as the old one.
package struct PlanForecast: Sendable, Equatable, Codable {
    package struct Stage: Sendable, Equatable, Codable {
        /// From 1.
        package var stage: Int
        /// Percent of requests for the new side; nil: the stage is copies alone, or the last.
        package var share: Double?
        /// Percent of requests that are copied.
        package var mirror: Double
        /// Seconds.
        package var hold: Double
        /// Requests that the new side answers; nil: no number is enough, or the stage waits for none.
        package var samples: UInt64?
        /// Answers that are compared.
        package var comparisons: UInt64?
        /// The gate that takes longest.
        package var slowest: String?
        /// Seconds until the samples are there; nil: they never are, or the stage waits for none.
        package var seconds: Double?
        /// Percent: with this share they would be there by the end of the hold, or within the patience; nil: they are, or it is
        /// no use.
        package var proposedShare: Double?
        /// What an operator should know of it.
        package var note: String?
    }

    package var name: String
    /// Requests a second.
    package var rate: Double
    package var stages: [Stage]

    package init(_ plan: PlanSpec, rate: Double, supposing rates: StageEstimate.Supposition = .init()) {
        self.name = plan.name
        self.rate = rate
        self.stages = plan.stages.indices.map { Self.stage(plan, $0, rate, rates) }
    }

    private static func stage(
        _ plan: PlanSpec, _ index: Int, _ rate: Double, _ rates: StageEstimate.Supposition
    ) -> Stage {
        let spec = plan.stages[index]
        let share: Double? = if case .share(let weight) = spec.kind { Double(weight) / 10_000 } else { nil }
        var stage = Stage(
            stage: index + 1, share: share, mirror: Double(plan.mirror(index)) / 10_000,
            hold: Double(spec.hold) / 1_000)
        guard let estimate = StageEstimate(plan, stage: index, supposing: rates) else { return stage }
        stage.samples = estimate.samples
        stage.comparisons = estimate.comparisons
        stage.slowest = estimate.slowest?.rawValue
        stage.seconds = estimate.seconds(at: rate)
        let patience = Double(plan.patience) / 1_000
        guard let seconds = stage.seconds else {
            stage.note =
                estimate.comparisons ?? 0 > 0 && stage.mirror == 0
                ? "nothing is copied here, and mismatches want comparisons"
                : "no number of samples is enough: the margins are too narrow for such rates"
            return stage
        }
        guard seconds > stage.hold + patience else { return stage }
        if estimate.slowest == .mismatches, stage.mirror < 100 {
            stage.note = "too thin for its patience: copy more, up to \"mirror\": 100"
        } else if let wanted = estimate.share(within: stage.hold + patience, at: rate), spec.kind != .mirror {
            stage.proposedShare = Double(wanted) / 10_000
            stage.note = "too thin for its patience: begin with a larger share"
        } else {
            stage.note = "too thin for its patience: lower \"minimum\", or allow more"
        }
        return stage
    }
}
