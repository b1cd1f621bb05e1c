import ArgumentParser
import Glibc

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

    static func main() async {
        StandardDescriptors.fill()
        // Whoever reads the output may go away; that is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        await self.main(nil)
    }
}
