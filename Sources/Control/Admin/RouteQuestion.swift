import HTTPWire
import Traffic

/// Where a request would go, and why.
package struct Explanation: Codable, Sendable, Equatable {
    package var generation: UInt64
    /// Absent: no route matches, the answer is 404.
    package var route: String?
    /// One sentence a step.
    package var reasons: [String]
    package var shares: [UpstreamShare]
    /// The side on which a sticky client lands, if the question named what it sticks by.
    package var upstream: String?
}

/// "Where would this request go, and why?" Answered by the very table, and by the very `Placement`, that the workers route
/// by.
struct RouteQuestion: Sendable {
    private var host: String
    private var path: String
    private var method: String
    private var client: IPAddress?
    private var listener: String?
    /// Names and values one behind the other, and where each lies.
    private var bytes: [UInt8] = []
    private var fields: [FieldReference] = []

    /// `headers` are `Name: value` texts. Throws what is wrong with them.
    init(
        host: String, path: String, method: String, headers: [String], client: String?, listener: String? = nil
    ) throws(ChangeRefused) {
        self.host = host
        self.path = path
        self.method = method
        self.listener = listener
        var problems: [ControlProblem] = []
        for header in headers {
            guard let colon = header.firstIndex(of: ":"), colon != header.startIndex else {
                problems.append(ControlProblem(path: "?header", message: "expected Name: value, found \"\(header)\""))
                continue
            }
            self.add(name: header[..<colon].utf8, value: header[header.index(after: colon)...].utf8)
        }
        if let client {
            self.client = IPAddress(parsing: client)
            if self.client == nil {
                problems.append(ControlProblem(path: "?client", message: "\"\(client)\" is not an IP address"))
            }
        }
        guard path.hasPrefix("/") || path == "*" else {
            problems.append(ControlProblem(path: "?path", message: "must begin with /"))
            throw .invalid(problems)
        }
        guard problems.isEmpty else { throw .invalid(problems) }
    }

    /// White space around a value is no part of it (RFC 9110 §5.5).
    private mutating func add(name: Substring.UTF8View, value: Substring.UTF8View) {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let lower = UInt32(clamping: self.bytes.count)
        self.bytes += Array(name)
        let middle = UInt32(clamping: self.bytes.count)
        self.bytes += value.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
        self.fields.append(
            FieldReference(
                nameLower: lower, nameUpper: middle, valueLower: middle, valueUpper: UInt32(clamping: self.bytes.count))
        )
    }

    func answer(_ table: RoutingTable, now: UInt64) -> Explanation {
        let remarks = self.remarks(table)
        guard let route = self.match(table) else {
            return Explanation(
                generation: table.generation, route: nil,
                reasons: remarks + ["none of the \(table.routes.count) routes matches: the answer is 404"], shares: [],
                upstream: nil)
        }
        var reasons = remarks
        reasons.append(
            "route \"\(route.name)\" is the most specific one that matches: \(Self.conditions(route.spec))")
        reasons += self.policies(route, now: now)
        guard let entries = route.spec.split else {
            if case .respond(let status) = route.spec.action {
                reasons.append("the balancer answers \(status) itself")
            } else {
                reasons.append("it redirects")
            }
            return Explanation(
                generation: table.generation, route: route.name, reasons: reasons, shares: [], upstream: nil)
        }
        let shares = UpstreamShare.compute(
            entries, failover: route.spec.failover, reserve: route.spec.reserve, upstreams: table.upstreamsByName,
            now: now)
        for share in shares where share.weight > 0 && !share.available {
            reasons.append(
                route.spec.failover
                    ? "\(share.upstream) has no available endpoint: its share goes to the others"
                    : "\(share.upstream) has no available endpoint, and failover is off: its share is answered 503")
        }
        if let member = route.servingReserve(now: now), member < entries.count {
            reasons.append("no side with a weight can serve: \(entries[member].upstream) does, in reserve")
        }
        if shares.allSatisfy({ $0.effectiveShare == 0 }) { reasons.append("no side can serve: the answer is 503") }
        let forced = self.forcedSide(route, entries, table, &reasons)
        let key = self.stickyKey(route, &reasons)
        let upstream = self.side(route, entries, forced: forced, key: key, now: now, &reasons)
        return Explanation(
            generation: table.generation, route: route.name, reasons: reasons, shares: shares, upstream: upstream)
    }

    private func match(_ table: RoutingTable) -> Route? {
        let method = Array(self.method.utf8)
        let host = Array(self.host.utf8)
        let path = Array(self.path.prefix { $0 != "?" }.utf8)
        let index = table.match(
            method: method.span, host: host.span, path: path.span,
            listener: self.listener.map { table.bit(ofListener: $0) } ?? 0, bytes: self.bytes.span,
            fields: self.fields.span)
        return index.map { table.routes[$0] }
    }

