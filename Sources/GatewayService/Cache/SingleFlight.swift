import Synchronization

/// Lets callers who want the same thing at the same time share one computation, none of whom waits longer than a limit.
package final class SingleFlight<Value: Sendable>: Sendable {
    /// A computation, and who waits for it.
    private struct Flight {
        let number: UInt64
        var waiters: [CheckedContinuation<Value, any Error>]
    }

    private struct State {
        var flights: [String: Flight] = [:]
        var count: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// The value for `key`: from the computation that is under way, or from a new one.
    ///
    /// The computation belongs to nobody in particular: it goes on when the caller who began it leaves, since others may be
    /// waiting. After the limit it is cancelled, nobody waits for it any more, and the next caller begins another.
    ///
    /// - Parameter limit: how long the computation may take, counted from its own beginning.
    /// - Throws: what the computation throws, or ``ResourceError/deadline``.
    package func value(
        for key: String, within limit: Duration, _ compute: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let number: UInt64? = state.withLock { state in
                if state.flights[key] != nil {
                    state.flights[key]?.waiters.append(continuation)
                    return nil
                }
                state.count &+= 1
                state.flights[key] = Flight(number: state.count, waiters: [continuation])
                return state.count
            }
            if let number { begin(key, number, limit, compute) }
        }
    }

    private func begin(
        _ key: String, _ number: UInt64, _ limit: Duration, _ compute: @escaping @Sendable () async throws -> Value
    ) {
        Task {
            let work = Task { try await compute() }
            let timer = Task {
                try await Task.sleep(for: limit)
                self.finish(key, number, .failure(ResourceError.deadline))
                work.cancel()
            }
            let result = await work.result
            timer.cancel()
            self.finish(key, number, result)
        }
    }

    /// Tells everyone who waits. Does nothing when the flight has ended before.
    private func finish(_ key: String, _ number: UInt64, _ result: Result<Value, any Error>) {
        let waiters = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
            guard let flight = state.flights[key], flight.number == number else { return [] }
            state.flights[key] = nil
            return flight.waiters
        }
        for waiter in waiters { waiter.resume(with: result) }
    }
}
