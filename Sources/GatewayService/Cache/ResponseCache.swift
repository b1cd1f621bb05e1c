import Synchronization

/// Finished answers by raw request target, for a limited time, in a limited number and in limited memory: the least recently
/// used goes first.
///
/// Times count from when an answer was stored; giving it again does not lengthen its life.
package final class ResponseCache<Body: Sendable>: Sendable {
    private struct Slot {
        var key: String
        /// nil in a slot that is free.
        var body: Body?
        var cost: Int
        var stored: ContinuousClock.Instant
    }

    /// The slots in use in one order, as a list through their places; -1 stands for none.
    private struct Order {
        private var neighbours: [(newer: Int, older: Int)] = []
        private(set) var newest = -1
        private(set) var oldest = -1

        mutating func pushFront(_ place: Int) {
            if place == neighbours.count { neighbours.append((-1, -1)) }
            neighbours[place] = (-1, newest)
            if newest >= 0 { neighbours[newest].newer = place } else { oldest = place }
            newest = place
        }

        mutating func unlink(_ place: Int) {
            let (newer, older) = neighbours[place]
            if newer >= 0 { neighbours[newer].older = older } else { newest = older }
            if older >= 0 { neighbours[older].newer = newer } else { oldest = newer }
        }
    }

    private struct State {
        var places: [String: Int] = [:]
        var slots: [Slot] = []
        var free: [Int] = []
        var byUse = Order()
        /// All answers live equally long: the one that was stored first is the first that is too old.
        var byAge = Order()
        var cost = 0

        mutating func moveToFront(_ place: Int) {
            if byUse.newest == place { return }
            byUse.unlink(place)
            byUse.pushFront(place)
        }

        mutating func add(_ slot: Slot) {
            let place: Int
            if let known = free.popLast() {
                place = known
                slots[place] = slot
            } else {
                place = slots.count
                slots.append(slot)
            }
            places[slot.key] = place
            byUse.pushFront(place)
            byAge.pushFront(place)
            cost += slot.cost
        }

        mutating func remove(_ place: Int) {
            byUse.unlink(place)
            byAge.unlink(place)
            places[slots[place].key] = nil
            cost -= slots[place].cost
            slots[place].key = ""
            slots[place].body = nil
            free.append(place)
        }

        mutating func removeAll(storedBefore limit: ContinuousClock.Instant) {
            while byAge.oldest >= 0, slots[byAge.oldest].stored < limit { remove(byAge.oldest) }
        }
    }

    /// What an entry takes beside its body and its key.
    private static var overhead: Int { 256 }

    private let capacity: Int
    private let bytes: Int
    private let lifetime: Duration
    private let size: @Sendable (Body) -> Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - capacity: the most answers kept, at least one.
    ///   - bytes: the most memory that they take, keys included.
    ///   - lifetime: an answer is given again while it is not older than this.
    ///   - size: how many bytes an answer takes.
    package init(
        capacity: Int = 500, bytes: Int = .max, lifetime: Duration, size: @escaping @Sendable (Body) -> Int = { _ in 0 }
    ) {
        self.capacity = max(1, capacity)
        self.bytes = bytes
        self.lifetime = lifetime
        self.size = size
    }

    /// The answer kept for `key`, unless it is too old.
    package func body(for key: String, now: ContinuousClock.Instant) -> Body? {
        entry(for: key, now: now)?.body
    }

    /// The answer kept for `key` and how long it may still be given, unless it is too old.
    package func entry(for key: String, now: ContinuousClock.Instant) -> (body: Body, left: Duration)? {
        state.withLock { state in
            guard let place = state.places[key], let body = state.slots[place].body else { return nil }
            let left = lifetime - (now - state.slots[place].stored)
            guard left >= .zero else { return nil }
            state.moveToFront(place)
            return (body, left)
        }
    }

    /// Keeps an answer, in place of an older one for the same key, of those that are too old, and of as many of the least
    /// recently used as it needs to fit. One that does not fit at all is not kept.
    package func store(_ body: Body, for key: String, now: ContinuousClock.Instant) {
        let cost = size(body) + key.utf8.count + Self.overhead
        state.withLock { state in
            if let place = state.places[key] { state.remove(place) }
            state.removeAll(storedBefore: now - lifetime)
            guard cost <= bytes else { return }
            while state.places.count >= capacity || state.cost > bytes - cost { state.remove(state.byUse.oldest) }
            state.add(Slot(key: key, body: body, cost: cost, stored: now))
        }
    }

    /// Gives up what is too old, which nobody may have asked for again.
    package func removeExpired(now: ContinuousClock.Instant) {
        state.withLock { $0.removeAll(storedBefore: now - lifetime) }
    }

    /// How many answers are kept, too old ones included.
    package var count: Int { state.withLock { $0.places.count } }

    /// The memory that they take.
    package var cost: Int { state.withLock { $0.cost } }
}
