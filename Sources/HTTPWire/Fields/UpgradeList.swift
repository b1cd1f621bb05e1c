/// The protocols of an Upgrade field (RFC 9110 7.8), one after the other.
package struct UpgradeList {
    private var position: Int
    private let end: Int

    package init(_ range: ByteRange) {
        self.position = Int(range.lower)
        self.end = Int(range.upper)
    }

    /// The next protocol, version included; nil after the last.
    package mutating func next(in bytes: borrowing Span<UInt8>) -> ByteRange? {
        while self.position < self.end, Self.isBetween(bytes[self.position]) { self.position += 1 }
        guard self.position < self.end else { return nil }
        let start = self.position
        while self.position < self.end, bytes[self.position] != 0x2C { self.position += 1 }
        var upper = self.position
        while upper > start, Self.isBetween(bytes[upper - 1]) { upper -= 1 }
        return ByteRange(lower: UInt32(start), upper: UInt32(upper))
    }

    /// A protocol's name without its version.
    package static func name(of element: ByteRange, in bytes: borrowing Span<UInt8>) -> ByteRange {
        var end = element.lower
        while end < element.upper, bytes[Int(end)] != 0x2F { end += 1 }
        return ByteRange(lower: element.lower, upper: end)
    }

    private static func isBetween(_ byte: UInt8) -> Bool { byte == 0x2C || byte == 0x20 || byte == 0x09 }
}
