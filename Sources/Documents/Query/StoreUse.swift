/// How much of a store's connections is in use.
package struct StoreUse: Sendable, Equatable {
    /// The most queries that can run at a time.
    package let capacity: Int
    /// Queries that run now.
    package let running: Int
    /// Queries that wait for one of these to end.
    package let waiting: Int

    package init(capacity: Int, running: Int, waiting: Int) {
        self.capacity = capacity
        self.running = running
        self.waiting = waiting
    }
}
