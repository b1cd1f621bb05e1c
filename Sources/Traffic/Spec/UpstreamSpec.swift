package struct UpstreamSpec: Sendable, Equatable {
    package var name: String
    /// With `discovery`: what it has found so far; the file itself then says none. With `names`: their addresses too, once
    /// they are known.
    package var endpoints: [SocketAddress] = []
    /// Endpoints that the file gives by name.
    package var names: [EndpointName] = []
    /// nil: the file names the endpoints.
    package var discovery: DiscoverySpec?
    package var balance: Balance = .leastOutstanding
    /// nil: no probes, the endpoint counts as up.
    package var health: ProbeSpec?
    package var passive = PassiveSpec()
    /// Milliseconds over which an endpoint that comes back grows to its full share; 0: at once.
    package var slowStart: UInt32 = 0
    /// Per endpoint, all workers together; 0: no cap.
    package var maxConnections: UInt32 = 0
    package var maxOutstanding: UInt32 = 0
    /// Requests that may wait for a slot, per worker and upstream; beyond → 503.
    package var queueLength: UInt32 = 128
    /// Idle connections kept per worker and endpoint.
    package var idleConnections: UInt32 = 128
    package var retry = RetrySpec()
    /// The version of the PROXY protocol by which endpoints are told whom a connection is for: 1 or 2; 0: none. Then a
    /// connection is kept for its client alone.
    package var sendProxyProtocol: UInt8 = 0
    /// nil: plain.
    package var tls: UpstreamTLS?
    package var speaks = EndpointProtocol.http1

    package init(name: String) { self.name = name }
}

/// What endpoints speak.
package enum EndpointProtocol: UInt8, Sendable, Equatable {
    case http1
    /// By prior knowledge without TLS; within TLS it must be agreed on.
    case http2
    /// What ALPN gives; within TLS only.
    case negotiated
}

package enum Balance: Sendable, Equatable {
    case roundRobin
    /// The less loaded of two random endpoints (default).
    case leastOutstanding
    /// Rendezvous hash of a key over the endpoints.
    case consistentHash(HashKey)
}

/// What a sticky or consistent choice hangs on.
package enum HashKey: Sendable, Equatable {
    case clientAddress
    /// Lower-case field name.
    case header(String)
    case cookie(String)
}

package struct RetrySpec: Sendable, Equatable {
    /// Further attempts after the first, 0…5.
    package var attempts: UInt32 = 2
    /// Retries allowed as a share of requests, in percent, 0…100.
    package var budgetPercent: UInt32 = 20
    /// Retries a second that are always allowed, so that a quiet upstream can still retry.
    package var minimumPerSecond: UInt32 = 10

    package init() {}
}
