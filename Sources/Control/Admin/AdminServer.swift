import Hummingbird
import Logging
import NIOCore
import Reactor
import RoutesFile
import ServiceLifecycle
import Traffic

/// Serves the admin API on its own address, on Hummingbird. No request of the data plane passes here.
package struct AdminServer: Sendable {
    private let group: ServiceGroup

    /// `bound` is called once with the address really bound.
    package init(
        plane: ControlPlane, address: Traffic.SocketAddress, logger: Logger,
        bound: @escaping @Sendable (Traffic.SocketAddress) async -> Void
    ) {
        let api = AdminAPI(plane: plane, checksHost: address.ip.isLoopback)
        var quiet = logger
        // Its own start and stop messages say nothing that ours do not.
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            router: api.router(),
            configuration: .init(address: .hostname(address.ip.description, port: Int(address.port))),
            onServerRunning: { channel in
                let port = channel.localAddress?.port.flatMap(UInt16.init(exactly:)) ?? address.port
                await bound(Traffic.SocketAddress(ip: address.ip, port: port))
            },
            logger: quiet)
        self.group = ServiceGroup(
            configuration: .init(services: [.init(service: application)], logger: quiet))
    }

    /// Serves until `stop` or until the task is cancelled. Throws if the address cannot be bound.
    package func run() async throws {
        try await self.group.run()
    }

    /// Closes the listener, lets running requests end.
    package func stop() async {
        await self.group.triggerGracefulShutdown()
    }
}
