import Testing
import Traffic

@Suite("Whether a failed attempt is followed by another")
struct RetryRuleTests {
    /// A GET that was sent over a new connection, which ended; the first attempt of three.
    private static let plain = RetryRule(
        failure: .lost, sent: true, isIdempotent: true, isReplayable: true, answerBegan: false, reused: false,
        hadFresh: false, retries: 0, limit: 2)

    struct Case: Sendable, CustomTestStringConvertible {
        var words: String
        var verdict: RetryRule.Verdict
        var change: @Sendable (inout RetryRule) -> Void
        var testDescription: String { self.words }

        init(_ words: String, _ verdict: RetryRule.Verdict, _ change: @escaping @Sendable (inout RetryRule) -> Void) {
            self.words = words
            self.verdict = verdict
            self.change = change
        }
    }

    static let cases: [Case] = [
        Case("a lost connection", .elsewhere(budgeted: true)) { _ in },
        Case("a dial without an answer", .elsewhere(budgeted: true)) {
            $0.failure = .notConnected
            $0.sent = false
        },
        Case("a refused dial costs no budget", .elsewhere(budgeted: false)) {
            $0.failure = .refused
            $0.sent = false
        },
        Case("an answer, or none in time", .answer) { $0.failure = .final },
        Case("a response that has begun", .answer) { $0.answerBegan = true },
        Case("a body that is not held any more", .answer) { $0.isReplayable = false },
        Case("a body that is not held, and nothing sent", .answer) {
            $0.isReplayable = false
            $0.sent = false
        },
        Case("a POST that was sent, with or without a body", .answer) { $0.isIdempotent = false },
        Case("a POST that was sent over a stale connection", .answer) {
            $0.isIdempotent = false
            $0.reused = true
        },
        Case("a POST that was not sent", .elsewhere(budgeted: true)) {
            $0.isIdempotent = false
            $0.sent = false
            $0.failure = .notConnected
        },
        Case("a POST whose stale connection took nothing", .freshConnection) {
            $0.isIdempotent = false
            $0.sent = false
            $0.reused = true
        },
        Case("a stale connection", .freshConnection) { $0.reused = true },
        Case("a stale connection where no retries are allowed", .freshConnection) {
            $0.reused = true
            $0.limit = 0
        },
        Case("a stale connection after all retries", .freshConnection) {
            $0.reused = true
            $0.retries = 2
        },
        Case("a second stale connection is an ordinary failure", .elsewhere(budgeted: true)) {
            $0.reused = true
            $0.hadFresh = true
        },
        Case("a refused dial is not stale, whatever came before", .elsewhere(budgeted: false)) {
            $0.failure = .refused
            $0.reused = true
        },
        Case("the last retry but one", .elsewhere(budgeted: true)) { $0.retries = 1 },
        Case("all retries used", .answer) { $0.retries = 2 },
        Case("all retries used and refused", .answer) {
            $0.retries = 2
            $0.failure = .refused
        },
        Case("no retries allowed", .answer) { $0.limit = 0 },
        Case("no retries allowed, and the fresh connection failed", .answer) {
            $0.limit = 0
            $0.hadFresh = true
        },
    ]

    @Test("Case by case", arguments: cases)
    func table(item: Case) {
        var rule = Self.plain
        item.change(&rule)
        #expect(rule.verdict == item.verdict)
    }

    @Test("In all combinations: nothing that was sent and is not idempotent, begun or gone is sent again")
    func never() {
        for bits in 0..<64 {
            for failure in [AttemptFailure.refused, .notConnected, .lost, .final] {
                let rule = RetryRule(
                    failure: failure, sent: bits & 1 != 0, isIdempotent: bits & 2 != 0, isReplayable: bits & 4 != 0,
                    answerBegan: bits & 8 != 0, reused: bits & 16 != 0, hadFresh: bits & 32 != 0, retries: 0, limit: 5)
                let isSafe =
                    (!rule.sent || rule.isIdempotent) && rule.isReplayable && !rule.answerBegan && failure != .final
                #expect((rule.verdict != .answer) == isSafe)
                if rule.hadFresh { #expect(rule.verdict != .freshConnection) }
            }
        }
    }

    @Test("What the endpoint has not looked at goes again whatever its method, if all of it is kept", arguments: 0..<32)
    func notTaken(_ bits: Int) {
        for failure in [AttemptFailure.refusedRequest, .leftBehind] {
            let rule = RetryRule(
                failure: failure, sent: bits & 1 != 0, isIdempotent: bits & 2 != 0, isReplayable: bits & 4 != 0,
                answerBegan: bits & 8 != 0, reused: true, hadFresh: bits & 16 != 0, retries: 0, limit: 1)
            #expect(rule.wasNotTaken)
            guard rule.isReplayable, !rule.answerBegan else {
                #expect(rule.verdict == .answer)
                continue
            }
            // Another connection of the same endpoint may take it where it only ends one.
            let isSame = failure == .leftBehind && !rule.hadFresh
            #expect(rule.verdict == (isSame ? .freshConnection : .elsewhere(budgeted: true)))
            var last = rule
            last.retries = 1
            #expect(last.verdict == (isSame ? .freshConnection : .answer))
        }
    }
}
