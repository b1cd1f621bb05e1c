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

/// "Where would this request go, and why?" Answered by the very table that the workers route by.
struct RouteQuestion: Sendable {
    var host: String
    var path: String
    var method: String
    var headers: [(name: String, value: String)]
    var client: IPAddress?

    /// `headers` are `Name: value` texts. Throws what is wrong with them.
    init(host: String, path: String, method: String, headers: [String], client: String?) throws(ChangeRefused) {
        self.host = host
        self.path = path
        self.method = method
        var problems: [ControlProblem] = []
        self.headers = []
        for header in headers {
            guard let colon = header.firstIndex(of: ":"), colon != header.startIndex else {
                problems.append(ControlProblem(path: "?header", message: "expected Name: value, found \"\(header)\""))
                continue
            }
            // Blanks around a value are no part of it (RFC 9112 5.1).
            let value = Self.trimmed(header[header.index(after: colon)...])
            self.headers.append((String(header[..<colon]), String(value)))
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

    func answer(_ table: RoutingTable, now: UInt64) -> Explanation {
        guard let route = self.match(table) else {
            return Explanation(
                generation: table.generation, route: nil,
                reasons: ["none of the \(table.routes.count) routes matches: the answer is 404"], shares: [],
                upstream: nil)
        }
        var reasons = ["route \"\(route.name)\" is the most specific one that matches: \(Self.conditions(route.spec))"]
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
            entries, failover: route.spec.failover, upstreams: table.upstreamsByName, now: now)
        for share in shares where share.weight > 0 && !share.available {
            reasons.append(
                route.spec.failover
                    ? "\(share.upstream) has no available endpoint: its share goes to the others"
                    : "\(share.upstream) has no available endpoint, and failover is off: its share is answered 503")
        }
        if shares.allSatisfy({ $0.effectiveShare == 0 }) { reasons.append("no side can serve: the answer is 503") }
        let upstream = self.stickySide(route, shares: shares, reasons: &reasons)
        return Explanation(
            generation: table.generation, route: route.name, reasons: reasons, shares: shares, upstream: upstream)
    }

    private static func trimmed(_ value: Substring) -> Substring {
        var value = value.drop { $0 == " " || $0 == "\t" }
        while let last = value.last, last == " " || last == "\t" { value.removeLast() }
        return value
    }

    private func match(_ table: RoutingTable) -> Route? {
        var bytes: [UInt8] = []
        var fields: [FieldReference] = []
        for header in self.headers {
            let nameLower = UInt32(clamping: bytes.count)
            bytes += Array(header.name.utf8)
            let nameUpper = UInt32(clamping: bytes.count)
            bytes += Array(header.value.utf8)
            fields.append(
                FieldReference(
                    nameLower: nameLower, nameUpper: nameUpper, valueLower: nameUpper,
                    valueUpper: UInt32(clamping: bytes.count)))
        }
        let method = Array(self.method.utf8)
        let host = Array(self.host.utf8)
        let path = Array(self.path.prefix { $0 != "?" }.utf8)
        let index = table.match(
            method: method.span, host: host.span, path: path.span, bytes: bytes.span, fields: fields.span)
        return index.map { table.routes[$0] }
    }

    private func stickySide(_ route: Route, shares: [UpstreamShare], reasons: inout [String]) -> String? {
        guard let sticky = route.spec.sticky, let split = route.split else { return nil }
        let key: UInt64
        switch sticky {
        case .clientAddress:
            guard let client = self.client else {
                reasons.append("clients stick by address: ask with ?client= to see the side")
                return nil
            }
            key = KeyHash.hash(client)
        case .header(let name):
            guard let header = self.headers.first(where: { $0.name.lowercased() == name }) else {
                reasons.append("clients stick by field \(name): ask with ?header= to see the side")
                return nil
            }
            let value = Array(header.value.utf8)
            key = KeyHash.hash(value.span)
        case .cookie(let name):
            reasons.append("clients stick by cookie \(name)")
            return nil
        }
        var available: UInt64 = 0
        for (index, share) in shares.enumerated() where index < 64 && (share.available || !route.spec.failover) {
            available |= 1 << UInt64(index)
        }
        guard let member = split.rendezvous(key: key, available: available), member < shares.count else { return nil }
        reasons.append("this client's key lands on \(shares[member].upstream), on every replica")
        return shares[member].upstream
    }

    private static func conditions(_ spec: RouteSpec) -> String {
        var parts: [String] = []
        let match = MatchBody(spec.match)
        if !match.host.isEmpty { parts.append("host \(match.host.joined(separator: " or "))") }
        let paths = match.path.map { "prefix \($0)" } + match.exactPath.map { "exactly \($0)" }
        if !paths.isEmpty { parts.append("path \(paths.joined(separator: " or "))") }
        if !match.method.isEmpty { parts.append("method \(match.method.joined(separator: " or "))") }
        for header in spec.match.headers {
            parts.append(header.value.map { "field \(header.name) is \"\($0)\"" } ?? "field \(header.name) is present")
        }
        return parts.isEmpty ? "it matches everything" : parts.joined(separator: ", ")
    }
}
