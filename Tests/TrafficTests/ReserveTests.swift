import Testing
@testable import Traffic

@Suite("Sides in reserve")
struct ReserveTests {
    private var random = SplitMix64(seed: 7)

    /// Sides by weight, one endpoint each; `u2` and `u3` stand in reserve.
    private func world(
        _ weights: [UInt32], failover: Bool = true, reserve: [String] = ["u2", "u3"]
    ) -> (route: Route, table: RoutingTable) {
        let upstreams = weights.indices.map { Tables.upstream("u\($0)", endpoints: 1) { $0.health = ProbeSpec() } }
        var route = RouteSpec(
            name: "r",
            action: .split(weights.enumerated().map { SplitEntry(upstream: "u\($0)", weight: $1) }))
        route.failover = failover
        route.reserve = reserve
        let table = Tables.table(upstreams, routes: [route])
        for upstream in table.upstreams { upstream.endpoints[0].setOperational(.up, now: 0) }
        return (table.routes[0], table)
    }

    /// The sides on which a hundred requests land; nil: nowhere.
    private mutating func sides(_ route: Route, sticky: Bool = false) -> Set<Int?> {
        Set(
            (0..<100).map { request -> Int? in
                var placement = Placement(forced: nil, stickyKey: sticky ? KeyHash.hash("\(request)") : nil)
                guard case .endpoint(let member, _, _) = placement.choose(route, random: &self.random, now: 10) else {
                    return nil
                }
                route.upstream(member)?.endpoints[0].release()
                return member
            })
    }

    private func set(_ table: RoutingTable, _ side: Int, _ state: Operational) {
        table.upstreams[side].endpoints[0].setOperational(state, now: 5)
    }

    @Test(
        "It serves while no side with a weight can, first come first, and not a request longer",
        arguments: [true, false])
    mutating func serves(failover: Bool) {
        let (route, table) = self.world([1, 1, 0, 0], failover: failover)
        #expect(self.sides(route) == [0, 1] && route.servingReserve(now: 10) == nil)
        self.set(table, 0, .down)
        #expect(self.sides(route) == (failover ? [1] : [nil, 1]) && route.servingReserve(now: 10) == nil)
        self.set(table, 1, .down)
        #expect(self.sides(route) == [2] && route.servingReserve(now: 10) == 2)
        #expect(self.sides(route, sticky: true) == [2])
        self.set(table, 2, .down)
        #expect(self.sides(route) == [3] && route.servingReserve(now: 10) == 3)
        self.set(table, 3, .down)
        #expect(self.sides(route) == [nil] && route.servingReserve(now: 10) == nil)
        self.set(table, 1, .up)
        #expect(self.sides(route) == (failover ? [1] : [nil, 1]))
    }

    @Test("Weight 0 without reserve stays what it is, and where nobody has a weight nobody serves")
    mutating func others() {
        let (plain, table) = self.world([1, 0, 0, 0], reserve: ["u2"])
        self.set(table, 0, .down)
        self.set(table, 2, .down)
        #expect(self.sides(plain) == [nil])
        let (silent, _) = self.world([0, 0, 0, 0])
        #expect(self.sides(silent) == [nil] && silent.servingReserve(now: 10) == nil)
        // With a weight it is a side as any other.
        let (both, _) = self.world([1, 0, 1, 0])
        #expect(self.sides(both) == [0, 2])
    }

    @Test("An attempt that failed at a side which is up does not bring the reserve in")
    mutating func failedAttempt() throws {
        let (route, table) = self.world([1, 0, 0, 0])
        var placement = Placement()
        guard case .endpoint(0, _, _) = placement.choose(route, random: &self.random, now: 10) else {
            return #expect(Bool(false))
        }
        placement.failed()
        let again = placement.choose(route, random: &self.random, now: 10)
        if case .endpoint(let member, _, _) = again { #expect(member == 0) }
        // It went down under the request: now the reserve has it.
        self.set(table, 0, .down)
        placement.failed()
        guard case .endpoint(2, _, _) = placement.choose(route, random: &self.random, now: 11) else {
            return #expect(Bool(false), "the reserve was not asked")
        }
        // And the reserve's endpoint may be asked again, if it is the only one that there is.
        self.set(table, 3, .down)
        placement.failed()
        guard case .endpoint(2, _, _) = placement.choose(route, random: &self.random, now: 12) else {
            return #expect(Bool(false), "the reserve was not asked again")
        }
    }
}
