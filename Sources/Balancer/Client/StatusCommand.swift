import ArgumentParser
import Control

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Shows how a running balancer is doing.")

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let client = AdminClient(options: self.admin)
        let data = try await client.get("/api/v1/status")
        try client.show(data, as: StatusBody.self) { status in
            if let sentence = status.sentence { Output.line(sentence.text.visible + "\n") }
            var table = TextTable("WHAT", "IS")
            table.add("version", status.version)
            table.add("pid", "\(status.pid)")
            table.add("up for", Self.duration(status.uptimeSeconds))
            table.add("phase", status.draining ? "draining" : "serving")
            table.add("workers", "\(status.workers)")
            for listener in status.listeners { table.add("listener \(listener.name)", listener.address) }
            table.add("table", "generation \(status.generation), \(Self.duration(status.tableAge)) old")
            table.add("connections", "\(status.connections)")
            table.add("exchanges", "\(status.exchanges)")
            table.add("last load", "\(status.lastReload.ok ? "good" : "rejected") at \(status.lastReload.at)")
            if !status.stale.isEmpty { table.add("stale upstreams", status.stale.joined(separator: ", ")) }
            Output.line(table.render())
            for problem in status.lastReload.problems { Output.line("  \(problem)".visible) }
            for path in status.lastReload.needsRestart {
                Output.line("  \(path) takes effect at the next start".visible)
            }
        }
    }

    private static func duration(_ seconds: UInt64) -> String {
        switch seconds {
        case 0..<60: "\(seconds)s"
        case 60..<3_600: "\(seconds / 60)m \(seconds % 60)s"
        case 3_600..<86_400: "\(seconds / 3_600)h \(seconds % 3_600 / 60)m"
        default: "\(seconds / 86_400)d \(seconds % 86_400 / 3_600)h"
        }
    }
}
