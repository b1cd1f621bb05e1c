import Synchronization

/// Finished answers by raw request target, for a limited time and in a limited number: the least recently used goes first.
///
/// Times count from when an answer was stored; giving it again does not lengthen its life.
package final class ResponseCache<Body: Sendable>: Sendable {
    private struct Slot {
        var key: String
        var body: Body
        var stored: ContinuousClock.Instant
        /// Neighbours in order of use; -1 at the ends.
        var newer: Int
        var older: Int
    }

    private struct State {
        var places: [String: Int] = [:]
        var slots: [Slot] = []
        var newest = -1
        var oldest = -1

        mutating func moveToFront(_ place: Int) {
            if newest == place { return }
            unlink(place)
            pushFront(place)
        }

        mutating func pushFront(_ place: Int) {
            slots[place].newer = -1
            slots[place].older = newest
            if newest >= 0 { slots[newest].newer = place } else { oldest = place }
            newest = place
        }

        mutating func unlink(_ place: Int) {
            let slot = slots[place]
            if slot.newer >= 0 { slots[slot.newer].older = slot.older } else { newest = slot.older }
            if slot.older >= 0 { slots[slot.older].newer = slot.newer } else { oldest = slot.newer }
        }
    }

    private let capacity: Int
    private let lifetime: Duration
    private let state = Mutex(State())

    /// - Parameters:
    ///   - capacity: the most answers kept, at least one.
    ///   - lifetime: an answer is given again while it is not older than this.
    package init(capacity: Int = 500, lifetime: Duration) {
        self.capacity = max(1, capacity)
        self.lifetime = lifetime
    }

    /// The answer kept for `key`, unless it is too old.
    package func body(for key: String, now: ContinuousClock.Instant) -> Body? {
        entry(for: key, now: now)?.body
    }

    /// The answer kept for `key` and how long it may still be given, unless it is too old.
    package func entry(for key: String, now: ContinuousClock.Instant) -> (body: Body, left: Duration)? {
        state.withLock { state in
            guard let place = state.places[key] else { return nil }
            let left = lifetime - (now - state.slots[place].stored)
            guard left >= .zero else { return nil }
            state.moveToFront(place)
            return (state.slots[place].body, left)
        }
    }

    /// Keeps an answer, in place of an older one for the same key or of the least recently used one.
    package func store(_ body: Body, for key: String, now: ContinuousClock.Instant) {
        state.withLock { state in
            if let place = state.places[key] {
                state.slots[place].body = body
                state.slots[place].stored = now
                state.moveToFront(place)
            } else if state.slots.count < capacity {
                let place = state.slots.count
                state.slots.append(Slot(key: key, body: body, stored: now, newer: -1, older: -1))
                state.places[key] = place
                state.pushFront(place)
            } else {
                let place = state.oldest
                state.unlink(place)
                state.places[state.slots[place].key] = nil
                state.slots[place] = Slot(key: key, body: body, stored: now, newer: -1, older: -1)
                state.places[key] = place
                state.pushFront(place)
            }
        }
    }

    /// How many answers are kept, too old ones included.
    package var count: Int { state.withLock { $0.slots.count } }
}
