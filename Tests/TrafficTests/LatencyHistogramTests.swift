import Testing
import Traffic

@Suite("Durations in buckets")
struct LatencyHistogramTests {
    @Test("A bucket holds what is as long as its bound, or shorter", arguments: LatencyHistogram.bounds.indices)
    func bounds(index: Int) {
        let bound = LatencyHistogram.bounds[index]
        for (duration, bucket) in [(bound - 1, index), (bound, index), (bound + 1, index + 1)] {
            var histogram = LatencyHistogram()
            histogram.record(microseconds: duration)
            #expect(histogram.counts.indices.filter { histogram.counts[$0] > 0 } == [bucket], "\(duration) µs")
            #expect(histogram.count == 1 && histogram.sumMicroseconds == duration)
        }
    }

    @Test("Sums of several are what one would have counted")
    func merging() {
        var (one, other, whole) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for duration: UInt64 in [0, 500, 70_000_000] {
            one.record(microseconds: duration)
            whole.record(microseconds: duration)
        }
        other.record(microseconds: 1_000)
        whole.record(microseconds: 1_000)
        one.merge(other)
        #expect(one == whole)
    }
}
