import Testing
import Traffic

@Suite("The queue of spans") struct SpanQueueTests {
    private func spans(_ count: Int) -> [SpanRecord] {
        (0..<count).map { number in
            SpanRecord(
                .request, trace: TraceID(high: 0, low: 1), span: UInt64(number) + 1, parent: 0, flags: 1, began: 0,
                ended: 0, method: "GET", path: [])
        }
    }

    @Test("It holds 2,048, those that the exporter has not got rid of included, drops the newest and counts them")
    func bound() {
        let queue = SpanQueue()
        var first = self.spans(2_000)
        #expect(queue.offer(&first) && first.isEmpty && queue.dropped == 0)
        #expect(queue.takeAll().count == 2_000)
        var second = self.spans(100)
        #expect(queue.offer(&second) && second.isEmpty)
        #expect(queue.dropped == 52)
        #expect(queue.takeAll().map(\.span) == Array(1...48))
        queue.left(512)
        var third = self.spans(600)
        #expect(queue.offer(&third))
        #expect(queue.dropped == 52 + 88 && queue.takeAll().count == 512)
        queue.left(2_048)
        queue.put(self.spans(1)[0])
        #expect(queue.takeAll().count == 1 && queue.dropped == 140)
    }

    @Test("Who waits is woken when a batch has come together", .timeLimit(.minutes(1)))
    func wakes() async {
        let queue = SpanQueue()
        var some = self.spans(SpanQueue.batch - 1)
        #expect(queue.offer(&some))
        queue.put(self.spans(1)[0])
        // Comes to an end by that alone.
        for await _ in queue.wakes { break }
        #expect(queue.takeAll().count == SpanQueue.batch)
    }
}
