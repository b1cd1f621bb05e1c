import ArgumentParser
import Control

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tells where a request would go, and why.")

    @Argument(help: "The request's path.")
    var path: String

    @Option(help: "The request's Host.")
    var host: String?

    @Option(help: "The request's method.")
    var method = "GET"

    @Option(help: ArgumentHelp("A field of the request; may be repeated.", valueName: "Name: value"))
    var header: [String] = []

    @Option(help: "The client's address, for routes that stick by it.")
    var client: String?

    @Option(help: "The listener where the client connects, for routes that ask for it.")
    var listener: String?

    @Option(name: .customLong("server-name"), help: "The name that the client asks for by TLS (SNI).")
    var serverName: String?

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        var query = ["path=\(AdminClient.query(self.path))", "method=\(AdminClient.query(self.method))"]
        if let host = self.host { query.append("host=\(AdminClient.query(host))") }
        query += self.header.map { "header=\(AdminClient.query($0))" }
        if let client = self.client { query.append("client=\(AdminClient.query(client))") }
        if let listener = self.listener { query.append("listener=\(AdminClient.query(listener))") }
        if let name = self.serverName { query.append("serverName=\(AdminClient.query(name))") }
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/explain?\(query.joined(separator: "&"))")
        try client.show(data, as: Explanation.self) { explanation in
            for reason in explanation.reasons { Output.line(reason.visible) }
            guard !explanation.shares.isEmpty else { return }
            var table = TextTable("UPSTREAM", "WEIGHT", "SHARE", "NOW", "AVAILABLE")
            for share in explanation.shares {
                table.add(
                    share.upstream, "\(share.weight)", TextTable.percent(share.share),
                    TextTable.percent(share.effectiveShare), "\(share.availableEndpoints) of \(share.endpoints)")
            }
            Output.line(table.render())
        }
    }
}
