import Synchronization

/// An upstream of a table with its endpoints. Choosing among them takes no lock and allocates nothing.
package final class Upstream: Sendable {
    private enum Discipline: Sendable { case roundRobin, leastOutstanding, consistentHash }

    /// Endpoints beyond it are not used.
    package static let maximumEndpoints = EndpointMask.capacity

    /// Index into the table's upstreams.
    package let index: Int
    package let name: String
    package let spec: UpstreamSpec
    package let endpoints: [Endpoint]
    package let record: UpstreamRecord
    /// Whether the choice of an endpoint hangs on a key.
    package let hashes: Bool
    /// `endpoints`, read without counting references.
    private let places: ContiguousArray<Unmanaged<Endpoint>>
    private let discipline: Discipline
    private let cap: UInt32
    /// 0 where connections carry several requests: what they have room for only they know.
    private let connectionCap: UInt32
    private let slowStart: UInt32

    init(index: Int, spec: UpstreamSpec, registry: EndpointRegistry) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.record = registry.upstreamRecord(spec.name)
        self.endpoints = spec.endpoints.prefix(Self.maximumEndpoints).map {
            registry.endpoint(upstream: spec.name, address: $0, probed: spec.health != nil)
        }
        self.places = ContiguousArray(self.endpoints.map { Unmanaged.passUnretained($0) })
        self.discipline =
            switch spec.balance {
            case .roundRobin: .roundRobin
            case .leastOutstanding: .leastOutstanding
            case .consistentHash: .consistentHash
            }
        self.hashes = self.discipline == .consistentHash
        self.cap = spec.maxOutstanding
        self.connectionCap = spec.speaks == .http1 ? spec.maxConnections : 0
        self.slowStart = spec.slowStart
        for endpoint in self.record.adopt(self.endpoints, policy: spec.passive) { endpoint.readmit() }
    }

    /// Whether any endpoint could take a request now, caps aside.
    package func isAvailable(now: UInt64) -> Bool {
        for place in self.places.indices where self.admission(place, now) != .closed { return true }
        return false
    }

    /// Chooses an endpoint and takes a slot of it. Caps hold exactly, whichever threads ask.
    ///
    /// `tried` names the endpoints that have already failed this request: they do not get it again unless there is only
    /// one. `crowded` names those that have no connection to give, whatever their counters say: as if they were at a cap.
    /// `key` matters to consistent hashing only. An endpoint whose ejection has run out gets one request as its
    /// trial, at the next chance: a first attempt, so that it can still be retried.
    ///
    /// `taking` false: says what would be chosen, and changes nothing.
    package func select(
        tried: TriedEndpoints, crowded: TriedEndpoints = TriedEndpoints(), key: UInt64, taking: Bool = true,
        random: inout SplitMix64, now: UInt64
    ) -> Selection {
        let count = self.places.count
        guard count > 0 else { return .unavailable }
        let tried = count == 1 ? TriedEndpoints() : tried
        if self.discipline == .consistentHash {
            return self.selectByHash(tried: tried, crowded: crowded, key: key, taking: taking, now: now)
        }
        if tried.isEmpty, crowded.isEmpty, self.discipline == .leastOutstanding,
            let index = self.selectSteadily(taking: taking, random: &random)
        {
            return .endpoint(index: index, trial: false)
        }
        return self.selectAmongOpen(tried: tried, crowded: crowded, taking: taking, random: &random, now: now)
    }

    /// Takes a slot of this very endpoint, if it may have a request.
    package func reselect(_ index: Int, taking: Bool = true, now: UInt64) -> Selection {
        guard self.places.indices.contains(index) else { return .unavailable }
        let admission = self.admission(index, now)
        guard admission != .closed else { return .unavailable }
        guard self.hasRoom(index) else { return .saturated }
        guard taking else { return .endpoint(index: index, trial: admission == .trial) }
        switch self.acquire(index, trial: admission == .trial, now: now) {
        case .acquired: return .endpoint(index: index, trial: admission == .trial)
        case .full: return .saturated
        case .lost: return .unavailable
        }
    }

    // MARK: disciplines

    /// The usual case, in which all endpoints are in service: the less loaded of two drawn at random. Two that are open
    /// are as likely to be drawn here as among the open ones only, so the choice is even whichever are out. nil: what was
    /// drawn would not do, or a trial may be due.
    private func selectSteadily(taking: Bool, random: inout SplitMix64) -> Int? {
        guard self.slowStart == 0, self.record.ejected == 0 else { return nil }
        let count = self.places.count
        var chosen = 0
        if count > 1 {
            chosen = random.below(count)
            var spare = random.below(count - 1)
            if spare >= chosen { spare += 1 }
            guard self.isInService(chosen), self.isInService(spare) else { return nil }
            if self.outstanding(spare) < self.outstanding(chosen) { chosen = spare }
        } else if !self.isInService(0) {
            return nil
        }
        guard self.hasRoom(chosen) else { return nil }
        guard taking else { return chosen }
        return self.places[chosen]._withUnsafeGuaranteedRef { $0.acquire(cap: self.cap) } ? chosen : nil
    }

    private func selectAmongOpen(
        tried: TriedEndpoints, crowded: TriedEndpoints, taking: Bool, random: inout SplitMix64, now: UInt64
    ) -> Selection {
        var open = EndpointMask()
        var trials = EndpointMask()
        var isSaturated = false
        for index in self.places.indices where !tried.contains(index) {
            let admission = self.admission(index, now)
            if admission == .closed { continue }
            guard self.hasRoom(index), !crowded.contains(index) else {
                isSaturated = true
                continue
            }
            if admission == .open { open.insert(index) } else { trials.insert(index) }
        }
        if tried.isEmpty, let index = self.takeTrial(&trials, &isSaturated, taking: taking, now: now) {
            return .endpoint(index: index, trial: true)
        }
        let turn = self.discipline == .roundRobin && open.count > 0 ? self.record.turn(taking: taking) : 0
        while open.count > 0 {
            let index =
                self.discipline == .roundRobin
                ? self.inTurn(open, turn: turn, random: &random, now: now)
                : self.lessLoaded(open, random: &random, now: now)
            if !taking || self.places[index]._withUnsafeGuaranteedRef({ $0.acquire(cap: self.cap) }) {
                return .endpoint(index: index, trial: false)
            }
            isSaturated = true
            open.remove(index)
        }
        if let index = self.takeTrial(&trials, &isSaturated, taking: taking, now: now) {
            return .endpoint(index: index, trial: true)
        }
        return isSaturated ? .saturated : .unavailable
    }

    private func takeTrial(
        _ trials: inout EndpointMask, _ isSaturated: inout Bool, taking: Bool, now: UInt64
    ) -> Int? {
        while trials.count > 0 {
            let index = trials.member(0)
            guard taking else { return index }
            trials.remove(index)
            switch self.acquire(index, trial: true, now: now) {
            case .acquired: return index
            case .full: isSaturated = true
            case .lost: break
            }
        }
        return nil
    }

    /// The endpoint whose turn it is; while it warms up it may pass its turn on to the next.
    private func inTurn(_ open: EndpointMask, turn: UInt64, random: inout SplitMix64, now: UInt64) -> Int {
        let place = Int(turn % UInt64(open.count))
        let index = open.member(place)
        guard self.slowStart > 0, open.count > 1, self.passes(index, random: &random, now: now) else { return index }
        return open.member(place + 1 < open.count ? place + 1 : 0)
    }

    /// The less loaded of two drawn at random; while it warms up it may leave the request to the other one.
    private func lessLoaded(_ open: EndpointMask, random: inout SplitMix64, now: UInt64) -> Int {
        guard open.count > 1 else { return open.member(0) }
        let draw = random.below(open.count)
        var other = random.below(open.count - 1)
        if other >= draw { other += 1 }
        var chosen = open.member(draw)
        var spare = open.member(other)
        if self.outstanding(spare) < self.outstanding(chosen) { swap(&chosen, &spare) }
        guard self.slowStart > 0, self.passes(chosen, random: &random, now: now) else { return chosen }
        return spare
    }

    /// Whether an endpoint in slow start passes on a request: so often that what it keeps is its present share.
    private func passes(_ index: Int, random: inout SplitMix64, now: UInt64) -> Bool {
        let share = self.share(index, now)
        return share < 1024 && random.below(1024) >= Int(share)
    }

    /// Rendezvous over all endpoints that may be asked, warming ones at their present share. Keys of an endpoint that
    /// is out or full spread over the others, and come back with it.
    private func selectByHash(
        tried: TriedEndpoints, crowded: TriedEndpoints, key: UInt64, taking: Bool, now: UInt64
    ) -> Selection {
        var isSaturated = false
        // Only a thread that was faster makes a second round: what it took is the ceiling then.
        var ceiling: RendezvousScore?
        while true {
            var best: (index: Int, trial: Bool, score: RendezvousScore)?
            for index in self.places.indices where !tried.contains(index) {
                let admission = self.admission(index, now)
                guard admission != .closed else { continue }
                guard self.hasRoom(index), !crowded.contains(index) else {
                    isSaturated = true
                    continue
                }
                let seed = self.places[index]._withUnsafeGuaranteedRef { $0.seed }
                let score = RendezvousScore(weight: self.share(index, now), hash: KeyHash.combine(seed, key))
                if let ceiling, !ceiling.beats(score) { continue }
                if let best, !score.beats(best.score) { continue }
                best = (index, admission == .trial, score)
            }
            guard let best else { return isSaturated ? .saturated : .unavailable }
            guard taking else { return .endpoint(index: best.index, trial: best.trial) }
            switch self.acquire(best.index, trial: best.trial, now: now) {
            case .acquired: return .endpoint(index: best.index, trial: best.trial)
            case .full: isSaturated = true
            case .lost: break
            }
            ceiling = best.score
        }
    }

    // MARK: one endpoint

    private enum Acquisition { case acquired, full, lost }

    /// The slot first: a trial that found no slot would have to be given back, and another thread might miss it.
    private func acquire(_ index: Int, trial: Bool, now: UInt64) -> Acquisition {
        self.places[index]._withUnsafeGuaranteedRef { endpoint in
            guard endpoint.acquire(cap: self.cap) else { return .full }
            guard trial, !endpoint.beginTrial(now: now) else { return .acquired }
            endpoint.release()
            return .lost
        }
    }

    /// Whether a request could begin here: below the cap of requests, and with a connection that is idle somewhere or may
    /// still be made. Idle ones may lie with another worker; only who dials finds that out.
    private func hasRoom(_ index: Int) -> Bool {
        if self.cap == 0, self.connectionCap == 0 { return true }
        let held = self.outstanding(index)
        if self.cap > 0, held >= Int(self.cap) { return false }
        guard self.connectionCap > 0 else { return true }
        let connections = self.places[index]._withUnsafeGuaranteedRef { $0.connections.load(ordering: .relaxed) }
        return connections < Int(self.connectionCap) || held < connections
    }

    private func admission(_ index: Int, _ now: UInt64) -> Endpoint.Admission {
        self.places[index]._withUnsafeGuaranteedRef { $0.admission(now: now) }
    }

    private func isInService(_ index: Int) -> Bool {
        self.places[index]._withUnsafeGuaranteedRef { $0.loadWord() == .inService }
    }

    private func outstanding(_ index: Int) -> Int {
        self.places[index]._withUnsafeGuaranteedRef { $0.outstanding.load(ordering: .relaxed) }
    }

    private func share(_ index: Int, _ now: UInt64) -> UInt32 {
        self.places[index]._withUnsafeGuaranteedRef { $0.share(now: now, slowStart: self.slowStart) }
    }
}