    /// What the question leaves open although routes hang on it.
    private func remarks(_ table: RoutingTable) -> [String] {
        guard table.needsListener else { return [] }
        guard let listener = self.listener else {
            return ["some routes ask for the listener and match nothing here: ask with ?listener= to see them"]
        }
        return table.bit(ofListener: listener) == 0 ? ["no route asks for the listener \"\(listener)\""] : []
    }

    /// The values of all fields of that name.
    private func values(of name: String) -> [ArraySlice<UInt8>] {
        self.fields.compactMap { field in
            let found = self.bytes[Int(field.nameLower)..<Int(field.nameUpper)]
            guard String(decoding: found, as: UTF8.self).lowercased() == name else { return nil }
            return self.bytes[Int(field.valueLower)..<Int(field.valueUpper)]
        }
    }

    // MARK: policies

    /// What the route's policies would say now.
    private func policies(_ route: Route, now: UInt64) -> [String] {
        var reasons: [String] = []
        if !route.spec.access.isOpen { reasons.append(self.access(AddressRule(route.spec.access))) }
        if let spec = route.spec.basicAuth {
            reasons.append(
                "a user and password are asked for (realm \"\(spec.realm)\"): without, the answer is 401 unauthorized")
        }
        for limit in route.rateLimits { reasons.append(self.limit(limit, now: now)) }
        if let spec = route.spec.compression { reasons.append(self.compression(spec)) }
        return reasons
    }

    /// What the question says of the answer's form; the rest hangs on the answer.
    private func compression(_ spec: CompressionSpec) -> String {
        var text = ""
        for (index, value) in self.values(of: "accept-encoding").enumerated() {
            text += (index > 0 ? ", " : "") + String(decoding: value, as: UTF8.self)
        }
        let wanted = Self.wanted(text, spec.algorithms)
        guard let wanted else {
            return "the answer goes as it comes: the client takes none of "
                + spec.algorithms.map { "\($0.token)" }.joined(separator: ", ")
        }
        if !spec.credentials, !self.values(of: "cookie").isEmpty || !self.values(of: "authorization").isEmpty {
            return "the answer goes as it comes: the request has credentials"
        }
        return "the answer goes as \(wanted.token) if it is one of \(spec.types.joined(separator: ", ")), "
            + "has \(spec.minimum) bytes or more, and nothing about it forbids that"
    }

    private static func wanted(_ text: String, _ algorithms: [ContentCoding]) -> ContentCoding? {
        let bytes = Array(text.utf8)
        let whole = ByteRange(lower: 0, upper: UInt32(clamping: bytes.count))
        var choice = CodingChoice(identity: AcceptEncoding.identityWeight(in: whole, bytes.span))
        var wanted: ContentCoding?
        for coding in algorithms
        where choice.offer(AcceptEncoding.weight(of: coding.token, alias: coding.alias, in: whole, bytes.span)) {
            wanted = coding
        }
        return wanted
    }

    private func access(_ rule: AddressRule) -> String {
        guard let client = self.client else {
            return "not every client may come: ask with ?client= to see whether one may"
        }
        return switch rule.verdict(on: client) {
        case .allowed(let block?): "the client is allowed by \(block)"
        case .allowed(nil): "no block denies the client"
        case .denied(let block): "the client is denied by \(block): the answer is 403 address-denied"
        case .notAllowed: "the client is in no block of allow: the answer is 403 address-denied"
        }
    }

    private func limit(_ limit: RateLimit, now: UInt64) -> String {
        let name = "limit \"\(limit.spec.name)\""
        if let client = self.client, !limit.holds(for: client) { return "\(name) does not hold for the client" }
        guard let hash = self.hash(limit) else {
            return limit.kind == .user
                ? "\(name) counts by the user"
                : "\(name) counts by the client's address: ask with ?client= to see what is left"
        }
        let verdict = limit.table.preview(hash, limit.rate, now: now &* 1_000_000)
        switch verdict.outcome {
        case .allowed(_, let left): return "\(name): \(left + 1) of \(limit.rate.burst) requests may come at once"
        case .refused(let wait):
            let rest = "used up, the next request may come in \((wait + 999_999) / 1_000_000) ms"
            return limit.isOnTrial ? "\(name), on trial: \(rest)" : "\(name): \(rest), the answer is 429 rate-limited"
        }
    }

    /// Of what the limit counts by; nil: the question does not say it.
    private func hash(_ limit: RateLimit) -> UInt64? {
        let value: ArraySlice<UInt8>?
        switch limit.spec.key {
        case .clientAddress: value = nil
        case .all: return limit.hashOfAll
        case .user: return nil
        case .header(let name): value = self.values(of: name).first { !$0.isEmpty }
        case .cookie(let name): value = self.cookie(name)
        }
        guard let value, !value.isEmpty else { return self.client.map { limit.hash($0) } }
        return limit.hash(Array(value).span)
    }

