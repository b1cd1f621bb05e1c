import Synchronization
import Testing

@testable import GatewayService

@Suite("Response cache")
struct CacheTests {
    private let start = ContinuousClock.now

    @Test func anAnswerLivesForItsTimeCountedFromTheStore() {
        let cache = ResponseCache<Int>(lifetime: .seconds(18))
        cache.store(1, for: "/a", now: start)
        #expect(cache.body(for: "/a", now: start + .seconds(17)) == 1)
        #expect(cache.body(for: "/a", now: start + .seconds(18)) == 1)
        #expect(cache.body(for: "/a", now: start + .seconds(18) + .nanoseconds(1)) == nil)
        cache.store(2, for: "/a", now: start + .seconds(20))
        #expect(cache.body(for: "/a", now: start + .seconds(38)) == 2)
        #expect(cache.body(for: "/A", now: start) == nil)
    }

    @Test func theLeastRecentlyUsedGoesFirst() {
        let cache = ResponseCache<Int>(capacity: 3, lifetime: .seconds(18))
        for key in 1...3 { cache.store(key, for: "\(key)", now: start) }
        #expect(cache.body(for: "1", now: start) == 1)
        cache.store(4, for: "4", now: start)
        #expect((1...4).map { cache.body(for: "\($0)", now: start) } == [1, nil, 3, 4])
        #expect(cache.count == 3)
    }

    /// Against the plain model of a list in order of use.
    @Test func behavesLikeAListInOrderOfUse() {
        let capacity = 7
        let cache = ResponseCache<Int>(capacity: capacity, lifetime: .seconds(1000))
        var model: [(key: String, value: Int)] = []
        var state: UInt64 = 3
        for step in 0..<5000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let key = String(state >> 33 % 12)
            let place = model.firstIndex { $0.key == key }
            if state >> 60 % 2 == 0 {
                if let place { model.remove(at: place) } else if model.count == capacity { model.removeLast() }
                model.insert((key, step), at: 0)
                cache.store(step, for: key, now: start)
            } else {
                if let place { model.insert(model.remove(at: place), at: 0) }
                #expect(cache.body(for: key, now: start) == (place == nil ? nil : model[0].value))
            }
            #expect(cache.count == model.count)
        }
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func add() { count.withLock { $0 += 1 } }
    }

    @Test func concurrentMissesShareOneComputation() async throws {
        let flights = SingleFlight<Int>()
        let callers = Counter()
        let runs = Counter()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let values = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    callers.add()
                    return try await flights.value(for: "/a", within: .seconds(60)) {
                        runs.add()
                        for await _ in gate { break }
                        return 7
                    }
                }
            }
            // The computation cannot end before the gate opens, and the gate opens only after everyone has come.
            while callers.value < 20 { await Task.yield() }
            for _ in 0..<1000 { await Task.yield() }
            opener.yield()
            opener.finish()
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(values == Array(repeating: 7, count: 20))
        #expect(runs.value == 1)
        #expect(try await flights.value(for: "/a", within: .seconds(60)) { 8 } == 8)
    }

    @Test func failuresAreSharedAndNotKept() async throws {
        struct Trouble: Error {}
        let flights = SingleFlight<Int>()
        await #expect(throws: Trouble.self) {
            try await flights.value(for: "/a", within: .seconds(60)) { throw Trouble() }
        }
        #expect(try await flights.value(for: "/a", within: .seconds(60)) { 1 } == 1)
    }

    /// A computation that never ends holds nobody, and does not stand in the way of the next one.
    @Test func nobodyWaitsLongerThanTheLimit() async throws {
        let flights = SingleFlight<Int>()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    do {
                        _ = try await flights.value(for: "/a", within: .milliseconds(50)) {
                            // Deaf to cancellation, as a call that blocks is.
                            await Task.detached { for await _ in gate { break } }.value
                            return 1
                        }
                        return false
                    } catch {
                        return error as? ResourceError == .deadline
                    }
                }
            }
            for await isDeadline in group { #expect(isDeadline) }
        }
        #expect(try await flights.value(for: "/a", within: .seconds(60)) { 2 } == 2)
        opener.finish()
    }
}
