/// Comparisons of two arms at the same time. What the old side's rate is, nobody knows: the supposition that speaks least
/// for a difference is the one that counts.
extension Evidence {
    package struct Minimum: Sendable, Equatable {
        package var value: Double
        /// The old side's rate that explains the samples best.
        package var rate: Double
    }

    /// Against "new ≤ old + `tolerance`": large when the new side is worse.
    package static func worse(new: Arm, old: Arm, tolerance: Double) -> Minimum {
        self.minimum(from: max(0, -tolerance), to: min(1, 1 - tolerance)) { rate in
            self.tilt(new, rate: rate + tolerance, .above) + self.half(self.tilt(old, rate: rate, .below))
        }
    }

    /// Against "new ≥ old + `margin`": large when the new side is good enough.
    package static func fine(new: Arm, old: Arm, margin: Double) -> Minimum {
        self.minimum(from: max(0, -margin), to: min(1, 1 - margin)) { rate in
            self.tilt(new, rate: rate + margin, .below) + self.half(self.tilt(old, rate: rate, .above))
        }
    }

    /// Whether `worse` reaches a threshold, mostly at the cost of one look at the likeliest rate instead of a search: where it does
    /// not reach it, the least of all rates does not either.
    package static func isWorse(new: Arm, old: Arm, tolerance: Double, threshold: Double) -> Bool {
        let (low, high) = (max(0, -tolerance), min(1, 1 - tolerance))
        let pooled = (Double(new.bad) + Double(old.bad)) / max(1, Double(new.count) + Double(old.count))
        let rate = min(max(pooled, low), high)
        let value = self.tilt(new, rate: rate + tolerance, .above) + self.half(self.tilt(old, rate: rate, .below))
        return value >= threshold && self.worse(new: new, old: old, tolerance: tolerance).value >= threshold
    }

    /// About how many samples of the new side it takes until `fine` reaches a threshold, if both sides go wrong at the same rate
    /// and the new side has that share of the samples. Nil if thousands of millions are not enough.
    package static func samplesToPass(rate: Double, share: Double, margin: Double, threshold: Double) -> UInt64? {
        guard share > 0, share <= 1, rate >= 0, rate <= 1 else { return nil }
        var count = 16.0
        while count < 4e9 {
            let others = count * (1 - share) / share
            let new = Arm(bad: UInt64((rate * count).rounded(.up)), count: UInt64(count))
            let old = Arm(bad: UInt64(min(rate * others, 1e18)), count: UInt64(min(others, 1e18)))
            if self.fine(new: new, old: old, margin: margin).value >= threshold { return UInt64(count) }
            count = (count * 1.02).rounded(.up)
        }
        return nil
    }

    /// All differences, new rate less old one, that are not refuted at 95 %: each end at one half of the rest.
    package static func interval(new: Arm, old: Arm) -> ClosedRange<Double> {
        let threshold = self.threshold(1 / 40)
        // `worse` falls and `fine` rises with the difference.
        let low = self.bisect { self.worse(new: new, old: old, tolerance: $0).value < threshold }
        let high = self.bisect { self.fine(new: new, old: old, margin: $0).value >= threshold }
        return min(low, high)...max(low, high)
    }

    /// The difference from −1 to 1 at which `isBeyond` becomes true.
    private static func bisect(_ isBeyond: (Double) -> Bool) -> Double {
        if isBeyond(-1) { return -1 }
        var (low, high) = (-1.0, 1.0)
        for _ in 0..<40 {
            let middle = (low + high) / 2
            if isBeyond(middle) { high = middle } else { low = middle }
        }
        return high
    }

    /// Of a convex function, by golden section: one new value a step.
    private static func minimum(from low: Double, to high: Double, _ value: (Double) -> Double) -> Minimum {
        let ratio = 0.618_033_988_749_894_9
        var (low, high) = (low, high)
        guard low < high else { return Minimum(value: value(low), rate: low) }
        var (first, second) = (high - ratio * (high - low), low + ratio * (high - low))
        var (firstValue, secondValue) = (value(first), value(second))
        // 0.618^64: below the spacing of the rates that samples can tell apart.
        for _ in 0..<64 {
            if firstValue <= secondValue {
                (high, second, secondValue) = (second, first, firstValue)
                first = high - ratio * (high - low)
                firstValue = value(first)
            } else {
                (low, first, firstValue) = (first, second, secondValue)
                second = low + ratio * (high - low)
                secondValue = value(second)
            }
        }
        return firstValue <= secondValue
            ? Minimum(value: firstValue, rate: first) : Minimum(value: secondValue, rate: second)
    }
}
