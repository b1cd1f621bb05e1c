import Synchronization
import Testing
import Traffic

@Suite("Choosing an endpoint")
struct UpstreamTests {
    static let disciplines: [Balance] = [.roundRobin, .leastOutstanding, .consistentHash(.clientAddress)]

    @Test("Nobody is chosen where nobody is", arguments: disciplines)
    func empty(balance: Balance) {
        var random = SplitMix64(seed: 1)
        let none = Tables.one(endpoints: 0) { $0.balance = balance }
        #expect(none.choose(&random) == .unavailable)
        #expect(!none.isAvailable(now: 1))
        let down = Tables.one(endpoints: 3) { $0.balance = balance }
        for endpoint in down.endpoints { endpoint.setAdministrative(.drain, now: 1) }
        #expect(down.choose(&random) == .unavailable)
    }

    @Test("A tried endpoint is not asked again unless it is the only one", arguments: disciplines)
    func tried(balance: Balance) {
        var random = SplitMix64(seed: 1)
        let alone = Tables.one(endpoints: 1) { $0.balance = balance }
        #expect(alone.choose(&random, tried: 1) == .endpoint(index: 0, trial: false))
        let three = Tables.one(endpoints: 3) { $0.balance = balance }
        for key in 0..<50 as Range<UInt64> {
            #expect(three.choose(&random, tried: 0b101, key: key) == .endpoint(index: 1, trial: false))
        }
        #expect(three.choose(&random, tried: 0b111) == .unavailable)
        three.endpoints[1].setAdministrative(.drain, now: 1)
        #expect(three.choose(&random, tried: 0b101) == .unavailable)
    }

    @Test("Round robin goes round, over tables as well, and skips who is out")
    func roundRobin() {
        let registry = EndpointRegistry()
        var random = SplitMix64(seed: 1)
        var counts = [0, 0, 0]
        for _ in 0..<10 {
            let upstream = Tables.one(endpoints: 3, registry: registry) { $0.balance = .roundRobin }
            for _ in 0..<3 {
                guard case .endpoint(let index, _) = upstream.choose(&random) else { continue }
                counts[index] += 1
            }
        }
        #expect(counts == [10, 10, 10])
        let upstream = Tables.one(endpoints: 3, registry: registry) { $0.balance = .roundRobin }
        upstream.endpoints[1].setAdministrative(.drain, now: 1)
        let chosen = (0..<8).map { _ in upstream.choose(&random) }
        #expect(chosen.count { $0 == .endpoint(index: 0, trial: false) } == 4)
        #expect(chosen.count { $0 == .endpoint(index: 2, trial: false) } == 4)
    }

