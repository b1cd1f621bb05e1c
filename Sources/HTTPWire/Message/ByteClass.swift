/// Sets of bytes as bitmaps: a look-up is two shifts, and no table has to be loaded or lazily made.
enum ByteClass {
    /// tchar (RFC 9110 5.6.2), bytes 0…63 and 64…127.
    private static let tokenLow: UInt64 = 0x03FF_6CFA_0000_0000
    private static let tokenHigh: UInt64 = 0x57FF_FFFF_C7FF_FFFE

    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        if byte >= 0x80 { return false }
        let map = byte < 64 ? self.tokenLow : self.tokenHigh
        return map >> UInt64(byte & 63) & 1 != 0
    }

    /// Bytes of a field value: HTAB, SP, visible, obs-text (RFC 9110 5.5).
    @inline(__always)
    static func isFieldContent(_ byte: UInt8) -> Bool {
        byte >= 0x20 ? byte != 0x7F : byte == 0x09
    }

    /// reg-name, IPv4 address: unreserved, sub-delims, percent (RFC 3986 3.2.2).
    static func isRegisteredName(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x41...0x5A, 0x30...0x39: true
        case 0x2D, 0x2E, 0x5F, 0x7E: true  // - . _ ~
        case 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x3B, 0x3D: true  // ! $ & ' ( ) * + , ; =
        case 0x25: true
        default: false
        }
    }

    static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }
}
