import ArgumentParser
import Control
import FoundationEssentials

struct EndpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint", abstract: "Takes an endpoint out of traffic, or puts it back.",
        discussion: "drain: nothing new, what runs is finished. maintenance: drain, and no probes. ready: back in.")

    enum State: String, ExpressibleByArgument, CaseIterable {
        case ready
        case drain
        case maintenance
    }

    @Argument(help: "The endpoint's address, such as 127.0.0.1:3301.")
    var address: String

    @Argument(help: "ready, drain or maintenance.")
    var state: State

    @Option(help: "Only where it is an endpoint of this upstream.")
    var upstream: String?

    @Option(help: "Why, for the journal.")
    var reason: String?

    @Flag(help: "Do it even if the journal cannot be written.")
    var force = false

    @Option(name: .customLong("if-match"), help: "Only if the state is the one with this ETag.")
    var ifMatch: String?

    @OptionGroup var admin: AdminOptions

    private struct Change: Encodable {
        var administrative: String
        var upstream: String?
        var reason: String?
        var force: Bool?
    }

    private struct Done: Decodable {
        var address: String
        var administrative: String
        var upstreams: [String]
        var warnings: [String]?
        var replicas: ReplicaCount?
    }

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let change = Change(
            administrative: self.state.rawValue, upstream: self.upstream, reason: self.reason,
            force: self.force ? true : nil)
        let data = try await client.put(
            "/api/v1/endpoints/\(AdminClient.segment(self.address))", body: try JSONEncoder().encode(change),
            headers: self.ifMatch.map { ["If-Match": $0] } ?? [:])
        try client.show(data, as: Done.self) { done in
            for warning in done.warnings ?? [] { Output.error("warning: \(warning)".visible) }
            if let replicas = done.replicas { Output.line(WeightCommand.tell(replicas)) }
            Output.line("\(done.address) (\(done.upstreams.joined(separator: ", "))): \(done.administrative)".visible)
        }
    }
}
