import Testing
import Traffic

@Suite("Retry budget")
struct RetryBudgetTests {
    private func budget(percent: UInt32, minimum: UInt32) -> RetryBudget {
        var spec = RetrySpec()
        spec.budgetPercent = percent
        spec.minimumPerSecond = minimum
        return RetryBudget(spec)
    }

    private func granted(_ budget: inout RetryBudget, asks: Int, now: UInt64) -> Int {
        (0..<asks).count { _ in budget.withdraw(now: now) }
    }

    @Test("A quiet upstream may retry its minimum every second, and no more")
    func minimum() {
        var budget = self.budget(percent: 20, minimum: 3)
        for second in 0..<UInt64(30) {
            let granted = self.granted(&budget, asks: 10, now: second * 1_000 + 999)
            #expect(granted == 3)
        }
    }

    @Test(
        "A busy upstream may retry its share of the requests",
        arguments: [(20, 20), (100, 100), (7, 7), (0, 0)] as [(UInt32, Int)])
    func share(percent: UInt32, expected: Int) {
        var budget = self.budget(percent: percent, minimum: 0)
        for _ in 0..<100 { budget.deposit(now: 5_000) }
        let granted = self.granted(&budget, asks: 1_000, now: 5_500)
        #expect(granted == expected)
    }

    @Test("A share of requests is that share, however often each is tried", arguments: [10, 20, 50] as [UInt32])
    func perRequest(percent: UInt32) {
        var budget = self.budget(percent: percent, minimum: 0)
        var retries = 0
        // Everything fails: each request asks for as many retries as it is given, up to five.
        for request in 0..<5_000 as Range<UInt64> {
            let now = 100_000 + request
            budget.deposit(now: now)
            for _ in 0..<5 where budget.withdraw(now: now) { retries += 1 }
        }
        #expect(retries == 5_000 * Int(percent) / 100)
    }

    @Test("Requests count for ten seconds")
    func slides() {
        var early = self.budget(percent: 10, minimum: 0)
        for _ in 0..<100 { early.deposit(now: 500) }
        var late = early
        let within = self.granted(&early, asks: 50, now: 9_999)
        #expect(within == 10)
        let after = self.granted(&late, asks: 50, now: 10_000)
        #expect(after == 0)
    }

    @Test("Retries already granted count against the share as long as the requests do")
    func retriesSlide() {
        var budget = self.budget(percent: 10, minimum: 0)
        for _ in 0..<100 { budget.deposit(now: 0) }
        let first = self.granted(&budget, asks: 8, now: 3_000)
        #expect(first == 8)
        let second = self.granted(&budget, asks: 8, now: 6_000)
        #expect(second == 2)
    }

    @Test("Over any second the retries stay within minimum and share", arguments: Seeds.first(30))
    func bound(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let percent = UInt32(random.below(101))
        let minimum = UInt32(random.below(12))
        var budget = self.budget(percent: percent, minimum: minimum)
        var now: UInt64 = random.next() >> 20
        var requests: [UInt64: Int] = [:]
        var retries: [UInt64: Int] = [:]
        for _ in 0..<3_000 {
            now += UInt64(random.below(random.chance(1, of: 50) ? 5_000 : 40))
            let second = now / 1_000
            if random.chance(1, of: 2) {
                budget.deposit(now: now)
                requests[second, default: 0] += 1
            } else {
                let granted = budget.withdraw(now: now)
                let window = second - min(second, 9)...second
                let sumRequests = window.reduce(0) { $0 + requests[$1, default: 0] }
                let sumRetries = window.reduce(0) { $0 + retries[$1, default: 0] }
                let allowed =
                    retries[second, default: 0] < Int(minimum)
                    || (sumRetries + 1) * 100 <= sumRequests * Int(percent)
                if granted != allowed {
                    Issue.record("seed \(seed): at \(now) granted \(granted)")
                    return
                }
                if granted { retries[second, default: 0] += 1 }
            }
        }
    }
}
