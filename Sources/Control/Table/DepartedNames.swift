import Traffic

/// Routes, upstreams and endpoints that are no longer part of the table, and since when. Their metrics are shown for a while
/// longer, so that a scraper sees their last requests; then they are forgotten.
package struct DepartedNames: Sendable, Equatable {
    /// Milliseconds: several scrapes at the usual intervals.
    package static let grace: UInt64 = 300_000

    private var routes: [String: UInt64] = [:]
    private var upstreams: [String: UInt64] = [:]
    private var endpoints: [EndpointKey: UInt64] = [:]

    package init() {}

    /// Takes a change of the table into account. `now` in monotonic milliseconds.
    mutating func follow(from before: TableSpec, to after: TableSpec, at now: UInt64) {
        Self.follow(&self.routes, from: before.routes.lazy.map(\.name), to: after.routes.lazy.map(\.name), at: now)
        Self.follow(
            &self.upstreams, from: before.upstreams.lazy.map(\.name), to: after.upstreams.lazy.map(\.name), at: now)
        Self.follow(&self.endpoints, from: before.endpointKeys, to: after.endpointKeys, at: now)
    }

    private static func follow<Name: Hashable>(
        _ departed: inout [Name: UInt64], from before: some Sequence<Name>, to after: some Sequence<Name>,
        at now: UInt64
    ) {
        let present = Set(after)
        for name in before where !present.contains(name) { departed[name] = now }
        departed = departed.filter { !present.contains($0.key) && Self.isRecent($0.value, now) }
    }

    private static func isRecent(_ since: UInt64, _ now: UInt64) -> Bool { now < since &+ Self.grace }

    package func isRecent(route: String, at now: UInt64) -> Bool {
        self.routes[route].map { Self.isRecent($0, now) } ?? false
    }

    package func isRecent(upstream: String, at now: UInt64) -> Bool {
        self.upstreams[upstream].map { Self.isRecent($0, now) } ?? false
    }

    package func isRecent(endpoint: EndpointKey, at now: UInt64) -> Bool {
        self.endpoints[endpoint].map { Self.isRecent($0, now) } ?? false
    }
}

extension TableSpec {
    /// Every endpoint of every upstream.
    var endpointKeys: [EndpointKey] {
        self.upstreams.flatMap { upstream in
            upstream.endpoints.map { EndpointKey(upstream: upstream.name, address: $0) }
        }
    }
}
