import ArgumentParser
import Control
import FoundationEssentials

struct MigrationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migration", abstract: "Shows the migrations, or tells one what to do.",
        discussion: """
            Without a verb it shows where a migration stands and what it waits for; without a name, all of them.

            start     begins it (--stage N: there; after a retreat at the first stage)
            pause     holds it where it is; it still goes back by itself
            resume    goes on, at the stage's weights
            approve   lets the next stage begin that awaits it
            advance   to the next stage now, if the gates pass (--force --reason: in any case)
            retreat   goes back now; needs --reason, and nothing refuses it (--local: on this replica alone, while the
                      others cannot be asked)
            stop      ends it; weights stay (--restore: as in the file)
            """)

    enum Verb: String, ExpressibleByArgument, CaseIterable {
        case start, pause, resume, approve, advance, retreat, stop
    }

    @Argument(help: "The migration.")
    var name: String?

    @Argument(help: "What to do.")
    var verb: Verb?

    @Option(help: "With start: the stage, from 1.")
    var stage: Int?

    @Option(help: "Why, for the journal.")
    var reason: String?

    @Flag(help: "Do it in spite of objections; needs --reason.")
    var force = false

    @Flag(help: "With stop: the file's weights come back.")
    var restore = false

    @Flag(help: "With retreat: on this replica alone, while the others cannot be asked.")
    var local = false

    @Flag(name: .customLong("dry-run"), help: "Tell what would happen, and how long each stage needs; change nothing.")
    var dryRun = false

    @Option(name: .customLong("if-match"), help: "Only if the state is the one with this ETag.")
    var ifMatch: String?

    @Flag(help: "Show it again each second, until interrupted.")
    var watch = false

    @OptionGroup var admin: AdminOptions

    private struct Request: Encodable {
        var stage: Int?
        var reason: String?
        var force: Bool?
        var restore: Bool?
        var local: Bool?
    }

    func validate() throws {
        if self.verb == .retreat, self.reason?.isEmpty ?? true, !self.dryRun {
            throw ValidationError("retreat needs --reason")
        }
        if self.force, self.reason?.isEmpty ?? true { throw ValidationError("--force needs --reason") }
        if self.watch, self.name == nil || self.verb != nil {
            throw ValidationError("--watch shows one migration: `balancer migration NAME --watch`")
        }
        if self.stage != nil, self.verb != .start { throw ValidationError("--stage goes with start") }
        if self.local, self.verb != .retreat { throw ValidationError("--local goes with retreat") }
        if self.restore, self.verb != .stop { throw ValidationError("--restore goes with stop") }
    }

    func run() async throws {
        let client = AdminClient(options: self.admin)
        guard let name = self.name else { return try await self.list(client) }
        let path = "/api/v1/migrations/\(AdminClient.segment(name))"
        if let verb = self.verb { return try await self.act(verb, path, client) }
        repeat {
            let data = try await client.get(path)
            try client.show(data, as: MigrationBody.self) { Output.line(MigrationText.whole($0)) }
            guard self.watch else { return }
            try await Task.sleep(for: .seconds(1))
            Output.line("")
        } while true
    }

    private func list(_ client: AdminClient) async throws {
        let data = try await client.get("/api/v1/migrations")
        try client.show(data, as: MigrationsBody.self) { body in
            var table = TextTable("MIGRATION", "FROM", "TO", "STATE", "STAGE", "SHARE", "NEXT")
            for migration in body.migrations {
                table.add(
                    migration.name, migration.from, migration.to, migration.state,
                    "\(migration.stage)/\(migration.stages.count)", Wording.rounded(migration.share, 4) + "%",
                    migration.next)
            }
            Output.line(table.render())
        }
    }

    private func act(_ verb: Verb, _ path: String, _ client: AdminClient) async throws {
        let request = Request(
            stage: self.stage, reason: self.reason, force: self.force ? true : nil, restore: self.restore ? true : nil,
            local: self.local ? true : nil)
        let data = try await client.post(
            "\(path)/\(verb.rawValue)\(self.dryRun ? "?dryRun=true" : "")", body: try JSONEncoder().encode(request),
            headers: self.ifMatch.map { ["If-Match": $0] } ?? [:])
        try client.show(data, as: MigrationChangeBody.self) { body in
            for step in body.steps { Output.line((body.dryRun ? "would: " : "") + step.visible) }
            for warning in body.warnings { Output.error("warning: \(warning)".visible) }
            if let replicas = body.replicas {
                Output.line("in force on \(replicas.applied) of \(replicas.of) replicas")
            }
            if let forecast = body.forecast { Output.line(ForecastTable.text(forecast)) }
            Output.line(
                body.dryRun
                    ? "nothing changed (dry run)" : "\(body.migration.state); next: \(body.migration.next)".visible)
        }
    }
}
