/// The elements of a comma-separated field value, one after the other; empty ones are skipped (RFC 9110 5.6.1.2). Quoted
/// strings are not known: a list whose elements may hold commas is none for this.
package struct ElementList {
    private var position: Int
    private let end: Int

    package init(_ value: ByteRange) {
        self.position = Int(value.lower)
        self.end = Int(value.upper)
    }

    /// The next element without white space around it; nil after the last.
    package mutating func next(in bytes: borrowing Span<UInt8>) -> ByteRange? {
        while self.position < self.end, Self.isBetween(bytes[self.position]) { self.position += 1 }
        guard self.position < self.end else { return nil }
        let start = self.position
        while self.position < self.end, bytes[self.position] != 0x2C { self.position += 1 }
        var upper = self.position
        while upper > start, Self.isBetween(bytes[upper - 1]) { upper -= 1 }
        return ByteRange(start, upper)
    }

    private static func isBetween(_ byte: UInt8) -> Bool { byte == 0x2C || byte == 0x20 || byte == 0x09 }
}
