import Foundation
import TestSupport
import Testing
import Traffic

@testable import Migration

/// The formulas once more, written as they stand in the text: no shortcuts, plain exponentials where they hold, a fine net of
/// rates instead of a search.
enum ReferenceEvidence {
    static func tilt(_ bad: Double, _ count: Double, _ rate: Double, _ sign: Double) -> Double {
        let terms = (0...7).map { k -> Double in
            let lambda = pow(2, Double(k) - 4)
            return sign * lambda * bad - count * log(1 + rate * (exp(sign * lambda) - 1))
        }
        let largest = terms.max() ?? 0
        return largest + log(terms.map { exp($0 - largest) }.reduce(0, +) / 8)
    }

    static func half(_ value: Double) -> Double { value > 700 ? value + log(0.5) : log(0.5 + 0.5 * exp(value)) }

    /// The least over a net that is drawn closer around its least point, again and again.
    static func least(_ low: Double, _ high: Double, _ value: (Double) -> Double) -> Double {
        var (from, to) = (low, high)
        var least = Double.infinity
        for _ in 0..<10 {
            let width = (to - from) / 60
            let net = (0...60).map { min(high, from + width * Double($0)) }
            let values = net.map(value)
            least = values.min() ?? .nan
            let place = net[values.firstIndex(of: least) ?? 0]
            (from, to) = (max(low, place - 2 * width), min(high, place + 2 * width))
        }
        return least
    }

    static func worse(_ new: (Double, Double), _ old: (Double, Double), _ delta: Double) -> Double {
        self.least(max(0, -delta), min(1, 1 - delta)) {
            self.tilt(new.0, new.1, $0 + delta, 1) + self.half(self.tilt(old.0, old.1, $0, -1))
        }
    }

    static func fine(_ new: (Double, Double), _ old: (Double, Double), _ delta: Double) -> Double {
        self.least(max(0, -delta), min(1, 1 - delta)) {
            self.tilt(new.0, new.1, $0 + delta, -1) + self.half(self.tilt(old.0, old.1, $0, 1))
        }
    }

    /// Over all buckets, from samples instead of counts.
    static func quantile(
        _ new: [UInt64], _ old: [UInt64], tail: Double, ratio: Double, floor: Double, isSlower: Bool
    ) -> Double {
        let edges = LatencyGrid.edges.map { Double($0) }
        // Samples are known by their buckets only.
        let (new, old) = (Self.onEdges(new), Self.onEdges(old))
        func above(_ samples: [Double], _ edge: Double) -> Double { Double(samples.filter { $0 >= edge }.count) }
        return edges.indices.map { index -> Double in
            let (low, high) = (edges[index], index + 1 < edges.count ? edges[index + 1] : Double.infinity)
            let count = Double(old.count)
            let misplaced = log(
                0.5 + 0.25 * exp(Self.tilt(above(old, high), count, tail, 1))
                    + 0.25 * exp(Self.tilt(above(old, low), count, tail, -1)))
            let edge: Double
            if isSlower {
                let limit = max(ratio * high, high + floor)
                edge = edges.first { $0 >= limit } ?? .infinity
            } else {
                let limit = max(ratio * low, low + floor)
                edge = edges.last { $0 <= limit } ?? 0
            }
            return misplaced + Self.tilt(above(new, edge), Double(new.count), tail, isSlower ? 1 : -1)
        }.min() ?? .nan
    }

    private static func onEdges(_ samples: [UInt64]) -> [Double] {
        samples.map { Double(LatencyGrid.edges[LatencyGrid.index(microseconds: $0)]) }
    }
}

@Suite("Evidence of two arms")
struct EvidenceTests {
    private func arm(_ bad: UInt64, _ count: UInt64) -> Arm { Arm(bad: bad, count: count) }

