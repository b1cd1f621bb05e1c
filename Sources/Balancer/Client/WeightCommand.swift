import ArgumentParser
import Control
import FoundationEssentials

struct WeightCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weight", abstract: "Changes the weights of a route while it runs.",
        discussion: """
            Upstreams of the route that are not named keep their weight. The change stands until the file itself says \
            something else about the route; with --save the file says it, too.
            """)

    /// `NAME=W`.
    struct Setting: ExpressibleByArgument, Sendable, Equatable {
        var upstream: String
        var weight: UInt64

        init?(argument: String) {
            guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex,
                let weight = UInt64(argument[argument.index(after: sign)...])
            else { return nil }
            self.upstream = String(argument[..<sign])
            self.weight = weight
        }
    }

    @Argument(help: "The route's name.")
    var route: String

    @Argument(help: ArgumentHelp("An upstream and its weight, 0 to 1000000.", valueName: "NAME=W"))
    var weights: [Setting]

    @Flag(name: .customLong("dry-run"), help: "Tell what would change, change nothing.")
    var dryRun = false

    @Flag(help: "Do it even if it leaves no upstream a weight or, with --reason, if the guard objects.")
    var force = false

    @Flag(
        help: """
            Write them into the file that the balancer was started with, too: nothing but their digits changes there. What cannot be \
            saved is not changed either.
            """)
    var save = false

    @Flag(
        help: """
            Only on the replica that is asked, while it cannot ask the others: back to what the file says, or away from a side that is \
            not available. Needs --reason.
            """
    )
    var local = false

    @Option(help: "Why, for the journal.")
    var reason: String?

    @Option(name: .customLong("if-match"), help: "Change only if this ETag is still in force.")
    var ifMatch: String?

    @OptionGroup var admin: AdminOptions

    private struct Change: Encodable {
        var weights: [String: UInt64]
        var reason: String?
        var force: Bool?
        var save: Bool?
        var local: Bool?
    }

    func validate() throws {
        let names = Set(self.weights.map(\.upstream))
        guard names.count == self.weights.count else { throw ValidationError("an upstream is named twice") }
    }

    /// What a change would bring.
    private static func tell(_ outcome: WeightChangeOutcome) {
        if outcome.loads.contains(where: { $0.after.requestsPerSecond > 0 || $0.before.requestsPerSecond > 0 }) {
            var table = TextTable(
                "UPSTREAM", "REQUESTS/S", "NEW", "EACH ENDPOINT", "NEW", "UNDER WAY", "NEW")
            for load in outcome.loads {
                table.add(
                    load.upstream, Self.number(load.before.requestsPerSecond),
                    Self.number(load.after.requestsPerSecond),
                    Self.number(load.before.perEndpoint), Self.number(load.after.perEndpoint),
                    load.before.outstanding.map(Self.number) ?? "-", load.after.outstanding.map(Self.number) ?? "-")
            }
            Output.line(table.render())
        }
        if let moved = outcome.movedKeys { Output.line("\(TextTable.percent(moved)) of sticky keys move") }
        for objection in outcome.objections { Output.error("the guard objects: \(objection.message)".visible) }
    }

    static func tell(_ replicas: ReplicaCount) -> String {
        "in force on \(replicas.applied) of \(replicas.of) replicas"
            + (replicas.applied < replicas.of ? " yet: `balancer cluster` tells which" : "")
    }

    /// With one decimal.
    private static func number(_ value: Double) -> String {
        let tenths = (value * 10).rounded()
        return tenths < 1e15 ? "\(tenths / 10)" : "\(value)"
    }

    func run() async throws {
        let change = Change(
            weights: Dictionary(
                self.weights.map { ($0.upstream, $0.weight) }, uniquingKeysWith: { first, _ in first }),
            reason: self.reason, force: self.force ? true : nil, save: self.save ? true : nil,
            local: self.local ? true : nil)
        let client = AdminClient(options: self.admin)
        let path = "/api/v1/routes/\(AdminClient.segment(self.route))/weights\(self.dryRun ? "?dryRun=true" : "")"
        let data = try await client.put(
            path, body: try JSONEncoder().encode(change), headers: self.ifMatch.map { ["If-Match": $0] } ?? [:])
        try client.show(data, as: WeightChangeOutcome.self) { outcome in
            var table = TextTable("UPSTREAM", "WEIGHT", "NEW", "SHARE", "NEW", "NOW", "AVAILABLE")
            for (before, after) in zip(outcome.before, outcome.after) {
                table.add(
                    after.upstream, "\(before.weight)", "\(after.weight)", TextTable.percent(before.share),
                    TextTable.percent(after.share), TextTable.percent(after.effectiveShare),
                    "\(after.availableEndpoints) of \(after.endpoints)")
            }
            Output.line(table.render())
            if outcome.dryRun { Self.tell(outcome) }
            for warning in outcome.warnings { Output.error("warning: \(warning)".visible) }
            if let file = outcome.savedTo {
                Output.line("\(outcome.dryRun ? "would be saved" : "saved") to \(file)".visible)
            }
            let what = outcome.dryRun ? "nothing changed (dry run)" : outcome.changed ? "changed" : "already so"
            if let replicas = outcome.replicas { Output.line(Self.tell(replicas)) }
            Output.line("\(what), generation \(outcome.generation), ETag \(outcome.etag)".visible)
        }
    }
}
