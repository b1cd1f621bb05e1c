/// A worker's counters, copied out between two turns of its loop.
package struct WorkerSnapshot: Sendable {
    package var worker: Int
    package var generation: UInt64
    package var connectionsActive: UInt64 = 0
    package var connectionsAccepted: UInt64 = 0
    /// Closed at accept because of `limits.connections` or `connectionsPerClient`.
    package var connectionsRefused: UInt64 = 0
    /// Times that a listener could not accept and looked away for a while: descriptors or memory ran out.
    package var acceptFailures: UInt64 = 0
    /// Reset because slow clients held more than `limits.buffered` of the process's memory.
    package var connectionsRelieved: UInt64 = 0
    package var tunnelsActive: UInt64 = 0
    package var exchangesActive: UInt64 = 0
    /// Interim (1xx) responses beyond `limits.interimResponses`, which were dropped.
    package var interimsDropped: UInt64 = 0
    /// Requests that never reached a route (bad request, time-out), by status.
    package var rejected: [UInt16: UInt64] = [:]
    package var http2 = HTTP2Counters()
    package var routes: [RouteCounters] = []
    package var listeners: [ListenerCounters] = []
    /// TLS handshakes under way.
    package var handshakesActive: UInt64 = 0
    /// Requests whose credentials are being looked at.
    package var authenticationWaiting: UInt64 = 0
    package var endpoints: [EndpointCounters] = []
    package var retries: [String: UInt64] = [:]
    package var retriesDenied: [String: UInt64] = [:]
    package var accessLogDropped: UInt64 = 0

    package init(worker: Int, generation: UInt64) {
        self.worker = worker
        self.generation = generation
    }
}

/// Connections of one listener.
package struct ListenerCounters: Sendable {
    package var listener: String
    package var proxyHeaders: ProxyHeaderCounts
    /// Closed because of their client's address.
    package var denied: UInt64 = 0
    package var handshakes: HandshakeCounts
    package var handshakeDuration: LatencyHistogram
    package init(
        listener: String, proxyHeaders: ProxyHeaderCounts, handshakes: HandshakeCounts = HandshakeCounts(),
        handshakeDuration: LatencyHistogram = LatencyHistogram()
    ) {
        self.listener = listener
        self.proxyHeaders = proxyHeaders
        self.handshakes = handshakes
        self.handshakeDuration = handshakeDuration
    }
}

/// Connections that had to begin with a header of the PROXY protocol, by what came of it.
package struct ProxyHeaderCounts: Sendable, Equatable {
    package var accepted: UInt64 = 0
    /// The proxy spoke for itself, or for a client that it cannot name.
    package var local: UInt64 = 0
    package var malformed: UInt64 = 0
    /// `timeouts.proxyHeader` passed.
    package var timeout: UInt64 = 0
    /// The peer ended first.
    package var closed: UInt64 = 0

    package init() {}

    /// By the value of a metric's label.
    package var byResult: [(result: String, count: UInt64)] {
        [
            ("accepted", self.accepted), ("local", self.local), ("malformed", self.malformed),
            ("timeout", self.timeout), ("closed", self.closed),
        ]
    }
}

/// Requests of one route answered by one upstream (`upstream` is empty for answers of our own).
package struct RouteCounters: Sendable {
    package var route: String
    package var upstream: String
    /// Index 0…5: other, 1xx … 5xx.
    package var statusClasses: [UInt64]
    /// Requests abandoned by the client before an answer (logged as 499).
    package var cancelled: UInt64
    package var latency: LatencyHistogram
    /// Requests of gRPC by their own status, 0 to 16, and those that got none that gRPC defines; empty: there were none.
    package var grpc: ContiguousArray<UInt64> = []
    package static let grpcStatuses = 18
    package init(
        route: String, upstream: String, statusClasses: [UInt64], cancelled: UInt64, latency: LatencyHistogram
    ) {
        self.route = route
        self.upstream = upstream
        self.statusClasses = statusClasses
        self.cancelled = cancelled
        self.latency = latency
    }
}

package struct EndpointCounters: Sendable {
    package var upstream: String
    package var address: SocketAddress
    package var requests: UInt64
    package var connectFailures: UInt64
    /// Answers that broke the protocol's form or our own limits.
    package var malformedAnswers: UInt64 = 0
    package var handshakes = HandshakeCounts()
    package var lastHandshakeFailure: HandshakeFailure?
    package var connectionsOpened: UInt64
    package var connectionsIdle: UInt64
    /// Requests on connections that carry several.
    package var streamsActive: UInt64 = 0
    /// What it speaks, where it may choose: what the last connection has come to. nil: HTTP/1.1, or not known.
    package var speaksHTTP2: Bool?
    package init(
        upstream: String, address: SocketAddress, requests: UInt64, connectFailures: UInt64, connectionsOpened: UInt64,
        connectionsIdle: UInt64
    ) {
        self.upstream = upstream
        self.address = address
        self.requests = requests
        self.connectFailures = connectFailures
        self.connectionsOpened = connectionsOpened
        self.connectionsIdle = connectionsIdle
    }
}
