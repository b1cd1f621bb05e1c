/// Numbers with a unit, as routes.json writes them: `"1.5s"`, `"64KiB"`.
enum Quantity {
    private static let durations: [(unit: String, milliseconds: UInt64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000),
    ]
    private static let sizes: [(unit: String, bytes: UInt64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
        ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ]

    /// nil if it is not a duration, or not a whole number of milliseconds.
    static func milliseconds(_ text: String) -> UInt64? {
        guard let unit = self.durations.first(where: { text.hasSuffix($0.unit) }) else { return nil }
        return self.scaled(text.dropLast(unit.unit.count), by: unit.milliseconds)
    }

    /// nil if it is not a size, or not a whole number of bytes.
    static func bytes(_ text: String) -> UInt64? {
        guard let unit = self.sizes.first(where: { text.hasSuffix($0.unit) }) else { return nil }
        return self.scaled(text.dropLast(unit.unit.count), by: unit.bytes)
    }

    /// In the largest unit that divides it.
    static func text(milliseconds: UInt32) -> String {
        let value = UInt64(milliseconds)
        let unit = value == 0 ? nil : self.durations.last { value.isMultiple(of: $0.milliseconds) }
        return "\(value / (unit?.milliseconds ?? 1))\(unit?.unit ?? "s")"
    }

    /// Digits, perhaps with a point and digits after it, times `unit`; nil unless the product is a whole number.
    private static func scaled(_ number: Substring, by unit: UInt64) -> UInt64? {
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = self.digits(parts[0]) else { return nil }
        let product = whole.multipliedReportingOverflow(by: unit)
        guard !product.overflow else { return nil }
        guard parts.count == 2 else { return product.partialValue }
        // Nine digits are finer than any unit needs, and their power of ten is far from the end of 64 bits.
        guard parts[1].utf8.count <= 9, let fraction = self.digits(parts[1]) else { return nil }
        let divisor = parts[1].utf8.reduce(UInt64(1)) { power, _ in power * 10 }
        let part = fraction.multipliedReportingOverflow(by: unit)
        guard !part.overflow, part.partialValue.isMultiple(of: divisor) else { return nil }
        let sum = product.partialValue.addingReportingOverflow(part.partialValue / divisor)
        return sum.overflow ? nil : sum.partialValue
    }

    private static func digits(_ text: Substring) -> UInt64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(text)
    }
}
