import Synchronization
import Testing
import Traffic

@Suite("Rates") struct RateTests {
    private static let second: UInt64 = 1_000_000_000

    private static func rate(_ perSecond: UInt64, burst: UInt64) -> RateSpec {
        RateSpec(interval: (self.second + perSecond / 2) / perSecond, burst: burst)
    }

    @Test("Exactly a burst at once, then one each interval; the wait that is told is true")
    func burst() {
        let table = RateTable(entries: 8, key: (1, 2))
        let rate = Self.rate(10, burst: 5)
        var now = 50 * Self.second
        for left in (0..<5).reversed() {
            guard case .allowed(_, let rest) = table.take(7, rate, now: now).outcome else {
                return #expect(Bool(false))
            }
            #expect(rest == UInt64(left))
        }
        guard case .refused(let wait) = table.take(7, rate, now: now).outcome else { return #expect(Bool(false)) }
        #expect(wait == rate.interval)
        #expect(!table.take(7, rate, now: now + wait - 1).isAllowed)
        #expect(table.take(7, rate, now: now + wait).isAllowed)
        #expect(!table.take(7, rate, now: now + wait).isAllowed)
        now += 3_600 * Self.second
        #expect(
            (0..<9).count { _ in table.take(7, rate, now: now).isAllowed } == 5, "idling saves up no more than a burst")
    }

    @Test(
        "Over a long time the rate is right to one percent, however fast the requests come",
        arguments: [(1, 1), (3, 2), (7, 50), (50, 100), (999, 10), (30_000, 1_000), (1_000_000, 1)]
            as [(UInt64, UInt64)])
    func longRun(perSecond: UInt64, burst: UInt64) {
        for pressure in [2, 5] as [UInt64] {
            let table = RateTable(entries: 64, key: (1, 2))
            let rate = Self.rate(perSecond, burst: burst)
            let steps: UInt64 = 200_000
            let step = max(1, rate.interval / pressure)
            var allowed: UInt64 = 0
            for index in 0..<steps where table.take(9, rate, now: Self.second + index * step).isAllowed { allowed += 1 }
            let earned = Double(steps * step) / Double(Self.second) * Double(perSecond)
            let error = abs(Double(allowed) - Double(burst) - earned) / earned
            #expect(error < 0.01, "\(allowed) of \(earned) at \(pressure) times the rate")
        }
    }

