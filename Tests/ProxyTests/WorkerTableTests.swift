import Reactor
import Synchronization
import Testing
import Traffic

@testable import Proxy

@Suite("A worker and its tables") struct WorkerTableTests {
    private let registry = EndpointRegistry()
    private let counters = CounterRegistry()

    private func plan(
        _ generation: UInt64, endpoints: [UInt16], route: String = "r", idle: UInt32 = 128
    ) -> TablePlan {
        var upstream = UpstreamSpec(name: "core")
        upstream.endpoints = endpoints.map { SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: $0) }
        upstream.idleConnections = idle
        var spec = TableSpec()
        spec.upstreams = [upstream]
        spec.routes = [RouteSpec(name: route, action: .split([SplitEntry(upstream: "core", weight: 1)]))]
        let table = RoutingTable(spec: spec, generation: generation, registry: self.registry)
        return TablePlan(table, registry: self.counters, previous: nil)
    }

    private func core(_ plan: TablePlan) throws -> WorkerCore {
        let (_, trouble) = AsyncStream<ListenerTrouble>.makeStream()
        return WorkerCore(
            index: 0, loop: try EventLoop(), admission: Admission(accessLog: nil, ceiling: 10, trouble: trouble),
            plan: plan, pacing: TurnPacing(spacing: 0), seed: 1)
    }

    private func rows(_ core: WorkerCore) -> [UInt16: UInt64] {
        let endpoints = core.snapshot(names: self.counters.names).endpoints
        return Dictionary(uniqueKeysWithValues: endpoints.map { ($0.address.port, $0.requests) })
    }

    @Test("The counters of an endpoint that goes are shown no more, and go on when it returns")
    func returning() throws {
        let core = try self.core(self.plan(1, endpoints: [1, 2]))
        defer { core.dismantle() }
        core.plan.upstreams[0].object.pools[1].object.requests = 5
        #expect(self.rows(core) == [1: 0, 2: 5])
        _ = core.adopt(self.plan(2, endpoints: [1]))
        #expect(self.rows(core) == [1: 0])
        _ = core.adopt(self.plan(3, endpoints: [2, 1]))
        #expect(self.rows(core) == [1: 0, 2: 5])
    }

    @Test("A returned endpoint's pool has the bounds of the table that names it, and keeps connections again")
    func bounds() throws {
        let core = try self.core(self.plan(1, endpoints: [1]))
        defer { core.dismantle() }
        _ = core.adopt(self.plan(2, endpoints: []))
        _ = core.adopt(self.plan(3, endpoints: [1]))
        let pool = core.plan.upstreams[0].object.pools[0].object
        #expect(pool.retiredAt == nil)
        #expect(pool.admitConnection())
        let connection = FakeEndpoint(core: core, pool: pool, dice: Dice(seed: 1))
        try connection.enter()
        connection.state = .leased
        #expect(connection.rest(idleMilliseconds: 1_000))
    }

    @Test("A pool keeps as many idle connections as its table says, the last used on top")
    func capacity() throws {
        let core = try self.core(self.plan(1, endpoints: [1]))
        defer { core.dismantle() }
        let pool = core.plan.upstreams[0].object.pools[0].object
        var connections: [FakeEndpoint] = []
        for _ in 0...128 {
            #expect(pool.admitConnection())
            let connection = FakeEndpoint(core: core, pool: pool, dice: Dice(seed: 1))
            try connection.enter()
            connection.state = .leased
            connections.append(connection)
        }
        #expect(connections.map { $0.rest(idleMilliseconds: 1_000) } == Array(repeating: true, count: 128) + [false])
        #expect(pool.lease()?.object === connections[127])
    }

    @Test("A table with fewer idle connections closes those over it, the oldest first", arguments: [0, 1, 2])
    func smaller(idle: Int) throws {
        let core = try self.core(self.plan(1, endpoints: [1]))
        defer { core.dismantle() }
        let pool = core.plan.upstreams[0].object.pools[0].object
        var connections: [FakeEndpoint] = []
        for _ in 0..<3 {
            #expect(pool.admitConnection())
            let connection = FakeEndpoint(core: core, pool: pool, dice: Dice())
            try connection.enter()
            connection.state = .leased
            #expect(connection.rest(idleMilliseconds: 1_000))
            connections.append(connection)
        }
        _ = core.adopt(self.plan(2, endpoints: [1], idle: UInt32(idle)))
        #expect(pool.counters.connectionsIdle == UInt64(idle))
        #expect(pool.endpoint.connections.load(ordering: .relaxed) == idle)
        #expect(connections.map { $0.state == .closed } == (0..<3).map { $0 < 3 - idle })
    }

    @Test("A plan that an exchange pins stays, and goes with it")
    func pinned() throws {
        let core = try self.core(self.plan(1, endpoints: [1]))
        defer { core.dismantle() }
        let pinned = core.plan
        pinned.exchanges = 1
        #expect(core.adopt(self.plan(2, endpoints: [1])) == [1, 2])
        #expect(core.pinnedGenerations() == [1, 2])
        pinned.exchanges = 0
        #expect(core.pinnedGenerations() == [2])
    }

    @Test("Two descriptors for every client fit beside what the process needs itself", arguments: [2, 64])
    func ceiling(workers: Int) {
        for descriptors in [64, 256, 512, 1_024, 4_096, 65_536, 1_000_000] {
            let ceiling = Admission.ceiling(descriptors: descriptors, workers: workers)
            #expect(2 * ceiling <= descriptors)
            let reserve = descriptors - 2 * ceiling
            #expect(reserve >= min(128, descriptors / 2) - 1)
            #expect(ceiling >= descriptors / 5)
        }
        #expect(Admission.ceiling(descriptors: 512, workers: 2) == 176)
    }
}
