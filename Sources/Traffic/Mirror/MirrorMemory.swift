import Synchronization

/// Bytes that a plan's copies hold at a time, whoever holds them.
package final class MirrorMemory: Sendable {
    private let used = Atomic<Int>(0)
    private let limit = Atomic<Int>(0)

    package init(limit: Int = 0) { self.limit.store(limit, ordering: .relaxed) }

    package var held: Int { self.used.load(ordering: .relaxed) }

    /// Another bound. What is held beyond it is given back in its time.
    package func setLimit(_ limit: Int) { self.limit.store(limit, ordering: .relaxed) }

    fileprivate func take(_ count: Int) -> Bool {
        self.used.add(count, upTo: self.limit.load(ordering: .relaxed))
    }

    fileprivate func give(back count: Int) { self.used.subtract(count, ordering: .relaxed) }
}

/// What one copy holds of it; dropped, it gives all of that back.
package final class MirrorLease: Sendable {
    private let memory: MirrorMemory
    private let held = Atomic<Int>(0)

    package init(_ memory: MirrorMemory) { self.memory = memory }

    deinit { self.memory.give(back: self.held.load(ordering: .relaxed)) }

    /// So many bytes more; false if there are none to be had.
    package func grow(by count: Int) -> Bool {
        guard self.memory.take(count) else { return false }
        self.held.add(count, ordering: .relaxed)
        return true
    }
}
