import JSONText

/// A percentage as it was written, up to four decimals: exact as a count of millionths.
struct Percent: Sendable, Equatable {
    let millionths: UInt32

    /// 0.005 for half a percent.
    var fraction: Double { Double(self.millionths) / 1_000_000 }

    /// Digits of a JSON number without exponent; nil if it is negative, has more decimals or is beyond 400,000.
    init?(_ digits: String) {
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Self.number(parts[0]), whole < 400_000 else { return nil }
        guard parts.count == 2 else {
            self.millionths = whole * 10_000
            return
        }
        guard parts[1].utf8.count <= 4, let decimals = Self.number(parts[1]) else { return nil }
        let scale: UInt32 = [10_000, 1_000, 100, 10, 1][parts[1].utf8.count]
        let (sum, isOver) = (whole * 10_000).addingReportingOverflow(decimals * scale)
        guard !isOver else { return nil }
        self.millionths = sum
    }

    private static func number(_ digits: Substring) -> UInt32? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt32(digits)
    }
}

extension Node {
    /// A number of percent from 0 to `limit`.
    func percent(upTo limit: UInt32) -> Percent? {
        guard case .number(let digits) = self.value.content, let percent = Percent(digits),
            percent.millionths <= limit * 10_000
        else {
            self.failExpecting("a percentage from 0 to \(limit) with at most 4 decimals")
            return nil
        }
        return percent
    }
}
