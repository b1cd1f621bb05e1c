import func Glibc.exp
import func Glibc.log

/// Durations of one arm, counted in buckets whose lower edges rise.
package struct DurationCounts: Sendable {
    /// Lower edges in microseconds; the last bucket has no upper one.
    package let edges: [UInt64]
    /// Samples at or above each edge, and none above the last bucket.
    private let atLeast: [UInt64]

    /// As many counts as edges.
    package init(edges: [UInt64], counts: [UInt64]) {
        precondition(edges.count == counts.count, "a count for each bucket")
        self.edges = edges
        var sums = [UInt64](repeating: 0, count: counts.count + 1)
        for index in counts.indices.reversed() {
            let (sum, isOver) = sums[index + 1].addingReportingOverflow(counts[index])
            sums[index] = isOver ? .max : sum
        }
        self.atLeast = sums
    }

    package var count: UInt64 { self.atLeast[0] }

    /// The middle of the bucket above whose lower edge at most that part of the samples lies, in microseconds; nil: there are none.
    package func quantile(tail: Double) -> UInt64? {
        guard self.count > 0 else { return nil }
        let allowed = Double(self.count) * tail
        var (low, high) = (0, self.edges.count)
        // The first edge at or above which at most so many are.
        while low < high {
            let middle = (low + high) / 2
            if Double(self.atLeast[middle]) <= allowed { high = middle } else { low = middle + 1 }
        }
        let bucket = max(0, low - 1)
        let upper = bucket + 1 < self.edges.count ? self.edges[bucket + 1] : self.edges[bucket]
        return (self.edges[bucket] + upper) / 2
    }

    /// Of those at or above the edge of that number; from the number of edges on, none are.
    fileprivate func arm(atLeast index: Int) -> Arm {
        Arm(bad: self.atLeast[min(index, self.edges.count)], count: self.count)
    }

    /// The first edge at or above a duration; the number of edges if there is none.
    fileprivate func firstEdge(atLeast duration: Double) -> Int {
        var (low, high) = (0, self.edges.count)
        while low < high {
            let middle = (low + high) / 2
            if Double(self.edges[middle]) >= duration { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// Whether the new side is slower at a quantile: "at most `tail` of the answers take longer".
package struct QuantileTest: Sendable {
    /// 1 − q: 0.5 for the median, 0.01 for p99.
    package var tail: Double
    /// Microseconds that are no difference, however large a share they are.
    package var floor: Double

    package init(tail: Double, floor: Double) {
        self.tail = tail
        self.floor = floor
    }

    package struct Minimum: Sendable, Equatable {
        package var value: Double
        /// Of the bucket that explains the samples best as the place of the old side's quantile.
        package var bucket: Int
    }

    /// Against "new quantile ≤ max(`ratio` × old, old + floor)": large when the new side is slower.
    package func slower(new: DurationCounts, old: DurationCounts, ratio: Double) -> Minimum {
        self.minimum(old) { bucket in
            // The quantile lies below the bucket's upper edge; nothing lies above the last bucket's.
            guard bucket + 1 < old.edges.count else {
                return Evidence.tilt(new.arm(atLeast: .max), rate: self.tail, .above)
            }
            let edge = Double(old.edges[bucket + 1])
            let place = new.firstEdge(atLeast: max(ratio * edge, edge + self.floor))
            return Evidence.tilt(new.arm(atLeast: place), rate: self.tail, .above)
        }
    }

    /// Against "new quantile ≥ max(`ratio` × old, old + floor)": large when the new side is quick enough.
    package func quick(new: DurationCounts, old: DurationCounts, ratio: Double) -> Minimum {
        self.minimum(old) { bucket in
            let edge = Double(old.edges[bucket])
            let limit = max(ratio * edge, edge + self.floor)
            let first = new.firstEdge(atLeast: limit)
            let isExact = first < new.edges.count && Double(new.edges[first]) == limit
            return Evidence.tilt(new.arm(atLeast: isExact ? first : first - 1), rate: self.tail, .below)
        }
    }

    private func minimum(_ old: DurationCounts, _ new: (Int) -> Double) -> Minimum {
        var least = Minimum(value: .infinity, bucket: 0)
        for bucket in old.edges.indices {
            let value = self.misplaced(old, in: bucket) + new(bucket)
            if value < least.value { least = Minimum(value: value, bucket: bucket) }
        }
        return least
    }

    /// B: against "the old quantile is in this bucket". A half of the stake stays unbet, a quarter is on either side.
    private func misplaced(_ old: DurationCounts, in bucket: Int) -> Double {
        let above = Evidence.tilt(old.arm(atLeast: bucket + 1), rate: self.tail, .above)
        let below = Evidence.tilt(old.arm(atLeast: bucket), rate: self.tail, .below)
        let largest = max(above, below, 0)
        return largest + log(0.5 * exp(-largest) + 0.25 * exp(above - largest) + 0.25 * exp(below - largest))
    }
}
