import ArgumentParser
import Control
import Glibc
import ProcessStart

@main
struct BalancerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "balancer",
        abstract: "Splits live HTTP traffic between upstreams by weight.",
        discussion: """
            Exit status of the commands that ask a running balancer: 0 done, 1 refused by it, 2 not reachable, \
            64 wrong usage.
            """,
        version: BalancerVersion.current,
        subcommands: [
            ServeCommand.self, CheckCommand.self, StatusCommand.self, TopCommand.self, RoutesCommand.self,
            WeightCommand.self,
            UpstreamsCommand.self, EndpointCommand.self, ExplainCommand.self, JournalCommand.self,
            UndoCommand.self, MigrationCommand.self, VerdictCommand.self, CertificatesCommand.self, ClusterCommand.self,
            TokenCommand.self, HealthCommand.self, CompareCommand.self, DifferencesCommand.self,
        ])

    static func main() async {
        StandardDescriptors.fill()
        // Before the arguments are read and anything can wait: a signal must not find the process unprepared.
        if CommandLine.arguments.dropFirst().first == "serve" {
            do {
                try ProcessSignals.process.take()
            } catch {
                Output.error("balancer: cannot start: \(error)")
                Glibc.exit(1)
            }
        }
        Self.suggest(for: CommandLine.arguments.dropFirst().first)
        await self.main(nil)
    }

    /// Ends the process when the first word is no command, with the one that was meant.
    private static func suggest(for word: String?) {
        guard let word, !word.hasPrefix("-"), word != "help" else { return }
        let names = Self.configuration.subcommands.compactMap { $0.configuration.commandName }
        if names.contains(word) { return }
        let meant = CommandSuggestion.nearest(to: word, among: names)
        // Whatever the word is, it fits into a narrow terminal's line.
        let shown = word.utf8.count > 24 ? String(decoding: word.utf8.prefix(24), as: UTF8.self) + "..." : word
        Output.error("balancer: there is no command \"\(shown)\".".visible)
        Output.error(meant.map { "Did you mean `balancer \($0)`?" } ?? "`balancer --help` lists the commands.")
        Glibc.exit(64)
    }
}
