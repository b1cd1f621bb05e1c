import Synchronization

/// What an upstream keeps across tables.
package final class UpstreamRecord: Sendable {
    package let name: String
    /// Round robin's place.
    let cursor = Atomic<UInt64>(0)
    private let ejected = Atomic<Int>(0)
    private let size = Atomic<Int>(0)

    init(name: String) {
        self.name = name
    }

    package var ejectedCount: Int { self.ejected.load(ordering: .relaxed) }

    func setSize(_ count: Int) {
        self.size.store(count, ordering: .relaxed)
    }

    /// Counts one more endpoint out if that stays within `share` percent of all. One of at least two may always be out
    /// unless the share is 0; an only endpoint never is.
    func claimEjection(share: UInt32) -> Bool {
        let count = self.size.load(ordering: .relaxed)
        guard count >= 2, share > 0 else { return false }
        let limit = max(1, count * Int(share) / 100)
        if self.ejected.add(1, ordering: .relaxed).newValue > limit {
            self.ejected.subtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    func releaseEjection() {
        self.ejected.subtract(1, ordering: .relaxed)
    }
}

/// What a route keeps across tables: its place in the interleave.
package final class RouteRecord: Sendable {
    package let name: String
    private let position = Atomic<UInt64>(0)

    init(name: String) {
        self.name = name
    }

    func next() -> UInt64 {
        self.position.add(1, ordering: .relaxed).oldValue
    }
}

/// Finds or makes the records that survive table changes. For the control plane; the data plane holds the records.
package final class EndpointRegistry: Sendable {
    private struct Key: Hashable {
        var upstream: String
        var address: SocketAddress
    }

    private struct State {
        var endpoints: [Key: Endpoint] = [:]
        var upstreams: [String: UpstreamRecord] = [:]
        var routes: [String: RouteRecord] = [:]
        var nextIdentifier = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// `probed`: it starts unknown until its first probe; else it counts as up.
    package func endpoint(upstream: String, address: SocketAddress, probed: Bool) -> Endpoint {
        self.state.withLock { state in
            let key = Key(upstream: upstream, address: address)
            if let endpoint = state.endpoints[key] { return endpoint }
            let endpoint = Endpoint(id: state.nextIdentifier, upstream: upstream, address: address, probed: probed)
            state.nextIdentifier += 1
            state.endpoints[key] = endpoint
            return endpoint
        }
    }

    package func upstreamRecord(_ name: String) -> UpstreamRecord {
        self.state.withLock { state in
            if let record = state.upstreams[name] { return record }
            let record = UpstreamRecord(name: name)
            state.upstreams[name] = record
            return record
        }
    }

    package func routeRecord(_ name: String) -> RouteRecord {
        self.state.withLock { state in
            if let record = state.routes[name] { return record }
            let record = RouteRecord(name: name)
            state.routes[name] = record
            return record
        }
    }

    package func all() -> [Endpoint] {
        self.state.withLock { Array($0.endpoints.values) }.sorted { $0.id < $1.id }
    }

    package func find(address: SocketAddress) -> [Endpoint] {
        self.all().filter { $0.address == address }
    }

    /// Forgets endpoints that no table names any more and that have nothing outstanding.
    package func retain(only identifiers: Set<Int>) {
        self.state.withLock { state in
            state.endpoints = state.endpoints.filter { _, endpoint in
                identifiers.contains(endpoint.id) || endpoint.outstanding.load(ordering: .relaxed) > 0
            }
        }
    }
}
