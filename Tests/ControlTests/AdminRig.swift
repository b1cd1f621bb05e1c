@testable import Control
import Hummingbird
import HummingbirdTesting
import Logging
import Reactor
import TestSupport
import Traffic

/// The admin API over real sockets on fakes.
struct AdminRig: Sendable {
    static let json: HTTPFields = [.contentType: "application/json"]
    static func json(_ tag: String) -> HTTPFields { [.contentType: "application/json", .ifMatch: tag] }

    let bench = Bench()
    let transport = FakeProbeTransport()
    let lifecycle = Lifecycle()
    let monitor: HealthMonitor
    let plane: ControlPlane

    init() {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let clock = self.bench.time.clock
        self.monitor = HealthMonitor(transport: self.transport, clock: clock, seed: 1, logger: logger)
        self.plane = ControlPlane(
            publisher: self.bench.publisher, dataPlane: self.bench.dataPlane, health: self.monitor,
            reloader: ConfigurationReloader(
                path: "/nonexistent/routes.json", publisher: self.bench.publisher, clock: clock,
                thread: SharedThread.files, logger: logger),
            lifecycle: self.lifecycle, lookUp: { $0 == "localhost" ? [Sample.address(0).ip] : [] }, clock: clock)
    }

    var api: AdminAPI { AdminAPI(plane: self.plane, names: AdminNames(bound: Sample.address(0).ip)) }

    /// Puts the sample configuration in force.
    func load() async throws {
        _ = try await self.bench.load(Sample.configuration(), .start)
        await self.monitor.apply(await self.bench.publisher.current.table)
        self.lifecycle.beginServing()
    }

    func test(_ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void) async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let application = AdminServer.application(self.api, address: Sample.address(0), logger: logger)
        try await application.test(.live) { try await body($0) }
    }

    /// Serves on a free port, which `body` gets. It may block: it runs on a thread of its own.
    func serve<Value: Sendable>(
        scope: AdminScope = .everything, hosts: [String] = [], certificate: AdminCertificate? = nil,
        limits: AdminLimits = AdminLimits(),
        _ body: @escaping @Sendable (UInt16) throws -> Value
    ) async throws -> Value {
        let (ports, port) = AsyncStream<UInt16>.makeStream()
        // It may end by cancellation here, which the library calls an error.
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = AdminServer(
            plane: self.plane, scope: scope, address: Sample.address(0), hosts: hosts, certificate: certificate,
            limits: limits, logger: logger
        ) {
            port.yield($0.port)
            port.finish()
        }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            var bound: UInt16 = 0
            for await port in ports { bound = port }
            let result = await Self.blocking { [bound] in Result { try body(bound) } }
            // The listener first: a connection that it has accepted and nobody has taken yet must not be dropped by the
            // cancellation, which traps in the library. Then whatever clients still hold open.
            await server.stop()
            group.addTask { try await Task.sleep(for: .seconds(1)) }
            _ = await group.nextResult()
            group.cancelAll()
            return try result.get()
        }
    }

    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            startThread { continuation.resume(returning: body()) }
        }
    }
}
