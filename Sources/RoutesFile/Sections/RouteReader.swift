import JSONText
import Traffic

/// Reads one route, over the deadlines and limits of the top level.
struct RouteReader {
    /// In declared order; a split names some of them. nil: not known, any name may be right.
    let upstreams: [String]?
    private let known: Set<String>
    /// Names that a match may ask for; nil: not known, any may be right.
    let listeners: [String]?
    let timeouts: Timeouts
    let limits: Limits
    let buffering: BufferingSpec

    init(
        upstreams: [String]?, listeners: [String]?, timeouts: Timeouts, limits: Limits, buffering: BufferingSpec
    ) {
        self.upstreams = upstreams
        self.known = Set(upstreams ?? [])
        self.listeners = listeners
        self.timeouts = timeouts
        self.limits = limits
        self.buffering = buffering
    }

    /// What only a request that goes to an upstream needs.
    private static let splitOnly = [
        "sticky", "failover", "reserve", "override", "upgrade", "rewrite", "host", "requestHeaders", "responseHeaders",
        "buffering", "basicAuth", "compression",
    ]

    /// `position` counts from 1 and names a route that has no name.
    func read(_ node: Node, position: Int) -> RouteSpec? {
        guard let section = node.section(.route) else { return nil }
        var route = RouteSpec(name: "route-\(position)", action: self.action(section))
        section.read("name", into: &route.name) { $0.name() }
        // What must not be public must not become so by another spelling.
        if case .respond(403) = route.action { route.match.normalise = true }
        if case .respond(404) = route.action { route.match.normalise = true }
        if let match = section["match"] { MatchReader.read(match, listeners: self.listeners, into: &route.match) }
        section.read("sticky", into: &route.sticky) { $0.hashKey() }
        section.read("failover", into: &route.failover) { $0.bool() }
        section.read("reserve", into: &route.reserve) { self.reserve($0, of: route.action) }
        section.read("override", into: &route.override) { self.override($0) }
        section.read("upgrade", into: &route.upgrade) { self.upgrade($0) }
        let paths = route.match.paths
        section.read("rewrite", into: &route.pathRewrite) { self.pathRewrite($0, paths: paths) }
        section.read("host", into: &route.hostRewrite) { self.hostRewrite($0) }
        section.read("requestHeaders", into: &route.requestHeaders) { HeaderEditsReader.read($0) }
        let compresses = section.has("compression")
        section.read("responseHeaders", into: &route.responseHeaders) {
            HeaderEditsReader.read($0, compresses: compresses)
        }
        route.timeouts = self.timeouts
        if let timeouts = section["timeouts"]?.section(.routeTimeouts) { timeouts.readTimeouts(into: &route.timeouts) }
        route.limits = self.limits
        if let limits = section["limits"]?.section(.routeLimits) { limits.readLimits(into: &route.limits) }
        route.buffering = self.buffering
        if let buffering = section["buffering"]?.section(.buffering) { buffering.readBuffering(into: &route.buffering) }
        section.readAccess(into: &route.access)
        section.read("rateLimit", into: &route.rateLimits) { RateLimitReader.read($0) }
        let headers = route.requestHeaders
        section.read("basicAuth", into: &route.basicAuth) { BasicAuthReader.read($0, headers: headers) }
        section.read("compression", into: &route.compression) { CompressionReader.read($0) }
        if route.basicAuth == nil, !section.has("basicAuth"), route.rateLimits.contains(where: { $0.key == .user }) {
            section["rateLimit"]?.fail("counts by user, and the route has no \"basicAuth\"")
        }
        return route
    }

    // MARK: split, redirect or respond

    private func action(_ section: Section) -> RouteAction {
        let given = ["split", "redirect", "respond"].compactMap { section[$0] }
        if given.isEmpty { section.fail("expected \"split\", \"redirect\" or \"respond\"") }
        for surplus in given.dropFirst() {
            surplus.fail("a route has one of \"split\", \"redirect\" and \"respond\", not both")
        }
        guard given.count == 1 else { return .split([]) }
        if let split = section["split"] { return .split(self.split(split)) }
        let isRedirect = section.has("redirect")
        for key in Self.splitOnly {
            section[key]?.fail("has no meaning on a route that \(isRedirect ? "redirects" : "answers by itself")")
        }
        return isRedirect ? .redirect(self.redirect(given[0])) : .respond(status: self.respond(given[0]))
    }

    private func respond(_ node: Node) -> UInt16 {
        var status: UInt16 = 404
        guard let section = node.section(.respond) else { return status }
        section.read("status", into: &status) { $0.status(among: [403, 404, 410, 503], "403, 404, 410 or 503") }
        return status
    }

    private func split(_ node: Node) -> [SplitEntry] {
        // One bit per member in the masks that routing works with.
        guard let members = node.members("an object of weights by upstream", maximum: 64) else { return [] }
        if members.isEmpty { node.fail("expected at least one upstream with its weight") }
        return members.compactMap { name, node in
            if let upstreams = self.upstreams, !self.known.contains(name) {
                node.fail("unknown upstream" + Suggestion.text(for: name, among: upstreams))
            }
            return node.integer(0...Split.maximumWeight).map { SplitEntry(upstream: name, weight: $0) }
        }
    }

