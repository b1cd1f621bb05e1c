import Documents
import HTTPTypes
import NIOCore

/// The routes for who runs the process: liveness, readiness, metrics. They are no part of the legacy API.
struct Operations: Sendable {
    /// nil for a service without a database.
    let store: (any DocumentStore)?
    let metrics: GatewayMetrics
    let drain: Drain
    /// How long the database may take to say that it is there.
    let deadline: Duration
    /// Why the process is never ready, whatever its database says; nil when nothing keeps it.
    private let obstacle: String?
    private let failures: FailureLog?
    private let checks = SingleFlight<Void>()

    static let alive = Reply.ok(Reply.text, Body("alive\n"), .operations)

    /// - Parameters:
    ///   - obstacle: why the process is never ready.
    ///   - failures: told what a client of `/readyz` is not.
    init(
        store: (any DocumentStore)?, metrics: GatewayMetrics, drain: Drain, deadline: Duration,
        obstacle: String? = nil, failures: FailureLog? = nil
    ) {
        self.obstacle = obstacle
        self.failures = failures
        self.store = store
        self.metrics = metrics
        self.drain = drain
        self.deadline = deadline
    }

    func reply(_ path: Substring) async -> Reply? {
        switch path {
        case "/livez": Self.alive
        case "/readyz": await readiness()
        case "/metrics": .ok(Reply.text, Body(metrics.text(store: store?.use)), .operations)
        default: nil
        }
    }

    /// Ready when the database answers within the deadline, if nothing else keeps the process from serving, and until the process is told to stop.
    private func readiness() async -> Reply {
        if drain.isBegun { return Self.notReady("stopping") }
        if let obstacle { return Self.notReady(obstacle) }
        do {
            if let store { try await check(store) }
            return .ok(Reply.text, Body("ready\n"), .operations)
        } catch {
            failures?.record(error, route: "/readyz")
            return Self.notReady("database: \((error as? StoreError ?? .timedOut).reason)")
        }
    }

    private func check(_ store: any DocumentStore) async throws {
        try await checks.value(for: "", within: deadline) { [deadline] in
            try await QueryDeadline.$current.withValue(.now + deadline) { try await store.check() }
        }
    }

    private static func notReady(_ reason: String) -> Reply {
        Reply(
            status: .serviceUnavailable, contentType: Reply.text, body: Body("not ready: \(reason)\n"),
            route: .operations)
    }
}
