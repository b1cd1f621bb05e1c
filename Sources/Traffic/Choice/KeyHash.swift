/// Hashes what clients stick by. The seed is fixed: every replica, restarted or not, gives the same answer, and so must
/// every later version, or clients would change sides at an upgrade.
package enum KeyHash {
    /// FNV-1a's start and factor.
    static let start: UInt64 = 0xCBF2_9CE4_8422_2325
    static let factor: UInt64 = 0x0000_0100_0000_01B3

    package static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = Self.start
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* Self.factor }
        // FNV alone leaves the upper bits of short keys alike; rendezvous hashing needs all of them good.
        return SplitMix64.mix(hash)
    }

    package static func hash(_ ip: IPAddress) -> UInt64 {
        SplitMix64.mix(SplitMix64.mix(ip.high &+ 0x9E37_79B9_7F4A_7C15) ^ ip.low)
    }

    /// Control path: the hash of a name.
    static func hash(_ text: String) -> UInt64 {
        var text = text
        return text.withUTF8 { Self.hash($0.span) }
    }

    static func combine(_ first: UInt64, _ second: UInt64) -> UInt64 {
        SplitMix64.mix(first ^ SplitMix64.mix(second &+ 0x9E37_79B9_7F4A_7C15))
    }
}
