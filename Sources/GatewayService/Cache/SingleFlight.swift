import Synchronization

/// Lets callers who want the same thing at the same time share one computation.
package final class SingleFlight<Value: Sendable>: Sendable {
    private let flights = Mutex<[String: Task<Value, any Error>]>([:])

    package init() {}

    /// The value for `key`: from the computation that is under way, or from a new one.
    ///
    /// The computation belongs to nobody in particular: it goes on when the caller who began it leaves, since others may be
    /// waiting. It must end by itself, within a deadline of its own.
    package func value(for key: String, _ compute: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let task = flights.withLock { flights in
            if let task = flights[key] { return task }
            let task = Task {
                defer { self.flights.withLock { $0[key] = nil } }
                return try await compute()
            }
            flights[key] = task
            return task
        }
        return try await task.value
    }
}
