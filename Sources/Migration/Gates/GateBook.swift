/// Judges what a stage has counted. Pure: the same sums give the same verdict, on every replica and in the journal.
package struct GateBook: Sendable {
    package enum Verdict: String, Sendable {
        case off, collecting, pass, fail

        /// The stricter first.
        fileprivate var rank: Int {
            switch self {
            case .fail: 0
            case .collecting: 1
            case .pass: 2
            case .off: 3
            }
        }
    }

    /// One test of a gate: the value and what it must reach.
    package struct Test: Sendable, Equatable {
        package var evidence: Double
        package var threshold: Double

        package init(evidence: Double, threshold: Double) {
            self.evidence = evidence
            self.threshold = threshold
        }

        package var isReached: Bool { self.evidence >= self.threshold }
    }

    /// The numbers behind a verdict, as they are journaled.
    package struct Reading: Sendable, Equatable {
        package var gate: GateName
        /// The route that was judged by itself; nil for all together.
        package var route: String?
        package var verdict: Verdict
        package var new: Arm
        package var old: Arm
        package var retreat: Test
        /// Nil of a single route: what advances is judged over all of them.
        package var advance: Test?
        /// The class that made it fail, of `mismatches`.
        package var differenceClass: String?

        package init(
            gate: GateName, route: String?, verdict: Verdict, new: Arm, old: Arm, retreat: Test, advance: Test?,
            differenceClass: String? = nil
        ) {
            self.gate = gate
            self.route = route
            self.verdict = verdict
            self.new = new
            self.old = old
            self.retreat = retreat
            self.advance = advance
            self.differenceClass = differenceClass
        }
    }

    package struct Judgement: Sendable, Equatable {
        package var readings: [Reading]
        /// Routes with too few samples to say anything of: they hold nothing back, but are named.
        package var thinRoutes: [String]

        package init(readings: [Reading] = [], thinRoutes: [String] = []) {
            self.readings = readings
            self.thinRoutes = thinRoutes
        }

        /// The first test that says to go back.
        package var failure: Reading? { self.readings.first { $0.verdict == .fail } }
        /// Every gate that is on passes. Where nothing was judged nothing has passed.
        package var passes: Bool {
            guard !self.readings.isEmpty else { return false }
            return self.readings.allSatisfy {
                $0.route != nil ? $0.verdict != .fail : $0.verdict == .pass || $0.verdict == .off
            }
        }
    }

    /// Samples of a route below which it is named.
    package static let thinRoute: UInt64 = 20

    private let spec: GateSpec
    private let alpha: Double
    private let retreat: Double
    private let advance: Double

    /// `alpha`: the chance of a false alarm that each test has.
    package init(spec: GateSpec, alpha: Double) {
        self.spec = spec
        self.alpha = alpha
        self.retreat = Evidence.threshold(alpha)
        self.advance = Evidence.threshold(spec.falseAdvance)
    }

    package func judge(_ sums: StageSums) -> Judgement {
        let (new, old) = (sums.new, sums.old)
        var readings = [
            self.rate(.errors, self.spec.errors, new, old, \.errors),
            self.rate(.clientErrors, self.spec.clientErrors, new, old, \.clientErrors),
            self.rate(.cancelled, self.spec.cancelled, new, old, \.cancelled),
            self.quantile(.p50, self.spec.p50, tail: 0.5, sums.latency),
            self.quantile(.p99, self.spec.p99, tail: 0.01, sums.latency),
            self.mismatches(sums.comparisons),
        ]
        if sums.routes.count > 1 {
            for route in sums.routes {
                readings.append(self.single(.errors, self.spec.errors, route, \.errors))
                readings.append(self.single(.clientErrors, self.spec.clientErrors, route, \.clientErrors))
            }
        }
        if let all = sums.all { self.judgeAll(all, &readings) }
        return Judgement(
            readings: readings, thinRoutes: sums.routes.filter { $0.new.samples < Self.thinRoute }.map(\.name))
    }

    // MARK: gates

    private func rate(
        _ gate: GateName, _ rate: GateSpec.Rate?, _ new: StageSums.Side, _ old: StageSums.Side,
        _ bad: KeyPath<StageSums.Side, UInt64>
    ) -> Reading {
        let (new, old) = (
            Arm(bad: new[keyPath: bad], count: new.samples), Arm(bad: old[keyPath: bad], count: old.samples)
        )
        guard let rate else { return self.reading(gate, new, old, worse: 0, fine: 0, isOn: false) }
        return self.reading(
            gate, new, old, worse: Evidence.worse(new: new, old: old, tolerance: rate.tolerance).value,
            fine: Evidence.fine(new: new, old: old, margin: rate.margin).value)
    }

    /// Copies are made of answers, so that whoever got none is not among them: errors and clients that left are judged by all
    /// requests as well, and the stricter of two readings counts. Between them they have the chance of one false alarm.
    private func judgeAll(_ all: StageSums.All, _ readings: inout [Reading]) {
        let halved = Evidence.threshold(self.alpha / 2)
        let (new, old) = (all.new, all.old)
        var others = [
            self.rate(.errors, self.spec.errors, new, old, \.errors),
            self.rate(.cancelled, self.spec.cancelled, new, old, \.cancelled),
        ]
        if all.routes.count > 1 {
            others += all.routes.map { self.single(.errors, self.spec.errors, $0, \.errors) }
        }
        for other in others where other.verdict != .off {
            guard let place = readings.firstIndex(where: { $0.gate == other.gate && $0.route == other.route }) else {
                continue
            }
            let both = [readings[place], other].map { self.reading($0, retreatingAt: halved) }
            readings[place] = both[1].verdict.rank < both[0].verdict.rank ? both[1] : both[0]
        }
    }

    private func reading(_ reading: Reading, retreatingAt threshold: Double) -> Reading {
        var reading = reading
        reading.retreat.threshold = threshold
        if reading.verdict == .fail, !reading.retreat.isReached {
            let isPassed = reading.advance?.isReached == true && reading.new.count >= self.spec.minimum
            reading.verdict = isPassed ? .pass : .collecting
        }
        return reading
    }

    private func single(
        _ gate: GateName, _ rate: GateSpec.Rate?, _ route: StageSums.Route, _ bad: KeyPath<StageSums.Side, UInt64>
    ) -> Reading {
        var reading = self.rate(gate, rate, route.new, route.old, bad)
        reading.route = route.name
        reading.advance = nil
        if reading.verdict == .pass { reading.verdict = .collecting }
        return reading
    }

    private func quantile(
        _ gate: GateName, _ rate: GateSpec.Rate?, tail: Double, _ latency: StageSums.Latency?
    ) -> Reading {
        guard let rate, let latency else {
            let none = Arm(bad: 0, count: 0)
            return self.reading(gate, none, none, worse: 0, fine: 0, isOn: false)
        }
        let test = QuantileTest(tail: tail, floor: self.spec.latencyFloor)
        let factor: Double = latency.isFromAnotherStage ? 2 : 1
        return self.reading(
            gate, Arm(bad: 0, count: latency.new.count), Arm(bad: 0, count: latency.old.count),
            worse: test.slower(new: latency.new, old: latency.old, ratio: 1 + factor * rate.tolerance).value,
            fine: test.quick(new: latency.new, old: latency.old, ratio: 1 + factor * rate.margin).value)
    }

    /// Retreat: a class is real and confirmed surely more often than is allowed. Of each class its own threshold, since any
    /// number of them may be found.
    private func mismatches(_ comparisons: StageSums.Comparisons) -> Reading {
        let arm = Arm(bad: comparisons.standing, count: comparisons.count)
        let none = Arm(bad: 0, count: 0)
        guard let limit = self.spec.mismatches else {
            return self.reading(.mismatches, arm, none, worse: 0, fine: 0, isOn: false)
        }
        var worst: (Test, StageSums.Comparisons.RealClass)?
        for each in comparisons.real {
            let position = Double(max(1, each.position))
            let test = Test(
                evidence: Evidence.tilt(Arm(bad: each.confirmed, count: comparisons.count), rate: limit, .above),
                threshold: Evidence.threshold(self.alpha / (position * (position + 1))))
            guard let present = worst else {
                worst = (test, each)
                continue
            }
            if test.evidence - test.threshold > present.0.evidence - present.0.threshold { worst = (test, each) }
        }
        var reading = self.reading(
            .mismatches, arm, none, worse: worst?.0.evidence ?? 0, fine: Evidence.tilt(arm, rate: limit, .below),
            threshold: worst?.0.threshold)
        if reading.verdict == .fail { reading.differenceClass = worst?.1.number }
        return reading
    }

    private func reading(
        _ gate: GateName, _ new: Arm, _ old: Arm, worse: Double, fine: Double, threshold: Double? = nil,
        isOn: Bool = true
    ) -> Reading {
        let retreat = Test(evidence: worse, threshold: threshold ?? self.retreat)
        let advance = Test(evidence: fine, threshold: self.advance)
        let verdict: Verdict =
            !isOn
            ? .off
            : retreat.isReached
                ? .fail : advance.isReached && new.count >= self.spec.minimum ? .pass : .collecting
        return Reading(gate: gate, route: nil, verdict: verdict, new: new, old: old, retreat: retreat, advance: advance)
    }
}
