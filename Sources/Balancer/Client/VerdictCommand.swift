import ArgumentParser
import Control

struct VerdictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verdict", abstract: "Tells whether the old side of a migration can be turned off.",
        discussion: "Exit status: 0 it is retirable, 1 something needs it, 2 not reachable.")

    @Argument(help: "The migration.")
    var name: String

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/migrations/\(AdminClient.segment(self.name))/verdict")
        let body = try client.read(data, as: VerdictBody.self)
        try client.show(data, as: VerdictBody.self) { body in
            Output.line("\(body.from) is \(body.verdict)".visible)
            for obstacle in body.obstacles { Output.line("- \(obstacle)".visible) }
            if let quiet = body.quietSeconds {
                Output.line("nothing has needed it for \(Wording.duration(seconds: quiet))")
            }
            if let replicas = body.replicas {
                Output.line("told by \(replicas.joined(separator: ", "))".visible)
            }
            guard !body.needs.isEmpty else { return }
            var table = TextTable("ROUTE", "REQUESTS", "CAUSE", "LAST", "COUNT", "A DAY")
            for need in body.needs {
                table.add(
                    need.route, need.template, need.cause, need.last, "\(need.count)", Wording.rounded(need.perDay, 2))
            }
            Output.line(table.render())
        }
        if body.verdict != "retirable" { throw ExitCode(1) }
    }
}
