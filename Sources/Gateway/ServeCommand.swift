import ArgumentParser
import Documents
import FoundationEssentials
import GatewayService
import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve the API, or only health checks, until SIGTERM or SIGINT.")

    @Option(help: "main.json, or the directory that holds it. Without it: sample data on the loopback interface.")
    var config: String?

    @Option(help: "Whose place to take: gateway or core.")
    var role: GatewayConfiguration.Role = .gateway

    @Option(help: "Port to listen on, in place of server.port. 0 takes any free one.")
    var port: Int?

    @Option(help: "Address to listen on, in place of server.host.")
    var host: String?

    @Option(help: "Name this process in an X-Served-By header on every response.")
    var identify: String?

    func run() async throws {
        let signals = await StopSignals()
        EventLoops.choose()
        var options = ConfigurationReader.Options()
        options.role = role
        options.host = host
        options.port = port
        options.identity = identify
        let environment = ProcessInfo.processInfo.environment
        let configuration: GatewayConfiguration
        do {
            configuration = try ConfigurationReader.read(path: config, environment: environment, options: options)
        } catch {
            PlainOutput.error(error.description)
            throw ExitCode(78)
        }
        let log = JSONLogHandler.output(to: STDERR_FILENO)
        defer { log.close() }
        let logger = Self.logger(environment, log)
        MongoStore.redirectLog { isProblem, line in
            logger.log(level: isProblem ? .warning : .debug, "driver", metadata: ["line": "\(line)"])
        }
        let store: (any DocumentStore)?
        do {
            store = configuration.service == .full ? try Self.openStore(configuration) : nil
        } catch {
            PlainOutput.error("database: \(configuration.database): \(error)")
            throw ExitCode.failure
        }
        let server = GatewayServer(
            configuration, store: store, upSince: Int64(Date().timeIntervalSince1970 * 1000), logger: logger
        ) { port in
            Self.announce(configuration, port: port)
        }
        var settings = ServiceGroupConfiguration(services: [server], logger: logger)
        // Answers take seconds at most; whoever still reads after this has stopped reading.
        settings.maximumGracefulShutdownDuration = .seconds(30)
        let group = ServiceGroup(configuration: settings)
        let stopper = Task { await signals.stop(group) }
        defer { stopper.cancel() }
        do {
            try await group.run()
        } catch let error as ListenError {
            PlainOutput.error(error.description)
            throw ExitCode.failure
        }
    }

    private static func logger(_ environment: [String: String], _ output: LineWriter) -> Logger {
        LoggingSystem.bootstrap { JSONLogHandler(label: $0, output: output) }
        var logger = Logger(label: "gateway")
        logger.logLevel = environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0.lowercased()) } ?? .notice
        return logger
    }

    private static func openStore(_ configuration: GatewayConfiguration) throws(StoreError) -> any DocumentStore {
        switch configuration.database {
        case .sample:
            let store = try EmbeddedStore(reading: .memory)
            try store.insert(SampleData().documents())
            return store
        case .sqlite(let path):
            return try EmbeddedStore(reading: .file(path))
        case .mongodb(let uri):
            return try MongoStore(uri: uri, deadline: configuration.deadline)
        }
    }

    private static func announce(_ configuration: GatewayConfiguration, port: Int) {
        let what: String =
            switch configuration.service {
            case .full: configuration.database.description
            case .healthOnly: "health checks only"
            case .retired: "retired core"
            }
        let host = configuration.host.contains(":") ? "[\(configuration.host)]" : configuration.host
        PlainOutput.line("gateway (\(configuration.role.rawValue)) on http://\(host):\(port): \(what)", patience: 1000)
    }
}

extension GatewayConfiguration.Role: ExpressibleByArgument {}
