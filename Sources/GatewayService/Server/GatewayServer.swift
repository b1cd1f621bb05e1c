import Documents
import Foundation
import Hummingbird
import HummingbirdCore
import Logging
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
        if configuration.service == .full, let store {
            let cache = ResponseCache<Reply>(lifetime: configuration.cacheLifetime)
            let responder = GatewayResponder(
                configuration, store: store, cache: cache, metrics: metrics, drain: drain, log: log, upSince: upSince,
                logger: logger)
            try await serve(
                responder, drain,
                KeptAnswers(
                    cache: cache, fixed: ["/healthcheck": responder.health, "/livez": Operations.alive],
                    metrics: metrics, drain: drain, identity: configuration.identity, log: log))
        } else {
            try await serve(
                BareResponder(configuration, metrics: metrics, drain: drain), drain,
                KeptAnswers(
                    cache: nil, fixed: ["/healthcheck": Health.gateway, "/livez": Operations.alive], metrics: metrics,
                    drain: drain, identity: configuration.identity, log: log))
        }
        log?.close()
        await store?.close()
    }

    private func serve<Responder: HTTPResponder>(
        _ responder: Responder, _ drain: Drain, _ shortcut: KeptAnswers
    ) async throws where Responder.Context == BasicRequestContext {
        let application = Application(
            responder: responder,
            // Responses announce 5 s as the legacy server does, but a proxy's pool must not lose a race against that.
            server: HTTPServerBuilder { GatewayChannel(responder: $0, shortcut: shortcut, idleTimeout: .seconds(75)) },
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), serverName: nil, backlog: 1024),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? 0) },
            logger: logger)
        // A group stops its services one after the other, the last one first: the drain ends before listening does.
        try await ServiceGroup(configuration: .init(services: [application, drain], logger: logger)).run()
    }
}
