/// Weighted rendezvous hashing: each candidate draws w ÷ −log₂(u) from its weight w and a number u in (0, 1) that only
/// its name and the key decide; the highest score wins. A candidate wins with probability w ÷ Σw, and as its score
/// depends on nothing else, changing one weight moves keys only to it (raised) or only from it (lowered).
///
/// All in integers, since replicas on different machines must agree to the last bit.
struct RendezvousScore {
    private let weight: UInt32
    /// u as 64 bits behind the binary point.
    private let hash: UInt64

    /// `weight` is at most 2²⁰, so that the products in `beats` fit in 64 bits.
    init(weight: UInt32, hash: UInt64) {
        self.weight = min(weight, 1 << 20)
        self.hash = max(hash, 1)
    }

    /// False for equal scores, so the earlier candidate keeps its place.
    func beats(_ other: RendezvousScore) -> Bool {
        // A score grows with its weight and with its hash: often, and always between equal weights, that is enough.
        if self.weight <= other.weight, self.hash <= other.hash { return false }
        if self.weight >= other.weight, self.hash > other.hash { return true }
        // w₁ ÷ d₁ > w₂ ÷ d₂ without dividing.
        return UInt64(self.weight) * other.distance > UInt64(other.weight) * self.distance
    }

    /// −log₂(u) as a fixed-point number with 36 fractional bits: 1…2⁴².
    private var distance: UInt64 { 64 << Self.fractionBits - Self.log2(self.hash) }

    static let fractionBits: UInt64 = 36

    /// log₂ of a positive number, rounded down, with 36 fractional bits: below 64 · 2³⁶.
    static func log2(_ value: UInt64) -> UInt64 {
        let whole = UInt64(63 - value.leadingZeroBitCount)
        // The mantissa in [1, 2) with 63 fractional bits. Each squaring doubles its logarithm and so brings out the
        // next bit: 1 if the square reaches 2.
        var mantissa = value << UInt64(value.leadingZeroBitCount)
        var result = whole
        for _ in 0..<Self.fractionBits {
            let square = mantissa.multipliedFullWidth(by: mantissa)
            let bit = square.high >> 63
            mantissa = bit == 1 ? square.high : square.high << 1 | square.low >> 63
            result = result << 1 | bit
        }
        return result
    }
}
