import HTTPWire
import Traffic

/// Policies that a route has.
struct RoutePolicies: OptionSet {
    let rawValue: UInt8
    static let access = RoutePolicies(rawValue: 1)
    static let rateLimits = RoutePolicies(rawValue: 2)
    static let authentication = RoutePolicies(rawValue: 4)
    /// Every answer says what is left.
    static let tellsLimits = RoutePolicies(rawValue: 8)
    static let compression = RoutePolicies(rawValue: 16)
}

/// A route with what the data plane derives from it once. Immutable, shared by all workers.
final class RoutePlan: Sendable {
    let route: Route
    let name: String
    let policy: RequestPolicy
    let responseEdits: FieldEdits
    let requestTrailers: TrailerRules
    let answerTrailers: TrailerRules
    let timeouts: Timeouts
    let limits: Limits
    let buffering: BufferingSpec
    let maxPasses: Int
    let rewritesHostToEndpoint: Bool
    /// Lower case; nil if the route has no override.
    let overrideHeader: [UInt8]?
    let overrideRule: OverrideRule?
    let stickyHeader: [UInt8]?
    let stickyCookie: [UInt8]?
    let stickyByAddress: Bool
    let upgradeTokens: [[UInt8]]
    let redirect: RedirectSpec?
    let redirects: Bool
    /// The status that the route answers with by itself; 0: none.
    let respond: UInt16
    let responseHeadLimits: HeadLimits
    let memberNames: [[UInt8]]
    /// Where its counters stand in each worker (`CounterRegistry`): by member of the split, and for answers of our own.
    let counters: ContiguousArray<Int>
    /// By member of the split: the table's upstream.
    private let sides: ContiguousArray<Int>
    let localCounters: Int

    /// Empty: none.
    let policies: RoutePolicies
    /// Some of them ask something of a request before anything else.
    let asksFirst: Bool
    /// Requests are told who asks, or of which span they are part.
    let addsLines: Bool
    /// What is done to requests of which spans are made; nil: there are none.
    let tracing: RouteTracing?
    /// Some of them change answers.
    let changesAnswers: Bool
    let access: AddressRule
    /// Those that hang on the client's address first.
    let rateLimits: ContiguousArray<Reference<RateLimit>>
    /// How many of them do.
    let addressLimits: Int
    /// nil: nobody need say who they are.
    let authentication: RouteAuthentication?
    /// nil: answers go as they came.
    let compression: CompressionPlan?

    /// nil: nothing is copied.
    let mirror: MirrorPlan?
    /// Answers are changed or copied.
    let watchesAnswers: Bool
    /// The bodies of requests that must not be sent twice are kept for their copies.
    let copiesBodies: Bool

    let isSticky: Bool
    let hasOverride: Bool

    /// Its requests are counted for a plan, or noted.
    let isInPlan: Bool
    let stage: StagePlan
    /// The member that should not be needed any more; −1: none.
    let watchedMember: Int
    /// No other member has a weight.
    let leadsOnlyToWatched: Bool

