import Testing
import Traffic

@Suite("Answers that are refused for their form")
struct MalformedAnswerTests {
    private func report(_ upstream: Upstream, page: UInt64, trial: Bool = false, now: UInt64 = 1_000) -> Bool {
        upstream.endpoints[0].report(.malformed, trial: trial, page: page, policy: upstream.spec.passive, now: now)
    }

    @Test("One page, however often it is visited, never ejects; neither do a few")
    func onePage() {
        let upstream = Tables.one(endpoints: 2)
        for visit in 0..<1_000 as Range<UInt64> {
            #expect(!self.report(upstream, page: visit % 4, now: 1_000 + visit))
        }
        #expect(upstream.endpoints[0].malformed == 1_000)
        #expect(upstream.endpoints[0].failures == 0)
        #expect(upstream.endpoints[0].isSelectable(now: 3_000))
    }

    @Test("An endpoint that answers nothing else, on as many pages as failures in a row eject, is ejected")
    func allPages() {
        let upstream = Tables.one(endpoints: 2)
        for page in 0..<4 as Range<UInt64> {
            for _ in 0..<3 { #expect(!self.report(upstream, page: page)) }
        }
        #expect(self.report(upstream, page: 4))
        #expect(upstream.endpoints[0].ejection(now: 1_000) == .until(31_000, reason: .malformed(pages: 5), count: 1))
        #expect(upstream.endpoints[0].explain(now: 1_000).reason.contains("malformed, on 5 different pages"))
    }

    @Test("A page that is answered well in between clears the sheet")
    func successes() {
        let upstream = Tables.one(endpoints: 2)
        for page in 0..<100 as Range<UInt64> {
            #expect(!self.report(upstream, page: page))
            if page % 4 == 3 { _ = upstream.report(.success, 0, now: 1_000) }
        }
    }

    @Test("Pages count for the window only")
    func window() {
        let upstream = Tables.one(endpoints: 2)
        for page in 0..<50 as Range<UInt64> { #expect(!self.report(upstream, page: page, now: 1_000 + page * 2_600)) }
    }

    @Test("At least two pages, and at most eight, whatever the policy", arguments: [(1, 2), (8, 8), (9, 8), (500, 8)])
    func bounds(limit: UInt32, needed: UInt64) {
        let upstream = Tables.one(endpoints: 2) { $0.passive.consecutiveFailures = limit }
        for page in 1..<needed { #expect(!self.report(upstream, page: page)) }
        #expect(self.report(upstream, page: needed))
    }

    @Test("They never add to a streak of failures, nor end one")
    func streak() {
        let upstream = Tables.one(endpoints: 2) { $0.passive.consecutiveFailures = 3 }
        for turn in 0..<3 as Range<UInt64> {
            for _ in 0..<10 { #expect(!self.report(upstream, page: 1)) }
            #expect(upstream.report(.failure, 0, now: 1_000) == (turn == 2))
        }
    }

    @Test("A trial that ends so is another reason only to who was ejected for it")
    func trial() {
        let upstream = Tables.one(endpoints: 2)
        #expect(upstream.eject(0, now: 1_000))
        #expect(!self.report(upstream, page: 1, trial: true, now: 31_000))
        #expect(upstream.endpoints[0].isSelectable(now: 31_000), "the next request is the trial")
        _ = upstream.report(.success, 0, trial: true, now: 31_000)
        for page in 0..<5 as Range<UInt64> { _ = self.report(upstream, page: page, now: 40_000) }
        #expect(!upstream.endpoints[0].isSelectable(now: 40_000))
        #expect(self.report(upstream, page: 1, trial: true, now: 200_000))
        #expect(!upstream.endpoints[0].isSelectable(now: 200_000))
    }

    @Test("Passive removal that is off counts them, and ejects nobody")
    func off() {
        let upstream = Tables.one(endpoints: 2) { $0.passive.enabled = false }
        for page in 0..<50 as Range<UInt64> { #expect(!self.report(upstream, page: page)) }
        #expect(upstream.endpoints[0].malformed == 50)
    }

    @Test(
        "What a status says about its endpoint",
        arguments: [
            (200, .success), (101, .success), (304, .success), (500, .success), (501, .success), (505, .success),
            (502, .failure), (504, .failure), (503, .overload), (429, .overload), (400, .clientFault),
            (404, .clientFault), (499, .clientFault),
        ] as [(UInt16, Outcome)])
    func statuses(status: UInt16, expected: Outcome) {
        #expect(Outcome(status: status) == expected)
    }
}
