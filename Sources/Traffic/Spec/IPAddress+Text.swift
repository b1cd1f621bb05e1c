extension IPAddress: CustomStringConvertible {
    /// Strict dotted IPv4 (no leading zeros) or IPv6 (RFC 4291 2.2, without zone). nil for anything else.
    package init?(parsing text: String) {
        if text.utf8.contains(0x3A) {
            guard let (high, low) = Self.parseV6(text) else { return nil }
            self.init(high: high, low: low)
        } else {
            guard let v4 = Self.parseV4(text[...]) else { return nil }
            self.init(v4: v4)
        }
    }

    private static func parseV4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard !part.isEmpty, part.utf8.count <= 3, part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                part.utf8.count == 1 || part.utf8.first != 0x30, let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    private static func parseV6(_ text: String) -> (UInt64, UInt64)? {
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        guard let front = Self.groups(halves[0], mayEndInV4: halves.count == 1) else { return nil }
        var groups = front
        if halves.count == 2 {
            guard let back = Self.groups(halves[1], mayEndInV4: true), front.count + back.count <= 7 else { return nil }
            groups += [UInt16](repeating: 0, count: 8 - front.count - back.count) + back
        }
        guard groups.count == 8 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<4 {
            high = high << 16 | UInt64(groups[index])
            low = low << 16 | UInt64(groups[index + 4])
        }
        return (high, low)
    }

    private static func groups(_ text: Substring, mayEndInV4: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if part.utf8.contains(0x2E) {
                guard mayEndInV4, index == parts.count - 1, let v4 = Self.parseV4(part) else { return nil }
                groups.append(UInt16(v4 >> 16))
                groups.append(UInt16(v4 & 0xFFFF))
            } else {
                guard (1...4).contains(part.utf8.count), let group = UInt16(part, radix: 16),
                    part.utf8.first != 0x2B, part.utf8.first != 0x2D
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    /// Dotted for IPv4; RFC 5952 for IPv6.
    package var description: String {
        if self.isV4 {
            let v4 = self.v4
            return "\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255)"
        }
        var groups: [UInt16] = []
        for shift in [48, 32, 16, 0] as [UInt64] { groups.append(UInt16(truncatingIfNeeded: self.high >> shift)) }
        for shift in [48, 32, 16, 0] as [UInt64] { groups.append(UInt16(truncatingIfNeeded: self.low >> shift)) }
        // The longest run of two or more zero groups, the first of equals, is written "::".
        var best = 0..<0
        var index = 0
        while index < 8 {
            guard groups[index] == 0 else {
                index += 1
                continue
            }
            let start = index
            while index < 8, groups[index] == 0 { index += 1 }
            if index - start > max(1, best.count) { best = start..<index }
        }
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        if best.isEmpty { return text(groups[...]) }
        return text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }
}

extension SocketAddress: CustomStringConvertible {
    /// `1.2.3.4:80` or `[::1]:80`.
    package init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let portText = text[text.index(after: colon)...]
        guard !portText.isEmpty, portText.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(portText)
        else { return nil }
        var host = text[..<colon]
        if host.first == "[" {
            guard host.last == "]" else { return nil }
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard let ip = IPAddress(parsing: String(host)) else { return nil }
        self.init(ip: ip, port: port)
    }

    package var description: String {
        self.ip.isV4 ? "\(self.ip):\(self.port)" : "[\(self.ip)]:\(self.port)"
    }
}

extension AddressBlock: CustomStringConvertible {
    /// `10.0.0.0/8`, `fd00::/8`, or a bare address.
    package init?(parsing text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let ip = IPAddress(parsing: String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.init(base: ip, prefixLength: 128)
            return
        }
        guard !parts[1].isEmpty, parts[1].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = UInt8(parts[1]),
            length <= (ip.isV4 ? 32 : 128)
        else { return nil }
        self.init(base: ip, prefixLength: ip.isV4 ? 96 + length : length)
    }

    package func contains(_ ip: IPAddress) -> Bool {
        let highBits = min(64, UInt64(self.prefixLength))
        let lowBits = UInt64(self.prefixLength) - highBits
        let highMask = highBits == 0 ? 0 : UInt64.max << (64 - highBits)
        let lowMask = lowBits == 0 ? 0 : UInt64.max << (64 - lowBits)
        return (ip.high ^ self.base.high) & highMask == 0 && (ip.low ^ self.base.low) & lowMask == 0
    }

    package var description: String {
        let isV4 = self.base.isV4 && self.prefixLength >= 96
        return "\(self.base)/\(isV4 ? self.prefixLength - 96 : self.prefixLength)"
    }
}

/// Blocks asked together. A handful in practice: a scan beats a tree.
package struct AddressSet: Sendable {
    private let blocks: [AddressBlock]

    package init(_ blocks: [AddressBlock]) {
        self.blocks = blocks
    }

    package var isEmpty: Bool { self.blocks.isEmpty }

    package func contains(_ ip: IPAddress) -> Bool {
        for block in self.blocks where block.contains(ip) { return true }
        return false
    }
}
