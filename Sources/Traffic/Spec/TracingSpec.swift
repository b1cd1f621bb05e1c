/// Where spans of requests go, and of which requests they are made.
package struct TracingSpec: Sendable, Equatable {
    /// URL that takes OTLP over HTTP, path included.
    package var endpoint: String
    /// Share of the requests without a word of their own on it that are chosen, from 0 to 1.
    package var sample = 1.0
    /// `service.name` of the spans.
    package var service = "balancer"

    package init(endpoint: String) { self.endpoint = endpoint }
}
