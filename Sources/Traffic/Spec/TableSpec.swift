/// What routes.json says about traffic, validated and with every default filled in. A plain value: building a
/// `RoutingTable` from it cannot fail.
package struct TableSpec: Sendable, Equatable {
    package var timeouts = Timeouts()
    package var limits = Limits()
    package var forwarding = ForwardingSpec()
    /// `X-Balancer-Reason` on responses that the balancer itself makes.
    package var explainErrors = true
    package var upstreams: [UpstreamSpec] = []
    package var routes: [RouteSpec] = []

    package init() {}
}

/// Deadlines in milliseconds. 0 is never allowed: every wait ends.
package struct Timeouts: Sendable, Equatable {
    /// From the first byte of a request (or accept) to its complete head; exceeded → 408.
    package var requestHeader: UInt32 = 10_000
    /// Without a byte of request body from the client; exceeded → 408 or close.
    package var requestBodyIdle: UInt32 = 30_000
    /// TCP connect to an endpoint; exceeded → 504.
    package var connect: UInt32 = 1_000
    /// From the request sent to the response head; exceeded → 504.
    package var responseHeader: UInt32 = 60_000
    /// Without a byte of response body moving (from the upstream, or into a client that does not read); exceeded → close.
    package var responseBodyIdle: UInt32 = 60_000
    /// An idle keep-alive client connection; exceeded → close.
    package var keepAlive: UInt32 = 75_000
    /// An idle pooled upstream connection; exceeded → close.
    package var upstreamIdle: UInt32 = 60_000
    /// A pooled upstream connection's whole life; exceeded → not reused.
    package var upstreamLifetime: UInt32 = 3_600_000
    /// A tunnel (101) without a byte either way; exceeded → close.
    package var tunnelIdle: UInt32 = 3_600_000
    /// Waiting for an endpoint's slot in its queue; exceeded → 503.
    package var queue: UInt32 = 1_000
    /// What in-flight exchanges get to finish at a graceful stop.
    package var drain: UInt32 = 30_000

    package init() {}
}

/// Bounds on what a peer can make us hold.
package struct Limits: Sendable, Equatable {
    /// Bytes of the request line; exceeded → 414.
    package var requestLine: UInt32 = 8_192
    /// Bytes of the whole head; exceeded → 431.
    package var headerBytes: UInt32 = 32_768
    /// Header fields; exceeded → 431.
    package var headerCount: UInt32 = 100
    /// Bytes of a request body; exceeded → 413. Bodies are streamed, so this guards the upstream, not our memory.
    package var body: UInt64 = 16 << 30
    /// Client connections in all; exceeded → closed at accept, counted.
    package var connections: UInt32 = 65_536
    /// Client connections from one address; 0 is no bound of its own.
    package var connectionsPerClient: UInt32 = 0
    /// Interim (1xx) responses passed on for one request; exceeded → 502.
    package var interimResponses: UInt32 = 8
    /// Bytes of a chunk's extensions and of all trailers of a message; exceeded → 400 or 502.
    package var chunkExtensionBytes: UInt32 = 4_096
    package var trailerBytes: UInt32 = 8_192

    package init() {}
}

/// How requests say where they came from.
package struct ForwardingSpec: Sendable, Equatable {
    /// Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-ID` are believed.
    package var trustedProxies: [AddressBlock] = []
    /// Our pseudonym in `Via`; empty: no `Via`.
    package var via = "balancer"
    /// Send RFC 7239 `Forwarded` besides `X-Forwarded-*`.
    package var forwarded = false
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    package var xForwarded = true
    package var requestID = true

    package init() {}
}

