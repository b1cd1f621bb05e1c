import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
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

    /// As many as the contract says, and not one more.
    @Test func fiveHundredAnswers() {
        let cache = ResponseCache<Int>(lifetime: .seconds(18))
        for key in 0..<500 { cache.store(key, for: "\(key)", now: start) }
        for key in 0..<500 { #expect(cache.body(for: "\(key)", now: start) == key) }
        cache.store(500, for: "500", now: start)
        #expect(cache.count == 500)
        #expect(cache.body(for: "0", now: start) == nil)
        #expect(cache.body(for: "1", now: start) == 1)
        #expect(cache.body(for: "500", now: start) == 500)
    }

    /// A body as large as its number, in a cache for a few of them.
    @Test func theLeastRecentlyUsedMakeRoom() {
        let cache = ResponseCache<Int>(bytes: 10_000, lifetime: .seconds(18)) { $0 }
        for key in ["a", "b", "c"] { cache.store(2_000, for: key, now: start) }
        #expect(cache.body(for: "a", now: start) == 2_000)
        cache.store(4_000, for: "d", now: start)
        #expect(["a", "b", "c", "d"].map { cache.body(for: $0, now: start) } == [2_000, nil, 2_000, 4_000])
        // In place of its own older self first.
        cache.store(3_000, for: "d", now: start)
        #expect(cache.count == 3)
        cache.store(9_000, for: "e", now: start)
        #expect(cache.count == 1)
        // What fits nowhere drives nobody out, and its older self is not given any more.
        cache.store(10_000, for: "f", now: start)
        #expect(cache.body(for: "e", now: start) == 9_000)
        cache.store(20_000, for: "e", now: start)
        #expect(cache.body(for: "e", now: start) == nil)
        #expect(cache.cost == 0)
    }

    @Test func targetsCountToo() {
        let cache = ResponseCache<Int>(bytes: 10_000, lifetime: .seconds(18)) { _ in 0 }
        for number in 0..<100 {
            cache.store(number, for: String(repeating: "x", count: 4_000) + "\(number)", now: start)
        }
        #expect(cache.count == 2)
        #expect(cache.cost <= 10_000)
    }

    @Test func tooOldAnswersGoWhenOneIsStored() {
        let cache = ResponseCache<Int>(bytes: 10_000, lifetime: .seconds(18)) { $0 }
        for key in 0..<4 { cache.store(1_000, for: "\(key)", now: start + .seconds(key)) }
        // Asked for again, which does not make it younger.
        #expect(cache.body(for: "0", now: start + .seconds(4)) == 1_000)
        cache.store(1_000, for: "new", now: start + .seconds(20))
        #expect(cache.count == 3)
        #expect(
            ["0", "1", "2", "3"].map { cache.body(for: $0, now: start + .seconds(20)) } == [nil, nil, 1_000, 1_000])
        cache.removeExpired(now: start + .seconds(30))
        #expect(cache.count == 1)
        cache.removeExpired(now: start + .seconds(60))
        #expect((cache.count, cache.cost) == (0, 0))
    }

    /// Against the plain model, with sizes and time.
    @Test func staysWithinItsBoundsWhateverHappens() {
        let cache = ResponseCache<Int>(capacity: 9, bytes: 9_000, lifetime: .seconds(10)) { $0 }
        var model: [(key: String, value: Int, stored: ContinuousClock.Instant)] = []
        var state: UInt64 = 5
        var now = start
        for _ in 0..<5000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let key = String(state >> 33 % 16)
            now += .milliseconds(Int64(state >> 40 % 700))
            let place = model.firstIndex { $0.key == key }
            if state >> 60 % 2 == 0 {
                let value = Int(state >> 20 % 5_000)
                if let place { model.remove(at: place) }
                model.removeAll { now - $0.stored > .seconds(10) }
                func cost(_ value: Int, _ key: String) -> Int { value + key.utf8.count + 256 }
                while model.count >= 9
                    || model.reduce(0, { $0 + cost($1.value, $1.key) }) + cost(value, key) > 9_000
                {
                    model.removeLast()
                }
                model.insert((key, value, now), at: 0)
                cache.store(value, for: key, now: now)
                #expect(cache.count == model.count)
            } else {
                var expected: Int?
                if let place, now - model[place].stored <= .seconds(10) {
                    model.insert(model.remove(at: place), at: 0)
                    expected = model[0].value
                }
                #expect(cache.body(for: key, now: now) == expected)
            }
        }
    }

    @Test func theSweepEndsWithTheServer() async throws {
        let cache = ResponseCache<Int>(lifetime: .nanoseconds(1))
        cache.store(1, for: "a", now: .now)
        let group = ServiceGroup(
            services: [CacheSweep(cache: cache, interval: .milliseconds(1))], logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            while cache.count > 0 { await Task.yield() }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    /// An event loop's own copies: bounded, and given up by themselves.
    @Test func aLoopsCopiesAreBoundedAndDoNotStay() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let metrics = GatewayMetrics()
        let cache = ResponseCache<Reply>(lifetime: .seconds(60))
        let answers = KeptAnswers(
            cache: cache, fixed: [:], ledger: Ledger(metrics: metrics, log: nil), drain: Drain(.zero), identity: nil)
        for number in 0..<200 {
            let body = Body(String(repeating: "a", count: 60_000))
            cache.store(Reply.ok(Reply.json, body, .route(.blockIndex)), for: "/\(number)", now: .now)
        }
        let most = try await loop.submit { () throws -> Int in
            let copies = try #require(answers.answers(on: loop))
            for number in 0..<200 {
                let target = ByteBuffer(string: "/\(number)")
                let length = target.readableBytes
                let response = copies.response(
                    to: target.readableBytesSpan, length: length, target: 0..<length)
                #expect((response?.bytes.readableBytes ?? 0) > 60_000)
            }
            return copies.held
        }.get()
        #expect(most > 1_000_000 && most <= 4 * 1024 * 1024)
        while try await loop.submit({ try #require(answers.answers(on: loop)).held }).get() > 0 { await Task.yield() }
    }

    /// A request is known again by all its bytes, as long as the copy that answered it is the one that would answer it now.
    @Test func aLoopKnowsRequestsAgain() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let cache = ResponseCache<Reply>(lifetime: .seconds(60))
        let answers = KeptAnswers(
            cache: cache, fixed: [:], ledger: Ledger(metrics: GatewayMetrics(), log: nil), drain: Drain(.zero),
            identity: nil)
        @Sendable func store(_ text: String) {
            cache.store(Reply.ok(Reply.json, Body(text), .route(.blockIndex)), for: "/a", now: .now)
        }
        let request = ByteBuffer(string: "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        try await loop.submit {
            let copies = try #require(answers.answers(on: loop))
            func read(_ bytes: ByteBuffer) -> ByteBuffer? {
                copies.response(to: bytes.readableBytesSpan, length: request.readableBytes, target: 4..<6)?.bytes
            }
            func known(_ bytes: ByteBuffer) -> ByteBuffer? {
                copies.response(toKnown: bytes.readableBytesSpan, at: .now())?.bytes
            }
            store("1")
            #expect(known(request) == nil)
            // A second may end between any two of these.
            let second = DateText.HeaderClock.second()
            let first = read(request)
            let again = known(request)
            #expect(again == first || DateText.HeaderClock.second() > second)
            // One that others follow is not known by what follows.
            let two = ByteBuffer(string: String(buffer: request) + "G")
            #expect(read(two) != nil)
            #expect(known(two) == nil)
            for position in request.readableBytesView.indices {
                var other = request
                other.setInteger(UInt8(ascii: "~"), at: position)
                #expect(known(other) == nil)
            }
            #expect(known(ByteBuffer()) == nil)
            // Neither its own copy nor one that took its place answers it after its time.
            #expect(copies.response(toKnown: request.readableBytesSpan, at: .now() + .seconds(61)) == nil)
            #expect(copies.held > 0)
        }.get()
        while try await loop.submit({ try #require(answers.answers(on: loop)).held }).get() > 0 { await Task.yield() }
        try await loop.submit {
            let copies = try #require(answers.answers(on: loop))
            #expect(copies.response(toKnown: request.readableBytesSpan, at: .now()) == nil)
        }.get()
    }

    /// A loop has no copy of a large body, only its head: the cache alone decides how long there is one to go with it.
    @Test func aLoopHoldsNoLargeBody() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let cache = ResponseCache<Reply>(lifetime: .seconds(60))
        let answers = KeptAnswers(
            cache: cache, fixed: [:], ledger: Ledger(metrics: GatewayMetrics(), log: nil), drain: Drain(.zero),
            identity: nil, codings: [.zstd])
        let budget = MemoryBudget(1 << 30)
        let request = ByteBuffer(string: "GET /a HTTP/1.1\r\nHost: h\r\nAccept-Encoding: zstd\r\n\r\n")
        try await loop.submit {
            let copies = try #require(answers.answers(on: loop))
            func read() -> KeptAnswers.Ready? {
                copies.response(
                    to: request.readableBytesSpan, length: request.readableBytes, target: 4..<6, accepting: 43..<47)
            }
            func store(_ count: Int, form: Int?, tag: String? = nil) {
                var body = Body(String(repeating: "a", count: count))
                body.lease = budget.charge(body.storage)
                body.forms = EncodedForms()
                body.tag = tag
                var encoded = form.map { Body(String(repeating: "z", count: $0)) }
                encoded?.tag = tag
                body.forms?[.zstd] = encoded.map { .made($0) } ?? .useless
                cache.store(Reply.ok(Reply.json, body, .route(.blockIndex)), for: "/a", now: .now)
            }
            // A form that is as long as the other body, another tag, no form: the head is always that of the body.
            for (count, form, tag) in [
                (700_000, 300_000, nil), (700_000, 200_000, nil), (300_000, nil, nil), (700_000, 300_000, nil),
                (700_000, 300_000, "one"), (700_000, 300_000, "two"),
            ] as [(Int, Int?, String?)] {
                store(count, form: form, tag: tag)
                for _ in 0..<3 {
                    let ready = try #require(copies.response(toKnown: request.readableBytesSpan, at: .now()) ?? read())
                    let head = String(buffer: ready.bytes)
                    #expect(head.hasSuffix("\r\n\r\n"))
                    #expect(ready.body?.count == form ?? count)
                    #expect(head.contains("\r\nContent-Length: \(form ?? count)\r\n"))
                    #expect(head.contains("\r\nContent-Encoding: zstd\r\n") == (form != nil))
                    #expect(head.contains("\r\nETag: ") == (tag != nil))
                    if let tag { #expect(head.contains("\r\nETag: \"\(tag)\"\r\n")) }
                }
            }
            #expect(copies.held < 10_000)
            cache.shrink(by: .max)
            #expect(budget.used == 0)
            #expect(copies.response(toKnown: request.readableBytesSpan, at: .now()) == nil)
            #expect(read() == nil)
        }.get()
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
