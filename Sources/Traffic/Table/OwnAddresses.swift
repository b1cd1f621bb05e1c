/// Where this process itself takes connections: no endpoint may be there, wherever it comes from, for each request would come
/// back until something runs out.
package struct OwnAddresses: Sendable, Equatable {
    /// As bound; wildcards stand for every address in `interfaces`.
    package var listeners: [SocketAddress]
    /// Addresses of this machine, as far as they are known.
    package var interfaces: Set<IPAddress>

    package init(listeners: [SocketAddress] = [], interfaces: Set<IPAddress> = []) {
        self.listeners = listeners
        self.interfaces = interfaces
    }

    /// Whether a connection to the endpoint comes in at a listener of ours.
    package func contains(_ endpoint: SocketAddress) -> Bool {
        self.listeners.contains { listener in
            endpoint.reaches(listener)
                || listener.ip.isWildcard && listener.collides(with: endpoint) && self.interfaces.contains(endpoint.ip)
        }
    }
}
