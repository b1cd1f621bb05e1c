import NIOCore

/// Tells bodies apart by 128 bits, the same in every process: replicas give the same bytes the same tag. It is no protection
/// against whoever looks for two bodies with one hash.
struct BodyHash {
    private var first: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var second: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private var count: UInt64 = 0

    /// - Returns: 32 hexadecimal digits.
    static func text(of body: Body) -> String {
        var hash = BodyHash()
        for piece in body.pieces { piece.withUnsafeReadableBytes { hash.add($0) } }
        return hash.text()
    }

    /// Every call but the last one has to bring a multiple of eight bytes, as pieces of a body do.
    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        count &+= UInt64(bytes.count)
        let whole = bytes.count & ~7
        for offset in stride(from: 0, to: whole, by: 8) {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        guard whole < bytes.count else { return }
        var rest: UInt64 = 0
        for byte in bytes[whole...].reversed() { rest = rest << 8 | UInt64(byte) }
        mix(rest)
    }

    private mutating func mix(_ word: UInt64) {
        first = Self.folded(first ^ word, 0xA076_1D64_78BD_642F)
        second = Self.folded(second &+ word, 0xE703_7ED1_A0B4_28DB)
    }

    /// Both halves of the product, one upon the other: every bit of the word reaches every bit of the result.
    private static func folded(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return (product.high ^ product.low) &+ left
    }

    private func text() -> String {
        var end = self
        end.mix(count)
        end.mix(0x2545_F491_4F6C_DD1D)
        return [end.first, end.second].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