    @Test("Worked examples of `worse` and `fine`")
    func examples() {
        let old = self.arm(38, 38_000)
        let regression = Evidence.worse(new: self.arm(22, 2_000), old: old, tolerance: 0.001)
        #expect(abs(regression.value - 12.9572) < 0.001 && abs(regression.rate - 0.001416) < 0.000001)
        let nothing = Evidence.worse(new: self.arm(4, 2_000), old: old, tolerance: 0.001)
        #expect(abs(nothing.value + 1.3247) < 0.001 && abs(nothing.rate - 0.000902) < 0.000001)
        let pass = Evidence.fine(new: self.arm(2, 2_000), old: old, margin: 0.005)
        #expect(abs(pass.value - 4.2945) < 0.001 && abs(pass.rate - 0.000911) < 0.000001)
        let collecting = Evidence.fine(new: self.arm(1, 1_000), old: self.arm(19, 19_000), margin: 0.005)
        #expect(abs(collecting.value - 1.5911) < 0.001 && abs(collecting.rate - 0.000988) < 0.000001)
        let dead = Evidence.worse(new: self.arm(3, 3), old: self.arm(0, 57), tolerance: 0.001)
        #expect(abs(dead.value - 8.6571) < 0.001 && abs(dead.rate - 0.05618) < 0.00001)
        let notYet = Evidence.worse(new: self.arm(2, 2), old: self.arm(0, 38), tolerance: 0.001).value
        #expect(abs(notYet - 5.1517) < 0.001)
        #expect(abs(Evidence.threshold(1.0 / 3_600) - 8.1887) < 0.001 && abs(Evidence.threshold(0.05) - 2.9957) < 0.001)
    }

    @Test("Intervals of the worked examples")
    func intervals() {
        let regression = Evidence.interval(new: self.arm(22, 2_000), old: self.arm(38, 38_000))
        #expect(abs(regression.lowerBound - 0.00362) < 0.00001 && abs(regression.upperBound - 0.02018) < 0.00001)
        let healthy = Evidence.interval(new: self.arm(2, 2_000), old: self.arm(38, 38_000))
        #expect(abs(healthy.lowerBound + 0.00150) < 0.00001 && abs(healthy.upperBound - 0.00460) < 0.00001)
        #expect(Evidence.interval(new: self.arm(0, 0), old: self.arm(0, 0)) == -1...1)
    }

    @Test("How long it takes to pass: 880 requests without errors, half as many more with one in a thousand")
    func samplesToPass() throws {
        let threshold = Evidence.threshold(0.05)
        func samples(_ rate: Double, _ share: Double) -> UInt64? {
            Evidence.samplesToPass(rate: rate, share: share, margin: 0.005, threshold: threshold)
        }
        #expect((850...900).contains(try #require(samples(0, 0.05))))
        #expect((1_400...1_900).contains(try #require(samples(0.001, 0.05))))
        #expect(try #require(samples(0.05, 0.05)) > 10_000)
        for (rate, share) in [(0.5, 0.0), (2, 0.5), (-1, 0.5), (.nan, 0.5), (0, .nan)] {
            #expect(samples(rate, share) == nil)
        }
    }

    @Test("Sums that nobody can have counted trap nothing")
    func hugeSums() {
        let huge = Arm(bad: .max, count: .max)
        _ = Evidence.isWorse(new: huge, old: huge, tolerance: 0.001, threshold: 8)
        #expect(Evidence.worse(new: huge, old: huge, tolerance: 0).value.isFinite)
        #expect(Evidence.fine(new: huge, old: Arm(bad: 0, count: 0), margin: 0.005).value.isFinite)
    }

    @Test("Sums of replicas give what one replica with all traffic gives")
    func sums() {
        var (new, old) = (ArmCounters(), ArmCounters())
        for (errors, samples) in [(8, 700), (9, 650), (5, 650)] as [(UInt64, UInt64)] {
            var part = ArmCounters()
            (part.samples, part.errors) = (samples, errors)
            new.merge(part)
        }
        (old.samples, old.errors) = (38_000, 38)
        let value = Evidence.worse(
            new: self.arm(new.errors, new.samples), old: self.arm(old.errors, old.samples), tolerance: 0.001)
        #expect(value == Evidence.worse(new: self.arm(22, 2_000), old: self.arm(38, 38_000), tolerance: 0.001))
    }

