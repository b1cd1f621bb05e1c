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
    /// Collections without which there is nothing to be served.
    private let mustHave: [String]
    private let connections: Connections
    /// nil for a service that keeps nothing.
    private let cache: ResponseCache<Reply>?
    private let failures: FailureLog?
    private let checks = SingleFlight<[String]>()

    static let alive = Reply.ok(Reply.text, Body("alive\n"), .operations)

    /// - Parameters:
    ///   - obstacle: why the process is never ready.
    ///   - failures: told what a client of `/readyz` is not.
    init(
        store: (any DocumentStore)?, mustHave: [String], metrics: GatewayMetrics, drain: Drain, deadline: Duration,
        connections: Connections, cache: ResponseCache<Reply>? = nil, obstacle: String? = nil,
        failures: FailureLog? = nil
    ) {
        self.mustHave = mustHave
        self.connections = connections
        self.cache = cache
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
        case "/metrics": .ok(Reply.text, Body(metrics.text(await state())), .operations)
        default: nil
        }
    }

    private func state() async -> GatewayMetrics.State {
        GatewayMetrics.State(
            store: store?.use, cache: cache?.use, composing: store == nil ? (0, 0) : Composer.load,
            connections: await connections.use())
    }

    /// Ready when the database answers within the deadline and has what it must have, if nothing else keeps the process from
    /// serving, and until the process is told to stop.
    private func readiness() async -> Reply {
        if drain.isBegun { return Self.notReady("stopping") }
        if let obstacle { return Self.notReady(obstacle) }
        guard let store else { return .ok(Reply.text, Body("ready\n"), .operations) }
        do {
            let missing = try await check(store)
            metrics.setDatabase(isUp: true)
            guard !missing.isEmpty else { return .ok(Reply.text, Body("ready\n"), .operations) }
            // Another database than was meant, more likely than not: it would answer, and every answer would be empty.
            metrics.count(.missing)
            failures?.record(MissingCollections(names: missing), route: "/readyz")
            return Self.notReady("database: has no \(missing.joined(separator: ", "))")
        } catch {
            metrics.setDatabase(isUp: false)
            metrics.count(DatabaseFailure(error))
            failures?.record(error, route: "/readyz")
            return Self.notReady("database: \((error as? StoreError ?? .timedOut).reason)")
        }
    }

    /// The collections that the database must have and has not.
    private func check(_ store: any DocumentStore) async throws -> [String] {
        try await checks.value(for: "", within: deadline) { [deadline, mustHave] in
            try await QueryDeadline.$current.withValue(.now + deadline) {
                try await store.check()
                return mustHave.isEmpty ? [] : try await store.missing(among: mustHave)
            }
        }
    }

    private static func notReady(_ reason: String) -> Reply {
        Reply(
            status: .serviceUnavailable, contentType: Reply.text, body: Body("not ready: \(reason)\n"),
            route: .operations)
    }
}

/// A database that answers and lacks collections that it must have.
struct MissingCollections: Error, CustomStringConvertible {
    let names: [String]

    var description: String { "the database has no collection \(names.joined(separator: ", "))" }
}
