import RoutesFile
import Traffic

/// What is known of the host names that endpoints are given by, and its way into specifications.
struct ResolvedNames: Sendable, Equatable {
    /// What the last look-up of a name has brought.
    struct Entry: Sendable, Equatable {
        /// Of the last one that brought any: what a look-up fails to find changes nothing.
        var addresses: [IPAddress] = []
        /// Why the last one failed; empty if it did not.
        var failure = ""
    }

    /// Endpoints of one upstream; the same bound as in the file.
    private static let limit = 1_024

    /// By name in lower case.
    private var entries: [String: Entry] = [:]

    /// Takes a look-up's outcome in. False: nothing has changed.
    mutating func put(_ outcome: Result<[IPAddress], LookUpFailure>, host: String) -> Bool {
        let key = host.lowercased()
        let before = self.entries[key]
        var entry = before ?? Entry()
        switch outcome {
        case .success(let addresses): entry = Entry(addresses: addresses)
        case .failure(let failure): entry.failure = failure.reason
        }
        self.entries[key] = entry
        return entry != before
    }

    /// Writes the addresses of names into `spec`, which is as the file says. An address counts once, whichever names lead
    /// to it; one that is a listener of this balancer is none. Answers which names have none, or not those of the last
    /// look-up.
    func fill(_ spec: inout TableSpec, listeners: [ListenerSpec]) -> [UnresolvedEndpoint] {
        var unresolved: [UnresolvedEndpoint] = []
        for index in spec.upstreams.indices where !spec.upstreams[index].names.isEmpty {
            var known = Set(spec.upstreams[index].endpoints)
            for name in spec.upstreams[index].names {
                let entry = self.entries[name.host.lowercased()] ?? Entry(failure: "it is being looked up")
                var reason = entry.failure
                for address in self.addresses(of: name) {
                    if let listener = listeners.first(where: { address.reaches($0.address) }) {
                        reason = "\(address) is the listener \"\(listener.name)\" of this balancer itself"
                    } else if spec.upstreams[index].endpoints.count < Self.limit, known.insert(address).inserted {
                        spec.upstreams[index].endpoints.append(address)
                    }
                }
                guard !reason.isEmpty else { continue }
                unresolved.append(
                    UnresolvedEndpoint(upstream: spec.upstreams[index].name, name: name, reason: reason))
            }
        }
        return unresolved
    }

    /// As the last look-up that brought any says.
    func addresses(of name: EndpointName) -> [SocketAddress] {
        (self.entries[name.host.lowercased()]?.addresses ?? []).map { SocketAddress(ip: $0, port: name.port) }
    }

    /// Forgets names that no upstream of `spec` has.
    mutating func retain(only spec: TableSpec) {
        let wanted = Set(spec.hostNames.map { $0.lowercased() })
        self.entries = self.entries.filter { wanted.contains($0.key) }
    }

    // MARK: take-over

    mutating func inherit(_ names: [LiveState.ResolvedName]) {
        for name in names {
            self.entries[name.host] = Entry(addresses: name.addresses.compactMap { IPAddress(parsing: $0) })
        }
    }

    var inheritance: [LiveState.ResolvedName] {
        self.entries.filter { !$0.value.addresses.isEmpty }.sorted { $0.key < $1.key }.map {
            LiveState.ResolvedName(host: $0.key, addresses: $0.value.addresses.map(\.description))
        }
    }
}

extension TableSpec {
    /// Host names of endpoints, each once.
    package var hostNames: [String] {
        var seen: Set<String> = []
        return self.upstreams.flatMap(\.names).map(\.host).filter { seen.insert($0.lowercased()).inserted }
    }
}
