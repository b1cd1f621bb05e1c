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
        suggest(for: CommandLine.arguments.dropFirst().first)
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

    /// Ends the process when the first word is no command, with the one that was meant.
    private static func suggest(for word: String?) {
        guard let word, !word.hasPrefix("-"), word != "help" else { return }
        let names = configuration.subcommands.compactMap { $0.configuration.commandName }
        if names.contains(word) { return }
        // Only what can be a name is repeated: a connection string in a wrong place has a password in it.
        let isName =
            word.utf8.count <= 24 && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        PlainOutput.error("gateway: there is no " + (isName ? "command \"\(word)\"." : "such command."))
        let meant = CommandSuggestion.nearest(to: word, among: names)
        PlainOutput.error(meant.map { "Did you mean `gateway \($0)`?" } ?? "`gateway --help` lists the commands.")
        Glibc.exit(ExitCode.validationFailure.rawValue)
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
