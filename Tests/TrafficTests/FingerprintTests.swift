import Testing
import Traffic

/// Tables that differ in one property have different fingerprints, whichever property it is. `TableTests` counts the properties:
/// who adds one to a specification adds it to its digest, to that count and here.
@Suite("What a table's fingerprint tells apart")
struct FingerprintTests {
    private typealias Change = (inout TableSpec) -> Void

    /// One of every part that there is.
    private func base() -> TableSpec {
        var core = Tables.upstream("core", endpoints: 1)
        core.names = [EndpointName(host: "core", port: 80, position: 0)]
        core.health = ProbeSpec()
        core.tls = UpstreamTLS()
        var route = RouteSpec(name: "api", action: .split([SplitEntry(upstream: "core", weight: 1)]))
        route.match.headers = [HeaderMatch(name: "a", value: "b")]
        route.override = OverrideSpec(header: "a")
        route.requestHeaders.set = [HeaderSetting(name: "a", value: "b")]
        route.rateLimits = [RateLimitSpec(name: "a", key: .all, rate: RateSpec(interval: 5, burst: 5))]
        route.basicAuth = BasicAuthSpec(realm: "a")
        route.basicAuth?.users = [UserSpec(name: "a", hash: "b")]
        route.compression = CompressionSpec()
        route.migration = MigrationTraffic(name: "plan", from: 0, to: 0)
        var spec = TableSpec()
        spec.tracing = TracingSpec(endpoint: "http://a/")
        spec.upstreams = [core]
        spec.routes = [route, RouteSpec(name: "old", action: .redirect(RedirectSpec()))]
        return spec
    }

    private func numbers<Part>(
        _ part: WritableKeyPath<TableSpec, Part>, _ properties: WritableKeyPath<Part, UInt32>...
    ) -> [Change] {
        properties.map { property in { $0[keyPath: part][keyPath: property] += 1 } }
    }

    private func list(_ changes: Change...) -> [Change] { changes }