    init(
        route: Route, forwarding: ForwardingSpec, counters: ContiguousArray<Int>, localCounters: Int,
        stage: StagePlan = StagePlan(), traces: Bool = false
    ) {
        let spec = route.spec
        let watched = spec.watchedMember ?? -1
        self.stage = stage
        self.watchedMember = watched
        self.isInPlan = stage.number >= 0 || watched >= 0
        self.leadsOnlyToWatched =
            watched >= 0
            && (spec.split ?? []).enumerated().allSatisfy { $0.offset == watched || $0.element.weight == 0 }
        self.route = route
        self.access = AddressRule(spec.access)
        self.rateLimits = ContiguousArray(
            (route.rateLimits.filter { $0.spec.key == .clientAddress }
                + route.rateLimits.filter { $0.spec.key != .clientAddress }).map { Reference(to: $0) })
        self.addressLimits = route.rateLimits.count { $0.spec.key == .clientAddress }
        self.authentication = spec.basicAuth.map { RouteAuthentication($0) }
        self.compression = spec.compression.map { CompressionPlan($0) }
        self.policies = [
            self.access.isOpen ? [] : .access, self.rateLimits.isEmpty ? [] : .rateLimits,
            spec.basicAuth == nil ? [] : .authentication,
            spec.rateLimits.contains { $0.telling == .always } ? .tellsLimits : [],
            spec.compression == nil ? [] : .compression,
        ]
        self.asksFirst = !self.policies.isDisjoint(with: [.access, .rateLimits, .authentication])
        self.changesAnswers = !self.policies.isDisjoint(with: [.tellsLimits, .compression])
        self.name = spec.name
        self.counters = counters
        self.localCounters = localCounters
        self.sides = ContiguousArray(route.split?.entries.map(\.upstream) ?? [])
        self.policy = Self.policy(spec, forwarding: forwarding)
        self.mirror = MirrorPlan(route) { set, remove in
            var copy = spec
            copy.requestHeaders.set.append(set)
            copy.requestHeaders.remove += remove
            return Self.policy(copy, forwarding: forwarding)
        }
        self.watchesAnswers = self.changesAnswers || self.mirror != nil
        self.copiesBodies = self.mirror?.keepsBodies ?? false
        self.tracing = traces ? RouteTracing(spec, policy: { Self.policy($0, forwarding: forwarding) }) : nil
        self.addsLines = spec.basicAuth?.userHeader != nil || self.policy.forwardsCertificate || traces
        if case .endpoint = spec.hostRewrite {
            self.rewritesHostToEndpoint = true
        } else {
            self.rewritesHostToEndpoint = false
        }
        self.responseEdits = FieldEdits(
            set: spec.responseHeaders.set.map { ($0.name, $0.value) }, remove: spec.responseHeaders.remove)
        self.requestTrailers = TrailerRules(requests: self.policy)
        self.answerTrailers = TrailerRules(edits: self.responseEdits)
        self.timeouts = spec.timeouts
        self.limits = spec.limits
        self.buffering = spec.buffering
        self.maxPasses = max(1, Int(forwarding.maxPasses))
        self.overrideHeader = spec.override.map { Array($0.header.utf8) }
        self.overrideRule = spec.override.map { OverrideRule($0) }
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
        self.isSticky = spec.sticky != nil
        self.hasOverride = spec.override != nil
        self.upgradeTokens = spec.upgrade.map { Array($0.utf8) }
        if case .redirect(let redirect) = spec.action { self.redirect = redirect } else { self.redirect = nil }
        self.redirects = self.redirect != nil
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

    /// The upstream of a member of the split, as a worker uses it.
    @inline(__always)
    func upstream(_ member: Int, of plan: WorkerPlan) -> Reference<UpstreamPlan> { plan.upstreams[self.sides[member]] }

    /// Of clients' fields those that go no further.
    private static func ownFields(_ spec: BasicAuthSpec) -> [String] {
        (spec.forwards ? [] : ["authorization"]) + (spec.userHeader.map { [$0] } ?? [])
    }

    private static func policy(_ spec: RouteSpec, forwarding: ForwardingSpec) -> RequestPolicy {
        let path: RequestPolicy.Path
        switch spec.pathRewrite {
        case .keep: path = .keep
        case .strip(let prefix): path = .replace(prefix: Array(prefix.utf8), with: [])
        case .replace(let prefix, let replacement):
            path = .replace(prefix: Array(prefix.utf8), with: Array(replacement.utf8))
        }
        var host: [UInt8]?
        if case .literal(let text) = spec.hostRewrite { host = Array(text.utf8) }
        let underscores: RequestPolicy.Underscores =
            switch forwarding.underscores {
            case .drop: .drop
            case .keep: .keep
            case .refuse: .refuse
            }
        return RequestPolicy(
            path: path, host: host, via: Array(forwarding.via.utf8), xForwarded: forwarding.xForwarded,
            forwarded: forwarding.forwarded, requestID: forwarding.requestID, underscores: underscores,
            edits: FieldEdits(
                set: spec.requestHeaders.set.map { ($0.name, $0.value) },
                remove: spec.requestHeaders.remove + (spec.basicAuth.map(Self.ownFields) ?? [])),
            userHeader: spec.basicAuth?.userHeader, forwardsCertificate: forwarding.clientCertificate)
    }
}
