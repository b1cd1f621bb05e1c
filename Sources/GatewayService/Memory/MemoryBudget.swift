import Documents
import Synchronization

/// The memory that answers take while they are made, kept and sent, all of them together.
///
/// Whoever wants more than there is has others give way first: what is only kept, and readers that have stopped. Then it
/// waits; then it is refused.
package final class MemoryBudget: Sendable {
    /// What is smaller than this may have what is left when nothing large may begin: small answers go on.
    static let large = 256 * 1024

    private struct Waiter {
        let number: UInt64
        let bytes: Int
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var used = 0
        var waiters: [Waiter] = []
        var count: UInt64 = 0
        var refusals = 0
        var relief: (@Sendable (Int) -> Void)?
    }

    /// In bytes.
    package let total: Int
    private let state = Mutex(State())

    package init(_ total: Int) {
        self.total = max(1, total)
    }

    /// How much is taken, in bytes.
    package var used: Int { state.withLock { $0.used } }

    /// How many wait for memory.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// How often there was no memory for something, after all that could be done.
    package var refusals: Int { state.withLock { $0.refusals } }

    /// Sets what makes others give way: it gets how many bytes are missing, and is called on any thread.
    func relieve(by relief: @escaping @Sendable (Int) -> Void) {
        state.withLock { $0.relief = relief }
    }

    /// Memory for something that is about to be made; nil when there is none within the limit.
    ///
    /// - Parameter bytes: what it will probably take. It may take more, as long as there is more.
    func lease(_ bytes: Int, within limit: Duration) async -> MemoryLease? {
        // What was large once must not stand outside for ever.
        let bytes = min(max(0, bytes), room(for: .max))
        if take(bytes, room: room(for: bytes)) { return MemoryLease(self, bytes) }
        relieve(bytes)
        // At once, if that was enough: however short the limit is, it is not for this.
        if take(bytes, room: room(for: bytes)) { return MemoryLease(self, bytes) }
        return await wait(for: bytes, within: limit) ? MemoryLease(self, bytes) : nil
    }

    /// Takes account of what is there already.
    func charge(_ bytes: Int) -> MemoryLease {
        state.withLock { $0.used += bytes }
        return MemoryLease(self, bytes)
    }

    /// Memory for something small that comes at once or not at all.
    func leaseNow(_ bytes: Int) -> MemoryLease? {
        grow(by: bytes) ? MemoryLease(self, bytes) : nil
    }

    /// Memory for something that can be done without: for that nobody gives way.
    func leaseSpare(_ bytes: Int) -> MemoryLease? {
        take(bytes, room: room(for: .max)) ? MemoryLease(self, bytes) : nil
    }

    /// More for what is being made. Does not wait: it is called on threads that work.
    fileprivate func grow(by bytes: Int) -> Bool {
        if take(bytes, room: total) { return true }
        relieve(bytes)
        if take(bytes, room: total) { return true }
        state.withLock { $0.refusals += 1 }
        return false
    }

    private func room(for bytes: Int) -> Int { bytes < Self.large ? total : total - total / 8 }

    private func take(_ bytes: Int, room: Int) -> Bool {
        state.withLock { state in
            guard state.used <= room, bytes <= room - state.used else { return false }
            state.used += bytes
            return true
        }
    }

    private func relieve(_ bytes: Int) {
        guard let relief = state.withLock({ $0.relief }) else { return }
        relief(bytes)
    }

    private func wait(for bytes: Int, within limit: Duration) async -> Bool {
        let number = state.withLock { state in
            state.count &+= 1
            return state.count
        }
        return await withCheckedContinuation { continuation in
            state.withLock { $0.waiters.append(Waiter(number: number, bytes: bytes, continuation: continuation)) }
            Task {
                try? await Task.sleep(for: limit)
                self.refuse(number)
            }
            // What was given back in the meantime.
            serveWaiters()
        }
    }

    private func refuse(_ number: UInt64) {
        let waiter = state.withLock { state -> Waiter? in
            guard let place = state.waiters.firstIndex(where: { $0.number == number }) else { return nil }
            state.refusals += 1
            return state.waiters.remove(at: place)
        }
        waiter?.continuation.resume(returning: false)
    }

    fileprivate func giveBack(_ bytes: Int) {
        let isWaitedFor = state.withLock { state in
            state.used -= bytes
            return !state.waiters.isEmpty
        }
        if isWaitedFor { serveWaiters() }
    }

    /// In the order in which they came, as far as it goes; those who want little go past those who want much.
    private func serveWaiters() {
        let served = state.withLock { state -> [Waiter] in
            var served: [Waiter] = []
            var isFull = false
            state.waiters.removeAll { waiter in
                let isLarge = waiter.bytes >= Self.large
                let room = room(for: waiter.bytes)
                guard !(isFull && isLarge), state.used <= room, waiter.bytes <= room - state.used else {
                    if isLarge { isFull = true }
                    return false
                }
                state.used += waiter.bytes
                served.append(waiter)
                return true
            }
            return served
        }
        for waiter in served { waiter.continuation.resume(returning: true) }
    }
}

/// A part of the budget, given back when nobody holds it any more.
package final class MemoryLease: MemoryAccount {
    private struct State {
        /// What the budget was asked for.
        var held: Int
        /// What of it is used.
        var taken = 0
    }

    private let budget: MemoryBudget
    private let state: Mutex<State>

    fileprivate init(_ budget: MemoryBudget, _ bytes: Int) {
        self.budget = budget
        state = Mutex(State(held: bytes))
    }

    deinit {
        budget.giveBack(state.withLock { $0.held })
    }

    /// What was used in all, which says what the like of it will use.
    var taken: Int { state.withLock { $0.taken } }

    package func take(_ bytes: Int) -> Bool {
        let missing = state.withLock { state in
            state.taken += bytes
            return state.taken - state.held
        }
        guard missing > 0 else { return true }
        guard budget.grow(by: missing) else { return false }
        state.withLock { $0.held += missing }
        return true
    }
}
