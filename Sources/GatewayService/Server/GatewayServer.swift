import Documents
import Foundation
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
    private let requestLog: FileHandle
    private let onListening: @Sendable (Int) async -> Void

    /// - Parameters:
    ///   - store: where documents come from; nil for a service that needs none. Closed when the server ends.
    ///   - upSince: milliseconds since 1970.
    ///   - requestLog: where requests are logged, if the configuration wants them logged.
    ///   - onListening: called with the port once connections are accepted.
    package init(
        _ configuration: GatewayConfiguration, store: (any DocumentStore)?, upSince: Int64, logger: Logger,
        requestLog: FileHandle = .standardOutput, onListening: @escaping @Sendable (Int) async -> Void
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
        let metrics = GatewayMetrics()
        let drain = Drain(configuration.drain)
        let log = configuration.logsRequests ? RequestLog(output: requestLog) : nil
        let ledger = Ledger(metrics: metrics, log: log)
        if configuration.service == .full, let store {
            // What a body takes is what was allocated for it, not what it fills.
            let cache = ResponseCache<Reply>(
                bytes: configuration.cacheBytes, lifetime: configuration.cacheLifetime
            ) { $0.body?.storage ?? 0 }
            let responder = GatewayResponder(
                configuration, store: store, cache: cache, ledger: ledger, drain: drain, upSince: upSince,
                logger: logger)
            let sweep = CacheSweep(cache: cache, interval: min(configuration.cacheLifetime, .seconds(60)))
            try await serve(
                responder, drain, [sweep],
                KeptAnswers(
                    cache: cache, fixed: ["/healthcheck": responder.health, "/livez": Operations.alive],
                    ledger: ledger, drain: drain, identity: configuration.identity))
        } else {
            try await serve(
                BareResponder(configuration, ledger: ledger, drain: drain), drain, [],
                KeptAnswers(
                    cache: nil, fixed: ["/healthcheck": Health.gateway, "/livez": Operations.alive], ledger: ledger,
                    drain: drain, identity: configuration.identity))
        }
        log?.close()
        await store?.close()
    }

    private func serve<Responder: HTTPResponder>(
        _ responder: Responder, _ drain: Drain, _ others: [any Service], _ shortcut: KeptAnswers
    ) async throws where Responder.Context == BasicRequestContext {
        func group(on host: String) -> ServiceGroup {
            let application = Application(
                responder: responder,
                server: HTTPServerBuilder {
                    GatewayChannel(responder: $0, shortcut: shortcut, limits: ConnectionLimits(configuration))
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
            guard let host = configuration.fallbackHost, Self.isNoSuchAddress(error) else { throw error }
            logger.notice("no \(configuration.host) on this machine, listening on \(host)")
            try await group(on: host).run()
        }
    }

    /// Whether listening failed because the machine has no such kind of address, or not this one.
    private static func isNoSuchAddress(_ error: any Error) -> Bool {
        if error is SocketAddressError { return true }
        guard let error = error as? IOError else { return false }
        return error.errnoCode == EAFNOSUPPORT || error.errnoCode == EADDRNOTAVAIL
    }
}
