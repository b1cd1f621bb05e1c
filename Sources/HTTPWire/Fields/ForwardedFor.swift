/// The elements of one X-Forwarded-For value, read from its end, where the nearest proxy wrote.
///
/// Nothing is left out: an empty element, and an empty value, is an element that names nobody. Whoever reads addresses
/// stops at what is none, since what stands before that cannot be believed either.
package struct ForwardedFor {
    private let lower: Int
    /// Where the elements that are left end; below `lower` there are none.
    private var upper: Int

    package init(_ value: ByteRange) {
        self.lower = Int(value.lower)
        self.upper = Int(value.upper)
    }

    /// The element before those already read, without white space around it; nil before the first.
    package mutating func previous(in bytes: borrowing Span<UInt8>) -> ByteRange? {
        guard self.upper >= self.lower else { return nil }
        var end = self.upper
        var start = end
        while start > self.lower, bytes[start - 1] != 0x2C { start -= 1 }
        self.upper = start - 1
        while end > start, Self.isBlank(bytes[end - 1]) { end -= 1 }
        while start < end, Self.isBlank(bytes[start]) { start += 1 }
        return ByteRange(start, end)
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}
