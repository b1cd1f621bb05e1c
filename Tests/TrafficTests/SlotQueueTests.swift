import Testing
import Traffic

@Suite("Waiting for a slot")
struct SlotQueueTests {
    private func enter(_ queue: inout SlotQueue, _ token: UInt64, limit: Int) throws -> SlotQueue.Place {
        let place = queue.enter(token, limit: limit)
        return try #require(place)
    }

    @Test("First come first served")
    func order() {
        var queue = SlotQueue()
        for token in 1...5 as ClosedRange<UInt64> { #expect(queue.enter(token, limit: 5) != nil) }
        var served: [UInt64] = []
        while let token = queue.removeFirst() { served.append(token) }
        #expect(served == [1, 2, 3, 4, 5])
        #expect(queue.isEmpty && queue.first == nil)
    }

    @Test("Holds as many as its limit, and takes new ones as others leave")
    func limit() throws {
        var queue = SlotQueue()
        let first = try self.enter(&queue, 1, limit: 2)
        _ = queue.enter(2, limit: 2)
        #expect(queue.enter(3, limit: 2) == nil)
        #expect(queue.count == 2)
        queue.leave(first, 1)
        #expect(queue.enter(4, limit: 2) != nil)
        #expect(queue.first == 2)
        #expect(queue.enter(5, limit: 0) == nil)
    }

    @Test("Who is called and finds no slot keeps the first place")
    func keepsPlace() throws {
        var queue = SlotQueue()
        let place = try self.enter(&queue, 1, limit: 9)
        _ = queue.enter(2, limit: 9)
        #expect(queue.first == 1 && queue.first == 1)
        queue.leave(place, 1)
        #expect(queue.first == 2)
    }

    @Test("A place that was left, or was given to another, takes nobody out")
    func stalePlace() throws {
        var queue = SlotQueue()
        let place = try self.enter(&queue, 1, limit: 9)
        queue.leave(place, 1)
        queue.leave(place, 1)
        let next = try self.enter(&queue, 2, limit: 9)
        #expect(next == place, "the room is used again")
        queue.leave(place, 1)
        #expect(queue.first == 2 && queue.count == 1)
    }

    @Test("Like a list, over random entries, leavings and servings", arguments: Seeds.first(100))
    func model(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var queue = SlotQueue()
        var model: [(token: UInt64, place: SlotQueue.Place)] = []
        let limit = 1 + random.below(50)
        for token in 1...1_000 as ClosedRange<UInt64> {
            switch random.below(5) {
            case 0, 1, 2:
                let place = queue.enter(token, limit: limit)
                #expect((place != nil) == (model.count < limit))
                if let place { model.append((token, place)) }
            case 3 where !model.isEmpty:
                let left = model.remove(at: random.below(model.count))
                queue.leave(left.place, left.token)
            default:
                let served = queue.removeFirst()
                #expect(served == model.first?.token)
                if !model.isEmpty { model.removeFirst() }
            }
            guard queue.first == model.first?.token, queue.count == model.count else {
                Issue.record("seed \(seed): first \(String(describing: queue.first))")
                return
            }
        }
    }

    @Test("Nine thousand leave from behind as fast as from the front", .timeLimit(.minutes(1)))
    func many() throws {
        var queue = SlotQueue()
        var places: [SlotQueue.Place] = []
        // Quadratic, this would take tens of billions of steps.
        for _ in 0..<20 {
            places.removeAll(keepingCapacity: true)
            for token in 0..<50_000 as Range<UInt64> {
                places.append(try self.enter(&queue, token, limit: 50_000))
            }
            for token in (0..<50_000 as Range<UInt64>).reversed() { queue.leave(places[Int(token)], token) }
            #expect(queue.isEmpty)
        }
    }
}
