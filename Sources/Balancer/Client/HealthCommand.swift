import ArgumentParser
import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// For a container's health check: no output where all is well, and an answer in bounded time.
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Tells by its exit status whether a balancer runs here.",
        discussion: "Exit status: 0 if the admin API answers within two seconds, else 2.")

    /// Seconds for the whole question.
    private static let patience: Int64 = 2

    @Option(
        name: .customLong("admin"),
        help: "Address of the admin API. Without it: the environment's BALANCER_ADMIN, else 127.0.0.1:9901.")
    var address: String?

    func run() async throws {
        let base = AdminOptions.base(self.address)
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(Self.patience)))
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let problem: String?
        do {
            let request = HTTPClientRequest(url: "http://\(base)/healthz")
            // The body is not waited for: the head says it.
            let status = try await client.execute(request, timeout: .seconds(Self.patience)).status.code
            problem = status == 200 ? nil : "answers \(status)"
        } catch {
            problem = "does not answer: \(error)"
        }
        try? await client.shutdown()
        guard let problem else { return }
        Output.error("balancer: the admin API at \(base) \(problem)")
        throw ExitCode(2)
    }
}
