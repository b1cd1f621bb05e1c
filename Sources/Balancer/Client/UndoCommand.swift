import ArgumentParser
import Control
import FoundationEssentials

struct UndoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo", abstract: "Takes a change back, or all since a generation.",
        discussion: """
            Live weights and endpoints' administrative states go back to where they stood; what the file said since stands. \
            Numbers and generations are those of `balancer journal`. An undo is a change itself and can be undone.
            """)

    @Argument(help: "The number of the change.")
    var sequence: UInt64?

    @Option(
        name: .customLong("to-generation"), help: "Go back to where everything stood when this generation was in force."
    )
    var toGeneration: UInt64?

    @Flag(help: "Do what can be done where routes or endpoints do not exist any more.")
    var partial = false

    @Flag(name: .customLong("dry-run"), help: "Tell what would change, change nothing.")
    var dryRun = false

    @Flag(help: "Do it in spite of objections.")
    var force = false

    @Option(help: "Why, for the journal.")
    var reason: String

    @Option(name: .customLong("if-match"), help: "Only if the state is the one with this ETag.")
    var ifMatch: String?

    @OptionGroup var admin: AdminOptions

    private struct Request: Encodable {
        var sequence: UInt64?
        var toGeneration: UInt64?
        var reason: String
        var force: Bool?
        var partial: Bool?
    }

    func validate() throws {
        guard (self.sequence == nil) != (self.toGeneration == nil) else {
            throw ValidationError("give either the number of a change or --to-generation")
        }
        if self.reason.isEmpty { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let request = Request(
            sequence: self.sequence, toGeneration: self.toGeneration, reason: self.reason,
            force: self.force ? true : nil, partial: self.partial ? true : nil)
        let client = AdminClient(options: self.admin)
        let data = try await client.post(
            "/api/v1/undo\(self.dryRun ? "?dryRun=true" : "")", body: try JSONEncoder().encode(request),
            headers: self.ifMatch.map { ["If-Match": $0] } ?? [:])
        try client.show(data, as: UndoOutcome.self) { outcome in
            var table = TextTable("SUBJECT", "UPSTREAM", "WAS", "BECOMES", "SHARE")
            for route in outcome.routes {
                for (before, after) in zip(route.before, route.after) {
                    table.add(
                        route.route, after.upstream, "\(before.weight)", "\(after.weight)",
                        TextTable.percent(after.share))
                }
            }
            for endpoint in outcome.endpoints {
                table.add(endpoint.address, endpoint.upstream, endpoint.before, endpoint.after, "-")
            }
            if outcome.changed { Output.line(table.render()) }
            for problem in outcome.leftOut { Output.error("left out: \(problem)".visible) }
            if outcome.dryRun {
                for problem in outcome.objections { Output.error("the guard objects: \(problem)".visible) }
            }
            for warning in outcome.warnings { Output.error("warning: \(warning)".visible) }
            if let replicas = outcome.replicas { Output.line(WeightCommand.tell(replicas)) }
            let what = outcome.dryRun ? "nothing changed (dry run)" : outcome.changed ? "changed" : "already so"
            Output.line("\(what), generation \(outcome.generation), ETag \(outcome.etag)".visible)
        }
    }
}