    @Test("The less loaded of two is taken")
    func leastOutstanding() {
        var random = SplitMix64(seed: 3)
        let upstream = Tables.one(endpoints: 2)
        upstream.endpoints[0].outstanding.add(10, ordering: .relaxed)
        for _ in 0..<10 { #expect(upstream.choose(&random) == .endpoint(index: 1, trial: false)) }
        // Level now: both get some.
        let level = (0..<100).map { _ in
            let selection = upstream.choose(&random)
            if case .endpoint(let index, _) = selection { upstream.endpoints[index].release() }
            return selection
        }
        #expect(level.count { $0 == .endpoint(index: 0, trial: false) } > 20)
        #expect(level.count { $0 == .endpoint(index: 1, trial: false) } > 20)
    }

    @Test(
        "Idle endpoints share evenly, beyond one block of 64 too", arguments: [2, 5, 64, 65, 150],
        [Balance.leastOutstanding, .roundRobin])
    func even(endpoints: Int, balance: Balance) {
        var random = SplitMix64(seed: 5)
        let upstream = Tables.one(endpoints: endpoints) { $0.balance = balance }
        var counts = [Int](repeating: 0, count: endpoints)
        let rounds = 100
        for _ in 0..<endpoints * rounds {
            guard case .endpoint(let index, _) = upstream.choose(&random) else { continue }
            counts[index] += 1
            upstream.endpoints[index].release()
        }
        // Six standard deviations of a fair draw; a round robin has none.
        let slack = balance == .roundRobin ? 0 : 6 * Double(rounds).squareRoot()
        for count in counts { #expect(abs(Double(count - rounds)) <= slack) }
    }

    @Test(
        "Those that are left share evenly, whichever of many are out",
        arguments: [Balance.leastOutstanding, .roundRobin],
        [(65, [0, 64]), (65, [63, 64]), (150, [0, 1, 2, 149]), (1_024, [5, 63, 64, 500, 1_023])])
    func evenWhoeverIsOut(balance: Balance, size: (endpoints: Int, open: [Int])) {
        var random = SplitMix64(seed: 5)
        let upstream = Tables.one(endpoints: size.endpoints) { $0.balance = balance }
        for index in 0..<size.endpoints where !size.open.contains(index) {
            upstream.endpoints[index].setAdministrative(.drain, now: 1)
        }
        var counts: [Int: Int] = [:]
        for _ in 0..<size.open.count * 400 {
            guard case .endpoint(let index, _) = upstream.choose(&random) else { continue }
            counts[index, default: 0] += 1
            upstream.endpoints[index].release()
        }
        // Six standard deviations of a fair draw; a round robin has none.
        let slack = balance == .roundRobin ? 0 : 120
        #expect(Set(counts.keys) == Set(size.open))
        #expect(counts.values.allSatisfy { abs($0 - 400) <= slack }, "\(counts)")
    }

    @Test(
        "With all of a thousand at their cap the answer costs one look at each", .timeLimit(.minutes(1)),
        arguments: disciplines)
    func allFull(balance: Balance) {
        var random = SplitMix64(seed: 5)
        let upstream = Tables.one(endpoints: 1_024) {
            $0.balance = balance
            $0.maxOutstanding = 1
        }
        for _ in 0..<1_024 { _ = upstream.choose(&random) }
        // A look at each for each of them would take a hundred times this test's time.
        for key in 0..<300 as Range<UInt64> { #expect(upstream.choose(&random, key: key) == .saturated) }
    }

    @Test("A consistent choice stays, and only the lost endpoint's keys move")
    func consistent() {
        var random = SplitMix64(seed: 5)
        let upstream = Tables.one(endpoints: 50) { $0.balance = .consistentHash(.clientAddress) }
        func landings() -> [Selection] {
            (0..<1_000).map { upstream.choose(&random, key: KeyHash.hash(IPAddress(v4: $0))) }
        }
        let before = landings()
        #expect(landings() == before)
        upstream.endpoints[7].setAdministrative(.drain, now: 1)
        let after = landings()
        let seven = Selection.endpoint(index: 7, trial: false)
        #expect(before.contains(seven))
        #expect(zip(before, after).allSatisfy { $0 == seven ? $1 != seven : $0 == $1 })
        let counts = (0..<50).map { index in before.count { $0 == .endpoint(index: index, trial: false) } }
        // Twenty each, give or take six deviations.
        #expect(counts.allSatisfy { abs($0 - 20) <= 27 })
    }

    @Test("A consistent choice goes on to the next when its first is full")
    func consistentFull() {
        var random = SplitMix64(seed: 5)
        let upstream = Tables.one(endpoints: 3) {
            $0.balance = .consistentHash(.clientAddress)
            $0.maxOutstanding = 1
        }
        let chosen = (0..<4).map { _ in upstream.choose(&random, key: 1) }
        #expect(Set(chosen.prefix(3).map { "\($0)" }).count == 3)
        #expect(chosen[3] == .saturated)
    }

    @Test(
        "A warming endpoint gets its present share",
        arguments: [Balance.leastOutstanding, .roundRobin, .consistentHash(.clientAddress)])
    func slowStart(balance: Balance) {
        var random = SplitMix64(seed: 8)
        let upstream = Tables.one(endpoints: 2) {
            $0.balance = balance
            $0.health = ProbeSpec()
            $0.slowStart = 1_000
        }
        upstream.endpoints[0].setOperational(.up, now: 1)
        upstream.endpoints[1].setOperational(.down, now: 1)
        upstream.endpoints[1].setOperational(.up, now: 10_000)
        func share(_ now: UInt64) -> Double {
            let hits = (0..<8_000 as Range<UInt64>).count { key in
                guard
                    case .endpoint(let index, _) = upstream.choose(
                        &random, key: KeyHash.hash(IPAddress(high: 1, low: key)), now: now)
                else {
                    return false
                }
                upstream.endpoints[index].release()
                return index == 1
            }
            return Double(hits) / 8_000
        }
        let early = share(10_100)
        let half = share(10_500)
        let full = share(11_000)
        // A tenth and a half of an equal part; the hash shares out by weight, 1 : 10 and 1 : 2.
        let isHash = balance == .consistentHash(.clientAddress)
        #expect(abs(early - (isHash ? 0.0906 : 0.05)) < 0.012)
        #expect(abs(half - (isHash ? 0.3333 : 0.25)) < 0.02)
        #expect(abs(full - 0.5) < 0.03)
    }

    @Test("Alone, a warming endpoint takes everything")
    func warmingAlone() {
        var random = SplitMix64(seed: 8)
        let upstream = Tables.one(endpoints: 2) {
            $0.health = ProbeSpec()
            $0.slowStart = 1_000
        }
        upstream.endpoints[0].setOperational(.down, now: 1)
        upstream.endpoints[1].setOperational(.down, now: 1)
        upstream.endpoints[1].setOperational(.up, now: 10_000)
        for _ in 0..<100 { #expect(upstream.choose(&random, now: 10_000) == .endpoint(index: 1, trial: false)) }
    }

    @Test("A cap is reached and never passed; a released slot is free again", arguments: disciplines)
    func caps(balance: Balance) {
        var random = SplitMix64(seed: 2)
        let upstream = Tables.one(endpoints: 3) {
            $0.balance = balance
            $0.maxOutstanding = 4
        }
        for key in 0..<12 as Range<UInt64> {
            guard case .endpoint = upstream.choose(&random, key: key) else {
                Issue.record("saturated too early")
                return
            }
        }
        #expect(upstream.endpoints.allSatisfy { $0.outstanding.load(ordering: .relaxed) == 4 })
        #expect(upstream.choose(&random) == .saturated)
        #expect(upstream.isAvailable(now: 1_000), "full is not unavailable")
        upstream.endpoints[2].release()
        #expect(upstream.choose(&random) == .endpoint(index: 2, trial: false))
        #expect(upstream.choose(&random) == .saturated)
    }

    @Test("A trial needs a slot as well, and loses none while it waits for one")
    func trialAtCap() {
        var random = SplitMix64(seed: 2)
        let upstream = Tables.one(endpoints: 2) { $0.maxOutstanding = 1 }
        for _ in 0..<2 { _ = upstream.choose(&random) }
        #expect(upstream.eject(0, now: 0))
        #expect(upstream.choose(&random, now: 30_000) == .saturated)
        upstream.endpoints[0].release()
        #expect(upstream.choose(&random, now: 30_000) == .endpoint(index: 0, trial: true))
    }

    @Test("An endpoint that is asked once more is on trial where it was ejected, and only there")
    func trialAgain() {
        let upstream = Tables.one(endpoints: 2)
        #expect(upstream.eject(0, now: 0))
        #expect(upstream.reselect(0, now: 10) == .unavailable)
        #expect(upstream.reselect(0, taking: false, now: 30_000) == .endpoint(index: 0, trial: true))
        #expect(upstream.reselect(0, now: 30_000) == .endpoint(index: 0, trial: true))
        #expect(upstream.reselect(1, now: 30_000) == .endpoint(index: 1, trial: false))
        #expect(upstream.reselect(2, now: 30_000) == .unavailable)
    }

    @Test("Many threads together never pass a cap, and never miss a free slot for good", arguments: disciplines)
    func capsAcrossThreads(balance: Balance) async {
        let upstream = Tables.one(endpoints: 3) {
            $0.balance = balance
            $0.maxOutstanding = 2
        }
        let tally = Tally()
        await withTaskGroup { group in
            for seed in 0..<8 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix64(seed: seed)
                    for key in 0..<5_000 as Range<UInt64> {
                        guard case .endpoint(let index, _) = upstream.choose(&random, key: key) else { continue }
                        tally.enter(index)
                        tally.leave(index)
                        upstream.endpoints[index].release()
                    }
                }
            }
        }
        #expect(tally.worst <= 2)
        #expect(tally.served > 1_000)
        #expect(upstream.endpoints.allSatisfy { $0.outstanding.load(ordering: .relaxed) == 0 })
        var random = SplitMix64(seed: 9)
        let free = (0..<6 as Range<UInt64>).count { upstream.choose(&random, key: $0) != .saturated }
        #expect(free == 6)
    }

    @Test("Threads that see an ejection end at the same moment send one trial between them")
    func oneTrialAcrossThreads() async {
        let upstream = Tables.one(endpoints: 2)
        #expect(upstream.eject(0, now: 0))
        let trials = await withTaskGroup(of: Int.self) { group in
            for seed in 0..<8 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix64(seed: seed)
                    return (0..<2_000).count { _ in
                        upstream.choose(&random, now: 30_000) == .endpoint(index: 0, trial: true)
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(trials == 1)
    }

    @Test("Threads that fail every endpoint at once do not eject more than the share")
    func boundAcrossThreads() async {
        let upstream = Tables.one(endpoints: 10) { $0.passive.maxEjectedShare = 30 }
        let ejected = await withTaskGroup(of: Int.self) { group in
            for start in 0..<8 {
                group.addTask {
                    (0..<1_000).count { upstream.report(.failure, (start + $0) % 10, now: 5) }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(ejected == 3)
        #expect(upstream.record.ejected == 3)
    }

    @Test("Positions drawn by many threads give exact shares")
    func sharesAcrossThreads() async throws {
        let route = Tables.route([7, 2, 1])
        let counts = await withTaskGroup(of: [Int].self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var counts = [0, 0, 0]
                    for _ in 0..<5_000 {
                        guard let member = route.split?.interleave(position: route.nextPosition(), available: .max)
                        else { continue }
                        counts[member] += 1
                    }
                    return counts
                }
            }
            return await group.reduce([0, 0, 0]) { zip($0, $1).map(+) }
        }
        #expect(counts == [28_000, 8_000, 4_000])
    }
}

/// Counts who holds a slot, independently of what is tested.
private final class Tally: Sendable {
    private struct Counts {
        var held = [0, 0, 0]
        var worst = 0
        var served = 0
    }

    private let counts = Mutex(Counts())

    var worst: Int { self.counts.withLock { $0.worst } }
    var served: Int { self.counts.withLock { $0.served } }

    func enter(_ index: Int) {
        self.counts.withLock { counts in
            counts.held[index] += 1
            counts.worst = max(counts.worst, counts.held[index])
            counts.served += 1
        }
    }

    func leave(_ index: Int) { self.counts.withLock { $0.held[index] -= 1 } }
}
