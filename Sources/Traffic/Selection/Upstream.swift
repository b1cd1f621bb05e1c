import Synchronization

/// What asking an upstream for an endpoint came to.
package enum Selection: Sendable, Equatable {
    /// Chosen and acquired: whoever gets this must `release` it.
    case endpoint(index: Int, trial: Bool)
    /// Endpoints could serve, but all are at their cap.
    case saturated
    case unavailable
}

/// A group of endpoints in one table.
package final class Upstream: Sendable {
    package let index: Int
    package let name: String
    package let spec: UpstreamSpec
    package let endpoints: [Endpoint]
    package let record: UpstreamRecord
    private let cap: Int
    private let hashes: [UInt64]

    init(index: Int, spec: UpstreamSpec, registry: EndpointRegistry) {
        self.index = index
        self.name = spec.name
        self.spec = spec
        self.endpoints = spec.endpoints.map {
            registry.endpoint(upstream: spec.name, address: $0, probed: spec.health != nil)
        }
        self.hashes = spec.endpoints.map { KeyHash.hash($0.description) }
        self.record = registry.upstreamRecord(spec.name)
        self.cap = Int(spec.maxOutstanding)
        self.record.setSize(spec.endpoints.count)
    }

    /// At start nothing has a verdict: then, and only then, unknown endpoints serve.
    private var unknownCounts: Bool {
        for endpoint in self.endpoints where endpoint.operational != .unknown { return false }
        return true
    }

    /// Whether any endpoint may get a request.
    package func isAvailable(now: UInt64) -> Bool {
        for endpoint in self.endpoints where endpoint.isSelectable(now: now) { return true }
        guard self.unknownCounts else { return false }
        for endpoint in self.endpoints where endpoint.isSelectable(now: now, unknownCounts: true) { return true }
        return false
    }

    /// Chooses an endpoint and takes a slot of it. `tried`: bit (index mod 64) of those that failed this request already;
    /// they are avoided, unless the upstream has no other endpoint at all.
    package func select(tried: UInt64, key: UInt64, random: inout SplitMix64, now: UInt64) -> Selection {
        let count = self.endpoints.count
        guard count > 0 else { return .unavailable }
        let avoided = count > 1 ? tried : 0
        switch self.spec.balance {
        case .leastOutstanding:
            // Two at random; usually both will do and the scan below is not needed.
            if count > 1 {
                let first = random.below(count)
                var second = random.below(count - 1)
                if second >= first { second += 1 }
                if self.isEligible(first, avoided, now), self.isEligible(second, avoided, now) {
                    let chosen = self.isLessLoaded(first, second, now) ? first : second
                    if let selection = self.take(chosen, now: now) { return selection }
                }
                return self.scan(from: first, avoided: avoided, random: &random, now: now)
            }
            return self.scan(from: 0, avoided: avoided, random: &random, now: now)
        case .roundRobin:
            let start = Int(self.record.cursor.add(1, ordering: .relaxed).oldValue % UInt64(count))
            return self.scan(from: start, avoided: avoided, random: &random, now: now)
        case .consistentHash: return self.highest(key: key, avoided: avoided, now: now)
        }
    }

    private func isEligible(_ index: Int, _ avoided: UInt64, _ now: UInt64) -> Bool {
        avoided >> UInt64(index & 63) & 1 == 0 && self.endpoints[index].isSelectable(now: now)
    }

    /// Outstanding requests, weighed by the part of its share that a starting endpoint may have.
    private func isLessLoaded(_ left: Int, _ right: Int, _ now: UInt64) -> Bool {
        let leftLoad = self.endpoints[left].outstanding.load(ordering: .relaxed) + 1
        let rightLoad = self.endpoints[right].outstanding.load(ordering: .relaxed) + 1
        guard self.spec.slowStart > 0 else { return leftLoad <= rightLoad }
        let leftShare = Int(self.endpoints[left].share(now: now, slowStart: self.spec.slowStart))
        let rightShare = Int(self.endpoints[right].share(now: now, slowStart: self.spec.slowStart))
        return leftLoad * rightShare <= rightLoad * leftShare
    }

    /// The first that will do, going round from `start`. A starting endpoint lets requests pass it by in proportion.
    private func scan(from start: Int, avoided: UInt64, random: inout SplitMix64, now: UInt64) -> Selection {
        let unknown = self.unknownCounts
        var saturated = false
        var passedBy: Int?
        for step in 0..<self.endpoints.count {
            let index = (start + step) % self.endpoints.count
            guard avoided >> UInt64(index & 63) & 1 == 0,
                self.endpoints[index].isSelectable(now: now, unknownCounts: unknown)
            else { continue }
            let share = self.endpoints[index].share(now: now, slowStart: self.spec.slowStart)
            if share < 1_024, random.below(1_024) >= Int(share) {
                if passedBy == nil { passedBy = index }
                continue
            }
            if let selection = self.take(index, now: now) { return selection }
            saturated = true
        }
        if let passedBy {
            if let selection = self.take(passedBy, now: now) { return selection }
            saturated = true
        }
        return saturated ? .saturated : .unavailable
    }

    /// Rendezvous of the key over the endpoints; the next highest when one is out.
    private func highest(key: UInt64, avoided: UInt64, now: UInt64) -> Selection {
        let unknown = self.unknownCounts
        var refused: UInt64 = 0
        var saturated = false
        while true {
            var best: Int?
            var bestScore: UInt64 = 0
            for index in self.endpoints.indices {
                guard (avoided | refused) >> UInt64(index & 63) & 1 == 0,
                    self.endpoints[index].isSelectable(now: now, unknownCounts: unknown)
                else { continue }
                let score = KeyHash.mix(key ^ self.hashes[index])
                if best == nil || score > bestScore {
                    best = index
                    bestScore = score
                }
            }
            guard let best else { return saturated ? .saturated : .unavailable }
            if let selection = self.take(best, now: now) { return selection }
            saturated = true
            refused |= 1 << UInt64(best & 63)
        }
    }

    /// nil: at its cap, or another request was quicker to claim the trial.
    private func take(_ index: Int, now: UInt64) -> Selection? {
        let endpoint = self.endpoints[index]
        let trial = endpoint.needsTrial(now: now)
        guard endpoint.acquire(limit: self.cap) else { return nil }
        if trial, !endpoint.beginTrial(now: now) {
            endpoint.release()
            return nil
        }
        return .endpoint(index: index, trial: trial)
    }
}
