/// Where one exchange goes: the side of its route's split and the endpoint there, over all its attempts. Pure but for the
/// slots that it takes; the caller dials, sends, and comes back with what became of it.
///
///     open ──▶ choose ──▶ endpoint ──▶ (answered)
///                │  ▲         ├─ foundNoRoom ──▶ choose
///                │  │         └─ failed ──▶ choose
///                │  └── provide(key:) ◀── needsKey
///                ├──▶ full ──(wait in that side's queue)──▶ choose
///                └──▶ none ──▶ 503, or what the last attempt failed with
///
/// An override comes first, then the sticky key's side, then the exact interleave. Once a side is chosen the exchange
/// stays there while the side has an endpoint to offer that has not failed it: a cap makes it wait, and never changes its
/// side against the weights. Only then, with fail-over, the other sides of a weight above 0 get it; and where none of them
/// has an available endpoint, a side in reserve.
package struct Placement: Sendable {
    package enum Choice: Sendable, Equatable {
        /// A slot of this endpoint was taken: give it back by `Endpoint.release`, exactly once. `trial` goes into `report`.
        case endpoint(member: Int, index: Int, trial: Bool)
        /// The side is chosen, and all that it can offer is at its caps: wait in its queue, then choose again.
        case full(member: Int)
        /// The side balances by a key that `provide(key:)` is to give; then choose again.
        case needsKey(member: Int)
        case none
    }

    private enum Draw: Sendable { case undrawn, position, sticky }

    /// Endpoints of the present side at which an attempt has failed.
    private var tried = TriedEndpoints()
    /// Endpoints of the present side that had no connection to give, since the last wait.
    private var crowded = TriedEndpoints()
    /// The position in the interleave, or the sticky key.
    private var drawn: UInt64 = 0
    private var endpointKey: UInt64 = 0
    /// Sides that the exchange has left, a bit each.
    private var left: UInt64 = 0
    // Behind the words of 64 bits, the wider first: the whole stays within one cache line.
    private var presentEndpoint: Int16 = -1
    private var draw = Draw.undrawn
    private var hasKey = false
    /// The next attempt is for the same endpoint.
    private var stays = false
    private var forcedMember: Int8 = -1
    private var presentMember: Int8 = -1
    /// The side is not the one that weights or key gave it: that one had nobody to serve.
    package private(set) var isDiverted = false

    /// Decided by the weights.
    package init() {}

    /// `forced`: the member that an override names, whatever its weight. `stickyKey`: what the client sticks by; it serves
    /// as key of a consistent choice too.
    package init(forced: Int?, stickyKey: UInt64?) {
        if let forced, forced >= 0, forced < Split.maximumMembers { self.forcedMember = Int8(forced) }
        guard let stickyKey else { return }
        self.drawn = stickyKey
        self.draw = .sticky
        self.endpointKey = stickyKey
        self.hasKey = true
    }

    /// The side chosen last, also if it could not serve; nil: none was.
    package var member: Int? { self.presentMember < 0 ? nil : Int(self.presentMember) }

    /// What comes next is another request's: no side has been chosen for it.
    package mutating func forget() { self.presentMember = -1 }

    /// The endpoint chosen last on that side.
    package var endpoint: Int? { self.presentEndpoint < 0 ? nil : Int(self.presentEndpoint) }

    package var isForced: Bool { self.forcedMember >= 0 }

    /// What the client sticks by; nil: nothing.
    package var stickyKey: UInt64? { self.draw == .sticky ? self.drawn : nil }

    /// The hash of what the side chosen last balances by; a request without it may give any number.
    package mutating func provide(key: UInt64) {
        self.endpointKey = key
        self.hasKey = true
    }

    /// Chooses, and takes a slot of the endpoint. `now` in monotonic milliseconds. Allocates nothing.
    package mutating func choose(_ route: Route, random: inout SplitMix64, now: UInt64) -> Choice {
        self.choose(route, taking: true, random: &random, now: now)
    }

    /// What `choose` would answer at this moment, and what `member` would be then. Takes no slot, no trial and no place in
    /// the interleave.
    package func preview(_ route: Route, random: SplitMix64, now: UInt64) -> (choice: Choice, member: Int?) {
        var copy = self
        var random = random
        let choice = copy.choose(route, taking: false, random: &random, now: now)
        return (choice, copy.member)
    }

    // MARK: what became of the choice

    /// The attempt at the endpoint failed: it is not asked again unless its side has no other and no other side can serve.
    package mutating func failed() {
        if self.presentEndpoint >= 0 { self.tried.insert(Int(self.presentEndpoint)) }
        self.stays = false
        self.crowded = TriedEndpoints()
    }

    /// The attempt met a pooled connection that the endpoint had already closed: nothing was tried yet, and the next
    /// choice is the same endpoint.
    package mutating func foundStaleConnection() {
        self.stays = self.presentEndpoint >= 0
    }

    /// The slot was given back, because the endpoint's connections are used up: others of the side are looked at before
    /// the exchange waits. That is no attempt, and counts against nobody.
    package mutating func foundNoRoom() {
        if self.presentEndpoint >= 0 { self.crowded.insert(Int(self.presentEndpoint)) }
        self.stays = false
    }

    /// No side could serve it, and nothing was tried: it is not another side's, but the one's that weights or key gave it to.
    package mutating func foundNobody(_ route: Route) {
        guard self.forcedMember < 0, let weighted = route.split?.weighted, let own = self.pick(route, weighted)
        else { return }
        self.settle(on: own)
        self.isDiverted = false
    }

    // MARK: choosing

    private mutating func choose(
        _ route: Route, taking: Bool, random: inout SplitMix64, now: UInt64
    ) -> Choice {
        guard let weighted = route.split?.weighted else { return .none }
        if self.presentMember >= 0 {
            let choice = self.chooseAgain(route, weighted, taking: taking, random: &random, now: now)
            // `none` here says that the side was left for others.
            if choice != .none || self.presentMember >= 0 { return choice }
        } else if self.forcedMember >= 0 {
            guard Int(self.forcedMember) < route.sides.count else { return .none }
            self.presentMember = self.forcedMember
            return self.chooseEndpoint(route, taking: taking, random: &random, now: now)
        }
        let candidates = weighted & ~self.left
        var open = self.available(candidates, route, now)
        if self.draw == .undrawn {
            // A side alone needs no turn, and workers need not meet at its counter.
            if candidates & (candidates &- 1) != 0 { self.drawn = route.record.position(taking: taking) }
            self.draw = .position
        }
        if open != candidates, route.failover {
            // Whose share it is, whether that side lives or not.
            let own = self.left == 0 ? self.pick(route, candidates) : nil
            self.isDiverted = own.map { open & (1 << UInt64($0)) == 0 } ?? true
        }
        while let member = self.pick(route, route.failover ? open : candidates) {
            self.settle(on: member)
            let bit: UInt64 = 1 << UInt64(member)
            guard open & bit != 0 else {
                if open == 0 { return self.chooseReserve(route, taking: taking, random: &random, now: now) }
                return .none
            }
            let choice = self.chooseEndpoint(route, taking: taking, random: &random, now: now)
            if choice != .none || !route.failover { return choice }
            open &= ~bit
            self.isDiverted = true
        }
        return self.chooseReserve(route, taking: taking, random: &random, now: now)
    }

    /// Where no side with a weight has served: the first side in reserve that can, unless one of the others might have.
    @inline(never)
    private mutating func chooseReserve(
        _ route: Route, taking: Bool, random: inout SplitMix64, now: UInt64
    ) -> Choice {
        guard let split = route.split, split.reserve & ~self.left != 0,
            self.available(split.weighted, route, now) == 0
        else { return .none }
        var open = self.available(split.reserve & ~self.left, route, now)
        while open != 0 {
            self.settle(on: open.trailingZeroBitCount)
            let choice = self.chooseEndpoint(route, taking: taking, random: &random, now: now)
            if choice != .none { return choice }
            open &= open &- 1
        }
        return .none
    }

    /// A further attempt, or one that has waited: on the same side, if that can serve it.
    private mutating func chooseAgain(
        _ route: Route, _ weighted: UInt64, taking: Bool, random: inout SplitMix64, now: UInt64
    ) -> Choice {
        let bit: UInt64 = 1 << UInt64(self.presentMember)
        let mayLeave = route.failover && self.forcedMember < 0
        if !mayLeave || !self.isSpent(route) || self.available(weighted & ~self.left & ~bit, route, now) == 0 {
            let choice = self.chooseEndpoint(route, taking: taking, random: &random, now: now)
            if choice != .none || !mayLeave { return choice }
        }
        self.left |= bit
        self.settle(on: -1)
        return .none
    }

    /// Whether the side's only endpoint has failed: it may be asked again, but others come first.
    private func isSpent(_ route: Route) -> Bool {
        guard !self.tried.isEmpty, Int(self.presentMember) < route.sides.count else { return false }
        return route.sides[Int(self.presentMember)]._withUnsafeGuaranteedRef { $0.endpoints.count == 1 }
    }

    private mutating func settle(on member: Int) {
        self.presentMember = Int8(truncatingIfNeeded: member)
        self.presentEndpoint = -1
        self.tried = TriedEndpoints()
        self.crowded = TriedEndpoints()
        self.stays = false
        if self.draw != .sticky { self.hasKey = false }
    }

    private func pick(_ route: Route, _ candidates: UInt64) -> Int? {
        self.draw == .sticky
            ? route.split?.rendezvous(key: self.drawn, available: candidates)
            : route.split?.interleave(position: self.drawn, available: candidates)
    }

    /// Those of `members` with an endpoint that may be asked.
    private func available(_ members: UInt64, _ route: Route, _ now: UInt64) -> UInt64 {
        var open = members
        var scan = members
        while scan != 0 {
            let member = scan.trailingZeroBitCount
            scan &= scan - 1
            if member < route.sides.count,
                route.sides[member]._withUnsafeGuaranteedRef({ $0.isAvailable(now: now) })
            {
                continue
            }
            open &= ~(1 << UInt64(member))
        }
        return open
    }

    private mutating func chooseEndpoint(
        _ route: Route, taking: Bool, random: inout SplitMix64, now: UInt64
    ) -> Choice {
        let member = Int(self.presentMember)
        guard member >= 0, member < route.sides.count else { return .none }
        if self.crowded.isFull {
            self.crowded = TriedEndpoints()
            return .full(member: member)
        }
        let tried = self.tried
        let crowded = self.crowded
        let key = self.endpointKey
        let same = self.stays ? Int(self.presentEndpoint) : -1
        let needsKey = !self.hasKey
        // In one go, so that the upstream is looked up once.
        let selection = route.sides[member]._withUnsafeGuaranteedRef { upstream -> Selection? in
            if same >= 0 {
                let selection = upstream.reselect(same, taking: taking, now: now)
                if selection != .unavailable { return selection }
            }
            if needsKey, upstream.hashes { return nil }
            return upstream.select(
                tried: tried, crowded: crowded, key: key, taking: taking, random: &random, now: now)
        }
        switch selection {
        case .endpoint(let index, let trial):
            self.presentEndpoint = Int16(truncatingIfNeeded: index)
            return .endpoint(member: member, index: index, trial: trial)
        case .saturated:
            self.crowded = TriedEndpoints()
            return .full(member: member)
        case .unavailable: return .none
        case nil: return .needsKey(member: member)
        }
    }
}
