@testable import Control
import Testing

@Suite("Kinds of requests that were seen") struct SeenKindsTests {
    private static let day: UInt64 = 86_400_000
    private func key(_ template: String) -> SeenKinds.Key { SeenKinds.Key(route: "api", template: template) }

    @Test("A comparison proves a kind, or twenty answers of the new side; what nobody asked for in 30 days is none")
    func proofs() {
        var kinds = SeenKinds()
        let now = 100 * Self.day
        func unproven(_ at: UInt64) -> [String] { SeenKinds.words(kinds.unproven(at: at) { _ in true }) }
        kinds.note(self.key("/a"), isAnswered: false, at: now)
        for _ in 0..<19 { kinds.note(self.key("/b"), isAnswered: true, at: now + 1) }
        #expect(unproven(now) == ["requests like /b of route api", "requests like /a of route api"])
        kinds.note(self.key("/b"), isAnswered: true, at: now)
        #expect(unproven(now) == ["requests like /a of route api"])
        #expect(kinds.unproven(at: now) { _ in false }.isEmpty)
        #expect(unproven(now + 30 * Self.day).isEmpty)
        kinds.compared(self.key("/a"), at: now)
        #expect(unproven(now).isEmpty)
    }

    @Test("Of many the first are told and the rest counted; there is room for so many, and the old ones make it")
    func bounds() {
        var kinds = SeenKinds()
        for number in 0..<SeenKinds.limit + 10 { kinds.note(self.key("/\(number)"), isAnswered: false, at: 1) }
        #expect(kinds.all.count == SeenKinds.limit)
        let words = SeenKinds.words(kinds.unproven(at: 2) { _ in true })
        #expect(words.count == 21 && words.last == "requests of \(SeenKinds.limit - 20) further kinds")
        kinds.note(self.key("/late"), isAnswered: false, at: 31 * Self.day)
        #expect(kinds.all.count == 1)
    }

    @Test("What is written is what changed; of a kind that is proven once an hour")
    func changed() {
        var kinds = SeenKinds()
        kinds.note(self.key("/a"), isAnswered: false, at: 1)
        #expect(kinds.takeChanged() == [self.key("/a")])
        kinds.compared(self.key("/a"), at: 2)
        #expect(kinds.takeChanged() == [self.key("/a")])
        kinds.compared(self.key("/a"), at: 3)
        #expect(kinds.takeChanged().isEmpty)
        kinds.compared(self.key("/a"), at: 3_600_002)
        #expect(kinds.takeChanged() == [self.key("/a")])
        kinds.restore(self.key("/a"), SeenKinds.Kind(last: 9_000_000, answered: 4, compared: 2))
        #expect(kinds.all[self.key("/a")]?.compared == 5 && kinds.all[self.key("/a")]?.last == 9_000_000)
    }
}
