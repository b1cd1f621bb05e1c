import HTTPWire
import Traffic

/// A routing table as one worker uses it: the immutable table with the worker's own pools, budgets and counters beside
/// it. An exchange pins the runtime that it started with.
final class TableRuntime {
    let table: RoutingTable
    let routes: ContiguousArray<RouteRuntime>
    let upstreams: ContiguousArray<UpstreamRuntime>
    let headLimits: HeadLimits
    /// No peer's word on clients is believed.
    let trustsNobody: Bool
    /// Where no route was found.
    let unrouted: RouteMetrics

    init(
        table: RoutingTable, routes: ContiguousArray<RouteRuntime>, upstreams: ContiguousArray<UpstreamRuntime>,
        unrouted: RouteMetrics
    ) {
        self.table = table
        self.routes = routes
        self.upstreams = upstreams
        self.unrouted = unrouted
        self.trustsNobody = table.trusted.isEmpty
        let limits = table.spec.limits
        self.headLimits = HeadLimits(
            requestLine: Int(limits.requestLine), bytes: Int(limits.headerBytes), count: Int(limits.headerCount))
    }
}

/// A route with what the data plane derives from it once.
final class RouteRuntime {
    let route: Route
    let name: String
    let policy: RequestPolicy
    let responseEdits: FieldEdits
    let timeouts: Timeouts
    let limits: Limits
    let failover: Bool
    let rewritesHostToEndpoint: Bool
    /// Lower case; nil if the route has no override.
    let overrideHeader: [UInt8]?
    let overrideTrustedOnly: Bool
    let overrideTrusted: AddressSet
    let stickyHeader: [UInt8]?
    let stickyCookie: [UInt8]?
    let stickyByAddress: Bool
    let upgradeTokens: [[UInt8]]
    let redirect: RedirectSpec?
    /// The status that the route answers with by itself; 0: none.
    let respond: UInt16
    let responseHeadLimits: HeadLimits
    /// By member of the split; answers of our own are in `local`.
    let metrics: ContiguousArray<RouteMetrics>
    let local: RouteMetrics
    let memberNames: [[UInt8]]

    var isSticky: Bool { self.stickyByAddress || self.stickyHeader != nil || self.stickyCookie != nil }

    init(route: Route, forwarding: ForwardingSpec, metrics: ContiguousArray<RouteMetrics>, local: RouteMetrics) {
        let spec = route.spec
        self.route = route
        self.name = spec.name
        self.metrics = metrics
        self.local = local
        let path: RequestPolicy.Path
        switch spec.pathRewrite {
        case .keep: path = .keep
        case .strip(let prefix): path = .replace(prefix: Array(prefix.utf8), with: [])
        case .replace(let prefix, let replacement):
            path = .replace(prefix: Array(prefix.utf8), with: Array(replacement.utf8))
        }
        var host: [UInt8]?
        var toEndpoint = false
        switch spec.hostRewrite {
        case .keep: break
        case .literal(let text): host = Array(text.utf8)
        case .endpoint: toEndpoint = true
        }
        self.rewritesHostToEndpoint = toEndpoint
        let underscores: RequestPolicy.Underscores =
            switch forwarding.underscores {
            case .drop: .drop
            case .keep: .keep
            case .refuse: .refuse
            }
        self.policy = RequestPolicy(
            path: path, host: host, via: Array(forwarding.via.utf8), xForwarded: forwarding.xForwarded,
            forwarded: forwarding.forwarded, requestID: forwarding.requestID, underscores: underscores,
            edits: FieldEdits(
                set: spec.requestHeaders.set.map { ($0.name, $0.value) }, remove: spec.requestHeaders.remove))
        self.responseEdits = FieldEdits(
            set: spec.responseHeaders.set.map { ($0.name, $0.value) }, remove: spec.responseHeaders.remove)
        self.timeouts = spec.timeouts
        self.limits = spec.limits
        self.failover = spec.failover
        self.overrideHeader = spec.override.map { Array($0.header.utf8) }
        self.overrideTrustedOnly = spec.override.map { $0.trustedOnly || !$0.trusted.isEmpty } ?? false
        self.overrideTrusted = AddressSet(spec.override?.trusted ?? [])
        var header: [UInt8]?
        var cookie: [UInt8]?
        var byAddress = false
        switch spec.sticky {
        case .clientAddress: byAddress = true
        case .header(let name): header = Array(name.utf8)
        case .cookie(let name): cookie = Array(name.utf8)
        case nil: break
        }
        self.stickyHeader = header
        self.stickyCookie = cookie
        self.stickyByAddress = byAddress
        self.upgradeTokens = spec.upgrade.map { Array($0.utf8) }
        if case .redirect(let redirect) = spec.action { self.redirect = redirect } else { self.redirect = nil }
        if case .respond(let status) = spec.action { self.respond = status } else { self.respond = 0 }
        if case .split(let entries) = spec.action {
            self.memberNames = entries.map { Array($0.upstream.utf8) }
        } else {
            self.memberNames = []
        }
        // Upstreams are ours and send larger heads than clients may (cookies being set): twice the room.
        self.responseHeadLimits = HeadLimits(
            requestLine: Int(spec.limits.requestLine), bytes: max(65_536, Int(spec.limits.headerBytes)),
            count: max(200, Int(spec.limits.headerCount)))
    }
}

/// An upstream with this worker's pools.
final class UpstreamRuntime {
    let upstream: Upstream
    let pools: ContiguousArray<EndpointPool>
    let state: UpstreamState

    init(upstream: Upstream, pools: ContiguousArray<EndpointPool>, state: UpstreamState) {
        self.upstream = upstream
        self.pools = pools
        self.state = state
    }
}

/// What a worker knows about an upstream across tables.
final class UpstreamState {
    let name: String
    var budget: RetryBudget
    /// Client connections (by token) whose requests wait for a slot, first come first served.
    var waiting: ContiguousArray<UInt64> = []
    var retries: UInt64 = 0
    var retriesDenied: UInt64 = 0

    init(name: String, budget: RetryBudget) {
        self.name = name
        self.budget = budget
    }
}

/// Counters of one route and upstream in one worker. Plain integers: one thread writes, and reads them out itself.
final class RouteMetrics {
    let route: String
    let upstream: String
    var statusClasses: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    var cancelled: UInt64 = 0
    var latency = LatencyHistogram()

    init(route: String, upstream: String) {
        self.route = route
        self.upstream = upstream
    }

    func record(status: UInt16, microseconds: UInt64) {
        switch status / 100 {
        case 1: self.statusClasses.1 &+= 1
        case 2: self.statusClasses.2 &+= 1
        case 3: self.statusClasses.3 &+= 1
        case 4: self.statusClasses.4 &+= 1
        case 5: self.statusClasses.5 &+= 1
        default: self.statusClasses.0 &+= 1
        }
        self.latency.record(microseconds: microseconds)
    }

    var snapshot: RouteCounters {
        let classes = self.statusClasses
        return RouteCounters(
            route: self.route, upstream: self.upstream,
            statusClasses: [classes.0, classes.1, classes.2, classes.3, classes.4, classes.5],
            cancelled: self.cancelled, latency: self.latency)
    }
}
