import Synchronization

/// Where the data plane's threads leave spans for the exporter. Its lock is held for moving a few records, and whoever serves
/// requests tries it and never waits for it. What is beyond the limit is dropped and counted.
package final class SpanQueue: Sendable {
    /// Spans that wait, those that the exporter has taken and not got rid of included.
    package static let capacity = 2_048
    /// Spans in one call of the collector.
    package static let batch = 512

    private let spans = Mutex<[SpanRecord]>([])
    private let waiting = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    private let calls: AsyncStream<Void>.Continuation
    /// That there is a batch, or reason to look. One reader.
    package let wakes: AsyncStream<Void>

    package init() {
        (self.wakes, self.calls) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes all of `more`, of which it drops what it has no room for, or answers false: another thread has it at the moment.
    package func offer(_ more: inout [SpanRecord]) -> Bool {
        guard let isFull = self.spans.withLockIfAvailable({ self.add(&more, to: &$0) }) else { return false }
        if isFull { self.wake() }
        return true
    }

    /// The same from a thread that may wait for the lock.
    package func put(_ span: SpanRecord) {
        var more = [span]
        if self.spans.withLock({ self.add(&more, to: &$0) }) { self.wake() }
    }

    /// True if a batch has come together by that.
    private func add(_ more: inout [SpanRecord], to spans: inout [SpanRecord]) -> Bool {
        let before = spans.count
        let room = max(0, Self.capacity - self.waiting.load(ordering: .relaxed))
        let taken = min(room, more.count)
        spans.append(contentsOf: more.prefix(taken))
        self.waiting.add(taken, ordering: .relaxed)
        self.drop(more.count - taken)
        more.removeAll(keepingCapacity: true)
        return before < Self.batch && spans.count >= Self.batch
    }

    /// Counts spans that had no room.
    package func drop(_ count: Int) {
        if count > 0 { self.lost.add(UInt64(count), ordering: .relaxed) }
    }

    /// Spans that were dropped for want of room.
    package var dropped: UInt64 { self.lost.load(ordering: .relaxed) }

    /// All that came since the last call. They count as waiting until `left`.
    package func takeAll() -> [SpanRecord] {
        self.spans.withLock { spans in
            defer { spans = [] }
            return spans
        }
    }

    /// So many of those that were taken are gone.
    package func left(_ count: Int) { self.waiting.subtract(count, ordering: .relaxed) }

    package func wake() { self.calls.yield() }
}
