import func Glibc.exp

/// How many samples a stage needs before its gates pass, if the new side is as good as the old one.
///
/// An expectation, not a bound: at the rates supposed, half of all healthy stages take longer, a few twice as long.
package struct StageEstimate: Sendable, Equatable {
    /// How often things go wrong on both sides, as fractions.
    package struct Supposition: Sendable, Equatable {
        package var errors = 0.001
        package var clientErrors = 0.01
        package var cancelled = 0.001

        package init() {}
    }

    /// Requests that the new side answers; 0 in a stage of copies alone; nil: no number is enough.
    package var samples: UInt64?
    /// Answers that are compared; nil: no number is enough.
    package var comparisons: UInt64?
    /// Whose samples take longest; nil: the stage waits for no gate.
    package var slowest: GateName?
    /// Parts of all requests that the new side gets, and that are copied.
    private var share = 0.0
    private var mirror = 0.0

    /// Nil of the last stage, which no gate ends.
    package init?(_ plan: PlanSpec, stage: Int, supposing rates: Supposition = Supposition()) {
        guard plan.stages.indices.contains(stage), stage + 1 < plan.stages.count else { return nil }
        let gates = plan.gates
        let threshold = Evidence.threshold(gates.falseAdvance)
        let isMirror = plan.stages[stage].kind == .mirror
        self.share = Double(plan.weight(stage)) / Double(PlanSpec.fullWeight)
        self.mirror = Double(plan.mirror(stage)) / Double(PlanSpec.fullWeight)
        // Copies have as many live requests beside them; at 100 % the old side's are as many again.
        let part = isMirror || self.share >= 1 ? 0.5 : self.share
        var needs: [(gate: GateName, count: UInt64?)] = []
        for (gate, rate, supposed) in [
            (GateName.errors, gates.errors, rates.errors), (.clientErrors, gates.clientErrors, rates.clientErrors),
            (.cancelled, gates.cancelled, rates.cancelled),
        ] {
            guard let rate else { continue }
            needs.append(
                (gate, Evidence.samplesToPass(rate: supposed, share: part, margin: rate.margin, threshold: threshold)))
        }
        if !isMirror {
            for (gate, rate, tail) in [(GateName.p50, gates.p50, 0.5), (.p99, gates.p99, 0.01)] {
                guard let rate else { continue }
                needs.append((gate, Self.samplesOfQuantile(tail, rate, share: part, threshold: threshold)))
            }
        }
        let worst = needs.max { ($0.count ?? .max) < ($1.count ?? .max) }
        let samples = worst.map { need in need.count.map { max($0, gates.minimum) } } ?? gates.minimum
        self.slowest = worst?.gate
        self.comparisons = gates.mismatches.map { Self.cleanComparisons($0, threshold: threshold) } ?? 0
        if isMirror {
            // Copies are both: samples and comparisons.
            self.samples = 0
            if (samples ?? .max) < (self.comparisons ?? .max) {
                self.slowest = .mismatches
            } else {
                self.comparisons = samples
            }
        } else {
            self.samples = samples
            if self.mirror > 0, let samples, let comparisons = self.comparisons,
                Double(comparisons) / self.mirror > Double(samples) / self.share
            {
                self.slowest = .mismatches
            }
        }
    }

    /// Seconds at a rate of requests a second; nil: it never passes.
    package func seconds(at rate: Double) -> Double? {
        guard rate > 0, let samples = self.samples, let comparisons = self.comparisons else { return nil }
        let live = samples == 0 ? 0 : Double(samples) / (rate * self.share)
        guard comparisons > 0 else { return live }
        guard self.mirror > 0 else { return nil }
        return max(live, Double(comparisons) / (rate * self.mirror))
    }

    /// The smallest share, of a million, with which live samples come in that many seconds; nil: not even all of them do.
    package func share(within seconds: Double, at rate: Double) -> UInt32? {
        guard let samples = self.samples, rate > 0, seconds > 0 else { return nil }
        let share = (Double(samples) / (rate * seconds) * Double(PlanSpec.fullWeight)).rounded(.up)
        return share <= Double(PlanSpec.fullWeight) ? UInt32(share) : nil
    }

    private static func cleanComparisons(_ limit: Double, threshold: Double) -> UInt64? {
        var count = 16.0
        while count < 4e9 {
            if Evidence.tilt(Arm(bad: 0, count: UInt64(count)), rate: limit, .below) >= threshold {
                return UInt64(count)
            }
            count = (count * 1.01).rounded(.up)
        }
        return nil
    }

    /// Durations of both sides fall off exponentially, which spreads them about as widely as those of real services.
    private static func samplesOfQuantile(
        _ tail: Double, _ rate: GateSpec.Rate, share: Double, threshold: Double
    ) -> UInt64? {
        let test = QuantileTest(tail: tail, floor: 0)
        var count = 64.0
        while count < 1e7 {
            let old = self.durations(count * (1 - share) / share)
            if test.quick(new: self.durations(count), old: old, ratio: 1 + rate.margin).value >= threshold {
                return UInt64(count)
            }
            count = (count * 1.1).rounded(.up)
        }
        return nil
    }

    /// In steps of 2 %, from a hundredth of the mean of 10 ms on.
    private static let edges: [UInt64] = (0..<360).map { step in
        step == 0 ? 0 : UInt64(100 * exp(0.02 * Double(step)) + Double(step))
    }

    private static func durations(_ count: Double) -> DurationCounts {
        let atLeast = self.edges.map { (count * exp(-Double($0) / 10_000)).rounded() }
        let counts = atLeast.indices.map { index in
            UInt64(atLeast[index] - (index + 1 < atLeast.count ? atLeast[index + 1] : 0))
        }
        return DurationCounts(edges: self.edges, counts: counts)
    }
}
