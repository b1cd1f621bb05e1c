import Comparison
import Testing

@Suite("How often the old side is asked again")
struct RecheckBudgetTests {
    private func key(_ path: String) -> ClassKey { ClassKey(route: "api", template: "/", kind: .value, path: path) }

    @Test("In no minute more than allowed")
    func minute() {
        var budget = RecheckBudget(limit: 5)
        var taken: [Int64] = []
        for now in stride(from: Int64(0), to: 300_000, by: 250) {
            if budget.take([self.key("$.\(now)")], now: now) { taken.append(now) }
        }
        for now in taken { #expect(taken.count { $0 >= now && $0 < now + 60_000 } <= 5) }
        #expect(taken.count == 25)
        var none = RecheckBudget(limit: 0)
        let isTaken = none.take([self.key("$")], now: 0)
        #expect(!isTaken)
    }

    @Test("Twice a class in a second; a new class beside a busy one may be asked about")
    func perClass() {
        var budget = RecheckBudget(limit: 1_000)
        let (a, b) = (self.key("$.a"), self.key("$.b"))
        let taken = [
            budget.take([a], now: 0), budget.take([a], now: 999), budget.take([a], now: 999),
            budget.take([a, b], now: 999),
            budget.take([a], now: 1_000), budget.take([a], now: 1_999), budget.take([], now: 5_000),
        ]
        #expect(taken == [true, true, false, true, false, true, false])
    }
}
