import Synchronization

/// Finds or makes the records that survive table changes, by identity. Control path only: it locks.
package final class EndpointRegistry: Sendable {
    private struct Identity: Hashable {
        var upstream: String
        var address: SocketAddress
    }

    private struct Records {
        var endpoints: [Identity: Endpoint] = [:]
        var upstreams: [String: UpstreamRecord] = [:]
        var routes: [String: RouteRecord] = [:]
        var nextID = 0

        mutating func upstream(_ name: String) -> UpstreamRecord {
            if let record = self.upstreams[name] { return record }
            let record = UpstreamRecord(name: name)
            self.upstreams[name] = record
            return record
        }
    }

    private let records = Mutex(Records())
    private let began: UInt64

    /// `now`: since when states that never changed have lasted, in monotonic milliseconds.
    package init(now: UInt64 = 0) { self.began = now }

    /// `probed` decides how an endpoint begins: unknown, or up because nobody asks. One that nobody asks about any more
    /// before its first verdict counts as up too; other verdicts stay until somebody withdraws them.
    package func endpoint(upstream: String, address: SocketAddress, probed: Bool) -> Endpoint {
        let endpoint = self.records.withLock { records -> Endpoint in
            let identity = Identity(upstream: upstream, address: address)
            if let endpoint = records.endpoints[identity] { return endpoint }
            let endpoint = Endpoint(
                id: records.nextID, record: records.upstream(upstream), address: address, probed: probed,
                now: self.began)
            records.nextID += 1
            records.endpoints[identity] = endpoint
            return endpoint
        }
        if !probed, !endpoint.operational.isVerdict { endpoint.setOperational(.up, now: self.began) }
        return endpoint
    }

    package func upstreamRecord(_ name: String) -> UpstreamRecord { self.records.withLock { $0.upstream(name) } }

    package func routeRecord(_ name: String) -> RouteRecord {
        self.records.withLock { records in
            if let record = records.routes[name] { return record }
            let record = RouteRecord(name: name)
            records.routes[name] = record
            return record
        }
    }

    /// By id.
    package func all() -> [Endpoint] {
        self.records.withLock { $0.endpoints.values.sorted { $0.id < $1.id } }
    }

    /// The endpoints at an address; one address may serve several upstreams.
    package func find(address: SocketAddress) -> [Endpoint] {
        self.all().filter { $0.address == address }
    }

    /// Forgets the endpoints whose id is not among `ids` (those that no table names any more), but not while they hold
    /// requests or connections, nor what an operator took out: his word would be lost if they came back. Upstreams
    /// without endpoints go with them. `routes` likewise are the names of all routes there are; nil forgets none.
    package func retain(only ids: Set<Int>, routes: Set<String>? = nil) {
        self.records.withLock { records in
            if let routes { records.routes = records.routes.filter { routes.contains($0.key) } }
            records.endpoints = records.endpoints.filter { _, endpoint in
                ids.contains(endpoint.id) || endpoint.administrative != .ready
                    || endpoint.outstanding.load(ordering: .relaxed) > 0
                    || endpoint.connections.load(ordering: .relaxed) > 0
            }
            let named = Set(records.endpoints.values.map(\.upstream))
            records.upstreams = records.upstreams.filter { named.contains($0.key) }
        }
    }
}
