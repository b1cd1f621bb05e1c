import RoutesFile
import Traffic

/// Answers of the admin API, as they are written. Field names are a public contract.
package struct RoutesBody: Codable, Sendable {
    package var generation: UInt64
    package var routes: [RouteBody]
}

package struct RouteBody: Codable, Sendable {
    package var name: String
    package var match: MatchBody
    /// Empty for a route that the balancer answers itself.
    package var weights: [String: UInt32]
    /// What the file says, if an operator's live change stands over it.
    package var fileWeights: [String: UInt32]?
    package var shares: [UpstreamShare]
    package var sticky: StickyBody?
    package var failover: Bool
    /// Sides that, while their weight is 0, serve only while no side with a weight can; nil: none.
    package var reserve: [String]?
    package var overrideHeader: String?
    package var redirect: RedirectBody?
    package var respond: RespondBody?

    init(_ route: RouteSpec, view: TableView, now: UInt64) {
        self.name = route.name
        self.match = MatchBody(route.match)
        let split = route.split ?? []
        self.weights = split.weights
        let fileWeights = view.fileWeights(of: route.name)
        self.fileWeights = fileWeights == self.weights ? nil : fileWeights
        self.reserve = route.reserve.isEmpty ? nil : route.reserve
        self.shares = UpstreamShare.compute(
            split, failover: route.failover, reserve: route.reserve, in: view.table, now: now)
        self.sticky = route.sticky.map(StickyBody.init)
        self.failover = route.failover
        self.overrideHeader = route.override?.header
        switch route.action {
        case .split: break
        case .redirect(let spec): self.redirect = RedirectBody(spec)
        case .respond(let status): self.respond = RespondBody(status: status)
        }
    }
}

