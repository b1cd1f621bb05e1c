import Traffic

/// How much of a limit a key has left. As `GET /api/v1/limits` answers.
package struct LimitBody: Codable, Sendable, Equatable {
    package var route: String
    package var rule: String
    /// Requests that may come at once, and those of them that still may.
    package var burst: UInt64
    package var left: UInt64
    /// Until one more may come, and until all may.
    package var waitMilliseconds: UInt64
    package var resetMilliseconds: UInt64
    /// Nobody is refused.
    package var dryRun: Bool
}

/// "What has this client left of that limit?" Answered by the very table that the workers take from.
struct LimitQuestion: Sendable {
    let route: String
    let rule: String
    /// An address, or the value of the header or cookie that the limit counts by; nil for a limit on all requests.
    let key: String?

    /// Throws what is wrong with the parameters.
    init(route: String?, rule: String?, key: String?) throws(ChangeRefused) {
        var problems: [ControlProblem] = []
        if route == nil { problems.append(ControlProblem(path: "?route", message: "is missing")) }
        if rule == nil { problems.append(ControlProblem(path: "?rule", message: "is missing")) }
        guard let route, let rule else { throw .invalid(problems) }
        self.route = route
        self.rule = rule
        self.key = key
    }

    /// The limit, and the hash of the key.
    func find(in table: RoutingTable) throws(ChangeRefused) -> (limit: RateLimit, hash: UInt64) {
        guard let route = table.route(named: self.route) else { throw .notFound("no route \"\(self.route)\"") }
        guard let limit = route.rateLimits.first(where: { $0.spec.name == self.rule }) else {
            throw .notFound("route \"\(self.route)\" has no limit \"\(self.rule)\"")
        }
        if limit.kind == .all { return (limit, limit.hashOfAll) }
        guard let key, !key.isEmpty else {
            throw .invalid([ControlProblem(path: "?key", message: "is missing: the limit counts by \(limit.kind)")])
        }
        guard limit.kind == .address else { return (limit, limit.hash(Array(key.utf8).span)) }
        guard let address = IPAddress(parsing: key) else {
            throw .invalid([ControlProblem(path: "?key", message: "\"\(key)\" is not an IP address")])
        }
        return (limit, limit.hash(address))
    }

    func answer(_ table: RoutingTable, now: UInt64) throws(ChangeRefused) -> LimitBody {
        let (limit, hash) = try self.find(in: table)
        let verdict = limit.table.preview(hash, limit.rate, now: now &* 1_000_000)
        var body = LimitBody(
            route: self.route, rule: self.rule, burst: limit.rate.burst, left: 0, waitMilliseconds: 0,
            resetMilliseconds: 0, dryRun: limit.isOnTrial)
        switch verdict.outcome {
        case .allowed(_, let left):
            body.left = left + 1
            // Asking takes nothing, which the verdict counts.
            body.resetMilliseconds = Self.milliseconds(verdict.reset &- min(verdict.reset, limit.rate.interval))
        case .refused(let wait):
            body.waitMilliseconds = Self.milliseconds(wait)
            body.resetMilliseconds = Self.milliseconds(verdict.reset)
        }
        return body
    }

    private static func milliseconds(_ nanoseconds: UInt64) -> UInt64 {
        nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0)
    }
}