    @Test("A slow reference agrees on 1,000 seeded inputs")
    func reference() {
        var random = SplitMix(17)
        for _ in 0..<1_000 {
            func arm() -> (arm: Arm, pair: (Double, Double)) {
                let count = UInt64(pow(10, Double.random(in: 0...5, using: &random)))
                let bad = UInt64(Double(count) * pow(Double.random(in: 0...1, using: &random), 4))
                return (Arm(bad: bad, count: count), (Double(bad), Double(count)))
            }
            let (new, old) = (arm(), arm())
            let delta = Double.random(in: -0.1...0.1, using: &random)
            let worse = Evidence.worse(new: new.arm, old: old.arm, tolerance: delta).value
            let fine = Evidence.fine(new: new.arm, old: old.arm, margin: delta).value
            let (wantedWorse, wantedFine) = (
                ReferenceEvidence.worse(new.pair, old.pair, delta), ReferenceEvidence.fine(new.pair, old.pair, delta)
            )
            #expect(abs(worse - wantedWorse) < 0.001 + abs(wantedWorse) * 1e-6, "\(new) \(old) \(delta)")
            #expect(abs(fine - wantedFine) < 0.001 + abs(wantedFine) * 1e-6, "\(new) \(old) \(delta)")
            let threshold = Double.random(in: -5...15, using: &random)
            if abs(worse - threshold) > 0.001 {
                #expect(
                    Evidence.isWorse(new: new.arm, old: old.arm, tolerance: delta, threshold: threshold)
                        == (worse >= threshold))
            }
        }
    }

    @Test("More that is bad is more evidence; more that is tolerated is less")
    func monotony() {
        var random = SplitMix(18)
        for _ in 0..<300 {
            let count = UInt64.random(in: 10...5_000, using: &random)
            let bad = UInt64.random(in: 0..<count, using: &random)
            let old = Arm(
                bad: UInt64.random(in: 0...50, using: &random), count: UInt64.random(in: 50...50_000, using: &random))
            let delta = Double.random(in: 0...0.02, using: &random)
            func worse(_ bad: UInt64, _ delta: Double) -> Double {
                Evidence.worse(new: Arm(bad: bad, count: count), old: old, tolerance: delta).value
            }
            func fine(_ bad: UInt64, _ delta: Double) -> Double {
                Evidence.fine(new: Arm(bad: bad, count: count), old: old, margin: delta).value
            }
            #expect(worse(bad + 1, delta) >= worse(bad, delta) - 1e-9)
            #expect(worse(bad, delta + 0.01) <= worse(bad, delta) + 1e-9)
            #expect(fine(bad + 1, delta) <= fine(bad, delta) + 1e-9)
            #expect(fine(bad, delta + 0.01) >= fine(bad, delta) - 1e-9)
        }
    }

    @Test("A million looks at sides that differ by no more than is tolerated: no false alarm", .timeLimit(.minutes(1)))
    func falseAlarms() {
        var random = SplitMix(19)
        let threshold = Evidence.threshold(1.0 / 3_600)
        // 0.1 % on the old side, the new side at the edge of the tolerance; 5 % of the requests are the new side's.
        let (oldRate, tolerance, share) = (0.001, 0.001, 0.05)
        var alarms = 0
        var looks = 0
        for _ in 0..<500 {
            var (new, old) = (Arm(bad: 0, count: 0), Arm(bad: 0, count: 0))
            for _ in 0..<2_000 {
                // Ten requests between two looks, in one draw each: their order does not matter to the sums.
                for _ in 0..<10 {
                    let (side, fate) = (
                        Double.random(in: 0..<1, using: &random), Double.random(in: 0..<1, using: &random)
                    )
                    if side < share {
                        new.count += 1
                        new.bad += fate < oldRate + tolerance ? 1 : 0
                    } else {
                        old.count += 1
                        old.bad += fate < oldRate ? 1 : 0
                    }
                }
                looks += 1
                if Evidence.isWorse(new: new, old: old, tolerance: tolerance, threshold: threshold) {
                    alarms += 1
                    break
                }
            }
        }
        // At most 500/3600 are expected; three or more come once in some thousand seeds.
        #expect(alarms <= 2, "\(alarms)")
        #expect(looks > 990_000)
    }

    @Test("A regression of one point at 5 % share is found within the stated requests")
    func power() {
        var random = SplitMix(20)
        let threshold = Evidence.threshold(1.0 / 3_600)
        var needed: [UInt64] = []
        for _ in 0..<200 {
            var (new, old) = (Arm(bad: 0, count: 0), Arm(bad: 0, count: 0))
            while new.count < 20_000 {
                for _ in 0..<20 {
                    let (side, fate) = (
                        Double.random(in: 0..<1, using: &random), Double.random(in: 0..<1, using: &random)
                    )
                    if side < 0.05 {
                        new.count += 1
                        new.bad += fate < 0.011 ? 1 : 0
                    } else {
                        old.count += 1
                        old.bad += fate < 0.001 ? 1 : 0
                    }
                }
                if Evidence.isWorse(new: new, old: old, tolerance: 0.001, threshold: threshold) { break }
            }
            needed.append(new.count)
        }
        needed.sort()
        #expect((900...1_700).contains(needed[100]), "\(needed[100])")
        #expect(needed[189] <= 3_000, "\(needed[189])")
    }
}

