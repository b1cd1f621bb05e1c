import Comparison
import FoundationEssentials

/// What comparing came to, for people and for programs.
struct CompareReport: Encodable {
    struct Sample: Encodable {
        var method: String
        var target: String
        var place: String
        var old: String?
        var new: String?
    }

    struct Class: Encodable {
        var number: String
        var state: String
        var template: String
        var kind: String
        var path: String
        var seen: UInt64
        var confirmed: UInt64
        var cleared: UInt64
        var rechecks: UInt64
        var repeated: UInt64
        var evidence: Double
        var examples: [Sample]

        /// Of what kind, and where.
        fileprivate var what: String { self.path.isEmpty ? self.kind : "\(self.kind) \(self.path)" }
        /// Whether it counts against the new side.
        var stands: Bool { (self.state == "real" || self.state == "open") && self.seen > self.cleared }
    }

    enum Verdict: String, Encodable { case alike, different, unreachable }

    var old: String
    var new: String
    var verdict: Verdict
    /// Why a side cannot be compared.
    var reason: String?
    /// It was ended before everything was asked.
    var interrupted: Bool
    var requests: Int
    var compared: UInt64
    var unanswered: Int
    var rechecks: Int
    var seconds: Double
    var results: [String: UInt64]
    var classes: [Class]

    init(old: String, new: String, tally: CompareTally, seconds: Double) async {
        let book = await tally.book
        self.old = old
        self.new = new
        self.requests = await tally.total
        self.interrupted = Interruption.isAsked
        self.unanswered = await tally.unanswered
        self.rechecks = await tally.rechecks
        self.compared = book.compared
        self.seconds = (seconds * 10).rounded() / 10
        self.results = Dictionary(
            uniqueKeysWithValues: ClassBook.Result.allCases.map { ($0.rawValue, book.results[$0] ?? 0) })
        self.classes = book.records.map { Self.describe($0, in: book) }.sorted {
            ($0.stands ? 0 : 1, $0.state == "real" ? 0 : 1, $1.seen, $0.number)
                < ($1.stands ? 0 : 1, $1.state == "real" ? 0 : 1, $0.seen, $1.number)
        }
        let unreachable = await tally.unreachable
        self.reason = unreachable.map { "\($0.side.rawValue) does not answer: \($0.reason)" }
        self.verdict = unreachable != nil ? .unreachable : self.classes.contains(where: \.stands) ? .different : .alike
    }

    private static func describe(_ record: ClassBook.Record, in book: ClassBook) -> Class {
        let account = book.account(of: record)
        return Class(
            number: record.key.number, state: book.state(of: record).rawValue, template: record.key.template,
            kind: record.key.kind.name, path: record.key.path, seen: record.seen, confirmed: record.confirmed,
            cleared: record.cleared, rechecks: account.rechecks, repeated: account.repeated,
            evidence: (account.evidence * 1_000).rounded() / 1_000,
            examples: record.examples.all.map {
                Sample(
                    method: $0.method, target: $0.target, place: $0.difference.place, old: $0.difference.old,
                    new: $0.difference.new)
            })
    }

    // MARK: for people

    /// Classes of which examples are shown, and examples of each.
    private static let shownClasses = 20
    private static let shownExamples = 2

    var lines: [String] {
        var lines = [
            "\(self.compared) of \(self.requests) requests compared in \(self.seconds) s, OLD asked again \(self.rechecks) times"
        ]
        lines.append("  OLD  \(self.old)")
        lines.append("  NEW  \(self.new)")
        lines.append(
            "  "
                + [
                    ("equal", "equal"), ("drift", "moved meanwhile"), ("noise", "differ by themselves"),
                    ("mismatch", "mismatches"), ("unconfirmed", "unconfirmed"),
                ]
                .compactMap { result, words in
                    self.results[result].flatMap { $0 > 0 || result == "equal" ? "\($0) \(words)" : nil }
                }.joined(separator: ", ") + (self.unanswered > 0 ? ", \(self.unanswered) that neither answered" : ""))
        if !self.classes.isEmpty { lines += ["", self.table] }
        for each in self.classes.filter(\.stands).prefix(Self.shownClasses) { lines += self.examples(of: each) }
        return lines + ["", self.conclusion]
    }

    private var table: String {
        var table = TextTable("CLASS", "STATE", "SEEN", "CONFIRMED", "REPEATED", "WHAT", "WHERE")
        for each in self.classes {
            table.add(
                each.number, each.state == "open" && !each.stands ? "cleared" : each.state, "\(each.seen)",
                "\(each.confirmed)", "\(each.repeated) of \(each.rechecks)",
                each.what, each.template)
        }
        return table.render()
    }

    private func examples(of each: Class) -> [String] {
        var lines = ["", "\(each.number) \(each.state): \(each.what) in answers to \(each.template)"]
        for sample in each.examples.prefix(Self.shownExamples) {
            lines.append("  \(sample.method) \(sample.target)" + (sample.place.isEmpty ? "" : " at \(sample.place)"))
            lines.append("    OLD  \(sample.old ?? "nothing")")
            lines.append("    NEW  \(sample.new ?? "nothing")")
        }
        return lines.map(\.visible)
    }

    private var conclusion: String {
        switch self.verdict {
        case .unreachable: return (self.reason ?? "a side does not answer").visible
        case .alike where self.interrupted: return "Interrupted: no difference was found so far."
        case .alike:
            let own = self.classes.isEmpty ? "" : ": what differs, differs by itself or moved meanwhile"
            let silent =
                self.unanswered > 0
                ? "\nOf \(self.unanswered) requests nothing can be said: neither side answered." : ""
            return "The two sides are alike\(own).\(silent)"
        case .different:
            let real = self.classes.filter { $0.stands && $0.state == "real" }.count
            let open = self.classes.filter { $0.stands && $0.state == "open" }.count
            var text = "The two sides differ. Classes that stand: \(real) real, \(open) open."
            if open > 0 {
                text += "\nAn open class was seen too seldom to tell it from noise; more paths or --repeat tell."
            }
            return text
        }
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
