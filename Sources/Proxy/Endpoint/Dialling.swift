import Reactor
import Traffic

/// New connections to endpoints: the one place that knows which protocol an endpoint speaks.
extension WorkerCore {
    /// Begins to connect, for a place that `admitConnection` has counted in. Throws, with the place given back, if no socket
    /// can be had or the kernel refuses at once.
    func dial(_ pool: EndpointPool) throws(SystemError) -> Reference<EndpointConnection> {
        let socket: Socket
        do throws(SystemError) {
            socket = try Socket.dial(IPEndpoint(pool.endpoint.address))
        } catch {
            pool.connectionClosed(self)
            throw error
        }
        let connection = HTTP1Endpoint(
            core: self, socket: socket, pool: pool, lifetime: self.plan.table.spec.timeouts.upstreamLifetime)
        try connection.enter()
        return Reference<EndpointConnection>(to: connection)
    }
}
