/// One side of a split: the upstream's index in the table, and its weight.
package struct SplitMember: Sendable, Equatable {
    package let upstream: Int
    package let weight: UInt32
    /// Of the upstream's name with the route's, for sticky choices.
    let hash: UInt64

    package init(upstream: Int, weight: UInt32, hash: UInt64) {
        self.upstream = upstream
        self.weight = weight
        self.hash = hash
    }
}

/// How a route's requests are shared out. Both choices are closed forms: they hold no state, so reloads and health
/// changes cannot disturb them.
package struct Split: Sendable {
    /// At most 64, the width of the availability masks.
    package static let maximumMembers = 64
    package let entries: [SplitMember]

    package init(entries: [SplitMember]) {
        self.entries = entries
    }

    /// The exact smooth interleave: position p goes to one member of those in `available` (bit i is entries[i]).
    ///
    /// The first member, of weight a among a sum n, takes position p exactly if ⌊((p+1)a + n/2)/n⌋ > ⌊(pa + n/2)/n⌋:
    /// the most even spacing there is, centred so that a small share falls in the middle of its cycle. The positions it
    /// leaves are numbered through and shared among the rest in the same way. In any n consecutive positions it takes
    /// exactly a, leaves n − a, and so on down: every window of one cycle is exact for every member.
    package func interleave(position: UInt64, available: UInt64) -> Int? {
        var sum: UInt64 = 0
        for index in self.entries.indices where self.isIn(available, index) { sum += UInt64(self.entries[index].weight) }
        guard sum > 0 else { return nil }
        // Weights are at most 10^6 and members 64: every product below stays under 2^53.
        var place = position % sum
        for index in self.entries.indices where self.isIn(available, index) {
            let weight = UInt64(self.entries[index].weight)
            guard weight > 0 else { continue }
            if weight == sum { return index }
            let half = sum / 2
            let before = (place * weight + half) / sum
            let after = ((place + 1) * weight + half) / sum
            if after > before { return index }
            // What earlier positions of this cycle gave to the first is gone from the rest's numbering.
            place -= before
            sum -= weight
        }
        return nil
    }

    /// Weighted rendezvous: the highest weight ÷ −log₂(u) wins, u being the hash of key and member as a fraction.
    /// Raising one member's weight raises only its own score: clients move only to it.
    package func rendezvous(key: UInt64, available: UInt64) -> Int? {
        var best: Int?
        var bestWeight: UInt64 = 0
        var bestCost: UInt64 = 1
        for index in self.entries.indices where self.isIn(available, index) && self.entries[index].weight > 0 {
            let cost = FixedLog.negativeLog2(KeyHash.mix(key ^ self.entries[index].hash))
            let weight = UInt64(self.entries[index].weight)
            // weight / cost > bestWeight / bestCost, without dividing.
            if best == nil
                || Self.isGreater(weight.multipliedFullWidth(by: bestCost), bestWeight.multipliedFullWidth(by: cost))
            {
                best = index
                bestWeight = weight
                bestCost = cost
            }
        }
        return best
    }

    private static func isGreater(
        _ left: (high: UInt64, low: UInt64), _ right: (high: UInt64, low: UInt64)
    ) -> Bool {
        left.high != right.high ? left.high > right.high : left.low > right.low
    }

    @inline(__always)
    private func isIn(_ mask: UInt64, _ index: Int) -> Bool {
        index < Self.maximumMembers && mask >> UInt64(index) & 1 != 0
    }
}

/// Logarithms in integers: floating point may differ between processors and libraries, and replicas must agree.
enum FixedLog {
    private static let fractionBits = 40

    /// −log₂((h + 1) / 2⁶⁴) with 40 fractional bits; at least 1, so that it can divide.
    static func negativeLog2(_ hash: UInt64) -> UInt64 {
        if hash == .max { return 1 }
        let value = hash + 1
        let exponent = UInt64(63 - value.leadingZeroBitCount)
        // The mantissa in [1, 2) with 63 fractional bits; squaring it yields the logarithm bit by bit.
        var mantissa = value << UInt64(value.leadingZeroBitCount)
        var fraction: UInt64 = 0
        for _ in 0..<Self.fractionBits {
            let square = mantissa.multipliedFullWidth(by: mantissa)
            fraction <<= 1
            if square.high >> 63 != 0 {
                fraction |= 1
                mantissa = square.high
            } else {
                mantissa = square.high << 1 | square.low >> 63
            }
        }
        let log = exponent << UInt64(Self.fractionBits) | fraction
        return max(1, (64 << UInt64(Self.fractionBits)) - log)
    }
}