    /// Of one kind of part, a change of each of its properties.
    private var kinds: [(sample: Any, changes: [Change])] {
        let block = AddressBlock(base: IPAddress(v4: 0x0A00_0000), prefixLength: 104)
        let file = NamedFile(path: "/a")
        var kinds: [(sample: Any, changes: [Change])] = []
        func add(_ sample: Any, _ changes: [Change]) { kinds.append((sample, changes)) }
        add(
            TableSpec(),
            self.list(
                { $0.timeouts.drain = 7 }, { $0.limits.body = 7 }, { $0.buffering.request = 7 },
                { $0.forwarding.via = "seven" }, { $0.explainErrors = false }, { $0.tracing = nil },
                { $0.upstreams = [] }, { $0.routes.removeLast() }))
        add(
            TracingSpec(endpoint: ""),
            self.list(
                { $0.tracing?.endpoint = "http://b/" }, { $0.tracing?.sample = 0.5 }, { $0.tracing?.service = "c" }))
        add(
            Timeouts(),
            self.numbers(
                \.timeouts, \.proxyHeader, \.tlsHandshake, \.requestHeader, \.requestBodyIdle, \.connect,
                \.responseHeader, \.responseBodyIdle, \.keepAlive, \.upstreamIdle, \.upstreamLifetime,
                \.tunnelIdle, \.tunnelHalfClosed, \.linger, \.queue, \.connectionLifetime, \.http2Ping, \.drain))
        add(
            Limits(),
            self.numbers(
                \.limits, \.requestLine, \.headerBytes, \.headerCount, \.requestBodyRate, \.connections,
                \.connectionsPerClient, \.interimResponses, \.chunkExtensionBytes, \.trailerBytes)
                + self.list(
                    { $0.limits.body += 1 }, { $0.limits.buffered += 1 }, { $0.limits.http2.resets = 7 },
                    { $0.limits.tls.handshakes = 7 }))
        add(
            HTTP2LimitsSpec(),
            self.numbers(
                \.limits.http2, \.concurrentStreams, \.resets, \.unsentControl, \.streamWindow, \.connectionWindow))
        add(TLSLimits(), self.numbers(\.limits.tls, \.handshakes, \.handshakesPerClient, \.handshakesPerTurn))
        add(BufferingSpec(), self.numbers(\.buffering, \.request))
        add(
            ForwardingSpec(),
            self.numbers(\.forwarding, \.maxPasses)
                + self.list(
                    { $0.forwarding.trustedProxies = [block] }, { $0.forwarding.via = "" },
                    { $0.forwarding.forwarded = true }, { $0.forwarding.xForwarded = false },
                    { $0.forwarding.requestID = false }, { $0.forwarding.clientCertificate = true },
                    { $0.forwarding.underscores = .keep }))
        add(
            UpstreamSpec(name: ""),
            self.numbers(
                \.upstreams[0], \.slowStart, \.maxConnections, \.maxOutstanding, \.queueLength, \.idleConnections)
                + self.list(
                    { $0.upstreams[0].name = "other" }, { $0.upstreams[0].endpoints[0].port += 1 },
                    { $0.upstreams[0].names = [] }, { $0.upstreams[0].discovery = .srv(NameLookup(name: "a")) },
                    { $0.upstreams[0].balance = .roundRobin }, { $0.upstreams[0].health = nil },
                    { $0.upstreams[0].passive.enabled = false }, { $0.upstreams[0].retry.attempts = 5 },
                    { $0.upstreams[0].sendProxyProtocol = 1 }, { $0.upstreams[0].tls = nil }))
        add(
            EndpointName(host: "", port: 0, position: 0),
            self.list(
                { $0.upstreams[0].names[0].host = "other" }, { $0.upstreams[0].names[0].port += 1 },
                { $0.upstreams[0].names[0].position += 1 }))
        add(RetrySpec(), self.numbers(\.upstreams[0].retry, \.attempts, \.budgetPercent, \.minimumPerSecond))
        add(
            ProbeSpec(),
            self.list(
                { $0.upstreams[0].health?.method = "HEAD" }, { $0.upstreams[0].health?.path = "/a" },
                { $0.upstreams[0].health?.host = "a" }, { $0.upstreams[0].health?.interval += 1 },
                { $0.upstreams[0].health?.timeout += 1 }, { $0.upstreams[0].health?.rise += 1 },
                { $0.upstreams[0].health?.fall += 1 }, { $0.upstreams[0].health?.expectedStatus = [200...398] },
                { $0.upstreams[0].health?.expectedBody = "nil" }))
        add(
            PassiveSpec(),
            self.numbers(
                \.upstreams[0].passive, \.consecutiveFailures, \.failureRate, \.minimumRequests, \.window,
                \.baseEjection, \.maxEjection, \.maxEjectedShare)
                + self.list({
                    $0.upstreams[0].passive.enabled = false
                    $0.explainErrors = false
                }))
        add(
            UpstreamTLS(),
            self.list(
                { $0.upstreams[0].tls?.authorities = file }, { $0.upstreams[0].tls?.serverName = "a" },
                { $0.upstreams[0].tls?.isVerified = false }, { $0.upstreams[0].tls?.chain = file },
                { $0.upstreams[0].tls?.key = file }, { $0.upstreams[0].tls?.minimumVersion = .v13 }))
        add(
            RouteSpec(name: "", action: .respond(status: 404)),
            self.list(
                { $0.routes[0].name = "other" }, { $0.routes[0].match.methods = ["A"] },
                { $0.routes[0].action = .respond(status: 404) }, { $0.routes[0].sticky = .clientAddress },
                { $0.routes[0].failover = false }, { $0.routes[0].reserve = ["core"] },
                { $0.routes[0].override = nil }, { $0.routes[0].upgrade = [] },
                { $0.routes[0].pathRewrite = .strip("/a") }, { $0.routes[0].hostRewrite = .endpoint },
                { $0.routes[0].requestHeaders.set = [] },
                { $0.routes[0].responseHeaders.set = [HeaderSetting(name: "a", value: "b")] },
                { $0.routes[0].timeouts.drain += 1 }, { $0.routes[0].limits.body += 1 },
                { $0.routes[0].buffering.request += 1 }, { $0.routes[0].access.allow = [] },
                { $0.routes[0].rateLimits = [] }, { $0.routes[0].basicAuth = nil },
                { $0.routes[0].compression = nil }, { $0.routes[0].migration = nil },
                { $0.routes[0].watchedMember = 0 }))
        add(
            MigrationTraffic(name: "", from: 0, to: 0),
            self.list(
                { $0.routes[0].migration?.name = "c" }, { $0.routes[0].migration?.from += 1 },
                { $0.routes[0].migration?.to += 1 }, { $0.routes[0].migration?.epoch += 1 },
                { $0.routes[0].migration?.stage += 1 }, { $0.routes[0].migration?.mirrorShare += 1 },
                { $0.routes[0].migration?.settle += 1 }, { $0.routes[0].migration?.mirror.methods = ["GET"] }))
        add(
            MirrorSpec(),
            self.list(
                { $0.routes[0].migration?.mirror.methods = [] }, { $0.routes[0].migration?.mirror.except = ["/c"] },
                { $0.routes[0].migration?.mirror.drop = ["c"] }, { $0.routes[0].migration?.mirror.perSecond += 1 },
                { $0.routes[0].migration?.mirror.connections += 1 }, { $0.routes[0].migration?.mirror.queue += 1 },
                { $0.routes[0].migration?.mirror.memory += 1 }, { $0.routes[0].migration?.mirror.timeout += 1 }))
        add(
            SplitEntry(upstream: "", weight: 0),
            self.list(
                { $0.routes[0].action = .split([SplitEntry(upstream: "other", weight: 1)]) },
                { $0.routes[0].action = .split([SplitEntry(upstream: "core", weight: 2)]) }))
        add(
            RedirectSpec(),
            self.list(
                { $0.redirect { $0.status = 301 } }, { $0.redirect { $0.scheme = "a" } },
                { $0.redirect { $0.host = "a" } }, { $0.redirect { $0.path = "a" } }))
        add(
            MatchSpec(),
            self.list(
                { $0.routes[0].match.hosts = [.exact("a")] }, { $0.routes[0].match.paths = [.exact("a")] },
                { $0.routes[0].match.methods = ["a"] }, { $0.routes[0].match.listeners = ["a"] },
                { $0.routes[0].match.headers = [] }, { $0.routes[0].match.ignoreCase = true },
                { $0.routes[0].match.normalise = true }))
        add(
            HeaderMatch(name: "", value: nil),
            self.list({ $0.routes[0].match.headers[0].name = "c" }, { $0.routes[0].match.headers[0].value = nil }))
        add(
            OverrideSpec(header: ""),
            self.list(
                { $0.routes[0].override?.header = "c" }, { $0.routes[0].override?.trustedOnly = true },
                { $0.routes[0].override?.trusted = [block] }))
        add(
            HeaderEdits(),
            self.list(
                { $0.routes[0].requestHeaders.set += [HeaderSetting(name: "a", value: "b")] },
                { $0.routes[0].requestHeaders.remove = ["a"] }))
        add(
            HeaderSetting(name: "", value: ""),
            self.list(
                { $0.routes[0].requestHeaders.set[0].name = "c" },
                { $0.routes[0].requestHeaders.set[0].value = "c" }))
        add(AccessSpec(), self.list({ $0.routes[0].access.allow = [block] }, { $0.routes[0].access.deny = [block] }))
        add(
            RateLimitSpec(name: "", key: .all, rate: RateSpec(interval: 1, burst: 1)),
            self.list(
                { $0.routes[0].rateLimits[0].name = "c" }, { $0.routes[0].rateLimits[0].key = .user },
                { $0.routes[0].rateLimits[0].rate = RateSpec(interval: 6, burst: 5) },
                { $0.routes[0].rateLimits[0].ipv4Prefix -= 1 }, { $0.routes[0].rateLimits[0].ipv6Prefix -= 1 },
                { $0.routes[0].rateLimits[0].entries += 1 }, { $0.routes[0].rateLimits[0].telling = .always },
                { $0.routes[0].rateLimits[0].dryRun = true }, { $0.routes[0].rateLimits[0].except = [block] }))
        add(
            BasicAuthSpec(realm: ""),
            self.list(
                { $0.routes[0].basicAuth?.realm = "c" }, { $0.routes[0].basicAuth?.users = [] },
                { $0.routes[0].basicAuth?.file = file }, { $0.routes[0].basicAuth?.forwards = true },
                { $0.routes[0].basicAuth?.userHeader = "c" }))
        add(
            CompressionSpec(),
            self.list(
                { $0.routes[0].compression?.algorithms = [.gzip] }, { $0.routes[0].compression?.minimum += 1 },
                { $0.routes[0].compression?.types = [] }, { $0.routes[0].compression?.credentials = false },
                { $0.routes[0].compression?.level = 1 }))
        add(
            NameLookup(name: ""),
            self.list(
                { $0.lookup { $0.name = "c" } }, { $0.lookup { $0.interval += 1 } },
                { $0.lookup { $0.resolver = Tables.address(1) } }, { $0.lookup { $0.staleFor = 1 } }))
        add(
            EndpointSliceLookup(service: "", port: .number(0)),
            self.list(
                { $0.slices { $0.service = "c" } }, { $0.slices { $0.namespace = "c" } },
                { $0.slices { $0.port = .name("80") } }, { $0.slices { $0.server = "http://c" } },
                { $0.slices { $0.tokenFile = "/c" } }, { $0.slices { $0.caFile = "/c" } }))
        return kinds
    }

