/// Offsets into the bytes that were parsed.
package struct ByteRange: Equatable, Hashable, Sendable {
    package var lower: UInt32
    package var upper: UInt32

    package static let empty = ByteRange(lower: 0, upper: 0)

    package init(lower: UInt32, upper: UInt32) {
        self.lower = lower
        self.upper = upper
    }

    init(_ lower: Int, _ upper: Int) {
        self.lower = UInt32(truncatingIfNeeded: lower)
        self.upper = UInt32(truncatingIfNeeded: upper)
    }

    package var count: Int { Int(self.upper) - Int(self.lower) }
    package var bounds: Range<Int> { Int(self.lower)..<Int(self.upper) }
    package var isEmpty: Bool { self.lower == self.upper }
}
