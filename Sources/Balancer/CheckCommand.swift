import ArgumentParser
import Control
import FoundationEssentials
import Glibc
import Reactor
import RoutesFile
import Traffic

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Tells every problem in a configuration file.",
        discussion: """
            Exit status: 0 the file is good, 1 it is not. A host name that cannot be looked up from here is a warning: a \
            balancer serves without that endpoint until the name is found. With --rate it also tells how long each stage of a \
            migration needs at so many requests a second, if the new side is as good as the old one (errors 0.1 %, 4xx 1 %).
            """)

    @Argument(help: "The file, such as routes.json.")
    var file: String

    @Flag(help: "Answer in JSON.")
    var json = false

    @Option(help: ArgumentHelp("Requests a second on a migration's routes together.", valueName: "number"))
    var rate: Double?

    func validate() throws {
        if let rate = self.rate, !(rate.isFinite && (0.001...10_000_000).contains(rate)) {
            throw ValidationError("--rate is from 0.001 to 10000000 requests a second.")
        }
    }

    private struct Report: Encodable {
        var file: String
        var ok: Bool
        var problems: [ControlProblem]
        /// What does not keep the file from being loaded.
        var warnings: [ControlProblem]
        /// With --rate.
        var migrations: [PlanForecast]?
    }

    func run() async throws {
        let configuration: BalancerConfiguration
        do throws(ConfigurationRejected) {
            configuration = try RoutesFile.parse(try Self.read(self.file))
        } catch {
            throw self.refuse(error.problems.map(ControlProblem.init))
        }
        let files = NamedFiles.read(configuration, now: Int64(time(nil)))
        guard files.problems.isEmpty else { throw self.refuse(files.problems) }
        let threads = try BlockingThreads(named: "look-up", count: HostNames.atOnce)
        let workers = configuration.workers ?? AvailableProcessors.read().count
        let warnings =
            files.warnings + ConfigurationRemarks.warnings(configuration, workers: workers)
            + (await NameCheck.warnings(configuration, threads: threads))
        let forecasts = self.rate.map { rate in configuration.migrations.map { PlanForecast($0.plan, rate: rate) } }
        if self.json {
            try? Self.printReport(
                Report(file: self.file, ok: true, problems: [], warnings: warnings, migrations: forecasts))
            return
        }
        for warning in warnings { Output.error("\(self.file): warning: \(warning.path): \(warning.message)") }
        let table = configuration.table
        let endpoints = table.upstreams.reduce(0) { $0 + $1.endpoints.count + $1.names.count }
        Output.line(
            "\(self.file): good: \(configuration.listeners.count) listeners, \(table.upstreams.count) upstreams, "
                + "\(endpoints) endpoints, \(table.routes.count) routes"
                + (configuration.migrations.isEmpty ? "" : ", \(configuration.migrations.count) migrations"))
        for forecast in forecasts ?? [] { Output.line(ForecastTable.text(forecast)) }
    }

    private func refuse(_ problems: [ControlProblem]) -> ExitCode {
        if self.json {
            try? Self.printReport(Report(file: self.file, ok: false, problems: problems, warnings: []))
        } else {
            Output.report(problems, in: self.file)
        }
        return ExitCode(1)
    }

    private static func read(_ path: String) throws(ConfigurationRejected) -> [UInt8] {
        do {
            return try WholeFile.read(path)
        } catch {
            throw ConfigurationRejected(problems: [
                ConfigurationProblem(path: "$", message: "cannot be read: \(error.reason)")
            ])
        }
    }

    private static func printReport(_ report: Report) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
}