    /// Cases of enumerations beside those above.
    private var cases: [Change] {
        self.list(
            { _ in },
            { $0.forwarding.underscores = .refuse },
            { $0.upstreams[0].balance = .consistentHash(.clientAddress) },
            { $0.upstreams[0].balance = .consistentHash(.header("a")) },
            { $0.upstreams[0].balance = .consistentHash(.cookie("a")) },
            { $0.upstreams[0].discovery = .dns(NameLookup(name: "a"), port: 80) },
            { $0.upstreams[0].discovery = .dns(NameLookup(name: "a"), port: 81) },
            { $0.slices { _ in } },
            { $0.upstreams[0].tls?.key = NamedFile(path: "/b") },
            {
                $0.upstreams[0].tls?.key = NamedFile(path: "/b")
                $0.upstreams[0].tls?.key?.bytes = [1]
            },
            { $0.routes[0].action = .respond(status: 410) },
            { $0.routes[0].sticky = .header("a") },
            { $0.routes[0].sticky = .cookie("a") },
            { $0.routes[0].pathRewrite = .replace(prefix: "/a", with: "") },
            { $0.routes[0].pathRewrite = .replace(prefix: "/a", with: "/b") },
            { $0.routes[0].hostRewrite = .literal("a") },
            { $0.routes[0].match.hosts = [.suffix("a")] },
            { $0.routes[0].match.paths = [.prefix("a")] },
            { $0.routes[0].rateLimits[0].key = .clientAddress },
            { $0.routes[0].rateLimits[0].key = .header("a") },
            { $0.routes[0].rateLimits[0].key = .cookie("a") },
            { $0.routes[0].rateLimits[0].rate = RateSpec(interval: 5, burst: 6) },
            { $0.routes[0].rateLimits[0].telling = .never },
            { $0.routes[0].basicAuth?.users[0].name = "c" },
            { $0.routes[0].basicAuth?.users[0].hash = "c" },
            { $0.routes.swapAt(0, 1) })
    }

