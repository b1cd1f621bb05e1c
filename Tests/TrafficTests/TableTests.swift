import Testing
import Traffic

@Suite("A routing table")
struct TableTests {
    private func spec() -> TableSpec {
        var spec = TableSpec()
        spec.upstreams = [Tables.upstream("core", endpoints: 1), Tables.upstream("gateway", endpoints: 2)]
        var route = RouteSpec(
            name: "api",
            action: .split([SplitEntry(upstream: "gateway", weight: 10), SplitEntry(upstream: "core", weight: 90)]))
        route.sticky = .cookie("id")
        spec.routes = [route, RouteSpec(name: "old", action: .redirect(RedirectSpec()))]
        spec.forwarding.trustedProxies = [AddressBlock(base: IPAddress(v4: 0x0A00_0000), prefixLength: 104)]
        return spec
    }

    private func fingerprint(_ spec: TableSpec) -> String {
        RoutingTable(spec: spec, generation: 1, registry: EndpointRegistry()).fingerprint
    }

    @Test("Names and indices lead to the same things")
    func lookups() throws {
        let table = RoutingTable(spec: self.spec(), generation: 7, registry: EndpointRegistry())
        #expect(table.generation == 7)
        let route = try #require(table.route(named: "api"))
        #expect(table.routes[route.index] === route)
        #expect(route.isSticky)
        #expect(route.split?.entries.map { table.upstreams[$0.upstream].name } == ["gateway", "core"])
        #expect(route.split?.entries.map(\.weight) == [10, 90])
        #expect(table.route(named: "old")?.split == nil)
        #expect(table.upstream(named: "gateway")?.endpoints.count == 2)
        #expect(table.upstream(named: "gateway")?.index == 1)
        #expect(table.route(named: "core") == nil)
        #expect(table.upstream(named: "api") == nil)
        #expect(table.trusted.contains(IPAddress(v4: 0x0A01_0101)))
    }

    @Test("The empty table matches nothing")
    func empty() {
        #expect(Probe().match(Tables.table([])) == nil)
    }

    @Test("Equal specifications have equal fingerprints, whatever the generation")
    func equalFingerprints() {
        let other = RoutingTable(spec: self.spec(), generation: 99, registry: EndpointRegistry())
        #expect(self.fingerprint(self.spec()) == other.fingerprint)
        #expect(other.fingerprint.utf8.count == 32)
    }

    @Test("Every property of a specification is part of the fingerprint: who adds one adds it there and here")
    func properties() {
        let counts: [(Any, Int)] = [
            (TableSpec(), 8), (Timeouts(), 17), (Limits(), 14), (HTTP2LimitsSpec(), 5), (TLSLimits(), 3),
            (BufferingSpec(), 1),
            (ForwardingSpec(), 8),
            (UpstreamSpec(name: ""), 16), (UpstreamTLS(), 6), (RetrySpec(), 3), (ProbeSpec(), 10), (PassiveSpec(), 8),
            (RouteSpec(name: "", action: .respond(status: 404)), 21), (CompressionSpec(), 5),
            (SplitEntry(upstream: "", weight: 0), 2),
            (RedirectSpec(), 4), (MatchSpec(), 7), (HeaderMatch(name: "", value: nil), 2),
            (OverrideSpec(header: ""), 3), (AccessSpec(), 2),
            (RateLimitSpec(name: "", key: .all, rate: RateSpec(interval: 1, burst: 1)), 9), (HeaderEdits(), 2),
            (HeaderSetting(name: "", value: ""), 2), (BasicAuthSpec(realm: ""), 5),
            (TracingSpec(endpoint: ""), 4), (MigrationTraffic(name: "", from: 0, to: 1), 8), (MirrorSpec(), 10),
        ]
        for (value, count) in counts {
            #expect(Mirror(reflecting: value).children.count == count, "\(type(of: value))")
        }
    }

