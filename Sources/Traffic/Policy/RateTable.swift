import Synchronization

/// When the tokens of each key will be back, for all workers together: a fixed table without a lock. It never grows, and keys
/// that have all their tokens need no place; where more keys than it holds are short of tokens at a time, those that would have
/// theirs back first are forgotten.
///
/// An entry is a key's hash and its theoretical arrival time (TAT, GCRA): the moment at which all its tokens are back. Places
/// are found in sets of eight. Two threads that meet at one entry agree by compare-and-swap; one that is late by a moment may let
/// one request more pass, never two.
package final class RateTable: Sendable {
    package static let setSize = 8

    package let entries: Int
    private let mask: Int
    /// Key and time, in turns. Allocated here, freed with this object, and never handed out.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let key: (UInt64, UInt64)
    package let refused = Atomic<UInt64>(0)
    /// Would have been refused, had the rule not been on trial.
    package let wouldRefuse = Atomic<UInt64>(0)
    /// Keys forgotten although they were short of tokens.
    package let evictions = Atomic<UInt64>(0)

    /// At least so many entries, 16 bytes each; `key` is secret.
    package init(entries: Int, key: (UInt64, UInt64)) {
        var sets = 1
        while sets * Self.setSize < entries { sets *= 2 }
        self.entries = sets * Self.setSize
        self.mask = sets - 1
        self.key = key
        self.cells = .allocate(capacity: self.entries * 2)
        for index in 0..<self.entries * 2 { (self.cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        self.cells.deinitialize(count: self.entries * 2)
        self.cells.deallocate()
    }

    /// A hash that only this table makes.
    package var hash: SipHash { SipHash(key: self.key) }

    /// Takes a token of the key at `now` (nanoseconds), if there is one.
    package func take(_ hash: UInt64, _ rate: RateSpec, now: UInt64) -> RateVerdict {
        let hash = hash | 1
        while true {
            let place = self.place(of: hash, now: now)
            let cell = self.cells + place * 2 + 1
            var stored = cell.pointee.load(ordering: .relaxed)
            while true {
                let verdict = rate.verdict(arrival: stored, now: now)
                guard case .allowed(let next, _) = verdict.outcome else {
                    // A debt of a slower rate, before a reload, is cut down once, and then passes like any other.
                    let longest = now &+ rate.window
                    if stored > longest {
                        _ = cell.pointee.compareExchange(expected: stored, desired: longest, ordering: .relaxed)
                    }
                    return verdict
                }
                let (exchanged, original) = cell.pointee.compareExchange(
                    expected: stored, desired: next, ordering: .relaxed)
                guard !exchanged else { break }
                stored = original
            }
            // Whoever gave the place to another key meanwhile gave that key's time away too.
            if (self.cells + place * 2).pointee.load(ordering: .relaxed) == hash {
                return rate.verdict(arrival: stored, now: now)
            }
        }
    }

    /// Gives a token back that was taken at `now` for a request which another rule refused.
    package func giveBack(_ hash: UInt64, _ rate: RateSpec, now: UInt64) {
        guard let place = self.find(hash | 1) else { return }
        let cell = self.cells + place * 2 + 1
        var stored = cell.pointee.load(ordering: .relaxed)
        // Otherwise all are back, or the place has become another key's.
        while stored > now {
            let (exchanged, original) = cell.pointee.compareExchange(
                expected: stored, desired: stored &- min(stored, rate.interval), ordering: .relaxed)
            guard !exchanged else { return }
            stored = original
        }
    }

    /// What the next request would be told; takes nothing.
    package func preview(_ hash: UInt64, _ rate: RateSpec, now: UInt64) -> RateVerdict {
        let stored = self.find(hash | 1).map { (self.cells + $0 * 2 + 1).pointee.load(ordering: .relaxed) } ?? 0
        return rate.verdict(arrival: stored, now: now)
    }

    /// Gives the key all its tokens.
    package func forgive(_ hash: UInt64) {
        guard let place = self.find(hash | 1) else { return }
        (self.cells + place * 2 + 1).pointee.store(0, ordering: .relaxed)
    }

    /// Keys that are short of tokens at `now`, at most so many: hashes and times.
    func debts(now: UInt64, atMost limit: Int) -> [(hash: UInt64, arrival: UInt64)] {
        var debts: [(hash: UInt64, arrival: UInt64)] = []
        for place in 0..<self.entries where debts.count < limit {
            let hash = (self.cells + place * 2).pointee.load(ordering: .relaxed)
            let arrival = (self.cells + place * 2 + 1).pointee.load(ordering: .relaxed)
            if arrival > now { debts.append((hash, arrival)) }
        }
        return debts
    }

    /// Before the table is used: what another process knew of these keys, under the same secret.
    func restore(_ debts: [(hash: UInt64, arrival: UInt64)]) {
        for debt in debts {
            let place = self.place(of: debt.hash | 1, now: 0)
            (self.cells + place * 2 + 1).pointee.store(debt.arrival, ordering: .relaxed)
        }
        // Finding places for more than there is room for is no forgetting of this process's.
        self.evictions.store(0, ordering: .relaxed)
    }

    // MARK: places

    private func first(_ hash: UInt64) -> Int {
        // The lowest bit is always set; others above it choose the set.
        (Int(truncatingIfNeeded: hash >> 1) & self.mask) * Self.setSize
    }

    private func find(_ hash: UInt64) -> Int? {
        let first = self.first(hash)
        for place in first..<first + Self.setSize
        where (self.cells + place * 2).pointee.load(ordering: .relaxed) == hash {
            return place
        }
        return nil
    }

    /// The key's place; it gets one if it has none.
    private func place(of hash: UInt64, now: UInt64) -> Int {
        while true {
            if let place = self.find(hash) { return place }
            let first = self.first(hash)
            var victim = first
            var oldest = UInt64.max
            for place in first..<first + Self.setSize {
                let time = (self.cells + place * 2 + 1).pointee.load(ordering: .relaxed)
                if time < oldest {
                    victim = place
                    oldest = time
                }
            }
            let known = (self.cells + victim * 2).pointee.load(ordering: .relaxed)
            // Another thread may have given it to this very key.
            if known == hash { return victim }
            let (exchanged, _) = (self.cells + victim * 2).pointee.compareExchange(
                expected: known, desired: hash, ordering: .relaxed)
            guard exchanged else { continue }
            if oldest > now {
                self.evictions.add(1, ordering: .relaxed)
                // The other key's debt is not this one's.
                _ = (self.cells + victim * 2 + 1).pointee.compareExchange(
                    expected: oldest, desired: 0, ordering: .relaxed)
            }
            return victim
        }
    }
}
