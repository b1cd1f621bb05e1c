/// The cyclic redundancy check of RFC 3720 appendix B.4 (Castagnoli), a bit at a time: headers that carry it are short and come
/// once in a connection's life.
enum CRC32C {
    /// Bytes in `zeroing` count as zero.
    static func of(_ bytes: borrowing Span<UInt8>, zeroing: Range<Int>) -> UInt32 {
        var remainder = UInt32.max
        for index in bytes.indices {
            remainder ^= zeroing.contains(index) ? 0 : UInt32(bytes[index])
            for _ in 0..<8 {
                remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
            }
        }
        return ~remainder
    }
}