    @Test("Keys do not spend each other's tokens while there is room for all")
    func apart() {
        let table = RateTable(entries: 4_096, key: (3, 4))
        let rate = Self.rate(1, burst: 2)
        var hashes: [UInt64] = []
        for number in 0..<1_000 as Range<UInt64> {
            var hash = table.hash
            hash.add(number)
            hashes.append(hash.finish())
        }
        for _ in 0..<2 { for hash in hashes { #expect(table.take(hash, rate, now: Self.second).isAllowed) } }
        for hash in hashes { #expect(!table.take(hash, rate, now: Self.second).isAllowed) }
        #expect(table.evictions.load(ordering: .relaxed) == 0)
    }

    @Test("A full set forgets who would have his tokens back first, and counts it; who has all of his needs no place")
    func eviction() {
        let table = RateTable(entries: 8, key: (0, 0))
        let rate = Self.rate(1, burst: 10)
        for key in 1...8 as ClosedRange<UInt64> {
            for _ in 0..<key { _ = table.take(key << 8, rate, now: Self.second) }
        }
        #expect(table.evictions.load(ordering: .relaxed) == 0)
        _ = table.take(9 << 8, rate, now: Self.second)
        #expect(table.evictions.load(ordering: .relaxed) == 1)
        guard case .allowed(_, 9) = table.preview(1 << 8, rate, now: Self.second).outcome else {
            return #expect(Bool(false), "the one with the least debt is gone")
        }
        guard case .allowed(_, 1) = table.preview(8 << 8, rate, now: Self.second).outcome else {
            return #expect(Bool(false), "the one with the most stays")
        }
        for key in 20...27 as ClosedRange<UInt64> { _ = table.take(key << 8, rate, now: 100 * Self.second) }
        #expect(table.evictions.load(ordering: .relaxed) == 1, "debts that are over are nobody's loss")
    }

    @Test("A token that is given back may be taken again; none is given back that was not there")
    func givenBack() {
        let table = RateTable(entries: 8, key: (0, 0))
        let rate = Self.rate(1, burst: 2)
        table.giveBack(5, rate, now: Self.second)
        #expect((0..<5).count { _ in table.take(5, rate, now: Self.second).isAllowed } == 2)
        table.giveBack(5, rate, now: Self.second)
        #expect((0..<5).count { _ in table.take(5, rate, now: Self.second).isAllowed } == 1)
        table.forgive(5)
        #expect((0..<5).count { _ in table.take(5, rate, now: Self.second).isAllowed } == 2)
    }

    @Test("A debt of a slower rate does not outlive a reload to a faster one")
    func reloaded() {
        let table = RateTable(entries: 8, key: (0, 0))
        let slow = RateSpec(interval: RateSpec.longestInterval, burst: 1_000)
        for _ in 0..<1_000 { _ = table.take(5, slow, now: Self.second) }
        let fast = Self.rate(100, burst: 10)
        #expect(!table.take(5, fast, now: Self.second).isAllowed)
        #expect(table.take(5, fast, now: Self.second + fast.window).isAllowed)
    }

    @Test("Threads that take at once get as many tokens together as one would")
    func together() async {
        let table = RateTable(entries: 64, key: (0, 0))
        let rate = RateSpec(interval: 1_000_000, burst: 5_000)
        let allowed = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    (0..<5_000).count { _ in table.take(77, rate, now: Self.second).isAllowed }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(allowed == 5_000)
    }

    @Test("What a process's limits have given out goes on in the one that takes over, under the same secret")
    func takenOver() throws {
        let now = 9 * Self.second
        var spec = RouteSpec(name: "r", action: .respond(status: 404))
        spec.rateLimits = [
            RateLimitSpec(name: "a", key: .clientAddress, rate: Self.rate(1, burst: 3)),
            RateLimitSpec(name: "b", key: .all, rate: Self.rate(1, burst: 1)),
        ]
        let first = EndpointRegistry(secret: (5, 6))
        let old = Tables.table([], routes: [spec], registry: first)
        let client = try #require(IPAddress(parsing: "192.0.2.1"))
        let limit = old.routes[0].rateLimits[0]
        for _ in 0..<2 { #expect(limit.table.take(limit.hash(client), limit.rate, now: now).isAllowed) }
        let debts = first.rateDebts(of: old.routes, now: now)
        #expect(debts.tables.count == 1, "a limit without debts hands nothing over")

        let second = EndpointRegistry(secret: (7, 8))
        second.inherit(debts)
        let new = Tables.table([], routes: [spec], registry: second)
        let heir = new.routes[0].rateLimits[0]
        #expect(heir.hash(client) == limit.hash(client))
        #expect((0..<5).count { _ in heir.table.take(heir.hash(client), heir.rate, now: now).isAllowed } == 1)
        let other = new.routes[0].rateLimits[1]
        #expect(other.table.take(other.hashOfAll, other.rate, now: now).isAllowed)
        #expect(heir.table.evictions.load(ordering: .relaxed) == 0)

        let third = EndpointRegistry(secret: (1, 1))
        var broken = debts
        broken.secret = [1]
        third.inherit(broken)
        broken.secret = [5, 6]
        broken.tables[0].cells.removeLast()
        third.inherit(broken)
        broken.tables[0].cells = []
        #expect(Tables.table([], routes: [spec], registry: third).routes[0].rateLimits.count == 2, "nothing traps")
    }

    @Test("Extremes overflow nothing")
    func extremes() {
        let widest = RateSpec(interval: .max, burst: .max)
        #expect(widest.interval == RateSpec.longestInterval && widest.burst == RateSpec.largestBurst)
        let verdict = widest.verdict(arrival: .max, now: 1_000)
        #expect(!verdict.isAllowed)
        #expect(RateSpec(interval: 0, burst: 0) == RateSpec(interval: 1, burst: 1))
        let table = RateTable(entries: 1, key: (0, 0))
        #expect(table.entries == 8)
        #expect(table.take(0, widest, now: 0).isAllowed)
    }

    @Test("The hash is SipHash-1-3: its reference's results")
    func sip() {
        // Rust's core: SipHasher13 of "" and of 0…14 under the key 00 01 … 0F.
        var one = SipHash(key: (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908))
        let empty = one
        #expect(empty.finish() == 0xABAC_0158_050F_C4DC)
        one.add(0 as UInt8)
        #expect(one.finish() == 0xC9F4_9BF3_7D57_CA93)
    }
}

@Suite("Addresses that may come") struct AddressRuleTests {
    private func spec(allow: [String]?, deny: [String]) -> AccessSpec {
        var spec = AccessSpec()
        spec.allow = allow.map { $0.compactMap { AddressBlock(parsing: $0) } }
        spec.deny = deny.compactMap { AddressBlock(parsing: $0) }
        return spec
    }

    @Test(
        "deny wins; with allow all others are refused; an empty allow lets nobody in",
        arguments: [
            (nil, [], "1.2.3.4", true), (nil, ["1.2.3.0/24"], "1.2.3.4", false), (nil, ["1.2.3.0/24"], "1.2.4.4", true),
            (["1.2.3.0/24"], [], "1.2.3.4", true), (["1.2.3.0/24"], [], "1.2.4.4", false), ([], [], "1.2.3.4", false),
            (["1.0.0.0/8"], ["1.2.3.4"], "1.2.3.4", false), (["1.0.0.0/8"], ["1.2.3.4"], "1.2.3.5", true),
            (["::ffff:1.2.3.4"], [], "1.2.3.4", true), (["2001:db8::/32"], [], "1.2.3.4", false),
            (["0.0.0.0/0"], [], "2001:db8::1", false), (["::/0"], ["2001:db8::/32"], "2001:db8::1", false),
        ] as [([String]?, [String], String, Bool)])
    func verdicts(allow: [String]?, deny: [String], client: String, expected: Bool) throws {
        let rule = AddressRule(self.spec(allow: allow, deny: deny))
        #expect(rule.isOpen == (allow == nil && deny.isEmpty))
        #expect(rule.verdict(on: try #require(IPAddress(parsing: client))).isAllowed == expected)
    }
}
