import Documents
import Synchronization

/// A store that answers only when it is let go, however long it takes, and counts what it is asked.
final class SlowStore: DocumentStore {
    private let inner: any DocumentStore
    private let gate: AsyncStream<Void>
    private let opener: AsyncStream<Void>.Continuation
    private let counts = Mutex((calls: 0, queries: 0, documents: 0, deadlines: 0))
    private let asked: AsyncStream<Void>.Continuation
    /// Tells of each call when it comes.
    let calls: AsyncStream<Void>

    /// - Parameter isOpen: it does not wait at all.
    init(_ inner: any DocumentStore, isOpen: Bool = false) {
        self.inner = inner
        (gate, opener) = AsyncStream<Void>.makeStream()
        (calls, asked) = AsyncStream<Void>.makeStream()
        if isOpen { opener.finish() }
    }

    var count: (calls: Int, queries: Int, documents: Int, deadlines: Int) { counts.withLock { $0 } }

    func open() { opener.finish() }

    private func pass(_ queries: Int) async {
        let hasDeadline = QueryDeadline.current != nil
        counts.withLock { counts in
            counts.calls += 1
            counts.queries += queries
            counts.deadlines += hasDeadline ? 1 : 0
        }
        asked.yield()
        // Deaf to cancellation, as a driver's blocking call is.
        await Task.detached { [gate] in for await _ in gate {} }.value
    }

    func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch] {
        await pass(queries.count)
        let answer = try await inner.find(queries)
        counts.withLock { $0.documents += answer.reduce(0) { $0 + $1.count } }
        return answer
    }

    func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value {
        await pass(1)
        return try await inner.reduce(query, into: initial) { [self] value, document in
            counts.withLock { $0.documents += 1 }
            try body(&value, document)
        }
    }

    func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch] {
        await pass(queries.count)
        let answer = try await inner.newest(queries)
        counts.withLock { $0.documents += answer.reduce(0) { $0 + $1.documents.count } }
        return answer
    }

    func check() async throws(StoreError) {
        await pass(1)
        try await inner.check()
    }

    var use: StoreUse? { StoreUse(capacity: 8, running: 3, waiting: 2) }

    func close() async { await inner.close() }
}

/// A store that answers every query at once with the same documents.
final class FullStore: DocumentStore {
    private let documents: DocumentBatch
    private let workers = BlockingWorkers(count: 4)
    private let asked: AsyncStream<Void>.Continuation
    /// Tells of each call when it comes.
    let calls: AsyncStream<Void>

    init(_ documents: DocumentBatch) {
        self.documents = documents
        (calls, asked) = AsyncStream<Void>.makeStream()
    }

    func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch] {
        asked.yield()
        return queries.map { _ in documents }
    }

    func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value {
        asked.yield()
        let deadline = QueryDeadline.current
        let result: Result<Value, any Error> = try await workers.run { [documents] in
            .success(
                Result {
                    var value = initial
                    try documents.bytes.withUnsafeBufferPointer { bytes in
                        for index in 0..<documents.count {
                            if index % 64 == 0, let deadline, deadline <= .now { throw StoreError.timedOut }
                            try body(&value, UnsafeBufferPointer(rebasing: bytes[documents.range(index)]).span)
                        }
                    }
                    return value
                })
        }
        return try result.get()
    }

    func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch] {
        queries.map { NewestBatch(documents: documents, starts: $0.values.map { _ in documents.first }) }
    }

    func check() async throws(StoreError) {}

    func close() async { await workers.close() }
}
