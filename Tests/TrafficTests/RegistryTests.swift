import Synchronization
import Testing
import Traffic

@Suite("What is remembered of names across tables")
struct RegistryTests {
    private let registry = EndpointRegistry()

    private func table(_ upstreams: [UpstreamSpec], routes: [String] = []) -> RoutingTable {
        Tables.table(
            upstreams, routes: routes.map { RouteSpec(name: $0, action: .respond(status: 404)) },
            registry: self.registry)
    }

    @Test("Records are found by identity: upstream and address, name of upstream, name of route")
    func identity() {
        let first = self.registry.endpoint(upstream: "a", address: Tables.address(1), probed: false)
        let second = self.registry.endpoint(upstream: "b", address: Tables.address(1), probed: false)
        #expect(self.registry.endpoint(upstream: "a", address: Tables.address(1), probed: true) === first)
        #expect(first.id != second.id)
        #expect(self.registry.all().map(\.id) == [first.id, second.id])
        #expect(self.registry.upstreamRecord("b") === self.registry.upstreamRecord("b"))
        #expect(self.registry.routeRecord("r") === self.registry.routeRecord("r"))
    }

    @Test("What no table names is forgotten after the grace, and not a moment before")
    func grace() {
        let full = self.table(
            [Tables.upstream("a", endpoints: 2), Tables.upstream("b", endpoints: 1)], routes: ["r", "s"])
        self.registry.settle(on: full, now: 1_000, grace: 500)
        #expect(self.registry.counts == (3, 2, 2))
        let position = full.routes[0].nextPosition()
        let less = self.table([Tables.upstream("a", endpoints: 1)], routes: ["s"])
        self.registry.settle(on: less, now: 2_000, grace: 500)
        self.registry.settle(on: less, now: 2_499, grace: 500)
        #expect(self.registry.counts == (3, 2, 2))
        #expect(self.registry.routeRecord("r") === full.routes[0].record, "it goes on from where it was")
        #expect(full.routes[0].nextPosition() == position + 1)
        self.registry.settle(on: less, now: 2_500, grace: 500)
        #expect(self.registry.counts == (1, 1, 1))
        #expect(self.registry.endpoint(upstream: "b", address: Tables.address(0), probed: false).id > 2)
    }

    @Test("A name that returns within the grace is no longer gone")
    func returns() {
        let both = self.table([Tables.upstream("a", endpoints: 2)], routes: ["r"])
        let one = self.table([Tables.upstream("a", endpoints: 1)])
        self.registry.settle(on: both, now: 0, grace: 100)
        self.registry.settle(on: one, now: 10, grace: 100)
        self.registry.settle(on: both, now: 90, grace: 100)
        self.registry.settle(on: one, now: 120, grace: 100)
        self.registry.settle(on: one, now: 219, grace: 100)
        #expect(self.registry.counts == (2, 1, 1))
        self.registry.settle(on: one, now: 220, grace: 100)
        #expect(self.registry.counts == (1, 1, 0))
    }

    @Test("An endpoint that holds a request or a connection is kept, and its upstream with it")
    func held() {
        let full = self.table([Tables.upstream("a", endpoints: 1)])
        let endpoint = full.upstreams[0].endpoints[0]
        endpoint.connections.add(1, ordering: .relaxed)
        let empty = self.table([])
        self.registry.settle(on: empty, now: 0, grace: 0)
        #expect(self.registry.counts == (1, 1, 0))
        endpoint.connections.subtract(1, ordering: .relaxed)
        endpoint.outstanding.add(1, ordering: .relaxed)
        self.registry.settle(on: empty, now: 1, grace: 0)
        #expect(self.registry.counts == (1, 1, 0))
        endpoint.release()
        self.registry.settle(on: empty, now: 2, grace: 0)
        #expect(self.registry.counts == (0, 0, 0))
    }

