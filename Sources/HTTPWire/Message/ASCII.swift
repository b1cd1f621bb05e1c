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

    @inline(__always)
    package static func equalsIgnoringCase(
        _ source: borrowing Span<UInt8>, _ range: ByteRange, lowercase: StaticString
    ) -> Bool {
        range.count == lowercase.utf8CodeUnitCount && self.hasPrefixIgnoringCase(source, range, lowercase: lowercase)
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

    /// Whether the bytes are `token`, in any case: a constant of 1 to 16 lower-case letters and hyphens.
    @inline(__always)
    static func isToken(_ source: borrowing Span<UInt8>, _ range: ByteRange, _ token: StaticString) -> Bool {
        let count = token.utf8CodeUnitCount
        guard range.count == count else { return false }
        let lower = Int(range.lower)
        let size = min(count, 8)
        guard
            (self.word(source, at: lower, count: size) ^ self.word(token, 0, size)) & self.caseless(token, 0, size) == 0
        else { return false }
        guard count > 8 else { return true }
        let last = count &- 8
        return (self.word(source, at: lower &+ last, count: 8) ^ self.word(token, last, 8))
            & self.caseless(token, last, 8) == 0
    }

    /// Up to eight bytes of a constant, from `start`, as a number. Folded by the compiler.
    @inline(__always)
    private static func word(_ text: StaticString, _ start: Int, _ count: Int) -> UInt64 {
        var word: UInt64 = 0
        var index = start &+ count
        while index > start {
            index &-= 1
            word = word << 8 | UInt64(text.utf8Start[index])
        }
        return word
    }

    /// All bits but those that tell a letter's case.
    @inline(__always)
    private static func caseless(_ text: StaticString, _ start: Int, _ count: Int) -> UInt64 {
        var mask: UInt64 = 0
        var index = start &+ count
        while index > start {
            index &-= 1
            let byte = text.utf8Start[index]
            mask = mask << 8 | (byte >= 0x61 && byte <= 0x7A ? 0xDF : 0xFF)
        }
        return mask
    }

    /// Up to eight bytes of a constant as a number, to compare with `word(_:at:count:)`.
    @inline(__always)
    static func word(_ text: StaticString) -> UInt64 { self.word(text, 0, text.utf8CodeUnitCount) }

    /// Up to eight bytes as a number, the first one lowest.
    @inline(__always)
    static func word(_ source: borrowing Span<UInt8>, at lower: Int, count: Int) -> UInt64 {
        precondition(lower >= 0 && count >= 0 && count <= 8 && lower <= source.count - count)
        guard count > 0 else { return 0 }
        if lower <= source.count - 8 {
            let word = source.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: lower, as: UInt64.self) }
            return UInt64(littleEndian: word) & (UInt64.max >> UInt64(64 - 8 * count))
        }
        var word: UInt64 = 0
        for index in 0..<count { word |= UInt64(source[lower + index]) << UInt64(8 * index) }
        return word
    }
}
