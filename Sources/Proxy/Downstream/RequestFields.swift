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

    /// Whether the field's value contains the word, in any case.
    static func contains(_ span: borrowing Span<UInt8>, _ range: ByteRange, _ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard range.count >= count else { return false }
        var start = range.lower
        while Int(range.upper) - Int(start) >= count {
            if ASCII.hasPrefixIgnoringCase(span, ByteRange(lower: start, upper: range.upper), lowercase: word) {
                return true
            }
            start += 1
        }
        return false
    }
}
