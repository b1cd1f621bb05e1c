/// Counts of durations in fixed buckets, as Prometheus wants them (not cumulative here).
package struct LatencyHistogram: Sendable, Equatable {
    /// Upper bounds in microseconds; the last bucket (index `bounds.count`) has none. From half a millisecond, the
    /// least that an operator can act on, to a minute, past every default deadline of a response head.
    package static let bounds: [UInt64] = [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 60_000_000,
    ]
    package var counts: [UInt64]
    package var sumMicroseconds: UInt64

    package init() {
        self.counts = [UInt64](repeating: 0, count: Self.bounds.count + 1)
        self.sumMicroseconds = 0
    }

    package mutating func record(microseconds: UInt64) {
        // The bounds are looked up once.
        let index = Self.bounds.withUnsafeBufferPointer { bounds in
            var index = 0
            while index < bounds.count, microseconds > bounds[index] { index &+= 1 }
            return index
        }
        self.counts[index] &+= 1
        self.sumMicroseconds &+= microseconds
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
        self.sumMicroseconds &+= other.sumMicroseconds
    }

    package var count: UInt64 { self.counts.reduce(0, &+) }
}
