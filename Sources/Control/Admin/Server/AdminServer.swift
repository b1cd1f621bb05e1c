import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Reactor
import ServiceLifecycle
import Traffic

/// Serves the admin API on its own address, on Hummingbird. No request of the data plane passes here.
package struct AdminServer: Sendable {
    private let group: ServiceGroup
    private let events: EventFeed

    /// `hosts` are further names by which it may be called. `certificate`: what it shows by TLS; nil: it is plain. `bound` is called once with the address really bound.
    package init(
        plane: ControlPlane, scope: AdminScope = .everything, address: Traffic.SocketAddress, hosts: [String] = [],
        certificate: AdminCertificate? = nil, limits: AdminLimits = AdminLimits(), logger: Logger,
        bound: @escaping @Sendable (Traffic.SocketAddress) async -> Void
    ) {
        var quiet = logger
        // Its own start and stop messages say nothing that ours do not.
        quiet.logLevel = max(logger.logLevel, .warning)
        self.events = plane.events
        let application = Self.application(
            AdminAPI(plane: plane, names: AdminNames(bound: address.ip, hosts: hosts), scope: scope),
            address: address, certificate: certificate, limits: limits, logger: quiet, bound: bound)
        self.group = ServiceGroup(
            configuration: .init(services: [.init(service: application)], logger: quiet))
    }

    /// The listener and everything behind it. It runs on one event loop: an accepted connection over the bound is closed
    /// before the next one is accepted.
    static func application(
        _ api: AdminAPI, address: Traffic.SocketAddress, certificate: AdminCertificate? = nil,
        limits: AdminLimits = AdminLimits(), logger: Logger,
        bound: @escaping @Sendable (Traffic.SocketAddress) async -> Void = { _ in }
    ) -> some ApplicationProtocol {
        // Clients of the one take nothing from the other.
        let connections = api.scope == .everything ? api.plane.adminConnections : api.plane.observeConnections
        let reserve = DescriptorReserve()
        return Application(
            router: api.router(),
            server: HTTPServerBuilder {
                AdminChannel(
                    responder: $0, limits: limits, connections: connections, reserve: reserve, certificate: certificate)
            },
            configuration: .init(address: .hostname(address.ip.description, port: Int(address.port))),
            onServerRunning: { channel in
                try? await channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.addHandler(AcceptGuard(reserve), position: .first)
                }.get()
                let port = channel.localAddress?.port.flatMap(UInt16.init(exactly:)) ?? address.port
                await bound(Traffic.SocketAddress(ip: address.ip, port: port))
            },
            eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton.any()),
            logger: logger)
    }

    /// Serves until `stop` or until the task is cancelled. Throws if the address cannot be bound.
    package func run() async throws {
        try await self.group.run()
    }

    /// Closes the listener, lets running requests end. Streams of events end: they would never.
    package func stop() async {
        self.events.close()
        await self.group.triggerGracefulShutdown()
    }
}
