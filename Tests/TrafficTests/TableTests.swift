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

    @Test("Any difference shows in the fingerprint")
    func fingerprints() {
        let changes: [(inout TableSpec) -> Void] = [
            { _ in },
            { $0.explainErrors = false },
            { $0.timeouts.drain += 1 },
            { $0.limits.body += 1 },
            { $0.forwarding.via = "" },
            { $0.forwarding.trustedProxies[0].prefixLength = 103 },
            { $0.upstreams[0].endpoints[0].port += 1 },
            { $0.upstreams[0].health = ProbeSpec() },
            {
                $0.upstreams[0].health = ProbeSpec()
                $0.upstreams[0].health?.expectedBody = "nil"
            },
            { $0.upstreams[0].passive.window += 1 },
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
