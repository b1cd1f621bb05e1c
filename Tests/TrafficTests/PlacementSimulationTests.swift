import Synchronization
import Testing
import Traffic

/// Exchanges in random worlds, against rules that are read one after the other. A failure names its seed; `SIM_SEED`
/// replays it.
@Suite("Where exchanges go, over random worlds")
struct PlacementSimulationTests {
    @Test("Sides, endpoints, caps and retries as the rules say", arguments: Seeds.first(400))
    func rules(seed: UInt64) throws {
        var world = try PlacementWorld(seed: seed)
        for _ in 0..<60 {
            world.change()
            world.exchange()
            if let complaint = world.complaint {
                Issue.record("seed \(seed): \(complaint)")
                return
            }
        }
    }

    @Test("What is asked beforehand is what happens, over 100,000 random cases", arguments: Seeds.first(100))
    func preview(seed: UInt64) throws {
        var world = try PlacementWorld(seed: seed)
        var cases = 0
        while cases < 1_000 {
            world.change()
            cases += world.compareWithPreview()
            if let complaint = world.complaint {
                Issue.record("seed \(seed): \(complaint)")
                return
            }
        }
    }
}

/// A route with its sides, and the books on what was taken.
private struct PlacementWorld {
    private var random: SplitMix64
    private var choice: SplitMix64
    private let table: RoutingTable
    private let route: Route
    private let split: Split
    private var now: UInt64 = 1_000
    private var taken: [(member: Int, index: Int)] = []
    private(set) var complaint: String?

    init(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let count = 1 + random.below(4)
        let upstreams = (0..<count).map { index -> UpstreamSpec in
            Tables.upstream("u\(index)", endpoints: random.chance(1, of: 8) ? 70 : 1 + random.below(5)) { spec in
                spec.maxOutstanding = random.chance(1, of: 2) ? 0 : UInt32(1 + random.below(3))
                spec.maxConnections = random.chance(2, of: 3) ? 0 : UInt32(1 + random.below(3))
                spec.balance = random.pick([.roundRobin, .leastOutstanding, .consistentHash(.clientAddress)])
                spec.slowStart = random.chance(3, of: 4) ? 0 : 5_000
            }
        }
        var spec = RouteSpec(
            name: "r",
            action: .split(
                upstreams.map {
                    SplitEntry(upstream: $0.name, weight: random.chance(1, of: 4) ? 0 : UInt32(1 + random.below(5)))
                }))
        spec.failover = random.chance(3, of: 4)
        self.table = Tables.table(upstreams, routes: [spec])
        self.route = self.table.routes[0]
        self.split = try #require(self.table.routes[0].split)
        self.random = random
        self.choice = SplitMix64(seed: ~seed)
    }

    // MARK: the world

    mutating func change() {
        self.now += UInt64(self.random.below(400))
        for _ in 0..<self.random.below(4) {
            let upstream = self.random.pick(self.table.upstreams)
            let endpoint = self.random.pick(upstream.endpoints)
            switch self.random.below(6) {
            case 0, 1: endpoint.setAdministrative(.ready, now: self.now)
            case 2: endpoint.setAdministrative(.drain, now: self.now)
            case 3 where endpoint.connections.load(ordering: .relaxed) < 4:
                endpoint.connections.add(1, ordering: .relaxed)
            case 4 where endpoint.connections.load(ordering: .relaxed) > 0:
                endpoint.connections.subtract(1, ordering: .relaxed)
            default:
                for _ in 0..<6 { endpoint.report(.failure, trial: false, policy: upstream.spec.passive, now: self.now) }
            }
        }
        while !self.taken.isEmpty, self.random.chance(1, of: 3) {
            let held = self.taken.remove(at: self.random.below(self.taken.count))
            self.upstream(held.member).endpoints[held.index].release()
        }
    }

    private func upstream(_ member: Int) -> Upstream { self.table.upstreams[self.split.entries[member].upstream] }

