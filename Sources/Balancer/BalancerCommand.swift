import ArgumentParser
import Control
import Glibc

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
            ServeCommand.self, CheckCommand.self, StatusCommand.self, RoutesCommand.self, WeightCommand.self,
            UpstreamsCommand.self, EndpointCommand.self, ExplainCommand.self, JournalCommand.self,
            HealthCommand.self,
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
        await self.main(nil)
    }
}
