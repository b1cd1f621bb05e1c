/// What routes.json says about traffic, validated and with every default filled in. A plain value: building a
/// `RoutingTable` from it cannot fail.
package struct TableSpec: Sendable, Equatable {
    package var timeouts = Timeouts()
    package var limits = Limits()
    package var buffering = BufferingSpec()
    package var forwarding = ForwardingSpec()
    /// `X-Balancer-Reason` on responses that the balancer itself makes.
    package var explainErrors = true
    /// nil: no spans are made.
    package var tracing: TracingSpec?
    package var upstreams: [UpstreamSpec] = []
    package var routes: [RouteSpec] = []

    package init() {}
}
