import Foundation
import TestSupport
import Testing

/// What the project tells people to type works as it stands.
@Suite("Tour", .serialized) struct TourScenarios {
    private let core: ScriptedUpstream
    private let gateways: [ScriptedUpstream]
    private let balancer: BalancerProcess

    init() throws {
        self.core = try .plain("core")
        self.gateways = [try .plain("one"), try .plain("two")]
        self.balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [self.core.port]), ("gateway", self.gateways.map(\.port))],
                routes: #"{"name": "api", "match": {"path": "/"}, "split": {"core": 90, "gateway": 10}}"#))
    }

    private func lines(of file: String) throws -> [String] {
        try String(contentsOfFile: Program.root + "/" + file, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// Runs a line as the reader's shell would, with what stands before it.
    private func run(_ line: String, after setting: String) throws -> (status: Int32, output: String, errors: String) {
        try Program.run(path: "/bin/bash", ["-c", "\(setting)\n\(line)"])
    }

    @Test("Every command of the README's five minutes")
    func readme() throws {
        let lines = try self.lines(of: "README.md")
        let start = try #require(lines.firstIndex(of: "## Five minutes"))
        let end = try #require(lines[start...].firstIndex { $0.hasPrefix("## A routes.json") })
        let commands = lines[start..<end].filter { $0.hasPrefix("b ") }
        #expect(commands.count >= 9, "\(commands)")
        for command in commands {
            let here = command.replacing("127.0.0.1:3301", with: "127.0.0.1:\(self.gateways[0].port)")
                .replacing("127.0.0.1:3302", with: "127.0.0.1:\(self.gateways[1].port)")
            // The balancer of this test has an admin address of its own.
            let result = try self.run(
                here, after: "b() { '\(Program.path("balancer"))' \"$@\" --admin \(self.balancer.admin); }")
            #expect(result.status == 0, "\(command): \(result.errors)")
            #expect(!result.output.isEmpty, "\(command)")
        }
        let journal = try self.balancer.command("journal").output
        #expect(journal.contains("half way"), "\(journal)")
    }

    @Test("Every balancer command that scripts/run.sh prints")
    func script() throws {
        let commands = try self.lines(of: "scripts/run.sh").map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { $0.hasPrefix("$bin/balancer ") }
        #expect(commands.count == 2, "\(commands)")
        let folder = URL(fileURLWithPath: Program.path("balancer")).deletingLastPathComponent().path
        for command in commands {
            let result = try self.run(command, after: "bin='\(folder)' admin=\(self.balancer.adminPort)")
            #expect(result.status == 0, "\(command): \(result.errors)")
            #expect(result.output.contains("gateway"), "\(command): \(result.output)")
        }
        #expect(try self.balancer.command("journal").output.contains("half way"))
    }
}
