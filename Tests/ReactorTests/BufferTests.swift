import Reactor
import Testing

@Suite("Buffers")
struct BufferTests {
    private func text(_ queue: ByteQueue) -> String { String(decoding: queue.bytes, as: UTF8.self) }

    private func append(_ string: String, to queue: inout ByteQueue, _ pool: inout BufferPool) {
        var string = string
        string.withUTF8 { queue.append(UnsafeRawBufferPointer($0), pool: &pool) }
    }

    @Test("A queue keeps its bytes in order over growth, and gives its block back when empty")
    func order() {
        var pool = BufferPool()
        var queue = ByteQueue()
        #expect(pool.lent == 0)
        var expected = ""
        for index in 0..<4_000 {
            self.append("\(index),", to: &queue, &pool)
            expected += "\(index),"
        }
        #expect(self.text(queue) == expected)
        queue.consume(1_000, pool: &pool)
        #expect(self.text(queue) == String(expected.dropFirst(1_000)))
        self.append("end", to: &queue, &pool)
        #expect(self.text(queue).hasSuffix(",end"))
        queue.consume(queue.count, pool: &pool)
        #expect(queue.isEmpty)
        #expect(pool.lent == 0)
    }

    @Test("Consumed room is used again before a larger block is taken")
    func compaction() {
        var pool = BufferPool()
        var queue = ByteQueue()
        self.append(String(repeating: "a", count: 4_000), to: &queue, &pool)
        queue.consume(3_900, pool: &pool)
        self.append(String(repeating: "b", count: 3_000), to: &queue, &pool)
        #expect(pool.lent == BufferPool.sizes.0)
        #expect(self.text(queue) == String(repeating: "a", count: 100) + String(repeating: "b", count: 3_000))
        queue.clear(pool: &pool)
    }

    @Test("More than the largest size is served and returned", arguments: [1, 4_096, 4_097, 65_536, 262_145, 1 << 20])
    func sizes(count: Int) {
        var pool = BufferPool()
        let block = pool.take(atLeast: count)
        #expect(block.count >= count)
        pool.give(back: block)
        #expect(pool.lent == 0)
    }
}
