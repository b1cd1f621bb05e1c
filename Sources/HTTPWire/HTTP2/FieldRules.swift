/// What RFC 9113 8.2 demands of every field, in heads and trailers alike.
enum FieldRules {
    /// A token without upper-case letters.
    static func isName(_ name: UnsafeRawBufferPointer) -> Bool {
        guard !name.isEmpty else { return false }
        for byte in name where !ByteClass.isToken(byte) || (byte >= 0x41 && byte <= 0x5A) { return false }
        return true
    }

    /// No NUL, CR, LF or other control, and no blank at either end.
    static func isValue(_ value: UnsafeRawBufferPointer) -> Bool {
        guard let first = value.first, let last = value.last else { return true }
        if first == 0x20 || first == 0x09 || last == 0x20 || last == 0x09 { return false }
        for byte in value where !ByteClass.isFieldContent(byte) { return false }
        return true
    }

    /// Visible ASCII only, at least one byte.
    static func isVisible(_ value: UnsafeRawBufferPointer) -> Bool {
        guard !value.isEmpty else { return false }
        for byte in value where byte <= 0x20 || byte >= 0x7F { return false }
        return true
    }

    static func equals(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count where bytes[index] != text.utf8Start[index] { return false }
        return true
    }

    /// Fields of HTTP/1 connections, which mean nothing here (8.2.2).
    static func isOfConnection(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        switch name.count {
        case 2: self.equals(name, "te") && !self.equalsIgnoringCase(value, "trailers")
        case 7: self.equals(name, "upgrade")
        case 10: self.equals(name, "connection") || self.equals(name, "keep-alive")
        case 16: self.equals(name, "proxy-connection")
        case 17: self.equals(name, "transfer-encoding")
        default: false
        }
    }

    static func equalsIgnoringCase(_ bytes: UnsafeRawBufferPointer, _ lowercase: StaticString) -> Bool {
        guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
        for index in 0..<bytes.count where self.lower(bytes[index]) != lowercase.utf8Start[index] { return false }
        return true
    }

    static func lower(_ byte: UInt8) -> UInt8 { byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte }
}
