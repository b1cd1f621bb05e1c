import ArgumentParser
import Control
import FoundationEssentials
import Glibc
import Reactor
import RoutesFile

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serves traffic.",
        discussion: """
            Prints "listening NAME ADDRESS" for each listener, "admin ADDRESS", "observe ADDRESS" where there is one, then \
            "ready". SIGHUP loads the file again and reopens the logs, SIGUSR1 only the latter; SIGTERM and SIGINT finish \
            what runs and exit 0; a second one exits at once with 130.
            """)

    @Option(name: .shortAndLong, help: "The configuration file, such as routes.json.")
    var config: String

    @Option(help: "Worker threads. Without it: the file's, else one per processor that the process may use.")
    var workers: Int?

    @Option(
        help: ArgumentHelp(
            "Local socket over which this process takes over from a running one, and gives itself to the next.",
            valueName: "path"))
    var takeover: String?

    @Option(
        help: ArgumentHelp(
            "Name of this process among its replicas, in the journal and in the cluster. Without it: the host's.",
            valueName: "name"))
    var replica: String?

    func validate() throws {
        if let replica = self.replica, !Self.isName(replica) {
            throw ValidationError("--replica takes 1 to 200 letters, digits, '.', '_' or '-'")
        }
        if let workers = self.workers, !(1...1_024).contains(workers) {
            throw ValidationError("--workers takes a number from 1 to 1024")
        }
    }

    /// It becomes part of keys and of names of objects.
    private static func isName(_ text: String) -> Bool {
        (1...200).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                let character = Character(Unicode.Scalar(byte))
                return character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
            }
    }

    func run() async throws {
        // Read once: the file may be a pipe.
        let bytes: [UInt8]
        do {
            bytes = try WholeFile.read(self.config)
        } catch {
            Output.error("balancer: cannot read \(self.config): \(error)")
            throw ExitCode(1)
        }
        let configuration: BalancerConfiguration
        do {
            configuration = try RoutesFile.parse(bytes)
        } catch {
            Output.report(error.problems.map(ControlProblem.init), in: self.config)
            throw ExitCode(1)
        }
        let processors = AvailableProcessors.read()
        let options = ServeOptions(
            path: self.config, bytes: bytes, configuration: configuration,
            workers: self.workers ?? configuration.workers ?? processors.count,
            processors: processors, takeover: self.takeover ?? configuration.takeover,
            replica: self.replica ?? ProcessInfo.processInfo.hostName)
        throw ExitCode(await BalancerService.run(options, signals: .process))
    }
}
