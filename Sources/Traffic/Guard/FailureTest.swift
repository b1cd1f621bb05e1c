// The four functions alone, not the system behind them: no clock and no I/O can be reached from here.
import func Glibc.exp
import func Glibc.expm1
import func Glibc.log
import func Glibc.log1p

/// Whether one side fails more often than another: a test that may be looked at all the time.
package enum FailureTest {
    /// 1/16, which finds small differences in many samples, to 8, which finds large ones in three.
    private static let tilts: [Double] = [0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8]

    /// ln of a mixture of likelihood ratios of tilted coins: large against "the rate is at most `rate`" (`sign` 1), or "at
    /// least" (−1).
    private static func tilt(_ failed: Double, of count: Double, rate: Double, sign: Double) -> Double {
        let exponents = self.tilts.map { tilt in
            sign * tilt * failed - count * log1p(rate * expm1(sign * tilt))
        }
        let largest = exponents.max() ?? 0
        return largest + log(exponents.reduce(0) { $0 + exp($1 - largest) } / Double(exponents.count))
    }

    /// ln of the evidence against "one fails no more often than the other", whatever the other's rate is: the rate that
    /// explains both best is supposed.
    package static func evidence(failed: UInt64, of count: UInt64, against others: UInt64, of othersCount: UInt64)
        -> Double
    {
        let (one, n) = (Double(min(failed, count)), Double(count))
        let (other, m) = (Double(min(others, othersCount)), Double(othersCount))
        func value(_ rate: Double) -> Double {
            let old = self.tilt(other, of: m, rate: rate, sign: -1)
            // Half of the stake stays unbet, so that a wrong supposition about the other side cannot hide this one.
            let half = old > 0 ? old + log(0.5 + 0.5 * exp(-old)) : log(0.5 + 0.5 * exp(old))
            return self.tilt(one, of: n, rate: rate, sign: 1) + half
        }
        // Convex in the rate.
        var (low, high) = (0.0, 1.0)
        for _ in 0..<100 {
            let (left, right) = (low + (high - low) / 3, high - (high - low) / 3)
            if value(left) <= value(right) { high = right } else { low = left }
        }
        return min(value(low), value((low + high) / 2), value(0))
    }
}
