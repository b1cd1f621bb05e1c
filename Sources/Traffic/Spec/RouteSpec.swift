package struct RouteSpec: Sendable, Equatable {
    package var name: String
    package var match = MatchSpec()
    package var action: RouteAction
    package var sticky: HashKey?
    package var failover = true
    /// Upstreams of the split which, while their weight is 0, serve only while no side with a weight has an available endpoint.
    package var reserve: [String] = []
    package var override: OverrideSpec?
    /// Lower-case protocol tokens a client may upgrade to.
    package var upgrade: [String] = ["websocket"]
    package var pathRewrite: PathRewrite = .keep
    package var hostRewrite: HostRewrite = .keep
    package var requestHeaders = HeaderEdits()
    package var responseHeaders = HeaderEdits()
    /// Already merged with the top level.
    package var timeouts = Timeouts()
    package var limits = Limits()
    package var buffering = BufferingSpec()
    /// Which clients may ask.
    package var access = AccessSpec()
    package var rateLimits: [RateLimitSpec] = []
    /// nil: nobody need say who they are.
    package var basicAuth: BasicAuthSpec?
    /// nil: answers go as they came.
    package var compression: CompressionSpec?
    /// nil: the route belongs to no plan.
    package var migration: MigrationTraffic?
    /// A member of the split that should not be needed any more: who still needs it is noted. nil: none.
    package var watchedMember: Int?

    package init(name: String, action: RouteAction) {
        self.name = name
        self.action = action
    }
}

package enum RouteAction: Sendable, Equatable {
    /// In declared order; names exist among the upstreams; weights 0…1,000,000; not all 0 is not required.
    case split([SplitEntry])
    case redirect(RedirectSpec)
    /// The balancer answers with this status and no upstream hears of it: 403, 404, 410 or 503.
    case respond(status: UInt16)
}

package struct SplitEntry: Sendable, Equatable {
    package var upstream: String
    package var weight: UInt32
    package init(upstream: String, weight: UInt32) {
        self.upstream = upstream
        self.weight = weight
    }
}

package struct RedirectSpec: Sendable, Equatable {
    /// 301, 302, 303, 307 or 308.
    package var status: UInt16 = 308
    /// Replaced in the Location if given: scheme, host (with port), path. The request's path and query are kept otherwise.
    package var scheme: String?
    package var host: String?
    package var path: String?
    package init() {}
}

package struct OverrideSpec: Sendable, Equatable {
    /// Lower case; its value names an upstream of the route's split.
    package var header: String
    /// Believed only from `trustedProxies` or these blocks; empty with `trustedOnly` false: from anybody.
    package var trustedOnly = false
    package var trusted: [AddressBlock] = []
    package init(header: String) { self.header = header }
}

extension RouteSpec {
    /// nil for a route that the balancer answers itself.
    package var split: [SplitEntry]? {
        switch self.action {
        case .split(let entries): entries
        case .redirect, .respond: nil
        }
    }
}

extension [SplitEntry] {
    /// Weights by upstream name. A split names an upstream once.
    package var weights: [String: UInt32] {
        Dictionary(self.map { ($0.upstream, $0.weight) }, uniquingKeysWith: { first, _ in first })
    }
}
