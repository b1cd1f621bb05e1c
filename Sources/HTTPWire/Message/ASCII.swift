/// Comparisons of header bytes, which are ASCII whatever the locale.
package enum ASCII {
    @inline(__always)
    package static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    package static func equalsIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: [UInt8]
    ) -> Bool {
        guard range.count == lowercase.count else { return false }
        let lower = Int(range.lower)
        for index in lowercase.indices where self.lowercased(source[lower + index]) != lowercase[index] {
            return false
        }
        return true
    }

    package static func equalsIgnoringCase(
        _ first: borrowing Span<UInt8>, _ firstRange: ByteRange, _ second: borrowing Span<UInt8>,
        _ secondRange: ByteRange
    ) -> Bool {
        guard firstRange.count == secondRange.count else { return false }
        for offset in 0..<firstRange.count
        where self.lowercased(first[Int(firstRange.lower) + offset])
            != self.lowercased(second[Int(secondRange.lower) + offset])
        {
            return false
        }
        return true
    }

    package static func hasPrefixIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: StaticString
    ) -> Bool {
        guard range.count >= lowercase.utf8CodeUnitCount else { return false }
        let lower = Int(range.lower)
        return lowercase.withUTF8Buffer { wanted in
            for index in wanted.indices where self.lowercased(source[lower + index]) != wanted[index] {
                return false
            }
            return true
        }
    }
}
