import Synchronization

/// Finished answers by raw request target, for a limited time, in a limited number and in limited memory: the least recently
/// used goes first.
///
/// Times count from when an answer was stored; giving it again does not lengthen its life.
package final class ResponseCache<Body: Sendable>: Sendable {
    private struct Slot {
        var key: String
        /// What the answer is an answer to, in whatever words it was asked.
        var question: String
        /// nil in a slot that is free.
        var body: Body?
        /// What the slot takes beside the body.
        var cost: Int
        /// nil for a body that no other slot has.
        var identity: ObjectIdentifier?
        /// What the body takes.
        var size: Int
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
        /// Bodies to let go of outside of the lock: the last who does may have something to do.
        var removed: [Body?] = []
        /// How many slots have a body together.
        var holders: [ObjectIdentifier: Int] = [:]
        /// The place of the answer to a question that was stored last.
        var newest: [String: Int] = [:]
        /// How many were given up because they were too old, and how many to make room.
        var expired = 0
        var evicted = 0

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
            newest[slot.question] = place
            cost += slot.cost
            if let identity = slot.identity {
                if let count = holders[identity] {
                    holders[identity] = count + 1
                    return
                }
                holders[identity] = 1
            }
            cost += slot.size
        }

        /// What storing a body would add to the cost.
        func sizeOf(_ size: Int, _ identity: ObjectIdentifier?) -> Int {
            identity.map { holders[$0] != nil } ?? false ? 0 : size
        }

        mutating func remove(_ place: Int) {
            byUse.unlink(place)
            byAge.unlink(place)
            let slot = slots[place]
            places[slot.key] = nil
            if newest[slot.question] == place { newest[slot.question] = nil }
            cost -= slot.cost
            if let identity = slot.identity, let count = holders[identity], count > 1 {
                holders[identity] = count - 1
            } else {
                if let identity = slot.identity { holders[identity] = nil }
                cost -= slot.size
            }
            slots[place].key = ""
            slots[place].question = ""
            slots[place].body = nil
            free.append(place)
            removed.append(slot.body)
        }

        mutating func removeAll(storedBefore limit: ContinuousClock.Instant) {
            while byAge.oldest >= 0, slots[byAge.oldest].stored < limit {
                expired += 1
                remove(byAge.oldest)
            }
        }

        /// Gives up the least recently used.
        mutating func evict() {
            evicted += 1
            remove(byUse.oldest)
        }
    }

    /// What an entry takes beside its body and its key.
    private static var overhead: Int { 256 }

    private let capacity: Int
    private let bytes: Int
    private let lifetime: Duration
    private let staleFor: Duration
    private let size: @Sendable (Body) -> Int
    private let identity: @Sendable (Body) -> ObjectIdentifier?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - capacity: the most answers kept, at least one.
    ///   - bytes: the most memory that they take, keys included.
    ///   - lifetime: an answer is given again while it is not older than this.
    ///   - staleFor: how much longer it is kept for times when there is no newer one to be had.
    ///   - size: how many bytes an answer takes.
    ///   - identity: the same for answers that share their memory.
    package init(
        capacity: Int = 500, bytes: Int = .max, lifetime: Duration, staleFor: Duration = .zero,
        size: @escaping @Sendable (Body) -> Int = { _ in 0 },
        identity: @escaping @Sendable (Body) -> ObjectIdentifier? = { _ in nil }
    ) {
        self.capacity = max(1, capacity)
        self.bytes = bytes
        self.lifetime = lifetime
        self.staleFor = staleFor
        self.identity = identity
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

    /// The answer kept for `key` that is too old to be given as if it were none, and how old it is.
    package func stale(for key: String, now: ContinuousClock.Instant) -> (body: Body, age: Duration)? {
        guard staleFor > .zero else { return nil }
        return state.withLock { state in
            guard let place = state.places[key], let body = state.slots[place].body else { return nil }
            let age = now - state.slots[place].stored
            guard age <= lifetime + staleFor else { return nil }
            state.moveToFront(place)
            return (body, age)
        }
    }

    /// The answer to a question that was stored last, under whatever key, if it is still there.
    package func newest(to question: String) -> Body? {
        state.withLock { state in state.newest[question].flatMap { state.slots[$0].body } }
    }

    /// Keeps an answer, in place of an older one for the same key, of those that are too old, and of as many of the least
    /// recently used as it needs to fit. One that does not fit at all is not kept.
    ///
    /// - Parameter question: what it answers; the key itself when not given.
    package func store(_ body: Body, for key: String, question: String? = nil, now: ContinuousClock.Instant) {
        let own = key.utf8.count + (question?.utf8.count ?? 0) + Self.overhead
        let question = question ?? key
        let (size, identity) = (size(body), identity(body))
        changing { state in
            if let place = state.places[key] { state.remove(place) }
            state.removeAll(storedBefore: now - (lifetime + staleFor))
            guard own + size <= bytes else { return }
            while state.places.count >= capacity || state.cost > bytes - own - state.sizeOf(size, identity) {
                state.evict()
            }
            state.add(
                Slot(
                    key: key, question: question, body: body, cost: own, identity: identity, size: size, stored: now))
        }
    }

    /// Gives up what is too old, which nobody may have asked for again.
    package func removeExpired(now: ContinuousClock.Instant) {
        changing { $0.removeAll(storedBefore: now - (lifetime + staleFor)) }
    }

    /// Gives up answers, the least recently used first, until so many bytes are free or none are left.
    package func shrink(by bytes: Int) {
        changing { state in
            let least = state.cost > bytes ? state.cost - bytes : 0
            while state.cost > least, state.byUse.oldest >= 0 { state.evict() }
        }
    }

    private func changing(_ body: (inout State) -> Void) {
        let removed = state.withLock { state in
            body(&state)
            defer { state.removed = [] }
            return state.removed
        }
        // Here the last of them may go.
        _ = consume removed
    }

    /// How many answers are kept, too old ones included.
    package var count: Int { state.withLock { $0.places.count } }

    /// The memory that they take.
    package var cost: Int { state.withLock { $0.cost } }

    /// What there is, and what became of what was there.
    var use: CacheUse {
        state.withLock {
            CacheUse(entries: $0.places.count, bytes: $0.cost, expired: $0.expired, evicted: $0.evicted)
        }
    }
}

/// How full a cache is, and what it has given up.
struct CacheUse: Sendable, Equatable {
    var entries = 0
    /// The memory that entries take.
    var bytes = 0
    /// Given up because they were too old.
    var expired = 0
    /// Given up to make room.
    var evicted = 0
}
