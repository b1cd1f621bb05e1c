import ArgumentParser
import FoundationEssentials
import GatewayService

struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask a running gateway whether it lives: status 0 when it answers 200 within 2 seconds, else 1.",
        discussion: "Made for a container's health check. Without an option it asks port GATEWAY_PORT, or 3301.")

    @Option(help: "Port on this machine; asks for /livez.")
    var port: Int?

    @Option(help: "What to ask for instead, as http://HOST:PORT/PATH.")
    var url: String?

    func validate() throws {
        guard port == nil || url == nil else { throw ValidationError("Give --port or --url, not both.") }
        _ = try probe()
    }

    func run() async throws {
        guard let reason = await (try probe()).failure(within: .seconds(2)) else { return }
        PlainOutput.error("not alive: \(reason)")
        throw ExitCode.failure
    }

    private func probe() throws -> HealthProbe {
        guard let url else {
            let environment = ProcessInfo.processInfo.environment["GATEWAY_PORT"].flatMap { Int($0) }
            let port = port ?? environment ?? 3301
            guard (1...65_535).contains(port) else { throw ValidationError("A port is 1 to 65535.") }
            return HealthProbe(host: "127.0.0.1", port: port)
        }
        guard let parts = URLComponents(string: url), parts.scheme == "http", let host = parts.host, !host.isEmpty
        else {
            throw ValidationError("A URL is http://HOST:PORT/PATH.")
        }
        let path = parts.percentEncodedPath.isEmpty ? "/livez" : parts.percentEncodedPath
        let query = parts.percentEncodedQuery.map { "?" + $0 } ?? ""
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        return HealthProbe(host: bare, port: parts.port ?? 80, path: path + query)
    }
}
