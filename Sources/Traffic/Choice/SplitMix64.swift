/// A small, fast generator of pseudo-random numbers (SplitMix64, a counter behind a bijective mix). Good for spreading
/// load, worthless for secrets.
package struct SplitMix64: Sendable {
    private var state: UInt64

    /// Equal seeds give equal sequences.
    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        // The golden ratio's fraction: odd, so the counter visits all 2⁶⁴ states.
        self.state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(self.state)
    }

    /// Uniform in `0..<n`, to within n ÷ 2⁶⁴; 0 if `n` is not positive.
    package mutating func below(_ n: Int) -> Int {
        guard n > 1 else { return 0 }
        return Int(truncatingIfNeeded: self.next().multipliedFullWidth(by: UInt64(n)).high)
    }

    /// A bijection on 64 bits in which each input bit moves about half of the output's.
    static func mix(_ value: UInt64) -> UInt64 {
        var bits = value
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
