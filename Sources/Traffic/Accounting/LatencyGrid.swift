/// Counts of durations in 705 buckets, fine enough to compare quantiles: 1.6–3.1 % wide from 32 µs to 134 s.
package struct LatencyGrid: Sendable, Equatable {
    package static let bucketCount = 705
    /// Powers of two: below the first there is one bucket, from the second on the last one.
    private static let firstPower = 5
    private static let lastPower = 26

    /// The lower edge of each bucket in microseconds; the last has no upper one.
    package static let edges: [UInt64] = (0..<Self.bucketCount).map { index in
        guard index > 0 else { return 0 }
        let (power, step) = ((index - 1) / 32, (index - 1) % 32)
        return UInt64(32 + step) << UInt64(power)
    }

    package private(set) var counts: [UInt64]

    package init() { self.counts = [UInt64](repeating: 0, count: Self.bucketCount) }

    /// Of counts that somebody else has kept, by the number of the bucket; numbers that are none are passed over.
    package init(buckets: [(index: Int, count: UInt64)]) {
        self.init()
        for (index, count) in buckets where self.counts.indices.contains(index) { self.counts[index] &+= count }
    }

    package static func index(microseconds: UInt64) -> Int {
        guard microseconds >= 1 << Self.firstPower else { return 0 }
        let power = 63 - microseconds.leadingZeroBitCount
        guard power <= Self.lastPower else { return Self.bucketCount - 1 }
        let shift = power - Self.firstPower
        return 1 + 32 * shift + Int(microseconds >> UInt64(shift) & 31)
    }

    package mutating func record(microseconds: UInt64) { self.counts[Self.index(microseconds: microseconds)] &+= 1 }

    package mutating func merge(_ other: LatencyGrid) {
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
    }
}
