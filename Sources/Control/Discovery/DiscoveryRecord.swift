import Traffic

/// Which upstream, and where from. A source lives as long as its key is in force.
package struct DiscoveryKey: Hashable, Sendable {
    package var upstream: String
    package var spec: DiscoverySpec

    package init(upstream: String, spec: DiscoverySpec) {
        self.upstream = upstream
        self.spec = spec
    }
}

/// How discovery of one upstream is doing.
package struct DiscoveryRecord: Sendable, Equatable {
    package var spec: DiscoverySpec
    /// Milliseconds since 1970; nil: never yet.
    package var lastSuccess: UInt64?
    /// Attempts that brought nothing, since the source was configured.
    package var failures: UInt64 = 0
    /// Of the last attempt; empty if it succeeded.
    package var failure = ""

    package init(spec: DiscoverySpec) { self.spec = spec }

    /// Whether the endpoints in use are not those of the last attempt, because it failed or none has succeeded yet.
    package var isStale: Bool { self.lastSuccess == nil || !self.failure.isEmpty }
}
