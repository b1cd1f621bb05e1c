/// The protocols of an Upgrade field (RFC 9110 7.8), one after the other.
package struct UpgradeList {
    private var elements: ElementList

    package init(_ value: ByteRange) {
        self.elements = ElementList(value)
    }

    /// The next protocol, version included; nil after the last.
    package mutating func next(in bytes: borrowing Span<UInt8>) -> ByteRange? {
        self.elements.next(in: bytes)
    }

    /// A protocol's name without its version.
    package static func name(of element: ByteRange, in bytes: borrowing Span<UInt8>) -> ByteRange {
        var end = element.lower
        while end < element.upper, bytes[Int(end)] != 0x2F { end += 1 }
        return ByteRange(lower: element.lower, upper: end)
    }
}