    private func selectable(_ member: Int) -> [Int] {
        let endpoints = self.upstream(member).endpoints
        return endpoints.indices.filter { endpoints[$0].isSelectable(now: self.now) }
    }

    private func hasRoom(_ member: Int, _ index: Int) -> Bool {
        let upstream = self.upstream(member)
        let held = upstream.endpoints[index].outstanding.load(ordering: .relaxed)
        let connections = upstream.endpoints[index].connections.load(ordering: .relaxed)
        if upstream.spec.maxOutstanding > 0, held >= Int(upstream.spec.maxOutstanding) { return false }
        let cap = Int(upstream.spec.maxConnections)
        return cap == 0 || connections < cap || held < connections
    }

    private mutating func placement() -> (placement: Placement, forced: Int?, key: UInt64?) {
        let forced = self.random.chance(1, of: 6) ? self.random.below(self.split.entries.count) : nil
        let key = self.random.chance(1, of: 3) ? self.random.next() : nil
        return (Placement(forced: forced, stickyKey: key), forced, key)
    }

    private mutating func fail(_ complaint: String) { if self.complaint == nil { self.complaint = complaint } }

    // MARK: the rules

    mutating func exchange() {
        var (placement, forced, key) = self.placement()
        var side: Int?
        var tried: Set<Int> = []
        var left: Set<Int> = []
        for attempt in 0..<8 {
            let before = (side, tried)
            if attempt == 0 {
                side = self.expectedSide(forced: forced, key: key, left: [])
            } else if let present = side {
                let others = self.others(than: present, left: left, forced: forced)
                let fresh = self.selectable(present).filter { !tried.contains($0) }
                let isAlone = self.upstream(present).endpoints.count == 1
                let stays =
                    isAlone ? !self.selectable(present).isEmpty && (tried.isEmpty || others.isEmpty) : !fresh.isEmpty
                if !stays {
                    if forced == nil, self.route.spec.failover {
                        left.insert(present)
                        side = others.isEmpty ? nil : -1
                    } else {
                        side = nil
                    }
                    tried = []
                }
            }
            var chosen = placement.choose(self.route, random: &self.choice, now: self.now)
            if case .needsKey(let member) = chosen {
                guard key == nil, self.upstream(member).hashes else { return self.fail("a key was asked for in vain") }
                placement.provide(key: self.random.next())
                chosen = placement.choose(self.route, random: &self.choice, now: self.now)
            }
            switch chosen {
            case .needsKey: return self.fail("the key was asked for twice")
            case .none:
                if let side, side < 0 || !self.selectable(side).isEmpty {
                    self.fail("attempt \(attempt): nobody was chosen, expected side \(side) after \(before)")
                }
                return
            case .full(let member):
                guard self.check(member, expected: &side, left: left, forced: forced) else { return }
                let open = self.selectable(member).filter { !tried.contains($0) || self.isAlone(member) }
                if open.isEmpty { self.fail("full, but there is nothing to wait for") }
                if open.contains(where: { self.hasRoom(member, $0) }) { self.fail("full, although there was room") }
                self.change()
            case .endpoint(let member, let index, _):
                guard self.check(member, expected: &side, left: left, forced: forced) else { return }
                if !self.upstream(member).endpoints[index].isSelectable(now: self.now),
                    self.upstream(member).endpoints[index].ejection(now: self.now) == .none
                {
                    self.fail("endpoint \(index) of side \(member) is out")
                }
                if tried.contains(index), !self.isAlone(member) { self.fail("endpoint \(index) failed before") }
                self.taken.append((member, index))
                guard self.goesOn(&placement, &tried, member, index) else { return }
            }
        }
    }

    private func isAlone(_ member: Int) -> Bool { self.upstream(member).endpoints.count == 1 }

