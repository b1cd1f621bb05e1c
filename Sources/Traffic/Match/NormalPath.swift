/// The normal form of a path, for comparing only (RFC 3986 §6.2.2 and §5.2.4): escapes of unreserved characters decoded,
/// other escapes in upper case, runs of slashes made one, the segments `.` and `..` resolved. What is no escape stays as
/// it is, and nothing is decoded twice.
///
/// Made from the right to the left, which needs no memory of segments: how many `..` are still to be paid for says all.
/// Only the beginning of the result is kept, more than any pattern can tell apart, so that paths of any length fit.
struct NormalPath {
    /// Bytes of the result that are kept at least; longer than the longest pattern, with the byte behind it.
    static let kept = 4_100
    private static let room = 8_192

    /// Filled from its end; `range` is what is kept of the result.
    private(set) var buffer = InlineArray<8_192, UInt8>(repeating: 0)
    private var lower = Self.room
    private var upper = Self.room
    /// Of the whole result.
    private(set) var count = 0

    /// `path` begins with a slash.
    init(_ path: borrowing Span<UInt8>) {
        var pending = 0
        var end = path.count
        var isLast = true
        while end > 0 {
            var start = end
            while start > 0, path[start - 1] != UInt8(ascii: "/") { start -= 1 }
            switch Self.kind(path, start, end) {
            case .parent:
                pending += 1
                fallthrough
            case .nothing:
                // A path that ends so ends with a slash.
                if isLast { self.prepend(UInt8(ascii: "/")) }
            case .name:
                if pending > 0 {
                    pending -= 1
                } else {
                    self.prependName(path, start, end)
                    self.prepend(UInt8(ascii: "/"))
                }
            }
            isLast = false
            end = start - 1
        }
        if self.count == 0 { self.prepend(UInt8(ascii: "/")) }
    }

    var range: Range<Int> { self.lower..<self.upper }

    /// Whether `path` is its own normal form, as nearly all are.
    static func isNormal(_ path: borrowing Span<UInt8>) -> Bool {
        guard path.count > 0, path[0] == UInt8(ascii: "/") else { return true }
        var before: UInt8 = 0
        for index in path.indices {
            let byte = path[index]
            if byte == UInt8(ascii: "%") { return false }
            // A segment that begins with a dot may be one to resolve.
            if before == UInt8(ascii: "/"), byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".") { return false }
            before = byte
        }
        return true
    }

    private enum Kind { case name, nothing, parent }

    /// Of a segment, escapes decoded.
    private static func kind(_ path: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Kind {
        var dots = 0
        var index = start
        while index < end {
            if path[index] == UInt8(ascii: ".") {
                index += 1
            } else if index + 2 < end, path[index] == UInt8(ascii: "%"), path[index + 1] == UInt8(ascii: "2"),
                path[index + 2] | 0x20 == UInt8(ascii: "e")
            {
                index += 3
            } else {
                return .name
            }
            dots += 1
            if dots > 2 { return .name }
        }
        return dots == 2 ? .parent : .nothing
    }

    private mutating func prependName(_ path: borrowing Span<UInt8>, _ start: Int, _ end: Int) {
        var index = end
        while index > start {
            if index - 3 >= start, path[index - 3] == UInt8(ascii: "%"), let high = URIByte.digit(path[index - 2]),
                let low = URIByte.digit(path[index - 1])
            {
                let byte = high << 4 | low
                if URIByte.isUnreserved(byte) {
                    self.prepend(byte)
                } else {
                    self.prepend(Self.upper(path[index - 1]))
                    self.prepend(Self.upper(path[index - 2]))
                    self.prepend(UInt8(ascii: "%"))
                }
                index -= 3
            } else {
                self.prepend(path[index - 1])
                index -= 1
            }
        }
    }

    private mutating func prepend(_ byte: UInt8) {
        if self.lower == 0 {
            // The end of a very long path gives way to its beginning.
            // From the last byte on: the places of some of them are where others still lie.
            for place in (0..<Self.kept).reversed() { self.buffer[Self.room - Self.kept + place] = self.buffer[place] }
            self.lower = Self.room - Self.kept
            self.upper = Self.room
        }
        self.lower -= 1
        self.buffer[self.lower] = byte
        self.count += 1
    }

    private static func upper(_ digit: UInt8) -> UInt8 { digit >= UInt8(ascii: "a") ? digit & ~0x20 : digit }
}
