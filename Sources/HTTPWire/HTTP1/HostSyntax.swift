/// `uri-host [":" port]` (RFC 9110 7.2, RFC 3986 3.2).
package enum HostSyntax {
    static func isValid(_ bytes: borrowing Span<UInt8>, _ range: ByteRange) -> Bool {
        var index = Int(range.lower)
        let end = Int(range.upper)
        guard index < end else { return false }
        if bytes[index] == 0x5B {
            index += 1
            let start = index
            while index < end, bytes[index] != 0x5D {
                let byte = bytes[index]
                guard ByteClass.isHex(byte) || byte == 0x3A || byte == 0x2E else { return false }
                index += 1
            }
            // The shortest IPv6 address is "::".
            guard index < end, index - start >= 2 else { return false }
            index += 1
        } else {
            let start = index
            // Most are letters, digits, hyphens and dots.
            index = min(end, ByteScan.hostNameEnd(bytes, from: index))
            while index < end, ByteClass.isRegisteredName(bytes[index]) {
                if bytes[index] == 0x25 {
                    guard index + 2 < end, ByteClass.isHex(bytes[index + 1]), ByteClass.isHex(bytes[index + 2]) else {
                        return false
                    }
                    index += 2
                }
                index += 1
            }
            guard index > start else { return false }
        }
        if index == end { return true }
        guard bytes[index] == 0x3A else { return false }
        index += 1
        var port = 0
        while index < end {
            let digit = bytes[index] &- 0x30
            guard digit <= 9 else { return false }
            port = port * 10 + Int(digit)
            guard port <= 65_535 else { return false }
            index += 1
        }
        return true
    }

    /// The host alone, of one that is valid.
    package static func withoutPort(_ host: ByteRange, in bytes: borrowing Span<UInt8>) -> ByteRange {
        var index = host.upper
        while index > host.lower {
            let byte = bytes[Int(index) - 1]
            if byte == 0x3A { return ByteRange(lower: host.lower, upper: index - 1) }
            guard byte &- 0x30 <= 9 else { break }
            index -= 1
        }
        return host
    }
}
