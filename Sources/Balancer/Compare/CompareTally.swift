import Comparison
import Migration

/// What comparing has come to so far, and which request is next.
actor CompareTally {
    /// Requests without an answer in a row after which a side is taken for gone.
    private static let patience = 20
    /// The same while it has never answered.
    private static let firstPatience = 3

    enum Side: String, Sendable { case old = "OLD", new = "NEW" }

    private struct Health {
        var answers = 0
        var failuresRunning = 0
        var reason = ""
    }

    /// One request, asked of both sides.
    struct Finding: Sendable {
        var request: ComparedRequest
        var template: String
        var old: CompareSide.Reply
        var new: CompareSide.Reply
        var found: [Difference]
        /// A against A′ and A′ against B.
        var recheck: (itself: [Difference], new: [Difference])?
    }

    private let requests: [ComparedRequest]
    private let rounds: Int
    private let redaction: Redaction
    private var asked = 0
    private var old = Health()
    private var new = Health()
    private(set) var book: ClassBook
    private var templates = TemplateSet()
    private(set) var rechecks = 0
    /// Requests that neither side answered.
    private(set) var unanswered = 0
    /// The side that answers nothing, and why.
    private(set) var unreachable: (side: Side, reason: String)?

    init(requests: [ComparedRequest], rounds: Int, redaction: Redaction) {
        self.requests = requests
        self.rounds = rounds
        self.redaction = redaction
        // The chance of the documents' examples: 15 rechecks of which none repeats make the first class real.
        self.book = ClassBook(falseAlarm: 1.0 / 3_600)
    }

    var total: Int { self.requests.count * self.rounds }
    var done: Int { Int(clamping: self.book.compared) + self.unanswered }

    /// Nil when all were asked, a side answers nothing, or an end is asked for.
    func next() -> ComparedRequest? {
        guard self.asked < self.total, self.unreachable == nil, !Interruption.isAsked else { return nil }
        defer { self.asked += 1 }
        return self.requests[self.asked % self.requests.count]
    }

    func record(_ finding: Finding) {
        Self.note(finding.old, in: &self.old)
        Self.note(finding.new, in: &self.new)
        self.judge(.old, self.old)
        self.judge(.new, self.new)
        if finding.recheck != nil { self.rechecks += 1 }
        guard finding.old.answer != nil || finding.new.answer != nil else {
            self.unanswered += 1
            return
        }
        self.book.record(
            route: "", template: self.templates.admit(finding.template), found: finding.found, recheck: finding.recheck,
            example: { difference in
                Example(
                    method: finding.request.method, target: self.redaction.target(finding.request.target),
                    difference: difference, oldStatus: finding.old.answer?.status, newStatus: finding.new.answer?.status
                )
            })
    }

    /// After the last request: a side that never answered was not compared, however few questions there were.
    func close() {
        for (side, health) in [(Side.old, self.old), (.new, self.new)]
        where self.unreachable == nil && health.answers == 0 && health.failuresRunning > 0 {
            self.unreachable = (side, health.reason)
        }
    }

    private func judge(_ side: Side, _ health: Health) {
        let patience = health.answers == 0 ? Self.firstPatience : Self.patience
        if self.unreachable == nil, health.failuresRunning >= patience { self.unreachable = (side, health.reason) }
    }

    private static func note(_ reply: CompareSide.Reply, in health: inout Health) {
        switch reply {
        case .answer:
            health.answers += 1
            health.failuresRunning = 0
        case .none(let reason):
            health.failuresRunning += 1
            health.reason = reason
        }
    }
}
