import ArgumentParser
import Control
import Foundation
import RoutesFile
import Traffic

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Tells every problem in a configuration file.",
        discussion: "Exit status: 0 the file is good, 1 it is not.")

    @Argument(help: "The file, such as routes.json.")
    var file: String

    @Flag(help: "Answer in JSON.")
    var json = false

    private struct Report: Encodable {
        var file: String
        var ok: Bool
        var problems: [ControlProblem]
    }

    func run() async throws {
        do throws(ConfigurationRejected) {
            let configuration = try RoutesFile.load(path: self.file)
            if self.json {
                try? Self.printReport(Report(file: self.file, ok: true, problems: []))
            } else {
                let table = configuration.table
                let endpoints = table.upstreams.reduce(0) { $0 + $1.endpoints.count }
                Output.line(
                    "\(self.file): good: \(configuration.listeners.count) listeners, \(table.upstreams.count) upstreams, "
                        + "\(endpoints) endpoints, \(table.routes.count) routes")
            }
        } catch {
            let problems = error.problems.map(ControlProblem.init)
            if self.json {
                try? Self.printReport(Report(file: self.file, ok: false, problems: problems))
            } else {
                Output.report(problems, in: self.file)
            }
            throw ExitCode(1)
        }
    }

    private static func printReport(_ report: Report) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        Output.line(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
}
