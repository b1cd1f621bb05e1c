/// A hash of what specifications say, equal on every replica and after a restart, which the standard library's is not. For
/// entity tags, not for security.
struct Digest: Sendable, Equatable {
    private var first = KeyHash.start
    private var second = ~KeyHash.start

    mutating func add(_ bits: UInt64) {
        // Two multiplications a word, in two lanes that no one input brings into step.
        self.first = (self.first ^ bits) &* 0x9E37_79B9_7F4A_7C15
        self.first ^= self.first >> 29
        self.second = (self.second &+ bits) &* 0xBF58_476D_1CE4_E5B9
        self.second ^= self.second >> 31
    }

    mutating func add(_ bits: UInt32) { self.add(UInt64(bits)) }

    mutating func add(_ flag: Bool) { self.add(UInt64(flag ? 1 : 0)) }

    /// With its length, so that what stands side by side is not run together.
    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            self.add(UInt64(bytes.count))
            var word: UInt64 = 0
            for (place, byte) in bytes.enumerated() {
                word = word << 8 | UInt64(byte)
                if place & 7 == 7 {
                    self.add(word)
                    word = 0
                }
            }
            if bytes.count & 7 != 0 { self.add(word) }
        }
    }

    mutating func add<Part: Digestible>(_ part: Part) { part.add(to: &self) }

    mutating func add<Part: Digestible>(_ part: Part?) {
        self.add(part != nil)
        if let part { part.add(to: &self) }
    }

    mutating func add<Part: Digestible>(_ parts: [Part]) {
        self.add(UInt64(parts.count))
        for part in parts { part.add(to: &self) }
    }

    mutating func add(_ other: Digest) {
        self.add(other.first)
        self.add(other.second)
    }

    /// 32 hexadecimal digits.
    var text: String {
        Self.hexadecimal(SplitMix64.mix(self.first)) + Self.hexadecimal(SplitMix64.mix(self.second))
    }

    private static func hexadecimal(_ bits: UInt64) -> String {
        let digits = String(bits, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

/// Adds all that it says. A property that is added to a specification is added there too: a test counts them.
protocol Digestible {
    func add(to digest: inout Digest)
}

extension String: Digestible {
    func add(to digest: inout Digest) { digest.add(self) }
}

extension UInt32: Digestible {
    func add(to digest: inout Digest) { digest.add(UInt64(self)) }
}
