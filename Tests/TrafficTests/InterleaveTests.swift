import Testing
import Traffic

@Suite("Exact shares by interleaving")
struct InterleaveTests {
    private func split(_ weights: [UInt32]) throws -> Split { try #require(Tables.route(weights).split) }

    private func gcd(_ first: UInt64, _ second: UInt64) -> UInt64 {
        second == 0 ? first : self.gcd(second, first % second)
    }

    /// Checks every window of one reduced cycle in a run of three and a bit that begins at `start`.
    private func checkWindows(_ weights: [UInt32], available: UInt64, start: UInt64, seed: UInt64 = 0) throws {
        let split = try self.split(weights)
        let live = weights.indices.map { available & (1 << UInt64($0)) != 0 ? UInt64(weights[$0]) : 0 }
        let divisor = live.reduce(0, self.gcd)
        guard divisor > 0 else {
            #expect(split.interleave(position: start, available: available) == nil)
            return
        }
        let want = live.map { Int($0 / divisor) }
        let cycle = want.reduce(0, +)
        let members = try (0..<UInt64(cycle * 3 + 7)).map {
            try #require(split.interleave(position: start + $0, available: available))
        }
        var counts = [Int](repeating: 0, count: weights.count)
        for (index, member) in members.enumerated() {
            counts[member] += 1
            if index >= cycle { counts[members[index - cycle]] -= 1 }
            if index + 1 >= cycle, counts != want {
                Issue.record(
                    "\(weights) mask \(available) seed \(seed): window ending at \(index) gives \(counts), not \(want)")
                return
            }
        }
    }

    @Test(
        "Any cycle of the reduced weights holds each member's share exactly",
        arguments: [
            [1], [1, 1], [90, 10], [10, 90], [1, 1, 1], [3, 2, 1], [50, 30, 20], [99, 1], [1, 99], [7, 7, 7, 7],
            [0, 5],
            [5, 0, 3], [0, 0, 1, 0], [2, 4, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1_000_000, 500_000], [999, 1, 1],
            [1_000, 1, 1_000, 3], [13, 11, 7, 5, 3, 2],
        ] as [[UInt32]])
    func everyWindow(weights: [UInt32]) throws {
        for start in [0, 1, 12_345_678_901] as [UInt64] {
            try self.checkWindows(weights, available: .max, start: start)
        }
    }

    @Test("Random weights and availability masks are exact too", arguments: Seeds.first(150))
    func randomWindows(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let weights = (0..<1 + random.below(12)).map { _ in
            random.chance(1, of: 5) ? 0 : UInt32(1 + random.below(random.chance(1, of: 3) ? 60 : 5))
        }
        try self.checkWindows(weights, available: random.next(), start: random.next() >> 8, seed: seed)
    }

    @Test("A million to one: one in every million and one, wherever counting begins")
    func million() throws {
        let split = try self.split([1_000_000, 1])
        let hits = (0..<UInt64(1_000_001)).filter { split.interleave(position: $0 + 77, available: 3) == 1 }
        try #require(hits.count == 1)
        for cycle in 1..<100 as Range<UInt64> {
            #expect(split.interleave(position: hits[0] + 77 + cycle * 1_000_001, available: 3) == 1)
            #expect(split.interleave(position: hits[0] + 78 + cycle * 1_000_001, available: 3) == 0)
        }
    }

    @Test("Sixty-four members of the largest weight take turns; a weight beyond the range counts as the largest")
    func largest() throws {
        let split = try self.split([UInt32](repeating: 1_000_000, count: 64))
        let members = (0..<UInt64(64)).map { split.interleave(position: .max - 63 + $0, available: .max) }
        // Positions wrap only after 2⁶⁴ requests; up to there nothing overflows.
        #expect(members.allSatisfy { $0 != nil })
        let turns = (0..<UInt64(64)).compactMap { split.interleave(position: 64_000_000 + $0, available: .max) }
        #expect(Set(turns).count == 64)
        let clamped = try self.split([.max, 1_000_000])
        let alternating = (0..<UInt64(10)).compactMap { clamped.interleave(position: $0, available: 3) }
        #expect(alternating.count { $0 == 0 } == 5)
    }

    @Test("Shares are smooth: 90 to 10 gives every tenth, mid-cycle, and equal weights alternate")
    func smooth() throws {
        let tenth = try self.split([90, 10])
        let members = (0..<UInt64(40)).compactMap { tenth.interleave(position: $0, available: 3) }
        let places = members.indices.filter { members[$0] == 1 }
        #expect(places.count == 4)
        #expect(zip(places, places.dropFirst()).allSatisfy { $1 - $0 == 10 })
        #expect((3...6).contains(places[0]))
        let even = try self.split([1, 1])
        #expect((0..<UInt64(6)).compactMap { even.interleave(position: $0, available: 3) } == [0, 1, 0, 1, 0, 1])
    }

    @Test(
        "The gap between two turns of the first member is never more than one off its average",
        arguments: [[3, 2], [7, 3, 2], [5, 5, 90]] as [[UInt32]])
    func gaps(weights: [UInt32]) throws {
        let split = try self.split(weights)
        let total = weights.reduce(0, +)
        let places = (0..<UInt64(total) * 4).filter { split.interleave(position: $0, available: .max) == 0 }
        let average = Double(total) / Double(weights[0])
        for (first, second) in zip(places, places.dropFirst()) {
            #expect(abs(Double(second - first) - average) < 1)
        }
    }

    @Test("Weight 0 is never chosen, not even when it alone is available")
    func zero() throws {
        let split = try self.split([5, 0, 5])
        #expect(split.interleave(position: 3, available: 0b010) == nil)
        #expect(split.rendezvous(key: 3, available: 0b010) == nil)
        #expect(split.interleave(position: 3, available: 0) == nil)
        #expect((0..<UInt64(100)).allSatisfy { split.interleave(position: $0, available: .max) != 1 })
        #expect((0..<UInt64(100)).allSatisfy { split.rendezvous(key: $0, available: .max) != 1 })
    }

    @Test("Accounting goes on over a reload")
    func reload() throws {
        let registry = EndpointRegistry()
        var counts = [0, 0]
        for generation in 1...20 {
            // Seven requests a table: no table sees a whole cycle of ten.
            let route = Tables.route([9, 1], registry: registry)
            #expect(generation > 0)
            for _ in 0..<7 {
                let split = try #require(route.split)
                counts[try #require(split.interleave(position: route.nextPosition(), available: 3))] += 1
            }
        }
        #expect(counts == [126, 14])
    }

    @Test("Routes of different names do not share their positions")
    func separate() {
        let registry = EndpointRegistry()
        let first = Tables.route([1], registry: registry, name: "a")
        let second = Tables.route([1], registry: registry, name: "b")
        #expect(first.nextPosition() == 0)
        #expect(second.nextPosition() == 0)
        #expect(first.nextPosition() == 1)
    }
}
