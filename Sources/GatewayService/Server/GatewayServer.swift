import Documents
import FoundationEssentials
import Hummingbird
import HummingbirdCore
import Logging
import Glibc
import NIOCore
import ServiceLifecycle

/// One gateway process: its store, its responder and its listener.
package struct GatewayServer: Service {
    private let configuration: GatewayConfiguration
    private let store: (any DocumentStore)?
    private let upSince: Int64
    private let logger: Logger
    private let requestLog: Int32
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - store: where documents come from; nil for a service that needs none. Closed when the server ends.
    ///   - upSince: milliseconds since 1970.
    ///   - requestLog: the descriptor to which requests are logged, if the configuration wants them logged.
    ///   - onListening: called with the port once connections are accepted.
    package init(
        _ configuration: GatewayConfiguration, store: (any DocumentStore)?, upSince: Int64, logger: Logger,
        requestLog: Int32 = STDOUT_FILENO, onListening: @escaping @Sendable (Int) async -> Void
    ) {
        self.configuration = configuration
        self.store = store
        self.upSince = upSince
        self.logger = logger
        self.requestLog = requestLog
        self.onListening = onListening
    }

    /// Serves until the surrounding service group shuts down, then drains: see ``Drain``.
    package func run() async throws {
        let metrics = GatewayMetrics(upSince: upSince)
        let drain = Drain(configuration.drain)
        let log = configuration.logsRequests ? RequestLog(requestLog) : nil
        let ledger = Ledger(metrics: metrics, log: log)
        let plan = MemoryPlan(configuration, limit: .current(), descriptors: ProcessFigures.limitOfDescriptors())
        let connections = Connections(budget: MemoryBudget(plan.answers), limit: plan.connections)
        logger.info(
            "memory",
            metadata: [
                "answers": "\(plan.answers)", "kept": "\(plan.kept)", "connections": "\(plan.connections)",
            ])
        if configuration.service == .full, let store {
            // What a body takes is what was allocated for it, not what it fills.
            let cache = ResponseCache<Reply>(
                bytes: plan.kept, lifetime: configuration.cacheLifetime, staleFor: configuration.staleFor,
                size: { $0.body?.storage ?? 0 },
                identity: { reply in reply.body?.lease.map { ObjectIdentifier($0) } })
            connections.budget.relieve { missing in
                // More than is missing: what is kept and being sent gives nothing back.
                cache.shrink(by: max(missing, plan.answers / 8))
                connections.cutStopped()
            }
            let failures = FailureLog(logger)
            let responder = GatewayResponder(
                configuration, store: store, cache: cache, connections: connections, ledger: ledger, drain: drain,
                upSince: upSince, failures: failures)
            let sweep = CacheSweep(cache: cache, interval: min(configuration.cacheLifetime, .seconds(60)))
            let look = Task { await Self.tellWhatIsMissing(in: store, configuration, logger) }
            defer { look.cancel() }
            try await serve(
                responder, drain, [sweep], connections, plan,
                KeptAnswers(
                    cache: cache, fixed: ["/healthcheck": responder.health, "/livez": Operations.alive],
                    ledger: ledger, drain: drain, identity: configuration.identity, codings: configuration.codings))
        } else {
            try await serve(
                BareResponder(configuration, connections: connections, ledger: ledger, drain: drain), drain, [],
                connections, plan,
                KeptAnswers(
                    cache: nil, fixed: ["/healthcheck": Health.gateway, "/livez": Operations.alive], ledger: ledger,
                    drain: drain, identity: configuration.identity))
        }
        log?.close()
        await store?.close()
    }

    /// A line at the start about collections that the service reads and the database does not have. Some databases have never
    /// had them all; one that has none is another than was meant.
    private static func tellWhatIsMissing(
        in store: any DocumentStore, _ configuration: GatewayConfiguration, _ logger: Logger
    ) async {
        do {
            let missing = try await QueryDeadline.$current.withValue(.now + configuration.deadline) {
                try await store.missing(among: Collection.allCases.map(\.rawValue))
            }
            let needed = configuration.mustHave.filter(missing.contains)
            if !needed.isEmpty {
                logger.warning(
                    "not ready: the database has not what it must have",
                    metadata: [
                        "database": "\(configuration.database)", "missing": "\(needed.joined(separator: ", "))",
                    ])
            } else if !missing.isEmpty {
                logger.notice(
                    "the database lacks collections, their routes answer as if they were empty",
                    metadata: ["missing": "\(missing.joined(separator: ", "))"])
            }
        } catch {
            logger.warning(
                "the database does not answer yet",
                metadata: ["database": "\(configuration.database)", "error": "\(error)"])
        }
    }

    private func serve<Responder: HTTPResponder>(
        _ responder: Responder, _ drain: Drain, _ others: [any Service], _ connections: Connections, _ plan: MemoryPlan,
        _ shortcut: KeptAnswers
    ) async throws where Responder.Context == GatewayContext {
        func group(on host: String) -> ServiceGroup {
            let application = Application(
                responder: responder,
                server: HTTPServerBuilder {
                    GatewayChannel(
                        responder: $0, shortcut: shortcut, connections: connections, unsent: plan.unsent,
                        limits: ConnectionLimits(configuration))
                },
                configuration: ApplicationConfiguration(
                    address: .hostname(host, port: configuration.port), serverName: nil, backlog: 1024),
                onServerRunning: { channel in
                    try? await channel.eventLoop.submit {
                        try channel.pipeline.syncOperations.addHandler(AcceptPause(), position: .first)
                    }.get()
                    await onListening(channel.localAddress?.port ?? 0)
                },
                logger: logger)
            // A group stops its services one after the other, the last one first: the drain ends before listening does.
            return ServiceGroup(configuration: .init(services: others + [application, drain], logger: logger))
        }
        do {
            try await group(on: configuration.host).run()
        } catch {
            guard let host = configuration.fallbackHost, Self.isNoSuchAddress(error) else {
                throw ListenError.describing(error, configuration.host, configuration.port)
            }
            logger.notice("no \(configuration.host) on this machine, listening on \(host)")
            do {
                try await group(on: host).run()
            } catch {
                throw ListenError.describing(error, host, configuration.port)
            }
        }
    }

    /// Whether listening failed because the machine has no such kind of address, or not this one.
    private static func isNoSuchAddress(_ error: any Error) -> Bool {
        if error is SocketAddressError { return true }
        guard let error = error as? IOError else { return false }
        return error.errnoCode == EAFNOSUPPORT || error.errnoCode == EADDRNOTAVAIL
    }
}

/// Why a process does not listen where it should.
package struct ListenError: Error, CustomStringConvertible {
    package let description: String

    /// The error as it is, if it is of another kind.
    static func describing(_ error: any Error, _ host: String, _ port: Int) -> any Error {
        error is IOError || error is SocketAddressError ? ListenError(error, host, port) : error
    }

    private init(_ error: any Error, _ host: String, _ port: Int) {
        let place = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let reason =
            switch (error as? IOError)?.errnoCode {
            case EADDRINUSE: "another process listens there"
            case EACCES: "this user may not listen there"
            case EADDRNOTAVAIL: "this machine has no such address"
            case EAFNOSUPPORT: "this machine has no such kind of address"
            default: error is SocketAddressError ? "there is no such address" : "\(error)"
            }
        description = "cannot listen on \(place): \(reason)"
    }
}
