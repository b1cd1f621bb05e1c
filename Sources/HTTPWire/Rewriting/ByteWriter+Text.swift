extension ByteWriter {
    /// Copies an array's bytes.
    package mutating func append(bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.append(raw: $0) }
    }

    /// Sixteen lower-case hexadecimal digits.
    package mutating func append(paddedHex value: UInt64) {
        var shift: UInt64 = 64
        while shift > 0 {
            shift -= 4
            let digit = UInt8(truncatingIfNeeded: (value >> shift) & 0xF)
            self.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}