    @Test(
        "An endpoint that was gone returns without the old one's health and without an operator's word, but counts on")
    func newLife() {
        let both = self.table([Tables.upstream("a", endpoints: 2)])
        let endpoint = both.upstreams[0].endpoints[1]
        self.registry.settle(on: both, now: 0)
        endpoint.setAdministrative(.drain, now: 1)
        #expect(both.upstreams[0].eject(1, now: 1))
        let failures = endpoint.failures
        self.registry.settle(on: self.table([Tables.upstream("a", endpoints: 1)]), now: 10)
        #expect(endpoint.administrative == .drain, "nothing changes while it is gone")
        let again = self.table([Tables.upstream("a", endpoints: 2)])
        #expect(again.upstreams[0].endpoints[1] === endpoint)
        #expect(endpoint.administrative == .ready)
        #expect(endpoint.ejection(now: 20) == .none)
        #expect(again.upstreams[0].record.ejected == 0)
        #expect(endpoint.isSelectable(now: 20))
        #expect(endpoint.failures == failures && endpoint.ejections == 1)
    }

    @Test("A probed endpoint that returns waits for a probe where others have had theirs")
    func newLifeProbed() {
        func probed(_ endpoints: Int) -> RoutingTable {
            self.table([Tables.upstream("a", endpoints: endpoints) { $0.health = ProbeSpec() }])
        }
        let both = probed(2)
        for endpoint in both.upstreams[0].endpoints { endpoint.setOperational(.up, now: 1) }
        self.registry.settle(on: both, now: 1)
        self.registry.settle(on: probed(1), now: 2)
        let again = probed(2)
        #expect(again.upstreams[0].endpoints.map(\.operational) == [.up, .unknown])
        #expect(!again.upstreams[0].endpoints[1].isSelectable(now: 3))
    }

    @Test("An operator's word stays as long as a table names the endpoint")
    func wordStays() {
        let before = self.table([Tables.upstream("a", endpoints: 1)])
        before.upstreams[0].endpoints[0].setAdministrative(.maintenance, now: 1)
        for now in 2..<50 as Range<UInt64> {
            let next = self.table([Tables.upstream("a", endpoints: Int(1 + now % 3))])
            self.registry.settle(on: next, now: now, grace: 5)
            #expect(next.upstreams[0].endpoints[0].administrative == .maintenance)
        }
    }

    @Test("Forty loads of a thousand other routes leave one load behind")
    func renamed() {
        for load in 0..<40 as Range<UInt64> {
            let table = self.table([], routes: (0..<1_000).map { "r\(load)-\($0)" })
            self.registry.settle(on: table, now: load * 60_000)
        }
        #expect(self.registry.counts.routes == 2_000, "the present ones, and those whose grace runs")
    }

    @Test("An endpoint that is back begins anew once, and waits for its probe from then on")
    func backOnce() {
        let registry = EndpointRegistry()
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 1)
        func table(_ generation: UInt64, _ endpoints: [SocketAddress]) -> RoutingTable {
            var upstream = UpstreamSpec(name: "core")
            upstream.endpoints = endpoints
            upstream.health = ProbeSpec()
            var spec = TableSpec()
            spec.upstreams = [upstream]
            return RoutingTable(spec: spec, generation: generation, registry: registry)
        }
        registry.settle(on: table(1, [address]), now: 1)
        registry.settle(on: table(2, []), now: 2)
        // As discovery brings it back: it joins before a table names it.
        registry.endpoint(upstream: "core", address: address, probed: true).join(probed: true, now: 3)
        let endpoint = table(3, [address]).upstreams[0].endpoints[0]
        #expect(endpoint.operational == .joining)
        #expect(!endpoint.isSelectable(now: 4))
    }

    @Test("Verdicts on endpoints that are gone keep no new one waiting for its own")
    func verdictsOfGone() {
        let registry = EndpointRegistry()
        func table(_ generation: UInt64, _ port: UInt16) -> RoutingTable {
            var upstream = UpstreamSpec(name: "core")
            upstream.endpoints = [SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: port)]
            upstream.health = ProbeSpec()
            var spec = TableSpec()
            spec.upstreams = [upstream]
            return RoutingTable(spec: spec, generation: generation, registry: registry)
        }
        let first = table(1, 1)
        first.upstreams[0].endpoints[0].setOperational(.up, now: 1)
        let next = table(2, 2)
        // Somebody must serve before the first probes are answered.
        #expect(next.upstreams[0].endpoints[0].operational == .unknown)
        #expect(next.upstreams[0].isAvailable(now: 2))
    }
}
