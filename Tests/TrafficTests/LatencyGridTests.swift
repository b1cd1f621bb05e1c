import Testing
import Traffic

@Suite("The grid of latencies")
struct LatencyGridTests {
    @Test("Each edge begins its bucket, and what is one less belongs to the one before")
    func edges() {
        #expect(LatencyGrid.edges.count == 705)
        #expect(LatencyGrid.edges.prefix(3) == [0, 32, 33] && LatencyGrid.edges.last == 132_120_576)
        for (index, edge) in LatencyGrid.edges.enumerated() {
            #expect(LatencyGrid.index(microseconds: edge) == index)
            if edge > 0 { #expect(LatencyGrid.index(microseconds: edge - 1) == index - 1) }
            let next = index + 1 < 705 ? LatencyGrid.edges[index + 1] : .max
            #expect(LatencyGrid.index(microseconds: edge + 1) == (edge + 1 == next ? index + 1 : index))
        }
        #expect(LatencyGrid.index(microseconds: 33_000) == 321)
        #expect(LatencyGrid.index(microseconds: .max) == 704)
        #expect(LatencyGrid.index(microseconds: 1 << 27) == 704)
    }

    @Test("Buckets above 32 µs are 1.6 to 3.1 % wide")
    func width() {
        for index in 1..<704 {
            let (edge, next) = (Double(LatencyGrid.edges[index]), Double(LatencyGrid.edges[index + 1]))
            #expect((0.0158...0.03126).contains((next - edge) / edge), "\(index)")
        }
    }

    @Test("Counts of two add up")
    func merge() {
        var (first, second) = (LatencyGrid(), LatencyGrid())
        for value in [0, 31, 32, 33_000, UInt64.max] { first.record(microseconds: value) }
        second.record(microseconds: 33_000)
        first.merge(second)
        #expect(first.counts[0] == 2 && first.counts[1] == 1 && first.counts[321] == 2 && first.counts[704] == 1)
        #expect(first.counts.reduce(0, +) == 6)
        var (arm, other) = (ArmCounters(), ArmCounters())
        (arm.samples, arm.errors, other.samples, other.clientErrors, other.cancelled) = (3, 2, 4, 1, 1)
        arm.merge(other)
        #expect(arm.samples == 7 && arm.errors == 2 && arm.clientErrors == 1 && arm.cancelled == 1)
    }

    @Test("What two workers counted in a stage is summed side by side")
    func stages() {
        func counts(_ first: UInt64) -> StageCounts {
            var counts = StageCounts(route: "api", epoch: 1)
            (counts.old.samples, counts.old.errors) = (first, first + 1)
            (counts.new.samples, counts.new.errors) = (first + 2, first + 3)
            for _ in 0..<first { counts.oldDurations.record(microseconds: 10) }
            for _ in 0..<first + 1 { counts.newDurations.record(microseconds: 1_000_000) }
            return counts
        }
        var sum = counts(10)
        sum.merge(counts(20))
        #expect(sum.old.samples == 30 && sum.old.errors == 32 && sum.new.samples == 34 && sum.new.errors == 36)
        let (fast, slow) = (LatencyGrid.index(microseconds: 10), LatencyGrid.index(microseconds: 1_000_000))
        #expect(sum.oldDurations.counts[fast] == 30 && sum.oldDurations.counts[slow] == 0)
        #expect(sum.newDurations.counts[slow] == 32 && sum.newDurations.counts[fast] == 0)
    }
}
