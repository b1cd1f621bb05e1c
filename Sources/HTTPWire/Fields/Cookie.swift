/// Cookie header fields (RFC 6265 4.2.1): pairs separated by `; `.
package enum Cookie {
    /// The value of the first pair called `name`, without quotes.
    package static func value(of name: [UInt8], in span: borrowing Span<UInt8>, _ range: ByteRange) -> ByteRange? {
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
