import Traffic

/// What sources have found last, and its way into specifications.
struct DiscoveredEndpoints: Sendable, Equatable {
    private var found: [DiscoveryKey: [SocketAddress]] = [:]
    /// From the process that this one took over from, by upstream.
    private var inherited: [String: [SocketAddress]] = [:]

    mutating func inherit(_ discovered: [LiveState.Discovered]) {
        for entry in discovered {
            self.inherited[entry.upstream] = entry.endpoints.compactMap { SocketAddress(parsing: $0) }
        }
    }

    mutating func put(_ endpoints: [SocketAddress], _ key: DiscoveryKey) { self.found[key] = endpoints }

    /// Writes what was found into `spec`, which is as the file says.
    func fill(_ spec: inout TableSpec) {
        for index in spec.upstreams.indices {
            guard let key = Self.key(spec.upstreams[index]) else { continue }
            spec.upstreams[index].endpoints = self.found[key] ?? []
        }
    }

    /// Likewise for a configuration that is to be put in force. An upstream whose source has found nothing yet goes on
    /// with what it has in the `present` table, or had in the process before this one. What no upstream asks for any
    /// more is forgotten.
    mutating func adopt(_ spec: inout TableSpec, present: TableSpec) {
        var kept: [DiscoveryKey: [SocketAddress]] = [:]
        for upstream in spec.upstreams {
            guard let key = Self.key(upstream) else { continue }
            kept[key] =
                self.found[key] ?? present.upstreams.first { $0.name == upstream.name }?.endpoints
                ?? self.inherited[upstream.name]
        }
        self.found = kept
        self.fill(&spec)
    }

    private static func key(_ upstream: UpstreamSpec) -> DiscoveryKey? {
        upstream.discovery.map { DiscoveryKey(upstream: upstream.name, spec: $0) }
    }

    /// For the journal: `found 10.0.0.3:80; gone 10.0.0.1:80`.
    static func detail(before: Set<SocketAddress>, after: Set<SocketAddress>) -> String {
        let parts = [("found", after.subtracting(before)), ("gone", before.subtracting(after))]
        return parts.filter { !$0.1.isEmpty }
            .map { word, addresses in "\(word) \(addresses.map(\.description).sorted().joined(separator: ", "))" }
            .joined(separator: "; ")
    }
}