    @Test("Any difference shows in the fingerprint")
    func fingerprints() {
        let changes: [(inout TableSpec) -> Void] = [
            { _ in },
            { $0.explainErrors = false },
            { $0.tracing = TracingSpec(endpoint: "http://a/") },
            { $0.tracing = TracingSpec(endpoint: "http://b/") },
            {
                $0.tracing = TracingSpec(endpoint: "http://a/")
                $0.tracing?.sample = 0.5
            },
            {
                $0.tracing = TracingSpec(endpoint: "http://a/")
                $0.tracing?.service = "a"
            },
            {
                $0.tracing = TracingSpec(endpoint: "http://a/")
                $0.tracing?.caFile = "/ca.pem"
            },
            { $0.timeouts.drain += 1 },
            { $0.limits.body += 1 },
            { $0.limits.mirrorBody += 1 },
            { $0.buffering.request = 1 },
            { $0.limits.tls.handshakes += 1 },
            { $0.limits.tls.handshakesPerClient += 1 },
            { $0.limits.tls.handshakesPerTurn += 1 },
            { $0.forwarding.clientCertificate = true },
            { $0.forwarding.underscores = .refuse },
            { $0.routes[0].match.normalise = true },
            { $0.routes[0].buffering.request = 1 },
            { $0.routes[0].access.allow = [] },
            { $0.routes[0].access.deny = $0.forwarding.trustedProxies },
            { $0.routes[0].access.allow = $0.forwarding.trustedProxies },
            { $0.routes[0].rateLimits = [RateLimitSpec(name: "a", key: .all, rate: RateSpec(interval: 1, burst: 1))] },
            {
                $0.routes[0].rateLimits = [
                    RateLimitSpec(name: "a", key: .clientAddress, rate: RateSpec(interval: 1, burst: 1))
                ]
            },
            { $0.routes[0].rateLimits = [RateLimitSpec(name: "a", key: .all, rate: RateSpec(interval: 1, burst: 2))] },
            { $0.routes[0].compression = CompressionSpec() },
            { $0.routes[0].migration = MigrationTraffic(name: "a", from: 0, to: 1) },
            { $0.routes[0].migration = MigrationTraffic(name: "b", from: 0, to: 1) },
            { $0.routes[0].migration = MigrationTraffic(name: "a", from: 1, to: 0) },
            {
                $0.routes[0].migration = MigrationTraffic(name: "a", from: 0, to: 1)
                $0.routes[0].migration?.epoch = 1
            },
            {
                $0.routes[0].migration = MigrationTraffic(name: "a", from: 0, to: 1)
                $0.routes[0].migration?.stage = 1
            },
            {
                $0.routes[0].migration = MigrationTraffic(name: "a", from: 0, to: 1)
                $0.routes[0].migration?.mirrorShare = 1
            },
            { $0.routes[0].watchedMember = 0 },
            { $0.routes[0].watchedMember = 1 },
            {
                $0.routes[0].migration = MigrationTraffic(name: "a", from: 0, to: 1)
                $0.routes[0].migration?.mirror.methods = ["GET"]
            },
            {
                $0.routes[0].compression = CompressionSpec()
                $0.routes[0].compression?.level = 1
            },
            {
                $0.routes[0].compression = CompressionSpec()
                $0.routes[0].compression?.algorithms = [.brotli]
            },
            { $0.routes[0].basicAuth = BasicAuthSpec(realm: "a") },
            { $0.routes[0].basicAuth = BasicAuthSpec(realm: "b") },
            { spec in
                spec.routes[0].basicAuth = BasicAuthSpec(realm: "a")
                spec.routes[0].basicAuth?.users = [UserSpec(name: "u", hash: "h")]
            },
            { spec in
                spec.routes[0].basicAuth = BasicAuthSpec(realm: "a")
                spec.routes[0].basicAuth?.users = [UserSpec(name: "u", hash: "i")]
            },
            { $0.forwarding.via = "" },
            { $0.forwarding.trustedProxies[0].prefixLength = 103 },
            { $0.upstreams[0].endpoints[0].port += 1 },
            { $0.upstreams[0].health = ProbeSpec() },
            {
                $0.upstreams[0].health = ProbeSpec()
                $0.upstreams[0].health?.expectedBody = "nil"
            },
            {
                $0.upstreams[0].health = ProbeSpec()
                $0.upstreams[0].health?.grpc = ""
            },
            { $0.upstreams[0].passive.window += 1 },
            { $0.upstreams[0].sendProxyProtocol = 1 },
            { $0.upstreams[0].speaks = .http2 },
            { $0.upstreams[0].speaks = .negotiated },
            { $0.upstreams[0].balance = .consistentHash(.header("a")) },
            { $0.upstreams[0].balance = .consistentHash(.cookie("a")) },
            {
                $0.routes[0].action = .split([
                    SplitEntry(upstream: "gateway", weight: 11), SplitEntry(upstream: "core", weight: 90),
                ])
            },
            { $0.routes[0].match.paths = [.exact("/a")] },
            { $0.routes[0].match.paths = [.prefix("/a")] },
            { $0.routes[0].match.paths = [.prefix("/a"), .prefix("/b")] },
            { $0.routes[0].match.paths = [.prefix("/a\"), Traffic.PathPattern.prefix(\"/b")] },
            { $0.routes[0].match.hosts = [.exact("/a")] },
            { $0.routes[0].match.listeners = ["/a"] },
            { $0.routes[0].responseHeaders.set = [HeaderSetting(name: "a", value: "b")] },
            { $0.routes[0].requestHeaders.set = [HeaderSetting(name: "a", value: "b")] },
            { $0.routes[1].action = .redirect(RedirectSpec(status: 301)) },
            { $0.routes.swapAt(0, 1) },
        ]
        let fingerprints = changes.map { change in
            var spec = self.spec()
            change(&spec)
            return self.fingerprint(spec)
        }
        #expect(Set(fingerprints).count == changes.count)
    }
}

extension RedirectSpec {
    fileprivate init(status: UInt16) {
        self.init()
        self.status = status
    }
}

@Suite("A table made from another")
struct TableSharingTests {
    private let registry = EndpointRegistry()