package struct UpstreamSpec: Sendable, Equatable {
    package var name: String
    /// With `discovery`: what it has found so far; the file itself then says none.
    package var endpoints: [SocketAddress] = []
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

    package init(name: String) { self.name = name }
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

/// An active check. Times in milliseconds.
package struct ProbeSpec: Sendable, Equatable {
    package var method = "GET"
    package var path = "/"
    /// nil: the endpoint's address.
    package var host: String?
    package var interval: UInt32 = 2_000
    package var timeout: UInt32 = 1_000
    package var rise: UInt32 = 2
    package var fall: UInt32 = 3
    package var expectedStatus: [ClosedRange<UInt16>] = [200...399]
    /// nil: any body.
    package var expectedBody: String?

    package init() {}
}

/// Passive removal by outcomes of real traffic.
package struct PassiveSpec: Sendable, Equatable {
    package var enabled = true
    package var consecutiveFailures: UInt32 = 5
    /// Percent of failures in the window that ejects, 1…100.
    package var failureRate: UInt32 = 50
    package var minimumRequests: UInt32 = 20
    /// Milliseconds.
    package var window: UInt32 = 10_000
    package var baseEjection: UInt32 = 30_000
    package var maxEjection: UInt32 = 300_000
    /// Percent of an upstream's endpoints that may be out at once, 0…100. At least one may be if the upstream has
    /// two or more and this is not 0.
    package var maxEjectedShare: UInt32 = 50

    package init() {}
}

package struct RouteSpec: Sendable, Equatable {
    package var name: String
    package var match = MatchSpec()
    package var action: RouteAction
    package var sticky: HashKey?
    package var failover = true
    package var override: OverrideSpec?
    /// Lower-case protocol tokens a client may upgrade to.
    package var upgrade: [String] = ["websocket"]
    package var pathRewrite: PathRewrite = .keep
    package var hostRewrite: HostRewrite = .keep
    package var requestHeaders = HeaderEdits()
    package var responseHeaders = HeaderEdits()
    /// Already merged with the top level.
    package var timeouts = Timeouts()
    package var limits = Limits()

    package init(name: String, action: RouteAction) {
        self.name = name
        self.action = action
    }
}

package enum RouteAction: Sendable, Equatable {
    /// In declared order; names exist among the upstreams; weights 0…1,000,000; not all 0 is not required.
    case split([SplitEntry])
    case redirect(RedirectSpec)
    /// The balancer answers with this status and no upstream hears of it: 403, 404, 410 or 503.
    case respond(status: UInt16)
}

package struct SplitEntry: Sendable, Equatable {
    package var upstream: String
    package var weight: UInt32
    package init(upstream: String, weight: UInt32) {
        self.upstream = upstream
        self.weight = weight
    }
}

package struct RedirectSpec: Sendable, Equatable {
    /// 301, 302, 303, 307 or 308.
    package var status: UInt16 = 308
    /// Replaced in the Location if given: scheme, host (with port), path. The request's path and query are kept otherwise.
    package var scheme: String?
    package var host: String?
    package var path: String?
    package init() {}
}

/// All given kinds must match; within a kind, any one.
package struct MatchSpec: Sendable, Equatable {
    package var hosts: [HostPattern] = []
    package var paths: [PathPattern] = []
    package var methods: [String] = []
    /// All must match.
    package var headers: [HeaderMatch] = []
    package init() {}
}

package enum HostPattern: Sendable, Equatable {
    /// Lower case, no port.
    case exact(String)
    /// `*.example.org` is stored as `.example.org`.
    case suffix(String)
}

package enum PathPattern: Sendable, Equatable {
    case exact(String)
    /// On segment borders: `/a` matches `/a` and `/a/b`, not `/ab`. `/` matches all.
    case prefix(String)
}

package struct HeaderMatch: Sendable, Equatable {
    /// Lower case.
    package var name: String
    /// nil: present with any value.
    package var value: String?
    package init(name: String, value: String?) {
        self.name = name
        self.value = value
    }
}

package struct OverrideSpec: Sendable, Equatable {
    /// Lower case; its value names an upstream of the route's split.
    package var header: String
    /// Believed only from `trustedProxies` or these blocks; empty with `trustedOnly` false: from anybody.
    package var trustedOnly = false
    package var trusted: [AddressBlock] = []
    package init(header: String) { self.header = header }
}

package enum PathRewrite: Sendable, Equatable {
    case keep
    /// Removes the prefix (segment borders); an empty rest becomes `/`.
    case strip(String)
    case replace(prefix: String, with: String)
}

package enum HostRewrite: Sendable, Equatable {
    case keep
    case literal(String)
    /// The endpoint's address and port.
    case endpoint
}

package struct HeaderEdits: Sendable, Equatable {
    /// Names as to be written; any field of that name (case-insensitive) is replaced.
    package var set: [HeaderSetting] = []
    /// Lower case.
    package var remove: [String] = []
    package init() {}
    package var isEmpty: Bool { self.set.isEmpty && self.remove.isEmpty }
}

package struct HeaderSetting: Sendable, Equatable {
    package var name: String
    package var value: String
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}