    private func cookie(_ name: String) -> ArraySlice<UInt8>? {
        self.values(of: "cookie").lazy.compactMap { header in
            let bytes = Array(header)
            let whole = ByteRange(lower: 0, upper: UInt32(clamping: bytes.count))
            return Cookie.value(of: Array(name.utf8), in: bytes.span, whole).map {
                bytes[Int($0.lower)..<Int($0.upper)]
            }
        }.first
    }

    // MARK: what decides about the side

    /// The member of the split that an override names, if this client may name one.
    private func forcedSide(
        _ route: Route, _ entries: [SplitEntry], _ table: RoutingTable, _ reasons: inout [String]
    ) -> Int? {
        guard let spec = route.spec.override else { return nil }
        let values = self.values(of: spec.header).map { String(decoding: $0, as: UTF8.self) }
        guard !values.isEmpty else { return nil }
        guard let name = values.first(where: { name in entries.contains { $0.upstream == name } }),
            let member = entries.firstIndex(where: { $0.upstream == name })
        else {
            reasons.append("field \(spec.header) names no upstream of the split: the weights decide")
            return nil
        }
        let rule = OverrideRule(spec)
        if rule.dependsOnClient {
            guard let client = self.client else {
                reasons.append(
                    "field \(spec.header) is believed by address: ask with ?client= to see whether it counts")
                return nil
            }
            // Who asks here speaks for nobody else, so that the client is the peer too.
            guard rule.admits(client, isPeerTrusted: table.trusted.contains(client)) else {
                reasons.append("field \(spec.header) names \(name), but this client may not choose: the weights decide")
                return nil
            }
        }
        reasons.append("field \(spec.header) names \(name): the weights do not count")
        return member
    }

    private func stickyKey(_ route: Route, _ reasons: inout [String]) -> UInt64? {
        guard let sticky = route.spec.sticky else { return nil }
        if let key = self.hash(sticky) { return key }
        switch sticky {
        case .clientAddress: reasons.append("clients stick by address: ask with ?client= to see the side")
        case .header(let name):
            reasons.append(
                "clients stick by field \(name), and a request without it goes by the weights: ask with ?header= to see the side"
            )
        case .cookie(let name):
            reasons.append(
                "clients stick by cookie \(name), and a request without it goes by the weights: ask with ?header=Cookie:… "
                    + "to see the side")
        }
        return nil
    }

    /// The hash of what a key is made from; nil if the question does not say it, or it is empty.
    private func hash(_ key: HashKey) -> UInt64? {
        let found: ArraySlice<UInt8>?
        switch key {
        case .clientAddress: return self.client.map { KeyHash.hash($0) }
        case .header(let name): found = self.values(of: name).first
        case .cookie(let name): found = self.cookie(name)
        }
        guard let found, !found.isEmpty else { return nil }
        let bytes = Array(found)
        return KeyHash.hash(bytes.span)
    }

    /// Where the request goes, if that is decided by more than the turn it comes at.
    private func side(
        _ route: Route, _ entries: [SplitEntry], forced: Int?, key: UInt64?, now: UInt64, _ reasons: inout [String]
    ) -> String? {
        guard forced != nil || key != nil else { return nil }
        let random = SplitMix64(seed: now)
        var placement = Placement(forced: forced, stickyKey: key)
        var found = placement.preview(route, random: random, now: now)
        if case .needsKey = found.choice {
            // Which endpoint of the side it would be is not told.
            placement.provide(key: 0)
            found = placement.preview(route, random: random, now: now)
        }
        guard let member = found.member, member < entries.count else { return nil }
        let name = entries[member].upstream
        if forced == nil { reasons.append("this client's key lands on \(name), on every replica") }
        switch found.choice {
        case .full: reasons.append("all endpoints of \(name) are at their caps: the request waits in its queue")
        case .none where forced != nil: reasons.append("\(name) has no available endpoint: the answer is 503")
        case .none, .endpoint, .needsKey: break
        }
        return name
    }

    private static func conditions(_ spec: RouteSpec) -> String {
        var parts: [String] = []
        let match = MatchBody(spec.match)
        if !match.host.isEmpty { parts.append("host \(match.host.joined(separator: " or "))") }
        let paths = match.path.map { "prefix \($0)" } + match.exactPath.map { "exactly \($0)" }
        if !paths.isEmpty { parts.append("path \(paths.joined(separator: " or "))") }
        if !match.method.isEmpty { parts.append("method \(match.method.joined(separator: " or "))") }
        if !match.listener.isEmpty { parts.append("listener \(match.listener.joined(separator: " or "))") }
        for header in spec.match.headers {
            parts.append(header.value.map { "field \(header.name) is \"\($0)\"" } ?? "field \(header.name) is present")
        }
        return parts.isEmpty ? "it matches everything" : parts.joined(separator: ", ")
    }
}
