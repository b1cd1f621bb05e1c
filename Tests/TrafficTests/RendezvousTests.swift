import Testing
import Traffic

@Suite("Sticky shares by rendezvous")
struct RendezvousTests {
    private func split(_ weights: [UInt32], route: String = "r") throws -> Split {
        try #require(Tables.route(weights, name: route).split)
    }

    private func landings(_ split: Split, keys: Int, seed: UInt64, available: UInt64 = .max) -> [Int] {
        var random = SplitMix64(seed: seed)
        return (0..<keys).compactMap { _ in split.rendezvous(key: random.next(), available: available) }
    }

    @Test("Raising a weight moves keys only to it, lowering it only away from it", arguments: Seeds.first(40))
    func monotone(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var weights = (0..<2 + random.below(5)).map { _ in UInt32(random.below(1_000)) }
        weights[0] = max(weights[0], 1)
        let member = random.below(weights.count)
        let before = self.landings(try self.split(weights), keys: 1_000, seed: seed)
        weights[member] += UInt32(300 + random.below(2_000))
        let after = self.landings(try self.split(weights), keys: 1_000, seed: seed)
        let moved = zip(before, after).filter { $0 != $1 }
        #expect(moved.allSatisfy { $1 == member }, "seed \(seed)")
        #expect(!moved.isEmpty, "seed \(seed)")
    }

    @Test("A ramp from 0 to 100 per cent never takes a client back")
    func ramp() throws {
        var previous = self.landings(try self.split([100, 0]), keys: 2_000, seed: 9)
        for gateway in [1, 5, 10, 25, 50, 75, 99, 100] as [UInt32] {
            let now = self.landings(try self.split([100 - gateway, gateway]), keys: 2_000, seed: 9)
            #expect(zip(previous, now).allSatisfy { $0 == 0 || $1 == 1 })
            previous = now
        }
        #expect(previous.allSatisfy { $0 == 1 })
    }

    @Test(
        "Keys spread by weight, within five standard deviations",
        arguments: [
            [1, 1], [90, 10], [99, 1], [1, 2, 3, 4], [1_000_000, 1_000_000, 1_000_000], [50, 0, 50],
            [1_000_000, 10_000],
        ] as [[UInt32]])
    func distribution(weights: [UInt32]) throws {
        let keys = 10_000
        let landings = self.landings(try self.split(weights), keys: keys, seed: 4)
        let total = Double(weights.reduce(0, +))
        for (member, weight) in weights.enumerated() {
            let share = Double(weight) / total
            let expected = share * Double(keys)
            let deviation = (expected * (1 - share)).squareRoot()
            let found = Double(landings.count { $0 == member })
            #expect(abs(found - expected) <= 5 * deviation, "member \(member)")
        }
    }

    @Test("Neighbouring addresses spread as well as random keys")
    func addresses() throws {
        let split = try self.split([3, 1])
        let count = (0..<UInt32(8_000)).count { offset in
            split.rendezvous(key: KeyHash.hash(IPAddress(v4: 0x0A00_0000 + offset)), available: 3) == 1
        }
        // 2000 ± 5 · √(8000 · ¼ · ¾)
        #expect(abs(count - 2_000) <= 194)
    }

    @Test("Losing a member moves its own keys only, and they come back")
    func failOver() throws {
        let split = try self.split([3, 2, 1])
        let all = self.landings(split, keys: 3_000, seed: 2)
        let without = self.landings(split, keys: 3_000, seed: 2, available: 0b101)
        #expect(zip(all, without).allSatisfy { $0 == 1 ? $1 != 1 : $0 == $1 })
        #expect(self.landings(split, keys: 3_000, seed: 2) == all)
    }

    @Test("Different routes cut their clients differently")
    func routes() throws {
        let first = self.landings(try self.split([1, 1], route: "a"), keys: 1_000, seed: 1)
        let second = self.landings(try self.split([1, 1], route: "b"), keys: 1_000, seed: 1)
        // Independent halves agree on half of the keys: 500 ± 5 · √250.
        #expect(abs(zip(first, second).count { $0 == $1 } - 500) <= 79)
    }

    @Test("Every replica, and every later version, lands a key on the same side")
    func fixedForEver() throws {
        // Computed apart from this code, with decimal logarithms of fifty digits.
        let user = Array("alice".utf8)
        #expect(KeyHash.hash(user.span) == 14_254_268_223_963_220_572)
        #expect(KeyHash.hash(IPAddress(v4: 0xC000_0201)) == 7_726_222_375_023_778_947)
        #expect(KeyHash.hash(IPAddress(high: 0x2001_0DB8_0000_0000, low: 1)) == 5_785_874_062_669_745_731)
        let split = try self.split([50, 30, 20], route: "api")
        let landings = (0..<UInt64(24)).compactMap { split.rendezvous(key: $0, available: .max) }
        #expect(landings == [0, 0, 1, 2, 0, 1, 1, 1, 0, 0, 2, 0, 0, 1, 2, 1, 0, 1, 0, 1, 0, 0, 0, 1])
    }
}
