import Dispatch
import Synchronization

/// Connections to one database: each does one job at a time, and the first job goes to the first that is free.
final class SQLitePool: Sendable {
    private struct State {
        var connections: [SQLiteConnection]
        var idle: [SQLiteConnection]
        var jobs: [@Sendable (SQLiteConnection) -> Void] = []
    }

    private let state: Mutex<State>

    /// A file that is written, or a database in memory: one connection.
    init(path: String?) throws(SQLiteFailure) {
        let connection = try SQLiteConnection(path: path)
        state = Mutex(State(connections: [connection], idle: [connection]))
    }

    /// A file that is read.
    init(reading path: String, connections count: Int) throws(SQLiteFailure) {
        var connections: [SQLiteConnection] = []
        for _ in 0..<count { connections.append(try SQLiteConnection(path: path, readOnly: true)) }
        state = Mutex(State(connections: connections, idle: connections))
    }

    /// Reads in a transaction, on a connection's own thread. A task that is cancelled ends what it reads.
    ///
    /// - Throws: `CancellationError`, or what `body` throws.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (SQLiteConnection) throws -> Value
    ) async throws -> Value {
        let turn = Turn()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submit { connection in
                    continuation.resume(with: Result { try turn.take(connection, body) })
                }
            }
        } onCancel: {
            turn.cancel()
        }
    }

    /// Uses a connection at once, as soon as it is free; the caller's thread waits for it.
    func use<Value>(_ body: (SQLiteConnection) throws -> Value) throws -> Value {
        guard let connection = state.withLock({ $0.connections.first }) else {
            throw StoreError.unavailable("the store is closed")
        }
        return try connection.queue.sync { try body(connection) }
    }

    /// Gives the files back. Nobody may be reading.
    func close() {
        let connections = state.withLock { state in
            defer {
                state.connections = []
                state.idle = []
            }
            return state.connections
        }
        for connection in connections { connection.queue.sync { connection.close() } }
    }

    private func submit(_ job: @escaping @Sendable (SQLiteConnection) -> Void) {
        let connection = state.withLock { state in
            state.jobs.append(job)
            return state.idle.popLast()
        }
        guard let connection else { return }
        connection.queue.async { self.work(connection) }
    }

    /// Does jobs until there is none left.
    private func work(_ connection: SQLiteConnection) {
        while true {
            let job = state.withLock { state -> (@Sendable (SQLiteConnection) -> Void)? in
                guard state.jobs.isEmpty else { return state.jobs.removeFirst() }
                // One that was closed is no longer among them.
                if !state.connections.isEmpty { state.idle.append(connection) }
                return nil
            }
            guard let job else { return }
            job(connection)
        }
    }
}

/// One reader's turn with a connection, which may be over before it has begun.
private final class Turn: Sendable {
    private struct State {
        var isCancelled = false
        /// While it is read.
        var connection: SQLiteConnection?
    }

    private let state = Mutex(State())

    func take<Value>(
        _ connection: SQLiteConnection, _ body: (SQLiteConnection) throws -> Value
    ) throws -> Value {
        try connection.reading { connection in
            let isCancelled = state.withLock { state in
                state.connection = connection
                return state.isCancelled
            }
            // Before the transaction ends: that must not be interrupted, nor what the next one reads.
            defer {
                state.withLock { state in
                    state.connection = nil
                    connection.isInterrupted = false
                }
            }
            if isCancelled { throw CancellationError() }
            return try body(connection)
        }
    }

    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.connection?.isInterrupted = true
        }
    }
}
