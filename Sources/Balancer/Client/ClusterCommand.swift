import ArgumentParser
import Control

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Shows the replicas, and whether they agree.",
        discussion: """
            As the asked replica knows them. Exit status 0 if the store answers and every replica that is there has the \
            same file, version and live state; 3 if not.
            """)

    /// The replicas do not agree, or do not know.
    private static let differs: Int32 = 3

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/cluster")
        let body = try client.read(data, as: ClusterBody.self)
        try client.show(data, as: ClusterBody.self, by: Self.show)
        let isSettled = body.replicas.allSatisfy { !$0.present || ($0.lagSeconds == 0 && $0.trouble.isEmpty) }
        if !body.reachable || !body.reason.isEmpty || !body.remarks.isEmpty || !isSettled {
            throw ExitCode(Self.differs)
        }
    }

    private static func show(_ body: ClusterBody) {
        var table = TextTable("REPLICA", "STATE", "VERSION", "FILE", "CHANGE", "LAG", "GENERATION", "HEARD")
        for replica in body.replicas {
            var state = replica.present ? "there" : "gone"
            if replica.name == body.leader { state += ", leads" }
            if replica.name == body.replica { state += ", asked" }
            table.add(
                replica.name, state, replica.version, String(replica.file.prefix(8)), "\(replica.sequence)",
                replica.lagSeconds == 0 ? "-" : "\(replica.lagSeconds)s", "\(replica.generation)", replica.heard)
        }
        Output.line(table.render())
        Output.line(
            "cluster \(body.name): change \(body.sequence) of term \(body.term), \(body.splits) live splits, "
                + "\(body.endpoints) endpoints not ready; \(body.store)".visible)
        if !body.reachable {
            Output.error(
                "warning: the store does not answer since \(body.lastContact ?? "the start"): \(body.reason)".visible)
        } else if !body.reason.isEmpty {
            Output.error("warning: \(body.reason)".visible)
        }
        for remark in body.remarks { Output.error("warning: \(remark)".visible) }
    }
}
