// The four functions alone, not the system behind them: no clock and no I/O can be reached from here.
import func Glibc.exp
import func Glibc.expm1
import func Glibc.log
import func Glibc.log1p

/// How many of how many went wrong, on one side.
package struct Arm: Sendable, Equatable {
    package var bad: UInt64
    package var count: UInt64

    package init(bad: UInt64, count: UInt64) {
        self.bad = min(bad, count)
        self.count = count
    }
}

/// Tests that may be looked at all the time.
///
/// Every function gives the natural logarithm of a value that, under the hypothesis which it tests, is a test martingale or
/// bounded by one: the chance that it *ever* reaches 1/α is at most α, however often it is looked at, and however the rate
/// moves while samples come in. So a value is compared with `log(1/α)`, at every moment, and no look costs anything.
package enum Evidence {
    /// Which hypothesis a tilt speaks against.
    package enum Direction: Sendable {
        /// Large against "the rate is at most p".
        case above
        /// Large against "the rate is at least p".
        case below
    }

    /// λ = 2^(k−4): from 1/16, which finds small differences in many samples, to 8, which finds large ones in three.
    private static let tilts: [Double] = [0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8]
    /// e^λ − 1 and e^−λ − 1 of each.
    private static let rises = tilts.map { expm1($0) }
    private static let falls = tilts.map { expm1(-$0) }

    /// T(S, n, p, s): evidence of one arm against a supposed rate.
    ///
    /// A mixture, with equal weights, of the likelihood ratios of exponentially tilted coins. The rate may be a running mean:
    /// the logarithm is concave in it.
    package static func tilt(_ arm: Arm, rate: Double, _ direction: Direction) -> Double {
        let sign: Double = direction == .above ? 1 : -1
        let moments = direction == .above ? self.rises : self.falls
        let bad = Double(arm.bad)
        let count = Double(arm.count)
        var exponents: InlineArray<8, Double> = .init(repeating: 0)
        var largest = -Double.infinity
        for index in 0..<8 {
            let exponent = sign * self.tilts[index] * bad - count * log1p(rate * moments[index])
            exponents[index] = exponent
            largest = max(largest, exponent)
        }
        var sum = 0.0
        for index in 0..<8 { sum += exp(exponents[index] - largest) }
        return largest + log(sum / 8)
    }

    /// H(t) = ln(½ + ½eᵗ): half of the stake stays unbet.
    static func half(_ value: Double) -> Double {
        value > 0 ? value + log(0.5 + 0.5 * exp(-value)) : log(0.5 + 0.5 * exp(value))
    }

    /// ln(1/α), what evidence must reach so that a false alarm has at most this chance.
    package static func threshold(_ chance: Double) -> Double { -log(chance) }
}
