import HTTPWire
import Traffic

/// Where a client's connection comes from, once that is known.
struct ClientOrigin {
    let listener: ListenerState
    /// The client: who connected, or the one whom the proxy in front names.
    var address: IPAddress
    /// It is counted under `limits.connectionsPerClient`.
    var isCountedPerClient = false
    var relay: RelayedConnection?
    /// nil: plain.
    var tls: ClientTLS?
}

/// A connection that a proxy in front has made for a client, and said so.
final class RelayedConnection {
    /// The proxy.
    let proxy: IPAddress
    /// Both ends of the client's connection to the proxy.
    let source: SocketAddress
    let destination: SocketAddress

    init(proxy: IPAddress, source: SocketAddress, destination: SocketAddress) {
        self.proxy = proxy
        self.source = source
        self.destination = destination
    }
}

extension ProxyHeader.Address {
    init(_ address: SocketAddress) {
        self.init(high: address.ip.high, low: address.ip.low, port: address.port)
    }
}

extension SocketAddress {
    init(_ address: ProxyHeader.Address) {
        self.init(ip: IPAddress(high: address.high, low: address.low), port: address.port)
    }
}
