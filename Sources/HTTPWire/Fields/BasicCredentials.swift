/// What a request's Authorization field says by the Basic scheme (RFC 7617).
package enum BasicCredentials: Sendable, Equatable {
    /// There is no such field, or it is of another scheme.
    case none
    /// More than one field, no Base64, no colon, or control characters in it (RFC 7617 2).
    case malformed
    /// More than `largest` bytes.
    case tooLarge
    /// Where name and password stand in the memory that it was decoded into, and how many bytes of that were used.
    case given(name: ByteRange, password: ByteRange, count: Int)

    /// Bytes of Base64.
    package static let largest = 4_096

    /// Decodes into `room`, which has `largest` bytes or more.
    package static func decode(
        _ fields: FieldList, _ source: borrowing Span<UInt8>, into room: UnsafeMutableRawBufferPointer
    ) -> BasicCredentials {
        guard let field = fields.first(.authorization) else { return .none }
        for index in 0..<fields.count
        where fields[index].id == .authorization && fields[index].value != field.value {
            return .malformed
        }
        let value = field.value
        guard ASCII.hasPrefixIgnoringCase(source, value, lowercase: "basic"), value.count > 5 else { return .none }
        var start = Int(value.lower) + 5
        guard source[start] == 0x20 else { return .none }
        while start < Int(value.upper), source[start] == 0x20 { start += 1 }
        let text = start..<Int(value.upper)
        guard text.count <= min(Self.largest, room.count) else { return .tooLarge }
        guard let count = self.decode(source, text, into: room) else { return .malformed }
        var colon: Int?
        for index in 0..<count {
            let byte = room[index]
            guard byte >= 0x20, byte != 0x7F else { return .malformed }
            if byte == 0x3A, colon == nil { colon = index }
        }
        guard let colon else { return .malformed }
        return .given(name: ByteRange(0, colon), password: ByteRange(colon + 1, count), count: count)
    }

    /// Base64 with its padding and nothing else (RFC 4648 4). Answers how many bytes came of it.
    private static func decode(
        _ source: borrowing Span<UInt8>, _ text: Range<Int>, into room: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard text.count % 4 == 0, !text.isEmpty else { return nil }
        var count = 0
        var index = text.lowerBound
        while index < text.upperBound {
            let isLast = index + 4 == text.upperBound
            var group: UInt32 = 0
            var padding = 0
            for place in 0..<4 {
                let byte = source[index + place]
                if byte == 0x3D {
                    guard isLast, place >= 2 else { return nil }
                    padding += 1
                    group <<= 6
                } else {
                    guard padding == 0, let digit = self.digit(byte) else { return nil }
                    group = group << 6 | UInt32(digit)
                }
            }
            // Bits that no byte has are zero: one text for each value.
            if padding == 1, group & 0xFF != 0 { return nil }
            if padding == 2, group & 0xFFFF != 0 { return nil }
            for place in 0..<(3 - padding) {
                room[count] = UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * place))
                count += 1
            }
            index += 4
        }
        return count
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2B: 62
        case 0x2F: 63
        default: nil
        }
    }
}
