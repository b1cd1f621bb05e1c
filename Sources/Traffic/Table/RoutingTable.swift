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

    private let matcher: RouteMatcher
    private let routeIndices: [String: Int]
    private let upstreamIndices: [String: Int]

    /// Cannot fail: `spec` was validated. Adopts the upstreams' endpoints as those that count for the bounds on ejection,
    /// so build a table to publish it.
    package init(spec: TableSpec, generation: UInt64, registry: EndpointRegistry) {
        self.generation = generation
        self.spec = spec
        self.fingerprint = Fingerprint.of(spec)
        self.trusted = AddressSet(spec.forwarding.trustedProxies)
        let upstreams = spec.upstreams.enumerated().map { Upstream(index: $0, spec: $1, registry: registry) }
        self.upstreams = upstreams
        let upstreamIndices = Dictionary(
            spec.upstreams.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.upstreamIndices = upstreamIndices
        self.routes = spec.routes.enumerated().map { index, route in
            Route(
                index: index, spec: route, upstreams: upstreams, indices: upstreamIndices,
                record: registry.routeRecord(route.name))
        }
        self.routeIndices = Dictionary(
            spec.routes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.needsHeaders = spec.routes.contains { !$0.match.headers.isEmpty }
        self.matcher = RouteMatcher(spec.routes)
    }

    /// The index of the most specific route that takes the request; nil: none does. Allocates nothing.
    ///
    /// All spans are the request's own bytes: `host` may carry a port and any case, `path` has no query, `fields` refer
    /// into `bytes` and may be left empty unless `needsHeaders`.
    package func match(
        method: Span<UInt8>, host: Span<UInt8>, path: Span<UInt8>, bytes: Span<UInt8>, fields: Span<FieldReference>
    ) -> Int? {
        self.matcher.match(method: method, host: host, path: path, bytes: bytes, fields: fields)
    }

    package func route(named name: String) -> Route? { self.routeIndices[name].map { self.routes[$0] } }

    package func upstream(named name: String) -> Upstream? { self.upstreamIndices[name].map { self.upstreams[$0] } }
}
