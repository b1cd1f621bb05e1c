import Control

/// What `balancer top` shows, as lines: pure, so that a terminal is not needed to know what it says.
struct TopScreen {
    enum Style: Sendable, Equatable {
        case plain
        case head
        case level(Sentence.Level)
    }

    struct Line: Sendable, Equatable {
        var text: String
        var style = Style.plain
    }

    var event: EventBody
    var welcome: WelcomeBody?
    /// Newest first.
    var journal: [JournalEntry] = []
    var plans: [MigrationBody] = []

    private static let words: [Sentence.Level: String] = [.calm: "well", .attention: "look", .trouble: "TROUBLE"]

    /// `columns`: the sentence is broken there; nil: nowhere.
    func lines(columns: Int?) -> [Line] {
        var lines: [Line] = []
        let sentence = self.event.sentence
        for (index, text) in Self.broken("[\(Self.words[sentence.level] ?? "")] \(sentence.text)", columns).enumerated()
        {
            lines.append(Line(text: index == 0 ? text : "  " + text, style: .level(sentence.level)))
        }
        lines.append(Line(text: ""))
        lines += Self.table(self.routes)
        lines += Self.table(self.sides)
        if let cluster = self.event.cluster {
            lines.append(Line(text: cluster.words.visible))
            lines += cluster.remarks.map { Line(text: "  \($0)".visible, style: .level(.attention)) }
            lines.append(Line(text: ""))
        }
        for plan in self.plans { lines += Self.lines(of: plan) }
        if !self.event.troubles.isEmpty { lines += Self.table(self.troubles) }
        if self.event.troublesOmitted > 0 {
            lines.append(Line(text: "and \(self.event.troublesOmitted) more endpoints that are not up"))
        }
        for (index, entry) in self.journal.enumerated() {
            if index == 0 { lines.append(Line(text: "LAST CHANGES", style: .head)) }
            let reason = entry.reason.isEmpty ? "" : "  “\(entry.reason)”"
            let who = entry.who.isEmpty ? entry.origin.rawValue : entry.who
            lines.append(Line(text: "\(entry.at)  \(who)  \(entry.subject)  \(entry.detail)\(reason)".visible))
        }
        return lines
    }

    /// At the top of the screen, beside the time.
    var title: String {
        let name = self.welcome.map { "\($0.host) \($0.version)" } ?? ""
        return "balancer top  \(name)  table \(self.event.generation)  \(self.event.connections) connections".visible
    }

    // MARK: tables

    private static func table(_ table: TextTable) -> [Line] {
        let lines = table.render(columns: nil).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return lines.enumerated().map { Line(text: $1, style: $0 == 0 ? .head : .plain) } + [Line(text: "")]
    }

    private var routes: TextTable {
        var table = TextTable("ROUTE", "REQUESTS/S", "SIDE", "SET", "NOW", "GIVEN", "")
        for route in self.event.routes where route.sides.count > 1 {
            let total = route.sides.reduce(0) { $0 + $1.requestsPerSecond }
            for (index, side) in route.sides.enumerated() {
                let given = total > 0 ? side.requestsPerSecond / total : nil
                table.add(
                    index == 0 ? route.name : "", index == 0 ? Words.rate(total) : "", side.upstream,
                    Words.percent(side.share), Words.percent(side.effectiveShare), given.map(Words.percent) ?? "–",
                    Self.bar(given ?? side.effectiveShare, set: side.share) + (side.available ? "" : " none available"))
            }
        }
        let more = self.event.routes.count { $0.sides.count < 2 } + self.event.routesOmitted
        if more > 0 { table.add("and \(more) more", "", "", "", "", "", "") }
        return table
    }

    private var sides: TextTable {
        var table = TextTable("SIDE", "REQUESTS/S", "ERRORS", "P50", "P99", "ENDPOINTS", "UNDER WAY")
        for side in self.event.sides {
            table.add(
                side.upstream, Words.rate(side.flow.requestsPerSecond), side.flow.errors.map(Words.percent) ?? "–",
                Self.time(side.flow.p50Milliseconds), Self.time(side.flow.p99Milliseconds),
                "\(side.availableEndpoints) of \(side.endpoints)", "\(side.outstanding)")
        }
        return table
    }

    /// What is under way, and what the gates say.
    private static func lines(of plan: MigrationBody) -> [Line] {
        var lines = [
            Line(
                text: "\(plan.name)  \(plan.state)  stage \(plan.stage) of \(plan.stages.count)  \(plan.to) "
                    .visible + Words.decimal(plan.share, places: 4) + " %", style: .head),
            Line(text: "  next: \(plan.next)".visible),
        ]
        if let reason = plan.reason { lines.append(Line(text: "  \(reason)".visible, style: .level(.attention))) }
        if let retreat = plan.retreat {
            lines.append(
                Line(text: "  \(retreat.words)".visible, style: .level(retreat.blocked ? .trouble : .attention)))
        }
        let gates = plan.gates.filter { $0.verdict != "off" }
        guard !gates.isEmpty else { return lines + [Line(text: "")] }
        var table = TextTable("GATE", "VERDICT", "NEW", "OLD", "AGAINST", "FOR")
        func number(_ value: Double) -> String { Words.decimal(value, places: 2) }
        for gate in gates {
            let unit = gate.unit == "milliseconds" ? " ms" : " %"
            table.add(
                gate.gate + (gate.route.map { " \($0)" } ?? ""), gate.verdict,
                gate.new.value.map { number($0) + unit } ?? "–", gate.old.value.map { number($0) + unit } ?? "–",
                "\(number(gate.retreat.evidence)) of \(number(gate.retreat.threshold))",
                gate.advance.map { "\(number($0.evidence)) of \(number($0.threshold))" } ?? "–")
        }
        return lines + Self.table(table)
    }

    private var troubles: TextTable {
        var table = TextTable("NOT UP", "SIDE", "STATE", "FOR", "WHY")
        for trouble in self.event.troubles.prefix(20) {
            table.add(
                trouble.address, trouble.upstream, trouble.availability, Words.duration(trouble.seconds), trouble.cause)
        }
        if self.event.troubles.count > 20 { table.add("and \(self.event.troubles.count - 20) more", "", "", "", "") }
        return table
    }

    // MARK: forms

    private static let barWidth = 24

    /// What was given as a bar, and where it is set as a mark.
    static func bar(_ share: Double, set: Double) -> String {
        let filled = Int((min(max(share, 0), 1) * Double(Self.barWidth)).rounded())
        var cells = (0..<Self.barWidth).map { $0 < filled ? "█" : "·" }
        let mark = min(Int((min(max(set, 0), 1) * Double(Self.barWidth)).rounded()), Self.barWidth)
        cells.insert("|", at: mark)
        return cells.joined()
    }

    static func time(_ milliseconds: Double?) -> String {
        guard let milliseconds else { return "–" }
        if milliseconds >= 1_000 { return "\(Words.rate(milliseconds / 1_000)) s" }
        return "\(Words.rate(milliseconds)) ms"
    }

    /// At blanks where there are some, so that no line has more than `columns` characters.
    static func broken(_ text: String, _ columns: Int?) -> [String] {
        guard let columns, columns > 20 else { return [text.visible] }
        var lines: [String] = []
        var line = ""
        for word in text.visible.split(separator: " ") {
            var word = word
            while word.count > columns - 2 {
                if !line.isEmpty { lines.append(line) }
                line = String(word.prefix(columns - 2))
                word = word.dropFirst(columns - 2)
            }
            if !line.isEmpty, line.count + 1 + word.count > columns - 2 {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return lines + [line]
    }
}
