import Migration
import Traffic

/// What the stage before had counted when it ended: where the old side gets nothing any more, the new one is compared with this.
package struct StageBaseline: Sendable, Equatable, Codable {
    package struct Side: Sendable, Equatable, Codable {
        package var samples: UInt64
        package var errors: UInt64
        package var clientErrors: UInt64
        package var cancelled: UInt64

        init(_ counters: ArmCounters) {
            self.samples = counters.samples
            self.errors = counters.errors
            self.clientErrors = counters.clientErrors
            self.cancelled = counters.cancelled
        }

        var side: StageSums.Side {
            StageSums.Side(
                samples: self.samples, errors: self.errors, clientErrors: self.clientErrors, cancelled: self.cancelled)
        }
    }

    /// The old side's, by route.
    package var routes: [String: Side]
    /// The new side's durations, all routes together: pairs of bucket and count, empty buckets left out.
    package var durations: [[UInt64]]

    init(_ counts: [StageCounts]) {
        self.routes = Dictionary(
            counts.map { ($0.route, Side($0.old)) }, uniquingKeysWith: { first, _ in first })
        let grid = counts.reduce(into: LatencyGrid()) { $0.merge($1.newDurations) }
        self.durations = grid.counts.enumerated().filter { $0.element > 0 }.map { [UInt64($0.offset), $0.element] }
    }

    var durationCounts: DurationCounts {
        var counts = [UInt64](repeating: 0, count: LatencyGrid.bucketCount)
        for pair in self.durations where pair.count == 2 && pair[0] < UInt64(counts.count) {
            counts[Int(pair[0])] = pair[1]
        }
        return DurationCounts(edges: LatencyGrid.edges, counts: counts)
    }
}
