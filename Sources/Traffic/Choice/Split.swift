/// One side of a split: an upstream of the table and its weight.
package struct SplitMember: Sendable, Equatable {
    /// Index into the table's upstreams.
    package let upstream: Int
    /// 0…1,000,000.
    package let weight: UInt32
    /// What its rendezvous draws hang on: the names of route and upstream, nothing that differs between replicas.
    let seed: UInt64
}

/// How a route's requests are shared out between upstreams. Both ways of choosing are functions of their arguments
/// alone; members are named by their index in `entries`, and sets of them are masks (bit i is `entries[i]`).
///
/// A member of weight 0 is never chosen, and neither is one beyond the 64th.
package struct Split: Sendable {
    /// In declared order.
    package let entries: [SplitMember]
    /// The members whose weight is not 0.
    package let weighted: UInt64
    /// The members of weight 0 that stand in for all of these.
    package let reserve: UInt64

    package static let maximumMembers = 64
    package static let maximumWeight: UInt32 = 1_000_000

    /// `upstreams` are the table's indices by name; an entry whose name is not among them gets weight 0.
    init(_ entries: [SplitEntry], route: String, upstreams: [String: Int], reserve: [String] = []) {
        let routeHash = KeyHash.hash(route)
        self.entries = entries.map { entry in
            let upstream = upstreams[entry.upstream]
            return SplitMember(
                upstream: upstream ?? 0, weight: upstream == nil ? 0 : min(entry.weight, Self.maximumWeight),
                seed: KeyHash.combine(routeHash, KeyHash.hash(entry.upstream)))
        }
        var weighted: UInt64 = 0
        for index in self.entries.indices.prefix(Self.maximumMembers) where self.entries[index].weight > 0 {
            weighted |= 1 << UInt64(index)
        }
        self.weighted = weighted
        var spare: UInt64 = 0
        // Where nobody has a weight, nobody is to serve.
        for index in self.entries.indices.prefix(Self.maximumMembers)
        where weighted != 0 && self.entries[index].weight == 0 && upstreams[entries[index].upstream] != nil
            && reserve.contains(entries[index].upstream)
        {
            spare |= 1 << UInt64(index)
        }
        self.reserve = spare
    }

    /// The member that serves the request at `position` of an endless smooth interleave: of any n consecutive positions,
    /// n being the available weights' sum divided by their greatest common divisor, each available member gets exactly
    /// its share, evenly spread. Members not in `available` lose their share to the others. nil if none is left.
    ///
    /// Positions are laid out as a line drawn on a grid (Bresenham): of the first p positions, ⌊(p·rest + c) ÷ total⌋ go
    /// to the members behind the first one. Which of those gets a position is decided alike, the position's ordinal
    /// among them taking p's place. c centres the pattern: at 90:10 the tenth comes mid-cycle.
    package func interleave(position: UInt64, available: UInt64) -> Int? {
        var left = available & self.weighted
        var total: UInt64 = 0
        var scan = left
        while scan != 0 {
            total += UInt64(self.entries[scan.trailingZeroBitCount].weight)
            scan &= scan - 1
        }
        guard total > 0 else { return nil }
        // At most 64 · 10⁶, so no product below passes 2⁵³.
        var ordinal = position % total
        while true {
            let member = left.trailingZeroBitCount
            let rest = total - UInt64(self.entries[member].weight)
            let centre = (total - 1) / 2
            let before = (ordinal * rest + centre) / total
            let after = ((ordinal + 1) * rest + centre) / total
            if before == after { return member }
            left &= left - 1
            // Below `rest`, since positions up to a whole `total` hand out exactly `rest` of them.
            ordinal = before
            total = rest
        }
    }

    /// The member on which `key` lands: weighted rendezvous, equal on every replica, and monotone: raising one member's
    /// weight only ever moves keys to it. Keys of members not in `available` spread over the others by weight. nil if
    /// none is left.
    package func rendezvous(key: UInt64, available: UInt64) -> Int? {
        var left = available & self.weighted
        guard left != 0 else { return nil }
        var best = left.trailingZeroBitCount
        // The usual fail-over case, one side left, needs no logarithm.
        guard left & (left - 1) != 0 else { return best }
        var bestScore = self.score(best, key: key)
        left &= left - 1
        while left != 0 {
            let member = left.trailingZeroBitCount
            let score = self.score(member, key: key)
            if score.beats(bestScore) { (best, bestScore) = (member, score) }
            left &= left - 1
        }
        return best
    }

    private func score(_ member: Int, key: UInt64) -> RendezvousScore {
        RendezvousScore(
            weight: self.entries[member].weight, hash: KeyHash.combine(self.entries[member].seed, key))
    }
}
