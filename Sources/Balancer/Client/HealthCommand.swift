import ArgumentParser
import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// For a container's health check: no output where all is well, and an answer in bounded time.
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Tells by its exit status whether a balancer runs here.",
        discussion: "Exit status: 0 if the admin API, or what --url names, answers 200 within two seconds, else 2.")

    /// Seconds for the whole question.
    private static let patience: Int64 = 2

    @Option(
        name: .customLong("admin"),
        help: "Address of the admin API. Without it: the environment's BALANCER_ADMIN, else 127.0.0.1:9901.")
    var address: String?

    @OptionGroup var trust: TrustOptions

    @Option(help: "What to ask instead of the admin API, as http://HOST:PORT/PATH: whether traffic passes from here.")
    var url: String?

    func validate() throws {
        guard let url else { return try AdminOptions.validate(self.address) }
        guard address == nil else { throw ValidationError("Give --admin or --url, not both.") }
        guard url.hasPrefix("http://"), url.dropFirst("http://".count).first.map({ $0 != "/" }) == true else {
            throw ValidationError("A URL is http://HOST:PORT/PATH.")
        }
    }

    func run() async throws {
        let subject: String
        let target: String
        if let url {
            (subject, target) = (url, url)
        } else {
            let base = AdminOptions.base(self.address)
            let scheme = self.trust.isSecure(self.address) ? "https" : "http"
            (subject, target) = ("the admin API at \(base)", "\(scheme)://\(base)/healthz")
        }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(Self.patience)))
        configuration.connectionPool.retryConnectionEstablishment = false
        if target.hasPrefix("https://") { configuration.tlsConfiguration = try self.trust.configuration() }
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let problem: String?
        do {
            let request = HTTPClientRequest(url: target)
            // The body is not waited for: the head says it.
            let status = try await client.execute(request, timeout: .seconds(Self.patience)).status.code
            problem = status == 200 ? nil : "answers \(status)"
        } catch {
            problem = "does not answer: \(error.networkWords)"
        }
        try? await client.shutdown()
        guard let problem else { return }
        Output.error("balancer: \(subject) \(problem)")
        throw ExitCode(2)
    }
}
