import ArgumentParser
import Control
import FoundationEssentials

/// What the sides of a plan differ in, and what operators say of it.
struct DifferencesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "differences", abstract: "Shows what the two sides of a migration differ in.",
        discussion: """
            Without a class: all of them, real ones first. With one: its examples, redacted. `accept` lets a class stay, so \
            that it counts against nobody; `reopen` takes that back. Both want a --reason.
            """)

    enum Verb: String, ExpressibleByArgument, CaseIterable { case accept, reopen }

    @Argument(help: "The migration.")
    var name: String

    @Argument(help: ArgumentHelp("A class such as d-0123abcd, or accept or reopen before one.", valueName: "class"))
    var words: [String] = []

    @Option(help: "Why, for the journal.")
    var reason: String?

    @OptionGroup var admin: AdminOptions

    private var verb: Verb? { self.words.count == 2 ? Verb(rawValue: self.words[0]) : nil }

    func validate() throws {
        guard self.words.count <= 2, self.words.count < 2 || self.verb != nil else {
            throw ValidationError("expected NAME, NAME CLASS, NAME accept CLASS or NAME reopen CLASS")
        }
        if self.words.count == 1, Verb(rawValue: self.words[0]) != nil {
            throw ValidationError("\(self.words[0]) needs a class, such as d-0123abcd")
        }
        if self.verb != nil, self.reason?.isEmpty ?? true { throw ValidationError("--reason must say why") }
        if self.verb == nil, self.reason != nil { throw ValidationError("--reason goes with accept and reopen") }
    }

    private struct Request: Encodable {
        var reason: String
    }

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let base = "/api/v1/migrations/\(AdminClient.segment(self.name))/differences"
        guard let number = self.words.last else {
            let data = try await client.get(base)
            return try client.show(data, as: DifferencesBody.self) { Self.show($0) }
        }
        let path = "\(base)/\(AdminClient.segment(number))"
        guard let verb = self.verb else {
            let data = try await client.get(path)
            return try client.show(data, as: DifferenceClassBody.self) { Self.show($0) }
        }
        let body = try JSONEncoder().encode(Request(reason: self.reason ?? ""))
        let data = try await client.post("\(path)/\(verb.rawValue)", body: body)
        try client.show(data, as: DifferenceClassBody.self) { body in
            Output.line("\(body.number) is \(body.state)".visible)
            if let found = body.foundBy {
                let words =
                    found.isEmpty
                    ? "no replica has told of it yet: this holds wherever it is found"
                    : "found by \(found.joined(separator: ", "))"
                Output.line(words.visible)
            }
            if let replicas = body.replicas { Output.line(WeightCommand.tell(replicas)) }
        }
    }

    private static func show(_ body: DifferencesBody) {
        let results = body.results.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        Output.line(
            "\(body.compared) compared, old side asked again \(body.rechecks) times"
                + (results.isEmpty ? "" : ": " + results.joined(separator: ", ")))
        if let copied = body.copied {
            let dropped = (body.dropped ?? [:]).sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            Output.line(
                "\(copied) copies answered" + (dropped.isEmpty ? "" : ", dropped: " + dropped.joined(separator: ", ")))
        }
        guard !body.classes.isEmpty else { return }
        var table = TextTable(
            "CLASS", "STATE", "TEMPLATE", "WHAT", "SEEN", "CONFIRMED", "RECHECKS", "REPEATED", "ROUTE")
        for each in body.classes {
            table.add(
                each.number, each.state, each.template, each.path.isEmpty ? each.kind : "\(each.kind) \(each.path)",
                "\(each.seen)", "\(each.confirmed)", "\(each.rechecks)", "\(each.repeated)", each.route)
        }
        Output.line(table.render())
    }

    private static func show(_ body: DifferenceClassBody) {
        Output.line(
            "\(body.number) \(body.state): \(body.kind) \(body.path) in \(body.template) of \(body.route)".visible)
        Output.line(
            "seen \(body.seen), confirmed \(body.confirmed), cleared \(body.cleared); old side asked again "
                + "\(body.rechecks) times, repeated by itself \(body.repeated)")
        if let reason = body.accepted { Output.line("accepted: \(reason)".visible) }
        var table = TextTable("REQUEST", "PLACE", "OLD", "NEW")
        for example in body.examples ?? [] {
            table.add("\(example.method) \(example.target)", example.place, example.old ?? "-", example.new ?? "-")
        }
        Output.line(table.render())
    }
}
