/// What the control plane asks of the data plane. Implemented by the proxy, wired by the executable, so that the two
/// floors' siblings never import each other.
package protocol DataPlane: Sendable {
    /// Hands the table to every worker and returns when each one routes by it.
    func publish(_ table: RoutingTable) async
    /// Opens and closes listeners so that exactly these are served. Throws, having changed nothing, if one cannot be bound:
    /// `ListenerRefused` where it is known which.
    func listen(on listeners: [ListenerSpec]) async throws
    /// The addresses really bound (port 0 resolved), by listener name.
    func boundAddresses() async -> [String: SocketAddress]
    /// One snapshot a worker. Counters only ever grow while the process lives.
    func snapshots() async -> [WorkerSnapshot]
}

/// A listener that cannot be bound.
package struct ListenerRefused: Error, Sendable {
    package var name: String
    /// In words.
    package var cause: String
    package init(name: String, cause: String) {
        self.name = name
        self.cause = cause
    }
}

package struct ListenerSpec: Sendable, Equatable {
    package var name: String
    package var address: SocketAddress
    package init(name: String, address: SocketAddress) {
        self.name = name
        self.address = address
    }
}

/// A worker's counters, copied out between two turns of its loop.
package struct WorkerSnapshot: Sendable {
    package var worker: Int
    package var generation: UInt64
    package var connectionsActive: UInt64 = 0
    package var connectionsAccepted: UInt64 = 0
    /// Closed at accept because of `limits.connections` or `connectionsPerClient`.
    package var connectionsRefused: UInt64 = 0
    package var tunnelsActive: UInt64 = 0
    package var exchangesActive: UInt64 = 0
    /// Requests that never reached a route (bad request, time-out), by status.
    package var rejected: [UInt16: UInt64] = [:]
    package var routes: [RouteCounters] = []
    package var endpoints: [EndpointCounters] = []
    package var retries: [String: UInt64] = [:]
    package var retriesDenied: [String: UInt64] = [:]
    package var accessLogDropped: UInt64 = 0

    package init(worker: Int, generation: UInt64) {
        self.worker = worker
        self.generation = generation
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
    package var connectionsOpened: UInt64
    package var connectionsIdle: UInt64
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

/// Counts of durations in fixed buckets, as Prometheus wants them (not cumulative here).
package struct LatencyHistogram: Sendable, Equatable {
    /// Upper bounds in microseconds; the last bucket (index `bounds.count`) has none. From half a millisecond, the
    /// least that an operator can act on, to a minute, past every default deadline of a response head.
    package static let bounds: [UInt64] = [
        500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 60_000_000,
    ]
    package var counts: [UInt64]
    package var sumMicroseconds: UInt64

    package init() {
        self.counts = [UInt64](repeating: 0, count: Self.bounds.count + 1)
        self.sumMicroseconds = 0
    }

    package mutating func record(microseconds: UInt64) {
        var index = 0
        while index < Self.bounds.count, microseconds > Self.bounds[index] { index += 1 }
        self.counts[index] &+= 1
        self.sumMicroseconds &+= microseconds
    }

    package mutating func merge(_ other: LatencyHistogram) {
        for index in self.counts.indices { self.counts[index] &+= other.counts[index] }
        self.sumMicroseconds &+= other.sumMicroseconds
    }

    package var count: UInt64 { self.counts.reduce(0, &+) }
}
