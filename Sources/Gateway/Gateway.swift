import ArgumentParser
import GatewayService
import Glibc
import ProcessStart

/// The gateway's command line.
@main
struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway",
        abstract: "The REST service over the programme's database.",
        version: GatewayVersion.current,
        subcommands: [
            ServeCommand.self, HealthCommand.self, SampleCommand.self, ImportCandidatesCommand.self,
            SnapshotCommand.self,
        ])

    static func main() async {
        StandardDescriptors.fill()
        // Whoever reads the output may go away; that is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        Allocator.bound()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            end(for: error)
        }
    }

    /// As the library would, but for credentials: what is wrong is repeated, and may be a connection string in a wrong place.
    private static func end(for error: any Error) -> Never {
        let code = exitCode(for: error)
        let text = fullMessage(for: error)
        if !text.isEmpty {
            if code == .success { PlainOutput.line(text) } else { PlainOutput.error(text) }
        }
        Glibc.exit(code.rawValue)
    }
}
