/// A small fast generator for choices that need no secrecy (two random endpoints, jitter). Seeded by the caller, so a
/// run can be repeated.
package struct SplitMix64: Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        self.state = seed
    }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        return KeyHash.mix(self.state)
    }

    /// 0 ..< bound; 0 for a bound below 2.
    package mutating func below(_ bound: Int) -> Int {
        guard bound > 1 else { return 0 }
        return Int(self.next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}

/// Hashes for sticky choices: fixed for ever, since all replicas and all releases must agree.
package enum KeyHash {
    /// A bijection of 64 bits in which every input bit moves every output bit.
    @inline(__always)
    package static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// FNV-1a over the bytes, mixed.
    package static func hash(_ bytes: borrowing Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01B3 }
        return Self.mix(hash)
    }

    package static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return Self.mix(hash)
    }

    package static func hash(_ ip: IPAddress) -> UInt64 {
        Self.mix(Self.mix(ip.high) &+ ip.low)
    }
}