    /// What becomes of the attempt. False: it was answered.
    private mutating func goesOn(
        _ placement: inout Placement, _ tried: inout Set<Int>, _ member: Int, _ index: Int
    ) -> Bool {
        let endpoint = self.upstream(member).endpoints[index]
        switch self.random.below(4) {
        case 0: return false
        case 1:
            self.taken.removeLast()
            endpoint.release()
            endpoint.report(.cancelled, trial: true, policy: self.upstream(member).spec.passive, now: self.now)
            guard endpoint.isSelectable(now: self.now), self.hasRoom(member, index) else { return false }
            placement.foundStaleConnection()
            let again = placement.preview(self.route, random: self.choice, now: self.now).choice
            if case .endpoint(member, index, _) = again { return true }
            self.fail("the fresh try went elsewhere: \(again)")
            return false
        default:
            tried.insert(index)
            placement.failed()
            if self.random.chance(1, of: 2) {
                self.taken.removeLast()
                endpoint.release()
            }
            endpoint.report(.cancelled, trial: true, policy: self.upstream(member).spec.passive, now: self.now)
            return true
        }
    }

    private mutating func check(_ member: Int, expected: inout Int?, left: Set<Int>, forced: Int?) -> Bool {
        guard let side = expected else {
            self.fail("side \(member) was chosen, and none could serve")
            return false
        }
        if side < 0 {
            if left.contains(member) { self.fail("side \(member) was left before") }
            if self.split.entries[member].weight == 0 { self.fail("a retry went to a side of weight 0") }
        } else if side != member {
            self.fail("side \(member) instead of \(side), forced \(String(describing: forced))")
        }
        expected = member
        return self.complaint == nil
    }

    private func others(than member: Int, left: Set<Int>, forced: Int?) -> [Int] {
        guard forced == nil, self.route.spec.failover else { return [] }
        return self.split.entries.indices.filter {
            $0 != member && !left.contains($0) && self.split.entries[$0].weight > 0 && !self.selectable($0).isEmpty
        }
    }

    private func expectedSide(forced: Int?, key: UInt64?, left: Set<Int>) -> Int? {
        if let forced { return self.selectable(forced).isEmpty ? nil : forced }
        var weighted: UInt64 = 0
        var available: UInt64 = 0
        for (index, entry) in self.split.entries.enumerated() where entry.weight > 0 {
            weighted |= 1 << UInt64(index)
            if !self.selectable(index).isEmpty { available |= 1 << UInt64(index) }
        }
        let candidates = self.route.spec.failover ? available : weighted
        // Looked at without taking it: a position that the request itself will take next.
        let position = weighted.nonzeroBitCount > 1 ? self.nextPosition : 0
        let member =
            key.map { self.split.rendezvous(key: $0, available: candidates) }
            ?? self.split.interleave(position: position, available: candidates)
        guard let member, available & (1 << UInt64(member)) != 0 else { return nil }
        return member
    }

    private var nextPosition: UInt64 { self.route.record.position(taking: false) }

    // MARK: asking beforehand

    mutating func compareWithPreview() -> Int {
        var cases = 0
        var (placement, _, _) = self.placement()
        for _ in 0..<4 {
            cases += 1
            let outstanding = self.table.upstreams.map { $0.endpoints.map { $0.outstanding.load(ordering: .relaxed) } }
            let position = self.nextPosition
            let (said, member) = placement.preview(self.route, random: self.choice, now: self.now)
            if self.nextPosition != position
                || outstanding
                    != self.table.upstreams.map({ $0.endpoints.map { $0.outstanding.load(ordering: .relaxed) } })
            {
                self.fail("asking changed something")
            }
            let done = placement.choose(self.route, random: &self.choice, now: self.now)
            if said != done || member != placement.member { self.fail("\(said) was said, \(done) was done") }
            switch done {
            case .none, .full: return cases
            case .needsKey: placement.provide(key: self.random.next())
            case .endpoint(let member, let index, let trial):
                self.taken.append((member, index))
                if trial {
                    self.upstream(member).endpoints[index].report(
                        .cancelled, trial: true, policy: self.upstream(member).spec.passive, now: self.now)
                }
                placement.failed()
            }
        }
        return cases
    }
}
