import HTTPWire
import Traffic

/// Cookie header fields (RFC 6265 4.2.1): pairs separated by `; `.
enum Cookie {
    /// The value of the first pair called `name`, without quotes.
    static func value(of name: [UInt8], in span: borrowing Span<UInt8>, _ range: ByteRange) -> ByteRange? {
        var position = Int(range.lower)
        let end = Int(range.upper)
        while position < end {
            while position < end, span[position] == 0x20 || span[position] == 0x3B { position += 1 }
            let start = position
            while position < end, span[position] != 0x3B { position += 1 }
            var equals = start
            while equals < position, span[equals] != 0x3D { equals += 1 }
            guard equals < position, equals - start == name.count else { continue }
            var matches = true
            for index in name.indices where span[start + index] != name[index] { matches = false }
            guard matches else { continue }
            var lower = equals + 1
            var upper = position
            while upper > lower, span[upper - 1] == 0x20 { upper -= 1 }
            if upper - lower >= 2, span[lower] == 0x22, span[upper - 1] == 0x22 {
                lower += 1
                upper -= 1
            }
            return ByteRange(lower: UInt32(lower), upper: UInt32(upper))
        }
        return nil
    }
}

/// Reads X-Forwarded-For from its end, where the nearest proxy wrote.
enum ForwardedFor {
    /// The last address before `upper`, which moves in front of it. nil at the start, or at something that is no address:
    /// what stands before that cannot be believed either.
    static func last(_ span: borrowing Span<UInt8>, lower: Int, upper: inout Int) -> IPAddress? {
        while upper > lower, span[upper - 1] == 0x20 || span[upper - 1] == 0x2C || span[upper - 1] == 0x09 {
            upper -= 1
        }
        guard upper > lower else { return nil }
        var start = upper
        while start > lower, span[start - 1] != 0x2C { start -= 1 }
        var first = start
        while first < upper, span[first] == 0x20 || span[first] == 0x09 { first += 1 }
        let end = upper
        upper = start
        // Longer than any address: not one.
        guard end - first <= 64 else { return nil }
        var text = ""
        for index in first..<end { text.unicodeScalars.append(Unicode.Scalar(span[index])) }
        if let address = IPAddress(parsing: text) { return address }
        return SocketAddress(parsing: text)?.ip
    }
}

/// The Accept field (RFC 9110 12.5.1), as far as answers of our own need it.
enum Accept {
    /// Whether a JSON type is among those that the client takes.
    static func takesJSON(_ span: borrowing Span<UInt8>, _ range: ByteRange) -> Bool {
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
