import Synchronization

/// An upstream of a table with its endpoints. Choosing among them takes no lock and allocates nothing.
package final class Upstream: Sendable {
    private enum Discipline: Sendable { case roundRobin, leastOutstanding, consistentHash }

    /// Index into the table's upstreams.
    package let index: Int
    package let name: String
    package let spec: UpstreamSpec
    package let endpoints: [Endpoint]
    package let record: UpstreamRecord
    private let discipline: Discipline
    private let cap: UInt32
    private let slowStart: UInt32

    init(index: Int, spec: UpstreamSpec, registry: EndpointRegistry) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.record = registry.upstreamRecord(spec.name)
        self.endpoints = spec.endpoints.map {
            registry.endpoint(upstream: spec.name, address: $0, probed: spec.health != nil)
        }
        self.discipline =
            switch spec.balance {
            case .roundRobin: .roundRobin
            case .leastOutstanding: .leastOutstanding
            case .consistentHash: .consistentHash
            }
        self.cap = spec.maxOutstanding
        self.slowStart = spec.slowStart
        for endpoint in self.record.adopt(self.endpoints, policy: spec.passive) { endpoint.readmit() }
    }

    /// Whether any endpoint could take a request now, caps aside.
    package func isAvailable(now: UInt64) -> Bool {
        for endpoint in self.endpoints where endpoint.isSelectable(now: now) { return true }
        return false
    }

    /// Chooses an endpoint and takes a slot of it. Caps hold exactly, whichever threads ask.
    ///
    /// `tried` names the endpoints that have already failed this request: they do not get it again unless there is only
    /// one. `key` matters to consistent hashing only. An endpoint whose ejection has
    /// run out gets one request as its trial, at the next chance: a first attempt, so that it can still be retried.
    package func select(tried: TriedEndpoints, key: UInt64, random: inout SplitMix64, now: UInt64) -> Selection {
        let count = self.endpoints.count
        guard count > 0 else { return .unavailable }
        let tried = count == 1 ? TriedEndpoints() : tried
        if self.discipline == .consistentHash { return self.selectByHash(tried: tried, key: key, now: now) }

        // Endpoints are looked at in blocks of 64, so that a mask can say which are open. The first block is drawn by
        // size; the others only matter if it has nothing to offer.
        let blocks = (count + 63) / 64
        let turn = self.discipline == .roundRobin ? self.record.nextTurn() : 0
        var block = 0
        var rank = turn
        if blocks > 1 {
            if self.discipline == .roundRobin {
                let place = Int(turn % UInt64(count))
                block = place / 64
                rank = turn / UInt64(count) &+ UInt64(place % 64)
            } else {
                block = random.below(count) / 64
            }
        }
        var saturated = false
        for _ in 0..<blocks {
            switch self.selectInBlock(block, rank: rank, tried: tried, random: &random, now: now) {
            case .endpoint(let index, let trial): return .endpoint(index: index, trial: trial)
            case .saturated: saturated = true
            case .unavailable: break
            }
            block = block + 1 < blocks ? block + 1 : 0
        }
        return saturated ? .saturated : .unavailable
    }

    private func selectInBlock(
        _ block: Int, rank: UInt64, tried: TriedEndpoints, random: inout SplitMix64, now: UInt64
    ) -> Selection {
        let base = block * 64
        var open: UInt64 = 0
        var trials: UInt64 = 0
        for offset in 0..<min(64, self.endpoints.count - base) {
            switch self.endpoints[base + offset].admission(now: now) {
            case .closed: break
            case .open: open |= 1 << UInt64(offset)
            case .trial: trials |= 1 << UInt64(offset)
            }
        }
        let excluded = tried.mask(from: base)
        open &= ~excluded
        trials &= ~excluded
        var saturated = false
        if trials != 0, tried.isEmpty, let index = self.acquireTrial(trials, base: base, saturated: &saturated, now: now) {
            return .endpoint(index: index, trial: true)
        }
        while open != 0 {
            let offset =
                self.discipline == .roundRobin
                ? self.inTurn(open, base: base, rank: rank, random: &random, now: now)
                : self.lessLoaded(open, base: base, random: &random, now: now)
            if self.endpoints[base + offset].acquire(cap: self.cap) {
                return .endpoint(index: base + offset, trial: false)
            }
            saturated = true
            open &= ~(1 << UInt64(offset))
        }
        if trials != 0, let index = self.acquireTrial(trials, base: base, saturated: &saturated, now: now) {
            return .endpoint(index: index, trial: true)
        }
        return saturated ? .saturated : .unavailable
    }

    private func acquireTrial(_ trials: UInt64, base: Int, saturated: inout Bool, now: UInt64) -> Int? {
        var left = trials
        while left != 0 {
            let index = base + left.trailingZeroBitCount
            left &= left - 1
            switch self.acquire(index, trial: true, now: now) {
            case .acquired: return index
            case .full: saturated = true
            case .lost: break
            }
        }
        return nil
    }

    private enum Acquisition { case acquired, full, lost }

    /// The slot first: a trial that found no slot would have to be given back, and another thread might miss it.
    private func acquire(_ index: Int, trial: Bool, now: UInt64) -> Acquisition {
        let endpoint = self.endpoints[index]
        guard endpoint.acquire(cap: self.cap) else { return .full }
        guard trial, !endpoint.beginTrial(now: now) else { return .acquired }
        endpoint.release()
        return .lost
    }

    // MARK: disciplines

    /// The endpoint whose turn it is; while it warms up it may pass its turn on to the next.
    private func inTurn(_ open: UInt64, base: Int, rank: UInt64, random: inout SplitMix64, now: UInt64) -> Int {
        let count = open.nonzeroBitCount
        let place = Int(rank % UInt64(count))
        let offset = open.offsetOfBit(place)
        guard self.slowStart > 0, count > 1, self.passes(base + offset, random: &random, now: now) else {
            return offset
        }
        return open.offsetOfBit(place + 1 < count ? place + 1 : 0)
    }

    /// The less loaded of two drawn at random; while it warms up it may leave the request to the other one.
    private func lessLoaded(_ open: UInt64, base: Int, random: inout SplitMix64, now: UInt64) -> Int {
        let count = open.nonzeroBitCount
        guard count > 1 else { return open.trailingZeroBitCount }
        let draw = random.below(count)
        var other = random.below(count - 1)
        if other >= draw { other += 1 }
        var chosen = open.offsetOfBit(draw)
        var spare = open.offsetOfBit(other)
        let load = self.endpoints[base + chosen].outstanding.load(ordering: .relaxed)
        if self.endpoints[base + spare].outstanding.load(ordering: .relaxed) < load { swap(&chosen, &spare) }
        guard self.slowStart > 0, self.passes(base + chosen, random: &random, now: now) else { return chosen }
        return spare
    }

    /// Whether an endpoint in slow start passes on a request: so often that what it keeps is its present share.
    private func passes(_ index: Int, random: inout SplitMix64, now: UInt64) -> Bool {
        let share = self.endpoints[index].share(now: now, slowStart: self.slowStart)
        return share < 1024 && random.below(1024) >= Int(share)
    }

    /// Rendezvous over all endpoints that may be asked, warming ones at their present share. Keys of an endpoint that
    /// is out spread over the others, and come back with it.
    private func selectByHash(tried: TriedEndpoints, key: UInt64, now: UInt64) -> Selection {
        var saturated = false
        // From the highest score down: what had no slot is the ceiling of the next round.
        var ceiling: RendezvousScore?
        while true {
            var best: (index: Int, trial: Bool, score: RendezvousScore)?
            for index in self.endpoints.indices where !tried.contains(index) {
                let endpoint = self.endpoints[index]
                let admission = endpoint.admission(now: now)
                guard admission != .closed else { continue }
                let score = RendezvousScore(
                    weight: endpoint.share(now: now, slowStart: self.slowStart),
                    hash: KeyHash.combine(endpoint.seed, key))
                if let ceiling, !ceiling.beats(score) { continue }
                if let best, !score.beats(best.score) { continue }
                best = (index, admission == .trial, score)
            }
            guard let best else { return saturated ? .saturated : .unavailable }
            switch self.acquire(best.index, trial: best.trial, now: now) {
            case .acquired: return .endpoint(index: best.index, trial: best.trial)
            case .full: saturated = true
            case .lost: break
            }
            ceiling = best.score
        }
    }
}

extension UInt64 {
    /// Where the `rank`th set bit is, counted from 0. There must be more than `rank` set bits.
    fileprivate func offsetOfBit(_ rank: Int) -> Int {
        var bits = self
        for _ in 0..<rank { bits &= bits - 1 }
        return bits.trailingZeroBitCount
    }
}
