/// Where spans of requests go, and of which requests they are made.
package struct TracingSpec: Sendable, Equatable {
    /// URL that takes OTLP over HTTP, path included.
    package var endpoint: String
    /// Share that is chosen, from 0 to 1, of the requests on which no trusted peer has said a word.
    package var sample = 1.0
    /// `service.name` of the spans.
    package var service = "balancer"
    /// PEM file with the only certificates that the collector's must be signed by; nil: the system's.
    package var caFile: String?

    package init(endpoint: String) { self.endpoint = endpoint }
}
