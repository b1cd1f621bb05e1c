import ArgumentParser

/// The gateway's command line.
@main
struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "The REST service over the programme's database.",
        subcommands: [
            ServeCommand.self, HealthCommand.self, SampleCommand.self, ImportCandidatesCommand.self,
            SnapshotCommand.self,
        ])
}