    private func spec() -> TableSpec {
        var spec = TableSpec()
        spec.upstreams = [Tables.upstream("core", endpoints: 1), Tables.upstream("gateway", endpoints: 2)]
        spec.routes = (0..<20).map { index in
            var route = RouteSpec(
                name: "r\(index)",
                action: .split([SplitEntry(upstream: "gateway", weight: 10), SplitEntry(upstream: "core", weight: 90)]))
            route.match.paths = [.prefix("/r\(index)")]
            return route
        }
        return spec
    }

    private func next(_ before: RoutingTable, _ change: (inout TableSpec) -> Void) -> RoutingTable {
        var spec = before.spec
        change(&spec)
        let next = RoutingTable(
            spec: spec, generation: before.generation + 1, registry: self.registry, previous: before)
        // Whatever is shared, it is the table that would have been made alone.
        let alone = RoutingTable(spec: spec, generation: 9, registry: self.registry)
        #expect(next.fingerprint == alone.fingerprint)
        #expect(next.needsHeaders == alone.needsHeaders)
        for path in ["/r0", "/r7/x", "/r19", "/new", "/none"] {
            #expect(Probe(path: path).match(next) == Probe(path: path).match(alone))
        }
        for route in next.routes {
            #expect(next.routes[route.index] === route && next.route(named: route.name) === route)
            #expect(alone.routes[route.index].split?.entries == route.split?.entries)
            for (member, entry) in (route.split?.entries ?? []).enumerated() {
                #expect(route.upstream(member) === next.upstreams[entry.upstream])
            }
        }
        return next
    }

    private func shared(_ next: RoutingTable, _ before: RoutingTable) -> Int {
        zip(next.routes, before.routes).count { $0 === $1 }
    }

    @Test("Other weights: the route that has them is new, all else is shared")
    func weights() {
        let before = RoutingTable(spec: self.spec(), generation: 1, registry: self.registry)
        let after = self.next(before) {
            $0.routes[7].action = .split([
                SplitEntry(upstream: "gateway", weight: 50), SplitEntry(upstream: "core", weight: 50),
            ])
        }
        #expect(self.shared(after, before) == 19 && after.routes[7] !== before.routes[7])
        #expect(zip(after.upstreams, before.upstreams).allSatisfy { $0 === $1 })
        #expect(after.fingerprint != before.fingerprint)
        #expect(after.routes[7].record === before.routes[7].record)
    }

    @Test("Another upstream: the routes that lead to it are new")
    func upstreams() {
        var spec = self.spec()
        spec.routes[3].action = .split([SplitEntry(upstream: "core", weight: 1)])
        let before = RoutingTable(spec: spec, generation: 1, registry: self.registry)
        let after = self.next(before) { $0.upstreams[1] = Tables.upstream("gateway", endpoints: 3) }
        #expect(after.routes[3] === before.routes[3])
        #expect(self.shared(after, before) == 1)
        #expect(after.upstreams[0] === before.upstreams[0] && after.upstreams[1] !== before.upstreams[1])
        let moved = self.next(after) { $0.upstreams.swapAt(0, 1) }
        #expect(self.shared(moved, after) == 0)
    }

    @Test("Routes that come, go and change places")
    func routes() {
        let before = RoutingTable(spec: self.spec(), generation: 1, registry: self.registry)
        let fewer = self.next(before) { $0.routes.removeLast(5) }
        #expect(self.shared(fewer, before) == 15)
        let more = self.next(fewer) {
            var route = RouteSpec(name: "new", action: .respond(status: 404))
            route.match.paths = [.exact("/new")]
            route.match.headers = [HeaderMatch(name: "a", value: nil)]
            $0.routes.append(route)
        }
        #expect(self.shared(more, fewer) == 15 && more.needsHeaders && !fewer.needsHeaders)
        let swapped = self.next(more) { $0.routes.swapAt(2, 3) }
        #expect(swapped.routes[2] !== more.routes[2] && swapped.routes[4] === more.routes[4])
        let renamed = self.next(swapped) { $0.routes[0].name = "other" }
        #expect(renamed.route(named: "r0") == nil && renamed.route(named: "other") === renamed.routes[0])
        let rematched = self.next(renamed) { $0.routes[0].match.paths = [.exact("/none")] }
        #expect(Probe(path: "/none").match(rematched) == 0 && Probe(path: "/none").match(renamed) == nil)
    }

    @Test("An endpoint that was gone meanwhile is not taken from a table that knew its former life")
    func goneMeanwhile() {
        let before = RoutingTable(spec: self.spec(), generation: 1, registry: self.registry)
        let endpoint = before.upstreams[0].endpoints[0]
        endpoint.setAdministrative(.drain, now: 1)
        self.registry.settle(on: Tables.table([], registry: self.registry), now: 2)
        let after = self.next(before) { $0.explainErrors = false }
        #expect(after.upstreams[0].endpoints[0] === endpoint && endpoint.administrative == .ready)
    }
}
