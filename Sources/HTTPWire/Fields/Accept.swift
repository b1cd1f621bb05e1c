/// The Accept field (RFC 9110 12.5.1), as far as answers of our own need it.
package enum Accept {
    /// Whether a JSON type is among those that the client takes.
    package static func takesJSON(_ span: borrowing Span<UInt8>, _ range: ByteRange) -> Bool {
        var start = Int(range.lower)
        while start < Int(range.upper) {
            var end = start
            while end < Int(range.upper), span[end] != 0x2C { end += 1 }
            if self.names(span, start, end, "json"), !self.isRefused(span, start, end) { return true }
            start = end + 1
        }
        return false
    }

    private static func names(_ span: borrowing Span<UInt8>, _ start: Int, _ end: Int, _ word: StaticString) -> Bool {
        var at = start
        while end - at >= word.utf8CodeUnitCount {
            let rest = ByteRange(lower: UInt32(at), upper: UInt32(end))
            if ASCII.hasPrefixIgnoringCase(span, rest, lowercase: word) { return true }
            at += 1
        }
        return false
    }

    /// A weight of zero: "not this".
    private static func isRefused(_ span: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        var at = start
        while at + 2 < end {
            if span[at] | 0x20 == 0x71, span[at + 1] == 0x3D, at > start, span[at - 1] == 0x3B || span[at - 1] == 0x20 {
                for index in (at + 2)..<end where (0x31...0x39).contains(span[index]) { return false }
                return true
            }
            at += 1
        }
        return false
    }
}
