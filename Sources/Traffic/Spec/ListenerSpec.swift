package struct ListenerSpec: Sendable, Equatable {
    package var name: String
    package var address: SocketAddress
    /// nil: every peer is the client itself.
    package var proxyProtocol: ProxyProtocolSpec?
    /// nil: plain.
    package var tls: ListenerTLS?
    /// Clients may speak HTTP/2: by ALPN with TLS, by prior knowledge without.
    package var http2 = false
    /// Who may connect.
    package var access = AccessSpec()

    package init(name: String, address: SocketAddress) {
        self.name = name
        self.address = address
    }
}

/// Peers that say on whose behalf they connect, before anything else.
package struct ProxyProtocolSpec: Sendable, Equatable {
    /// They must say it; all others are ordinary clients.
    package var from: [AddressBlock]
    /// 1 and 2, or one of them.
    package var versions: [UInt8] = [1, 2]

    package init(from: [AddressBlock]) { self.from = from }
}