/// As in routes.json.
package struct MatchBody: Codable, Sendable {
    package var host: [String]
    package var path: [String]
    /// Paths that match whole, not as prefixes.
    package var exactPath: [String]
    package var method: [String]
    package var listener: [String]
    /// Name to value; null is any value.
    package var headers: [String: String?]

    init(_ match: MatchSpec) {
        self.host = match.hosts.map { pattern in
            switch pattern {
            case .exact(let host): host
            case .suffix(let suffix): "*\(suffix)"
            }
        }
        self.path = match.paths.compactMap { pattern in
            if case .prefix(let path) = pattern { path } else { nil }
        }
        self.exactPath = match.paths.compactMap { pattern in
            if case .exact(let path) = pattern { path } else { nil }
        }
        self.method = match.methods
        self.listener = match.listeners
        self.headers = Dictionary(
            match.headers.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}

package struct StickyBody: Codable, Sendable {
    package var by: String
    package var name: String?

    init(_ key: HashKey) {
        switch key {
        case .clientAddress: self.by = "client-address"
        case .header(let name): (self.by, self.name) = ("header", name)
        case .cookie(let name): (self.by, self.name) = ("cookie", name)
        }
    }
}

package struct RedirectBody: Codable, Sendable {
    package var status: UInt16
    package var scheme: String?
    package var host: String?
    package var path: String?

    init(_ spec: RedirectSpec) {
        self.status = spec.status
        self.scheme = spec.scheme
        self.host = spec.host
        self.path = spec.path
    }
}

package struct RespondBody: Codable, Sendable {
    package var status: UInt16
}

package struct UpstreamsBody: Codable, Sendable {
    package var upstreams: [UpstreamBody]
}

package struct UpstreamBody: Codable, Sendable {
    package var name: String
    package var balance: String
    package var available: Bool
    /// Endpoints that it has, whichever are told; nil: a balancer of a version before this says nothing of it.
    package var total: Int?
    package var endpoints: [EndpointBody]
    /// nil: the file names the endpoints.
    package var discovery: DiscoveryBody?
    /// Endpoints given by a host name that is not found; nil: none.
    package var unresolved: [UnresolvedBody]?
}

/// An endpoint given by a host name whose last look-up failed. What an earlier one found stays in use.
package struct UnresolvedBody: Codable, Sendable {
    /// As the file has it, such as `core:3300`.
    package var endpoint: String
    package var reason: String
}

/// How the endpoints of an upstream are found.
package struct DiscoveryBody: Codable, Sendable {
    /// In one line, such as `dns gateway.default.svc.cluster.local:3301`.
    package var source: String
    /// ISO 8601; nil: never yet.
    package var lastSuccess: String?
    /// The endpoints are not those of the last attempt, because it failed.
    package var stale: Bool
    /// Attempts that failed since the source was configured.
    package var failures: UInt64
    /// Why the last attempt failed; empty if it did not.
    package var reason: String
}

package struct EndpointBody: Codable, Sendable {
    package var address: String
    /// `up`, `starting`, `down`, `draining`, `maintenance` or `ejected`.
    package var availability: String
    /// `ready`, `drain` or `maintenance`.
    package var administrative: String
    package var ejected: Bool
    package var reason: String
    /// ISO 8601.
    package var since: String
    package var outstanding: Int
    package var connections: Int
    /// Requests sent to it since the process started.
    package var requests: UInt64
    /// `HTTP/1.1` or `HTTP/2`; nil: it may choose, and nothing has been agreed on yet.
    package var `protocol`: String?
    /// The last TLS handshake that came to no session; nil: none has failed.
    package var tlsFailure: TLSFailureBody?
    /// The last 64, oldest first.
    package var probes: [ProbeBody]
}

package struct TLSFailureBody: Codable, Sendable {
    /// ISO 8601.
    package var at: String
    /// The kind, and the TLS library's words, one line.
    package var cause: String
}

package struct ProbeBody: Codable, Sendable {
    /// ISO 8601.
    package var at: String
    package var cause: String
    /// 0 if no answer was understood.
    package var status: UInt16
    package var microseconds: UInt64
}

package struct StatusBody: Codable, Sendable {
    package struct Listener: Codable, Sendable {
        package var name: String
        package var address: String
    }

    package struct Reload: Codable, Sendable {
        package var at: String
        package var ok: Bool
        package var problems: [ControlProblem]
        /// Settings that changed in the file and take effect at the next start.
        package var needsRestart: [String]
    }

    package struct Ledger: Codable, Sendable {
        package var path: String
        /// Whether what is changed outlives the process.
        package var ok: Bool
        /// Why not; empty if it does.
        package var reason: String
        /// Entries of the journal that wait to be written.
        package var unwritten: Int
    }

    /// How things are, in words; nil: a balancer of a version before this says nothing of it.
    package var sentence: Sentence?
    package var version: String
    package var pid: Int32
    package var uptimeSeconds: UInt64
    package var generation: UInt64
    /// Seconds since the table was published.
    package var tableAge: UInt64
    package var workers: Int
    package var listeners: [Listener]
    package var connections: UInt64
    package var exchanges: UInt64
    package var lastReload: Reload
    /// Upstreams whose endpoints could not be found at the last attempt.
    package var stale: [String]
    /// nil: nothing outlives the process.
    package var state: Ledger?
    package var draining: Bool
}

package struct JournalBody: Codable, Sendable {
    /// Oldest first.
    package var entries: [JournalEntry]
    /// What to ask `before` for the entries before these; nil: there are none.
    package var before: UInt64?

    package init(_ page: JournalPage) {
        self.entries = page.entries
        self.before = page.hasMore ? page.entries.first?.sequence : nil
    }
}

package struct ErrorBody: Codable, Sendable, Equatable {
    package var error: String
    /// At most 100, and a last one that says that there are more.
    package var problems: [ControlProblem]

    package init(error: String, problems: [ControlProblem]) {
        self.error = error
        self.problems = ControlProblem.bounded(problems)
    }
}

extension Balance {
    package var word: String {
        switch self {
        case .roundRobin: "round-robin"
        case .leastOutstanding: "least-outstanding"
        case .consistentHash: "hash"
        }
    }
}
