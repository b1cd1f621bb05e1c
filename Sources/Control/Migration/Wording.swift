/// Numbers as people read them.
package enum Wording {
    /// `45 s`, `12 min`, `3.5 h`, `2.1 d`.
    package static func duration(seconds: Double) -> String {
        switch seconds {
        case ..<1: "\(Int((seconds * 1_000).rounded())) ms"
        case ..<120: "\(self.rounded(seconds, 0)) s"
        case ..<7_200: "\(self.rounded(seconds / 60, 0)) min"
        case ..<172_800: "\(self.rounded(seconds / 3_600, 1)) h"
        default: "\(self.rounded(seconds / 86_400, 1)) d"
        }
    }

    /// Percent of a fraction: `5 %`, `0.25 %`.
    package static func percent(_ fraction: Double) -> String { "\(self.rounded(fraction * 100, 4)) %" }

    /// Difference of two fractions in points, with its sign: `+0.362`.
    package static func points(_ fraction: Double) -> String {
        let text = self.rounded(fraction * 100, 3)
        return fraction > 0 && !text.hasPrefix("-") ? "+" + text : text
    }

    /// At most so many decimals, without zeros behind them.
    package static func rounded(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let whole = scaled / Int64(scale)
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(whole)" }
        var digits = String(scaled % Int64(scale))
        digits = String(repeating: "0", count: decimals - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return digits.isEmpty ? "\(sign)\(whole)" : "\(sign)\(whole).\(digits)"
    }
}
