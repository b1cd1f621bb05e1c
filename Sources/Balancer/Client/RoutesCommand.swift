import ArgumentParser
import Control

struct RoutesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes", abstract: "Shows the routes with the weights in force.")

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/routes")
        try client.show(data, as: RoutesBody.self) { body in
            var table = TextTable("ROUTE", "MATCH", "UPSTREAM", "WEIGHT", "SHARE", "NOW", "NOTE")
            for route in body.routes { Self.add(route, to: &table) }
            Output.line(table.render())
        }
    }

    private static func add(_ route: RouteBody, to table: inout TextTable) {
        let match = Self.describe(route.match)
        if let redirect = route.redirect {
            let target = [redirect.scheme, redirect.host, redirect.path].compactMap { $0 }.joined(separator: " ")
            table.add(route.name, match, "-", "-", "-", "-", "redirects \(redirect.status) \(target)")
            return
        }
        if let respond = route.respond {
            table.add(route.name, match, "-", "-", "-", "-", "answers \(respond.status)")
            return
        }
        for (index, share) in route.shares.enumerated() {
            var notes: [String] = []
            if let file = route.fileWeights?[share.upstream], file != share.weight {
                notes.append("live, file says \(file)")
            }
            if !share.available { notes.append("no available endpoint") }
            if index == 0, let sticky = route.sticky {
                notes.append("sticky by \(sticky.by)\(sticky.name.map { " \($0)" } ?? "")")
            }
            table.add(
                index == 0 ? route.name : "", index == 0 ? match : "", share.upstream, "\(share.weight)",
                TextTable.percent(share.share), TextTable.percent(share.effectiveShare),
                notes.joined(separator: "; "))
        }
    }

    private static func describe(_ match: MatchBody) -> String {
        var parts = match.method + match.host
        parts += match.path + match.exactPath.map { "=\($0)" }
        parts += match.listener.map { "on \($0)" }
        parts += match.headers.sorted { $0.key < $1.key }.map { name, value in value.map { "\(name): \($0)" } ?? name }
        return parts.isEmpty ? "everything" : parts.joined(separator: " ")
    }
}