    private func redirect(_ node: Node) -> RedirectSpec {
        var redirect = RedirectSpec()
        guard let section = node.section(.redirect) else { return redirect }
        section.read("status", into: &redirect.status) {
            $0.status(among: [301, 302, 303, 307, 308], "301, 302, 303, 307 or 308")
        }
        section.read("scheme", into: &redirect.scheme) { $0.word([("http", "http"), ("https", "https")]) }
        section.read("host", into: &redirect.host) { $0.authority() }
        section.read("path", into: &redirect.path) { $0.requestPath() }
        if !["scheme", "host", "path"].contains(where: section.has) {
            section.fail("would redirect to where the request came from: expected \"scheme\", \"host\" or \"path\"")
        }
        return redirect
    }

    // MARK: what happens on the way

    /// Upstreams of the split, each once.
    private func reserve(_ node: Node, of action: RouteAction) -> [String]? {
        guard case .split(let entries) = action,
            let nodes = node.elements(
                "a list of the split's upstreams such as [\"core\"]", maximum: Split.maximumMembers)
        else { return nil }
        let names = entries.map(\.upstream)
        var reserve: [String] = []
        for node in nodes {
            guard let name = node.string("the name of an upstream of the split") else { continue }
            if !names.contains(name) {
                node.fail("\(name.quoted) is no upstream of the split" + Suggestion.text(for: name, among: names))
            } else if reserve.contains(name) {
                node.fail("\(name.quoted) was already given")
            } else {
                reserve.append(name)
            }
        }
        return reserve
    }

    private func override(_ node: Node) -> OverrideSpec? {
        guard let section = node.section(.override) else { return nil }
        var override = OverrideSpec(header: "x-balancer-upstream")
        section.read("header", into: &override.header) { $0.editableFieldName()?.lowercased() }
        section.read("trustedOnly", into: &override.trustedOnly) { $0.bool() }
        section.read("from", into: &override.trusted) { $0.addressBlocks() }
        return override
    }

    private func upgrade(_ node: Node) -> [String]? {
        node.elements("a list of protocols such as [\"websocket\"]", maximum: 16)?.compactMap { node in
            guard let token = node.token("a protocol such as \"websocket\"")?.lowercased() else { return nil }
            // HTTP/2 in a tunnel would carry requests past every rule of this balancer.
            if token == "h2c" || token == "h2" {
                node.fail("HTTP/2 is not tunnelled: its requests would pass unseen")
                return nil
            }
            return token
        }
    }

    /// `paths`: what the route matches; empty: every path.
    private func pathRewrite(_ node: Node, paths: [PathPattern]) -> PathRewrite? {
        guard let section = node.section(.rewrite) else { return nil }
        switch (section["strip"], section["replace"]) {
        case (let strip?, nil): return self.prefix(strip, paths: paths).map { .strip($0) }
        case (nil, let replace?):
            guard let section = replace.section(.replace) else { return nil }
            let prefix = section.required("prefix").flatMap { self.prefix($0, paths: paths) }
            let with = section.required("with")?.requestPath()
            guard let prefix, let with else { return nil }
            return .replace(prefix: prefix, with: with)
        case (nil, nil): section.fail("expected \"strip\" or \"replace\"")
        case (_?, _?): section.fail("expected \"strip\" or \"replace\", not both")
        }
        return nil
    }

    /// A prefix that at least some of the matched paths can have; paths without it are passed on as they are.
    private func prefix(_ node: Node, paths: [PathPattern]) -> String? {
        guard let prefix = node.requestPath() else { return nil }
        let isPossible =
            paths.isEmpty
            || paths.contains { pattern in
                switch pattern {
                case .exact(let path): Self.begins(path, with: prefix)
                case .prefix(let path): Self.begins(path, with: prefix) || Self.begins(prefix, with: path)
                }
            }
        if !isPossible { node.fail("no path that the route matches begins with \(prefix.quoted)") }
        return prefix
    }

    /// On a segment border, as paths are matched.
    private static func begins(_ path: String, with prefix: String) -> Bool {
        guard path.utf8.starts(with: prefix.utf8) else { return false }
        return prefix.hasSuffix("/") || path.utf8.count == prefix.utf8.count
            || path.utf8.dropFirst(prefix.utf8.count).first == UInt8(ascii: "/")
    }

    private func hostRewrite(_ node: Node) -> HostRewrite? {
        if case .object = node.value.content {
            return node.section(.hostRewrite)?.required("literal")?.authority().map { .literal($0) }
        }
        guard case .string = node.value.content else {
            node.failExpecting("\"keep\", \"endpoint\" or {\"literal\": …}")
            return nil
        }
        return node.word([("keep", .keep), ("endpoint", .endpoint)])
    }
}

extension Node {
    fileprivate func status(among allowed: [UInt16], _ expectation: String) -> UInt16? {
        guard case .number(let digits) = self.value.content, let status = UInt16(digits), allowed.contains(status)
        else {
            self.failExpecting(expectation)
            return nil
        }
        return status
    }
}