    @Test("Every property shows by itself")
    func properties() {
        var seen: [String: String] = [:]
        func look(_ change: Change, _ words: String) {
            var spec = self.base()
            change(&spec)
            let fingerprint = RoutingTable(spec: spec, generation: 1, registry: EndpointRegistry()).fingerprint
            if let other = seen[fingerprint] { Issue.record("\(words) and \(other) are one") }
            seen[fingerprint] = words
        }
        for (number, change) in self.cases.enumerated() { look(change, "case \(number)") }
        for (sample, changes) in self.kinds {
            for (number, change) in changes.enumerated() { look(change, "\(type(of: sample)), change \(number)") }
        }
    }
}

extension TableSpec {
    fileprivate mutating func redirect(_ change: (inout RedirectSpec) -> Void) {
        var redirect = RedirectSpec()
        change(&redirect)
        self.routes[1].action = .redirect(redirect)
    }

    fileprivate mutating func lookup(_ change: (inout NameLookup) -> Void) {
        var lookup = NameLookup(name: "a")
        change(&lookup)
        self.upstreams[0].discovery = .dns(lookup, port: 7)
    }

    fileprivate mutating func slices(_ change: (inout EndpointSliceLookup) -> Void) {
        var lookup = EndpointSliceLookup(service: "a", port: .number(80))
        change(&lookup)
        self.upstreams[0].discovery = .endpointSlices(lookup)
    }
}
