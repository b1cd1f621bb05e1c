import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Reactor

@Suite("Threads that compute") struct ComputeThreadsTests {
    private final class Work: Computation {
        let loop: EventLoop
        let number: Int
        let result = Atomic(0)
        let counts: Counts

        init(_ number: Int, _ loop: EventLoop, _ counts: Counts) {
            self.number = number
            self.loop = loop
            self.counts = counts
        }

        func compute() {
            while self.counts.isHeld.load(ordering: .relaxed) { usleep(1_000) }
            self.result.store(self.number * 2, ordering: .relaxed)
            self.counts.computed.add(1, ordering: .relaxed)
        }

        deinit { self.counts.freed.add(1, ordering: .relaxed) }
    }

    private final class Counts: Sendable {
        let isHeld = Atomic(false)
        let computed = Atomic(0)
        let freed = Atomic(0)
    }

    private func take(_ threads: ComputeThreads<Work>, until count: Int) -> [Int] {
        var done: [Int] = []
        _ = eventually {
            threads.takeDone { done.append($0.result.load(ordering: .relaxed)) }
            return done.count >= count
        }
        return done
    }

    @Test("All that is posted comes back once, done, through many rounds of the ring")
    func rounds() throws {
        let counts = Counts()
        let loop = try EventLoop()
        let threads = try ComputeThreads<Work>(named: "test", count: 3, niceness: 1, capacity: 8)
        var expected: [Int] = []
        var done: [Int] = []
        for number in 0..<2_000 {
            expected.append(number * 2)
            while !threads.post(Work(number, loop, counts)) {
                threads.takeDone { done.append($0.result.load(ordering: .relaxed)) }
                usleep(100)
            }
            if number % 4 == 3 { threads.takeDone { done.append($0.result.load(ordering: .relaxed)) } }
        }
        done += self.take(threads, until: 2_000 - done.count)
        #expect(done.sorted() == expected)
        // Those that found no room were freed at once.
        #expect(counts.computed.load(ordering: .relaxed) == 2_000 && counts.freed.load(ordering: .relaxed) >= 2_000)
    }

    @Test("What is not begun when the threads end is done or freed, and nothing is waited for")
    func ends() throws {
        let counts = Counts()
        let loop = try EventLoop()
        do {
            let threads = try ComputeThreads<Work>(named: "test", count: 1, niceness: 1, capacity: 4)
            counts.isHeld.store(true, ordering: .relaxed)
            for number in 0..<4 { #expect(threads.post(Work(number, loop, counts))) }
            var taken = 0
            threads.takeDone { _ in taken += 1 }
            #expect(taken == 0)
        }
        counts.isHeld.store(false, ordering: .relaxed)
        #expect(eventually { counts.freed.load(ordering: .relaxed) >= 4 })
        #expect(counts.freed.load(ordering: .relaxed) == 4)
    }
}
