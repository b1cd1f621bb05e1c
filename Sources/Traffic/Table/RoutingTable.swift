/// The routing truth of one moment: immutable, built whole, published whole. An exchange pins the table that it began
/// with. What changes (health, load, positions) lives in records that tables share by identity.
package final class RoutingTable: Sendable {
    /// Grows by one with each table that is published.
    package let generation: UInt64
    package let spec: TableSpec
    /// 32 hexadecimal digits that differ if `spec` does. For entity tags, not for security.
    package let fingerprint: String
    /// In declared order.
    package let routes: [Route]
    package let upstreams: [Upstream]
    /// Peers whose word about the client is believed.
    package let trusted: AddressSet
    /// Whether some route matches on headers: only then need `match` be given any.
    package let needsHeaders: Bool

    /// Whether some route asks where the connection came in: only then need `match` be told.
    package let needsListener: Bool

    private let matcher: RouteMatcher
    private let routeIndices: [String: Int]
    private let upstreamIndices: [String: Int]

    /// Cannot fail: `spec` was validated. Adopts the upstreams' endpoints as those that count for the bounds on ejection,
    /// so build a table to publish it.
    ///
    /// What `spec` leaves as it is in `previous`, a table of the same registry, is taken from there, by identity: a change
    /// of weights makes the routes that it changes and shares all others, their matcher too.
    package init(spec: TableSpec, generation: UInt64, registry: EndpointRegistry, previous: RoutingTable? = nil) {
        self.generation = generation
        self.spec = spec
        self.trusted = AddressSet(spec.forwarding.trustedProxies)
        let upstreams = spec.upstreams.enumerated().map { index, upstream in
            previous?.reusableUpstream(index, upstream, registry)
                ?? Upstream(index: index, spec: upstream, registry: registry)
        }
        self.upstreams = upstreams
        let upstreamIndices = Dictionary(
            spec.upstreams.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.upstreamIndices = upstreamIndices
        var digest = spec.digest
        var sameNames = previous?.routes.count == spec.routes.count
        var sameMatches = sameNames
        var needsHeaders = false
        var routes: [Route] = []
        routes.reserveCapacity(spec.routes.count)
        for index in spec.routes.indices {
            let route = spec.routes[index]
            let before = previous.flatMap { index < $0.routes.count ? $0.routes[index] : nil }
            sameNames = sameNames && before?.name == route.name
            sameMatches = sameMatches && before?.spec.match == route.match
            if !route.match.headers.isEmpty { needsHeaders = true }
            let made: Route
            if let before, before.spec == route, before.leadsOnly(to: upstreams) {
                made = before
            } else {
                made = Route(
                    index: index, spec: route, upstreams: upstreams, indices: upstreamIndices,
                    record: registry.routeRecord(route.name),
                    mirror: route.migration.map { registry.mirrorRecord($0.name) })
            }
            digest.add(made.digest)
            routes.append(made)
        }
        self.routes = routes
        self.fingerprint = digest.text
        self.needsHeaders = needsHeaders
        if sameNames, let previous {
            self.routeIndices = previous.routeIndices
        } else {
            self.routeIndices = Dictionary(
                spec.routes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        }
        if sameMatches, let previous {
            self.matcher = previous.matcher
        } else {
            self.matcher = RouteMatcher(spec.routes)
        }
        self.needsListener = !self.matcher.listeners.isEmpty
    }

    /// The upstream at that place, if a new one would be the same.
    private func reusableUpstream(_ index: Int, _ spec: UpstreamSpec, _ registry: EndpointRegistry) -> Upstream? {
        guard index < self.upstreams.count, self.upstreams[index].spec == spec,
            registry.holds(self.upstreams[index].endpoints)
        else { return nil }
        return self.upstreams[index]
    }

    /// The index of the most specific route that takes the request; nil: none does. Allocates nothing.
    ///
    /// All spans are the request's own bytes: `host` may carry a port and any case, `path` has no query, `fields` refer
    /// into `bytes` and may be left empty unless `needsHeaders`. `listener` is a bit of `bit(ofListener:)`.
    package func match(
        method: Span<UInt8>, host: Span<UInt8>, path: Span<UInt8>, listener: UInt64 = 0, bytes: Span<UInt8>,
        fields: Span<FieldReference>
    ) -> Int? {
        self.matcher.match(
            method: method, host: host, path: path, listener: listener, bytes: bytes, fields: fields)
    }

    /// What stands for a listener when this very table matches; 0: no route asks for it.
    package func bit(ofListener name: String) -> UInt64 { self.matcher.bit(ofListener: name) }

    package func route(named name: String) -> Route? { self.routeIndices[name].map { self.routes[$0] } }

    package func upstream(named name: String) -> Upstream? { self.upstreamIndices[name].map { self.upstreams[$0] } }
}
