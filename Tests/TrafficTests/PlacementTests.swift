import Synchronization
import Testing
import Traffic

@Suite("Where an exchange goes")
struct PlacementTests {
    private var random = SplitMix64(seed: 7)

    private func world(
        _ sides: [(weight: UInt32, endpoints: Int)], failover: Bool = true,
        _ change: @escaping (inout UpstreamSpec) -> Void = { _ in }
    ) -> (route: Route, table: RoutingTable) {
        let upstreams = sides.enumerated().map { Tables.upstream("u\($0)", endpoints: $1.endpoints, change) }
        var route = RouteSpec(
            name: "r",
            action: .split(sides.enumerated().map { SplitEntry(upstream: "u\($0)", weight: $1.weight) }))
        route.failover = failover
        let table = Tables.table(upstreams, routes: [route])
        return (table.routes[0], table)
    }

    private func endpoint(_ choice: Placement.Choice) throws -> (member: Int, index: Int) {
        guard case .endpoint(let member, let index, _) = choice else {
            throw Unexpected(choice: choice)
        }
        return (member, index)
    }

    private struct Unexpected: Error { var choice: Placement.Choice }

    @Test("A request waits on its side while all of that are at their caps, and never goes against the weights")
    mutating func waits() throws {
        let (route, table) = self.world([(1, 2), (1, 2)]) { $0.maxOutstanding = 1 }
        // Of each two requests one is u0's: the first four take all slots.
        for _ in 0..<4 {
            var placement = Placement()
            _ = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
        }
        var waiter = Placement()
        guard case .full(let side) = waiter.choose(route, random: &self.random, now: 1) else {
            Issue.record("a slot was free")
            return
        }
        for turn in 2..<100 as Range<UInt64> {
            #expect(waiter.choose(route, random: &self.random, now: turn) == .full(member: side))
        }
        // The other side's slot is not for it.
        table.upstreams[1 - side].endpoints[0].release()
        #expect(waiter.choose(route, random: &self.random, now: 100) == .full(member: side))
        table.upstreams[side].endpoints[1].release()
        #expect(
            waiter.choose(route, random: &self.random, now: 101) == .endpoint(member: side, index: 1, trial: false))
    }

    @Test("Who waits takes no place in the interleave but its own")
    mutating func onePosition() throws {
        let (route, table) = self.world([(1, 1), (1, 1)]) { $0.maxOutstanding = 1 }
        var first = Placement()
        var second = Placement()
        let one = try self.endpoint(first.choose(route, random: &self.random, now: 1)).member
        let two = try self.endpoint(second.choose(route, random: &self.random, now: 1)).member
        #expect(one != two)
        var waiter = Placement()
        for _ in 0..<7 { #expect(waiter.choose(route, random: &self.random, now: 1) == .full(member: one)) }
        table.upstreams[one].endpoints[0].release()
        table.upstreams[two].endpoints[0].release()
        _ = try self.endpoint(waiter.choose(route, random: &self.random, now: 1))
        var next = Placement()
        #expect(try self.endpoint(next.choose(route, random: &self.random, now: 1)).member == two)
    }

    @Test("A cap of connections is waited for too, unless one of them is idle")
    mutating func connectionCap() throws {
        let (route, table) = self.world([(1, 2)]) { $0.maxConnections = 1 }
        let endpoints = table.upstreams[0].endpoints
        var placement = Placement()
        let used = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
        endpoints[used].connections.add(1, ordering: .relaxed)
        // The one whose connection is in use is full, so each of these is the other's.
        for _ in 0..<20 {
            var other = Placement()
            #expect(try self.endpoint(other.choose(route, random: &self.random, now: 1)).index == 1 - used)
            endpoints[1 - used].release()
        }
        endpoints[1 - used].connections.add(1, ordering: .relaxed)
        _ = endpoints[1 - used].outstanding.add(1, ordering: .relaxed)
        var waiter = Placement()
        #expect(waiter.choose(route, random: &self.random, now: 1) == .full(member: 0))
        // Its request has ended: the connection is idle.
        endpoints[used].release()
        #expect(try self.endpoint(waiter.choose(route, random: &self.random, now: 1)).index == used)
    }

    @Test("Who finds no connection looks at the others of its side, then waits, and begins anew when called")
    mutating func noRoom() throws {
        let (route, table) = self.world([(1, 3), (1, 1)])
        var placement = Placement(forced: 0, stickyKey: nil)
        var seen: Set<Int> = []
        for _ in 0..<3 {
            let index = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
            seen.insert(index)
            table.upstreams[0].endpoints[index].release()
            placement.foundNoRoom()
        }
        #expect(seen == [0, 1, 2])
        #expect(placement.choose(route, random: &self.random, now: 1) == .full(member: 0))
        #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == 0)
    }

    @Test("More endpoints without a connection than can be noted: it waits")
    mutating func noRoomAnywhere() throws {
        let (route, table) = self.world([(1, 30)])
        var placement = Placement()
        for _ in 0..<TriedEndpoints.capacity {
            let index = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
            table.upstreams[0].endpoints[index].release()
            placement.foundNoRoom()
        }
        #expect(placement.choose(route, random: &self.random, now: 1) == .full(member: 0))
    }

    @Test("Endpoints without a connection are passed over by a consistent choice too, and behind a stale connection")
    mutating func noRoomForKey() throws {
        let (route, table) = self.world([(1, 3)]) { $0.balance = .consistentHash(.header("x-user")) }
        var placement = Placement()
        _ = placement.choose(route, random: &self.random, now: 1)
        placement.provide(key: 99)
        var seen: Set<Int> = []
        for number in 0..<3 {
            var index = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
            table.upstreams[0].endpoints[index].release()
            if number == 1 {
                placement.foundStaleConnection()
                let again = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
                #expect(again == index)
                index = again
                table.upstreams[0].endpoints[index].release()
            }
            seen.insert(index)
            placement.foundNoRoom()
        }
        #expect(seen == [0, 1, 2])
        #expect(placement.choose(route, random: &self.random, now: 1) == .full(member: 0))
    }

    @Test("A request takes one turn of the interleave, however many sides it tries")
    mutating func oneTurn() throws {
        let (route, table) = self.world([(1, 1), (1, 1), (1, 1)])
        let before = route.record.position(taking: false)
        var placement = Placement()
        var seen: Set<Int> = []
        for _ in 0..<3 {
            let choice = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
            seen.insert(choice.member)
            table.upstreams[choice.member].endpoints[choice.index].release()
            placement.failed()
        }
        #expect(seen == [0, 1, 2])
        #expect(route.record.position(taking: false) == before + 1)
    }

    @Test("A further attempt stays on its side while that has another endpoint, then goes over by weight")
    mutating func furtherAttempts() throws {
        for _ in 0..<50 {
            let (route, table) = self.world([(1, 2), (0, 2), (1, 2)])
            var placement = Placement()
            let first = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
            placement.failed()
            let second = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
            #expect(second.member == first.member && second.index != first.index)
            placement.failed()
            let third = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
            #expect(third.member == 2 - first.member, "the other side of a weight above 0")
            placement.failed()
            // Tried on the first side says nothing about the endpoint of the same index here.
            let fourth = try self.endpoint(placement.choose(route, random: &self.random, now: 1))
            #expect(fourth.member == third.member && fourth.index != third.index)
            placement.failed()
            #expect(placement.choose(route, random: &self.random, now: 1) == .none)
            _ = table
        }
    }

    @Test("A side of one endpoint: the other side first, and itself again where there is no other")
    mutating func onlyEndpoint() throws {
        let (route, table) = self.world([(1, 1), (1, 1)])
        var placement = Placement()
        let first = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member
        placement.failed()
        #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == 1 - first)
        placement.failed()
        #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == 1 - first)
        table.upstreams[1 - first].endpoints[0].setAdministrative(.drain, now: 1)
        var again = Placement(forced: first, stickyKey: nil)
        for _ in 0..<3 {
            #expect(try self.endpoint(again.choose(route, random: &self.random, now: 1)).member == first)
            again.failed()
        }
    }

    @Test("Without fail-over nobody else gets a side's requests")
    mutating func noFailover() throws {
        let (route, table) = self.world([(1, 1), (1, 1)], failover: false)
        table.upstreams[0].endpoints[0].setAdministrative(.drain, now: 1)
        var answers: [Placement.Choice] = []
        var members: [Int?] = []
        for _ in 0..<4 {
            var placement = Placement()
            answers.append(placement.choose(route, random: &self.random, now: 1))
            members.append(placement.member)
        }
        #expect(answers.count { $0 == .none } == 2)
        #expect(answers.count { $0 == .endpoint(member: 1, index: 0, trial: false) } == 2)
        #expect(members.count { $0 == 0 } == 2, "whose share is answered 503 is known")
    }

    @Test("An override reaches a side of weight 0, and only that side")
    mutating func forced() throws {
        let (route, table) = self.world([(1, 2), (0, 2)])
        for _ in 0..<10 {
            var placement = Placement(forced: 1, stickyKey: 5)
            #expect(placement.isForced)
            #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == 1)
            placement.failed()
            #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == 1)
            placement.failed()
            #expect(placement.choose(route, random: &self.random, now: 1) == .none)
        }
        for endpoint in table.upstreams[1].endpoints { endpoint.setAdministrative(.drain, now: 1) }
        var placement = Placement(forced: 1, stickyKey: nil)
        #expect(placement.choose(route, random: &self.random, now: 1) == .none)
        var beyond = Placement(forced: 9, stickyKey: nil)
        #expect(beyond.choose(route, random: &self.random, now: 1) == .none)
        #expect(try self.endpoint(Placement().preview(route, random: self.random, now: 1).choice).member == 0)
    }

    @Test("A sticky client lands where the key says, and with its side out on the next one of its own")
    mutating func sticky() throws {
        let (route, table) = self.world([(1, 1), (1, 1), (1, 1)])
        let split = try #require(route.split)
        for key in 0..<200 as Range<UInt64> {
            var placement = Placement(forced: nil, stickyKey: key)
            let expected = split.rendezvous(key: key, available: 0b111)
            #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == expected)
        }
        table.upstreams[1].endpoints[0].setAdministrative(.drain, now: 1)
        for key in 0..<200 as Range<UInt64> {
            var placement = Placement(forced: nil, stickyKey: key)
            let expected = split.rendezvous(key: key, available: 0b101)
            #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).member == expected)
        }
    }

    @Test("A fresh try after a stale connection goes to the same endpoint, and a failure then elsewhere")
    mutating func stale() throws {
        let (route, table) = self.world([(1, 5)])
        for _ in 0..<40 {
            var placement = Placement()
            let first = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
            table.upstreams[0].endpoints[first].release()
            placement.foundStaleConnection()
            #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index == first)
            table.upstreams[0].endpoints[first].release()
            placement.failed()
            let second = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
            #expect(second != first)
            table.upstreams[0].endpoints[second].release()
        }
        // It went out meanwhile: another one then.
        var placement = Placement()
        let first = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
        placement.foundStaleConnection()
        table.upstreams[0].endpoints[first].setAdministrative(.drain, now: 1)
        #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index != first)
    }

    @Test("A side that balances by hash asks for the key once, and never where the client is sticky")
    mutating func key() throws {
        let (route, _) = self.world([(1, 8)]) { $0.balance = .consistentHash(.header("x-user")) }
        var placement = Placement()
        #expect(placement.choose(route, random: &self.random, now: 1) == .needsKey(member: 0))
        #expect(placement.choose(route, random: &self.random, now: 1) == .needsKey(member: 0))
        placement.provide(key: 99)
        let first = try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index
        placement.failed()
        #expect(try self.endpoint(placement.choose(route, random: &self.random, now: 1)).index != first)
        var sticky = Placement(forced: nil, stickyKey: 99)
        #expect(try self.endpoint(sticky.choose(route, random: &self.random, now: 1)).index == first)
    }

    @Test("Weights of 0 serve nobody, and neither does a route without a split or a table without upstreams")
    mutating func nobody() {
        var placement = Placement()
        #expect(placement.choose(self.world([(0, 2), (0, 2)]).route, random: &self.random, now: 1) == .none)
        let redirect = Tables.table([], routes: [RouteSpec(name: "r", action: .redirect(RedirectSpec()))])
        #expect(placement.choose(redirect.routes[0], random: &self.random, now: 1) == .none)
        let entries = [SplitEntry(upstream: "gone", weight: 1)]
        let empty = Tables.table([], routes: [RouteSpec(name: "r", action: .split(entries))])
        var forced = Placement(forced: 0, stickyKey: nil)
        #expect(forced.choose(empty.routes[0], random: &self.random, now: 1) == .none)
        #expect(placement.choose(empty.routes[0], random: &self.random, now: 1) == .none)
    }

    @Test("Stays small: it lies in every exchange")
    func size() {
        #expect(MemoryLayout<Placement>.size <= 64)
    }
}