@Suite("Evidence of quantiles")
struct QuantileTests {
    private func counts(_ samples: [(UInt64, UInt64)]) -> DurationCounts {
        var counts = [UInt64](repeating: 0, count: LatencyGrid.bucketCount)
        for (count, microseconds) in samples { counts[LatencyGrid.index(microseconds: microseconds)] += count }
        return DurationCounts(edges: LatencyGrid.edges, counts: counts)
    }

    @Test("Worked examples")
    func examples() {
        let old = self.counts([(19_000, 16_384), (900, 32_768), (100, 65_536)])
        let p99 = QuantileTest(tail: 0.01, floor: 1_000)
        let slow = p99.slower(new: self.counts([(1_800, 16_384), (140, 32_768), (60, 65_536)]), old: old, ratio: 1.25)
        #expect(abs(slow.value - 22.3746) < 0.001, "\(slow)")
        #expect(LatencyGrid.edges[slow.bucket] == 52_224 && LatencyGrid.edges[slow.bucket + 1] == 53_248)
        let healthy = self.counts([(9_500, 16_384), (450, 32_768), (50, 65_536)])
        let slower = p99.slower(new: healthy, old: old, ratio: 1.25)
        #expect(abs(slower.value + 6.0712) < 0.001, "\(slower)")
        let quick = p99.quick(new: healthy, old: old, ratio: 1.5)
        #expect(abs(quick.value - 11.9684) < 0.001, "\(quick)")
        #expect(LatencyGrid.edges[quick.bucket] == 32_768 && LatencyGrid.edges[quick.bucket + 1] == 33_792)
        let median = QuantileTest(tail: 0.5, floor: 1_000).quick(new: healthy, old: old, ratio: 1.25)
        #expect(abs(median.value - 4747.2) < 0.05, "\(median)")
    }

    @Test("A slow reference agrees, and no samples are no evidence")
    func reference() {
        var random = SplitMix(21)
        for _ in 0..<12 {
            func samples() -> [UInt64] {
                let scale = Double.random(in: 4...15, using: &random)
                return (0..<Int.random(in: 1...60, using: &random)).map { _ in
                    UInt64(exp(scale + Double.random(in: -1...1, using: &random)))
                }
            }
            let (new, old) = (samples(), samples())
            let (tail, ratio) = (
                Double.random(in: 0.01...0.5, using: &random), Double.random(in: 1...2, using: &random)
            )
            let test = QuantileTest(tail: tail, floor: 1_000)
            let (newCounts, oldCounts) = (self.counts(new.map { (1, $0) }), self.counts(old.map { (1, $0) }))
            for isSlower in [true, false] {
                let value =
                    isSlower
                    ? test.slower(new: newCounts, old: oldCounts, ratio: ratio).value
                    : test.quick(new: newCounts, old: oldCounts, ratio: ratio).value
                let wanted = ReferenceEvidence.quantile(
                    new, old, tail: tail, ratio: ratio, floor: 1_000, isSlower: isSlower)
                #expect(abs(value - wanted) < 0.001, "\(tail) \(ratio)")
            }
        }
        let none = self.counts([])
        #expect(QuantileTest(tail: 0.01, floor: 0).slower(new: none, old: none, ratio: 1).value <= 1e-12)
    }
}
