import Synchronization

extension Atomic<Int> {
    /// Adds `count` unless the sum would pass `limit`; false if it would. Exact: a refused attempt never shows in the
    /// value, so it neither passes the limit in another thread's eyes nor takes the room of one that fits.
    package func add(_ count: Int, upTo limit: Int) -> Bool {
        var held = self.load(ordering: .relaxed)
        while held <= limit - count {
            let (exchanged, original) = self.weakCompareExchange(
                expected: held, desired: held + count, ordering: .relaxed)
            if exchanged { return true }
            held = original
        }
        return false
    }
}
