/// A route of one table.
package final class Route: Sendable {
    package let index: Int
    package let name: String
    package let spec: RouteSpec
    /// nil: the route redirects.
    package let split: Split?
    package let record: RouteRecord

    init(index: Int, spec: RouteSpec, upstreams: [String: Int], registry: EndpointRegistry) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.record = registry.routeRecord(spec.name)
        if case .split(let entries) = spec.action {
            let routeHash = KeyHash.hash(spec.name)
            self.split = Split(
                entries: entries.compactMap { entry in
                    upstreams[entry.upstream].map {
                        SplitMember(
                            upstream: $0, weight: entry.weight,
                            hash: KeyHash.mix(routeHash &+ KeyHash.hash(entry.upstream)))
                    }
                })
        } else {
            self.split = nil
        }
    }

    /// The position of the next request that the weights decide. One relaxed addition, shared by all workers.
    package func nextPosition() -> UInt64 {
        self.record.next()
    }
}

/// The routing truth of one moment: immutable, numbered, shared by every worker. Built whole from a validated spec; an
/// exchange keeps the table it began with.
package final class RoutingTable: Sendable {
    package let generation: UInt64
    package let spec: TableSpec
    /// Of the content, in hexadecimal: equal tables have equal fingerprints.
    package let fingerprint: String
    package let routes: [Route]
    package let upstreams: [Upstream]
    package let trusted: AddressSet
    private let matcher: RouteMatcher

    package init(spec: TableSpec, generation: UInt64, registry: EndpointRegistry) {
        self.generation = generation
        self.spec = spec
        let upstreams = spec.upstreams.enumerated().map { Upstream(index: $0, spec: $1, registry: registry) }
        self.upstreams = upstreams
        let indices = Dictionary(upstreams.map { ($0.name, $0.index) }, uniquingKeysWith: { first, _ in first })
        self.routes = spec.routes.enumerated().map {
            Route(index: $0, spec: $1, upstreams: indices, registry: registry)
        }
        self.trusted = AddressSet(spec.forwarding.trustedProxies)
        self.matcher = RouteMatcher(spec.routes)
        self.fingerprint = Self.fingerprint(of: spec)
    }

    /// Whether `match` looks at header fields; if not, they need not be given.
    package var needsHeaders: Bool { self.matcher.needsHeaders }

    /// The route of a request, by raw bytes; nil if none matches. `host` may carry a port and be of any case. Allocates
    /// nothing.
    package func match(
        method: borrowing Span<UInt8>, host: borrowing Span<UInt8>, path: borrowing Span<UInt8>,
        bytes: borrowing Span<UInt8>, fields: borrowing Span<FieldReference>
    ) -> Int? {
        self.matcher.match(method: method, host: host, path: path, bytes: bytes, fields: fields)
    }

    package func route(named name: String) -> Route? {
        self.routes.first { $0.name == name }
    }

    package func upstream(named name: String) -> Upstream? {
        self.upstreams.first { $0.name == name }
    }

    /// 128 bits over the description of the spec, which names every value in a fixed order.
    private static func fingerprint(of spec: TableSpec) -> String {
        let text = String(describing: spec)
        let first = KeyHash.hash(text)
        let second = KeyHash.hash(text + "\u{1}")
        return Self.hex(first) + Self.hex(second)
    }

    private static func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

/// Weights changed live. They outlive reloads until the file itself changes that route's weights.
package struct WeightOverlay: Sendable, Equatable {
    private struct Change: Sendable, Equatable {
        var weights: [String: UInt32]
        /// What the file said when the change was made.
        var fileWeights: [String: UInt32]
    }

    private var changes: [String: Change] = [:]

    package init() {}

    package var isEmpty: Bool { self.changes.isEmpty }

    package mutating func set(route: String, weights: [String: UInt32], fileWeights: [String: UInt32]) {
        self.changes[route] = weights == fileWeights ? nil : Change(weights: weights, fileWeights: fileWeights)
    }

    /// Puts the changes over the file's weights, and drops those whose route is gone or was changed in the file.
    package mutating func apply(to spec: inout TableSpec) {
        var kept: [String: Change] = [:]
        for index in spec.routes.indices {
            guard let change = self.changes[spec.routes[index].name],
                case .split(let entries) = spec.routes[index].action
            else { continue }
            let file = Dictionary(entries.map { ($0.upstream, $0.weight) }, uniquingKeysWith: { first, _ in first })
            guard file == change.fileWeights else { continue }
            kept[spec.routes[index].name] = change
            spec.routes[index].action = .split(
                entries.map { SplitEntry(upstream: $0.upstream, weight: change.weights[$0.upstream] ?? $0.weight) })
        }
        self.changes = kept
    }
}
