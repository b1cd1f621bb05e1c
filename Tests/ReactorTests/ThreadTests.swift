import Glibc
import Reactor
import Synchronization
import Testing

@Suite("Threads", .timeLimit(.minutes(1)))
struct ThreadTests {
    private final class Order: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    @Test("Calls that block run beside each other on as many threads as there are, the others after them")
    func blocking() async throws {
        let threads = try BlockingThreads(named: "test", count: 2)
        let order = Order()
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        let (input, output) = (ends[0], ends[1])
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<2 {
                group.addTask {
                    await threads.run {
                        // Ends when the other one writes.
                        var byte: UInt8 = 0
                        if number == 0 { _ = read(input, &byte, 1) } else { _ = write(output, "x", 1) }
                        order.numbers.withLock { $0.append(number) }
                    }
                }
            }
        }
        #expect(Set(order.numbers.withLock { $0 }) == [0, 1], "the one that waits does not hold the other back")
        let results = await withTaskGroup(of: Int.self) { group in
            for number in 0..<100 { group.addTask { await threads.run { number * 2 } } }
            return await group.reduce(into: Set<Int>()) { $0.insert($1) }
        }
        #expect(results == Set((0..<100).map { $0 * 2 }))
        close(input)
        close(output)
    }
}
