import Synchronization

/// What is known of a route by its name, across tables: how far its interleave has come.
package final class RouteRecord: Sendable {
    package let name: String
    private let position = Atomic<UInt64>(0)

    init(name: String) { self.name = name }

    func next() -> UInt64 { self.position.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// A route of a table: who it takes and where it sends them. Immutable but for its record.
package final class Route: Sendable {
    /// Index into the table's routes.
    package let index: Int
    package let name: String
    package let spec: RouteSpec
    /// nil for a route that the balancer answers itself.
    package let split: Split?
    package let record: RouteRecord
    package let isSticky: Bool

    init(index: Int, spec: RouteSpec, upstreams: [String: Int], record: RouteRecord) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.isSticky = spec.sticky != nil
        self.record = record
        if case .split(let entries) = spec.action {
            self.split = Split(entries, route: spec.name, upstreams: upstreams)
        } else {
            self.split = nil
        }
    }

    /// The position of the next request in the interleave; one for each request that is decided by it, workers and
    /// tables together, which is what makes shares exact.
    package func nextPosition() -> UInt64 { self.record.next() }
}
