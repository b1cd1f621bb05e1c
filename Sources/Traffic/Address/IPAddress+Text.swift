/// Reading and writing addresses as text. Strict on purpose: what one parser calls 8.8.8.8 and another 10.8.8.8
/// (leading zeros as octal) must not pass an allow list.
extension IPAddress: CustomStringConvertible {
    /// IPv4 in dotted decimal without leading zeros, or IPv6 in any form of RFC 4291 §2.2, without brackets or zone.
    /// nil for anything else. An IPv4-mapped IPv6 address is the IPv4 address.
    package init?(parsing text: String) {
        var text = text
        guard let parsed = text.withUTF8({ IPAddress(parsing: $0.span) }) else { return nil }
        self = parsed
    }

    /// Likewise from bytes. Allocates nothing.
    package init?(parsing bytes: Span<UInt8>) {
        // The longest IPv6 text, with an embedded IPv4 address, has 45 characters.
        guard !bytes.isEmpty, bytes.count <= 45 else { return nil }
        if let v4 = Self.parseV4(bytes) {
            self.init(v4: v4)
        } else if let v6 = Self.parseV6(bytes) {
            self = v6
        } else {
            return nil
        }
    }

    /// Dotted decimal for IPv4, RFC 5952 for IPv6.
    package var description: String {
        if self.isV4 {
            let bits = self.v4
            return "\(bits >> 24).\(bits >> 16 & 0xFF).\(bits >> 8 & 0xFF).\(bits & 0xFF)"
        }
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? self.high : self.low) >> UInt64((3 - index % 4) * 16))
        }
        // RFC 5952 §4.2: the longest run of two or more zero groups becomes "::", the first one if they are equal.
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = end + 1
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.isEmpty ? text(0..<8) : "\(text(0..<best.lowerBound))::\(text(best.upperBound..<8))"
    }

    private static func parseV4(_ span: Span<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        var octets = 0
        var index = 0
        while octets < 4 {
            var value: UInt32 = 0
            let first = index
            while index < span.count, index - first < 3, let digit = Self.decimal(span[index]) {
                value = value * 10 + digit
                index += 1
            }
            let length = index - first
            guard length > 0, value <= 255, length == 1 || span[first] != UInt8(ascii: "0") else { return nil }
            bits = bits << 8 | value
            octets += 1
            if octets < 4 {
                guard index < span.count, span[index] == UInt8(ascii: ".") else { return nil }
                index += 1
            }
        }
        return index == span.count ? bits : nil
    }

    private static func parseV6(_ span: Span<UInt8>) -> IPAddress? {
        /// Groups before and after "::", as 128-bit numbers growing from the right.
        var head = IPAddress(high: 0, low: 0)
        var tail = head
        var headCount = 0
        var tailCount = 0
        var compressed = false
        var index = 0
        func isColon(_ at: Int) -> Bool { at < span.count && span[at] == UInt8(ascii: ":") }
        if isColon(0) {
            guard isColon(1) else { return nil }
            compressed = true
            index = 2
        }
        while index < span.count {
            guard headCount + tailCount < 8 else { return nil }
            let first = index
            var value: UInt64 = 0
            while index < span.count, index - first < 4, let digit = Self.hexadecimal(span[index]) {
                value = value << 4 | digit
                index += 1
            }
            if index < span.count, span[index] == UInt8(ascii: ".") {
                // RFC 4291 §2.2.3: the last 32 bits may be written as an IPv4 address.
                guard headCount + tailCount <= 6, let v4 = Self.parseV4(span.extracting(first...)) else { return nil }
                for half in [UInt64(v4 >> 16), UInt64(v4 & 0xFFFF)] {
                    if compressed { tail.append(half) } else { head.append(half) }
                }
                if compressed { tailCount += 2 } else { headCount += 2 }
                index = span.count
                break
            }
            guard index > first else { return nil }
            if compressed {
                tail.append(value)
                tailCount += 1
            } else {
                head.append(value)
                headCount += 1
            }
            guard index < span.count else { break }
            guard isColon(index) else { return nil }
            index += 1
            if isColon(index) {
                guard !compressed else { return nil }
                compressed = true
                index += 1
            } else if index == span.count {
                return nil
            }
        }
        let count = headCount + tailCount
        guard compressed ? count < 8 : count == 8 else { return nil }
        for _ in headCount..<8 { head.append(0) }
        return IPAddress(high: head.high | tail.high, low: head.low | tail.low)
    }

    /// Moves all groups left by one and adds one on the right.
    private mutating func append(_ group: UInt64) {
        self.high = self.high << 16 | self.low >> 48
        self.low = self.low << 16 | group
    }

    private static func decimal(_ byte: UInt8) -> UInt32? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? UInt32(byte - UInt8(ascii: "0")) : nil
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
