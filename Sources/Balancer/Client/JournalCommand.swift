import ArgumentParser
import Control
import FoundationEssentials

struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal", abstract: "Shows changes: what, when, by whom and why.",
        discussion: """
            The last 50, unless --since or --limit says otherwise. Where there are older ones, a last line tells how to see \
            them.
            """)

    /// A moment, or how long ago.
    struct Since: ExpressibleByArgument, Sendable, Equatable {
        /// ISO 8601, as the journal writes it.
        var moment: String

        init?(argument: String) { self.init(argument, now: ControlClock.system.wall()) }

        /// `2h`, `90m`, `3d`, or `2026-01-31T12:00:00Z`, or a beginning of that: `2026-01-31`.
        init?(_ text: String, now: UInt64) {
            let units: [Character: UInt64] = ["s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
            if let unit = text.last.flatMap({ units[$0] }), let count = UInt64(text.dropLast()) {
                let age = count.multipliedReportingOverflow(by: unit)
                self.moment = Timestamp.iso8601(age.overflow || age.partialValue > now ? 0 : now - age.partialValue)
                return
            }
            let pattern = "1970-01-01T00:00:00Z"
            let whole = text.hasSuffix("Z") ? text : text + pattern.dropFirst(text.count)
            guard [10, 16, 19].contains(text.count) || text.hasSuffix("Z"),
                let milliseconds = Timestamp.milliseconds(whole)
            else { return nil }
            self.moment = Timestamp.iso8601(milliseconds)
        }
    }

    @Option(
        help: ArgumentHelp(
            "Only changes since then: 2h, 3d, or a time in UTC such as 2026-01-31T12:00.", valueName: "time"))
    var since: Since?

    @Option(help: "Only changes of this route.")
    var route: String?

    @Option(help: "At most so many, the newest.")
    var limit: Int?

    @Option(help: "Only changes before this number.")
    var before: UInt64?

    @OptionGroup var admin: AdminOptions

    private static let page = 200
    private static let standard = 50

    func validate() throws {
        if let limit = self.limit, limit < 1 { throw ValidationError("--limit takes a number from 1") }
    }

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let wanted = self.limit ?? (self.since == nil ? Self.standard : .max)
        var entries: [JournalEntry] = []
        var next = self.before
        // Newest page first; each page is oldest first.
        repeat {
            let count = min(Self.page, wanted - entries.count)
            var query = ["limit=\(count)"]
            if let next { query.append("before=\(next)") }
            if let route = self.route { query.append("subject=\(AdminClient.query(route))") }
            let data = try await client.get("/api/v1/journal?\(query.joined(separator: "&"))")
            let body = try client.read(data, as: JournalBody.self)
            let young = self.since.map { since in body.entries.filter { $0.at >= since.moment } } ?? body.entries
            entries.insert(contentsOf: young, at: 0)
            next = young.count == body.entries.count ? body.before : nil
        } while next != nil && entries.count < wanted
        if self.admin.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let body = JournalBody(JournalPage(entries: entries, hasMore: next != nil))
            return Output.line(String(decoding: try encoder.encode(body), as: UTF8.self))
        }
        Output.line(Self.table(entries).render())
        if let next { Output.line("older ones: --before \(next)") }
    }

    private static func table(_ entries: [JournalEntry]) -> TextTable {
        var table = TextTable("NUMBER", "AT", "BY", "WHAT", "SUBJECT", "DETAIL", "REASON", "GENERATION")
        for entry in entries {
            var who = entry.who.isEmpty ? entry.origin.rawValue : "\(entry.origin.rawValue) \(entry.who)"
            if let replica = entry.replica { who += " at \(replica)" }
            var detail = entry.detail
            if entry.forced { detail += " (forced)" }
            if let undoes = entry.undoes { detail += " (undoes \(undoes))" }
            if let remark = entry.remark { detail += " (\(remark))" }
            table.add(
                "\(entry.sequence)", entry.at, who, entry.what.rawValue, entry.subject, detail, entry.reason,
                "\(entry.generationAfter)")
        }
        return table
    }
}
