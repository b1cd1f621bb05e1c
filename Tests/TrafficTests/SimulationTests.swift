import Synchronization
import Testing
import Traffic

/// Routing, health and slots together under a random course of events, with the invariants checked after each step.
@Suite("Simulation")
struct SimulationTests {
    @Test("Whatever happens, in whatever order, the invariants hold", arguments: Seeds.first(200))
    func simulate(seed: UInt64) {
        var world = World(seed: seed)
        for step in 0..<400 {
            world.step()
            if let broken = world.brokenInvariant() {
                Issue.record("seed \(seed), step \(step): \(broken)")
                return
            }
        }
        world.finish()
        if let broken = world.brokenInvariant() { Issue.record("seed \(seed), at the end: \(broken)") }
        #expect(world.served > 0, "seed \(seed): a world in which nothing is served proves nothing")
    }
}

/// A little world: two sides, their endpoints, requests under way. It keeps its own books and compares.
private struct World {
    private struct Request {
        var upstream: Upstream
        var index: Int
        var trial: Bool
        var began: UInt64
        var endpoint: Endpoint { self.upstream.endpoints[self.index] }
    }

    private var random: SplitMix64
    private var choice: SplitMix64
    private let registry = EndpointRegistry()
    private var table: RoutingTable
    private var spec: TableSpec
    private var now: UInt64 = 1_000
    private var running: [Request] = []
    private var budget: RetryBudget
    /// By endpoint id: what the books say is outstanding.
    private var held: [Int: Int] = [:]
    /// The members that a stretch of undisturbed decisions took, and the mask under which it ran.
    private var stretch: [Int] = []
    private var stretchMask: UInt64 = 0
    private var overtaken: Set<Int> = []
    private var complaint: String?
    private(set) var served = 0

    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        self.choice = SplitMix64(seed: ~seed)
        var spec = TableSpec()
        for name in ["core", "gateway", "next"].prefix(2 + random.below(2)) {
            var upstream = UpstreamSpec(name: name)
            upstream.endpoints = (0..<1 + random.below(4)).map(Tables.address)
            upstream.maxOutstanding = random.chance(1, of: 2) ? 0 : UInt32(1 + random.below(4))
            upstream.health = random.chance(1, of: 2) ? ProbeSpec() : nil
            upstream.slowStart = random.chance(1, of: 2) ? 0 : 5_000
            upstream.balance = random.pick([.roundRobin, .leastOutstanding, .consistentHash(.clientAddress)])
            upstream.passive.consecutiveFailures = UInt32(2 + random.below(3))
            upstream.passive.maxEjectedShare = UInt32(random.below(101))
            spec.upstreams.append(upstream)
        }
        let entries = spec.upstreams.map { SplitEntry(upstream: $0.name, weight: UInt32(random.below(12))) }
        spec.routes = [RouteSpec(name: "api", action: .split(entries))]
        self.random = random
        self.spec = spec
        self.table = RoutingTable(spec: spec, generation: 1, registry: self.registry)
        self.budget = RetryBudget(RetrySpec())
    }

    mutating func step() {
        self.now += UInt64(self.random.below(self.random.chance(1, of: 40) ? 60_000 : 300))
        switch self.random.below(20) {
        case 0: self.changeProbe()
        case 1: self.changeAdministrative()
        case 2: self.reload()
        case 3...11: self.decide()
        default: self.end()
        }
    }

    mutating func finish() {
        while !self.running.isEmpty { self.end() }
    }

    // MARK: events

    private mutating func decide() {
        guard let route = self.table.route(named: "api"), let split = route.split else { return }
        var mask: UInt64 = 0
        for (index, member) in split.entries.enumerated()
        where self.table.upstreams[member.upstream].isAvailable(now: self.now) {
            mask |= 1 << UInt64(index)
        }
        let position = route.nextPosition()
        guard let member = split.interleave(position: position, available: mask) else {
            if mask & split.weighted != 0 { self.complaint = "somebody was available, nobody was chosen" }
            return
        }
        self.account(member, mask: mask & split.weighted, split: split)
        self.attempt(self.table.upstreams[split.entries[member].upstream], tried: 0)
    }

    /// Any whole cycle of decisions under one mask must hold the exact shares.
    private mutating func account(_ member: Int, mask: UInt64, split: Split) {
        if mask != self.stretchMask {
            self.stretchMask = mask
            self.stretch = []
        }
        if mask & (1 << UInt64(member)) == 0 { self.complaint = "member \(member) was chosen outside the mask" }
        self.stretch.append(member)
        let weights = split.entries.indices.map { mask & (1 << UInt64($0)) != 0 ? Int(split.entries[$0].weight) : 0 }
        let total = weights.reduce(0, +)
        guard self.stretch.count >= total else { return }
        let window = self.stretch.suffix(total)
        for (index, weight) in weights.enumerated() where window.count(where: { $0 == index }) != weight {
            self.complaint = "member \(index) of weights \(weights) got not its share: \(Array(window))"
        }
    }

    private mutating func attempt(_ upstream: Upstream, tried: UInt64) {
        self.budget.deposit(now: self.now)
        let selectable = upstream.endpoints.map { $0.isSelectable(now: self.now) }
        switch upstream.select(
            tried: TriedEndpoints(bits: tried), key: self.random.next(), random: &self.choice, now: self.now)
        {
        case .endpoint(let index, let trial):
            self.served += 1
            let endpoint = upstream.endpoints[index]
            if !selectable[index] { self.complaint = "an unavailable endpoint was selected" }
            if tried & (1 << UInt64(index)) != 0, upstream.endpoints.count > 1 {
                self.complaint = "a tried endpoint was selected"
            }
            if trial { self.checkTrial(endpoint) }
            if !trial, endpoint.ejection(now: self.now) != .none {
                self.complaint = "an ejected endpoint got an ordinary request"
            }
            self.held[endpoint.id, default: 0] += 1
            self.running.append(Request(upstream: upstream, index: index, trial: trial, began: self.now))
        case .saturated:
            let cap = Int(upstream.spec.maxOutstanding)
            for (index, endpoint) in upstream.endpoints.enumerated()
            where selectable[index] && tried & (1 << UInt64(index)) == 0 && self.held[endpoint.id, default: 0] < cap {
                self.complaint = "saturated although a slot is free"
            }
        case .unavailable:
            if tried == 0, selectable.contains(true) { self.complaint = "unavailable although one is selectable" }
        }
    }

    /// One trial at a time, but one that has run for a minute may be overtaken; from then on it and its successor
    /// cannot be told apart by how they end, so nothing is claimed about the rest of that endpoint's trials.
    private mutating func checkTrial(_ endpoint: Endpoint) {
        let since = endpoint.explain(now: self.now).since
        let others = self.running.filter { $0.trial && $0.endpoint === endpoint && $0.began >= since }
        if others.contains(where: { self.now >= $0.began + 60_000 }) { self.overtaken.insert(endpoint.id) }
        if !others.isEmpty, !self.overtaken.contains(endpoint.id) { self.complaint = "two trials at once" }
    }

    private mutating func end() {
        guard !self.running.isEmpty else { return }
        let request = self.running.remove(at: self.random.below(self.running.count))
        let outcome: Outcome = self.random.pick([
            .success, .success, .failure, .failure, .overload, .clientFault, .cancelled,
        ])
        let ejected = request.endpoint.report(
            outcome, trial: request.trial, policy: request.upstream.spec.passive, now: self.now)
        request.endpoint.release()
        self.held[request.endpoint.id, default: 0] -= 1
        if ejected, outcome != .failure { self.complaint = "\(outcome) ejected" }
        if ejected, request.endpoint.isSelectable(now: self.now) { self.complaint = "ejected and still selectable" }
        if request.trial, outcome == .success, request.endpoint.ejection(now: self.now) != .none {
            self.complaint = "a trial that succeeded did not return its endpoint"
        }
        if outcome == .failure, self.random.chance(1, of: 2), self.budget.withdraw(now: self.now),
            self.table.upstreams.contains(where: { $0 === request.upstream })
        {
            self.attempt(request.upstream, tried: 1 << UInt64(request.index))
        }
    }

    private mutating func changeProbe() {
        let upstream = self.random.pick(self.table.upstreams)
        guard upstream.spec.health != nil, !upstream.endpoints.isEmpty else { return }
        self.random.pick(upstream.endpoints).setOperational(self.random.pick([.up, .up, .down]), now: self.now)
    }

    private mutating func changeAdministrative() {
        let endpoint = self.random.pick(self.random.pick(self.table.upstreams).endpoints)
        endpoint.setAdministrative(self.random.pick([.ready, .ready, .drain, .maintenance]), now: self.now)
    }

    private mutating func reload() {
        let upstream = self.random.below(self.spec.upstreams.count)
        if self.random.chance(1, of: 2) {
            self.spec.upstreams[upstream].endpoints = (0..<1 + self.random.below(4)).map(Tables.address)
        }
        if self.random.chance(1, of: 3) {
            self.spec.routes[0].action = .split(
                self.spec.upstreams.map { SplitEntry(upstream: $0.name, weight: UInt32(self.random.below(12))) })
            self.stretch = []
        }
        self.table = RoutingTable(spec: self.spec, generation: self.table.generation + 1, registry: self.registry)
        if self.random.chance(1, of: 2) {
            self.registry.settle(on: self.table, now: self.now, grace: UInt64(self.random.below(5_000)))
        }
    }

    // MARK: invariants

    mutating func brokenInvariant() -> String? {
        if let complaint { return complaint }
        for endpoint in self.registry.all() {
            let outstanding = endpoint.outstanding.load(ordering: .relaxed)
            if outstanding != self.held[endpoint.id, default: 0] {
                return "\(outstanding) outstanding, the books say \(self.held[endpoint.id, default: 0])"
            }
        }
        for upstream in self.table.upstreams {
            let cap = Int(upstream.spec.maxOutstanding)
            let count = upstream.endpoints.count
            var ejected = 0
            for endpoint in upstream.endpoints {
                let outstanding = endpoint.outstanding.load(ordering: .relaxed)
                if cap > 0, outstanding > cap { return "\(outstanding) outstanding, above the cap of \(cap)" }
                if endpoint.ejection(now: self.now) != .none { ejected += 1 }
                let availability = endpoint.explain(now: self.now).availability
                if endpoint.isSelectable(now: self.now), !["up", "starting", "ejected"].contains(availability) {
                    return "selectable but told to be \(availability)"
                }
            }
            let share = Int(upstream.spec.passive.maxEjectedShare)
            let bound = count < 2 || share == 0 ? 0 : max(1, count * share / 100)
            if ejected > bound { return "\(ejected) of \(count) ejected, \(bound) allowed" }
            if ejected != upstream.record.ejected {
                return "\(ejected) ejected, the record says \(upstream.record.ejected)"
            }
        }
        return nil
    }
}
