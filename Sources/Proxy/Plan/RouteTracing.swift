import HTTPWire
import Traffic

/// Of which requests spans are made.
struct TraceChoice: Sendable {
    /// A random number of 53 bits is below it for the share of requests that are chosen.
    private let threshold: UInt64

    init(_ spec: TracingSpec) {
        self.threshold = UInt64(min(1, max(0, spec.sample)) * 0x1p53)
    }

    func chooses(_ random: UInt64) -> Bool { random >> 11 < self.threshold }
}

/// What a route does to requests of which spans are made: their client's word on the trace is replaced by ours.
final class RouteTracing: Sendable {
    private let continued: RequestPolicy
    private let begun: RequestPolicy
    /// The route does not decide about `traceparent` itself.
    let writesParent: Bool

    /// `policy` makes the policy of a route.
    init(_ spec: RouteSpec, policy: (RouteSpec) -> RequestPolicy) {
        let named = spec.requestHeaders.remove + spec.requestHeaders.set.map(\.name)
        self.writesParent = !named.contains { $0.lowercased() == "traceparent" }
        func without(_ names: [String]) -> RequestPolicy {
            var copy = spec
            copy.requestHeaders.remove += names
            return policy(copy)
        }
        self.continued = without(["traceparent"])
        // What others have noted of their trace says nothing of a new one.
        self.begun = without(["traceparent", "tracestate"])
    }

    func policy(of trace: ExchangeTrace) -> RequestPolicy? {
        guard self.writesParent else { return nil }
        return trace.isContinued ? self.continued : self.begun
    }
}
