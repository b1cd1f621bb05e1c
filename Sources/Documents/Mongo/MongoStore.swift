/// Documents in MongoDB, read through libmongoc. Writes nothing, creates nothing.
///
/// Recovers by itself: a server that comes back is used again on the next query.
package struct MongoStore: DocumentStore {
    private let connection: MongoConnection
    private let workers: BlockingWorkers
    /// Has a thread and a client of its own: however busy or slow the collections are, a server that is there is found.
    private let watch = BlockingWorkers(count: 1, refusesHopeless: false)

    /// - Parameters:
    ///   - uri: a connection string; every option in it is respected.
    ///   - deadline: how long whoever asks waits. The driver gives up after nine tenths of it, where the string does not
    ///     say otherwise, and so has the time to say why.
    /// - Throws: ``StoreError/unavailable(_:)`` when the string is malformed. Whether a server answers is not asked yet.
    package init(uri: String, deadline: Duration) throws(StoreError) {
        let (seconds, attoseconds) = deadline.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        connection = try MongoConnection(uri: uri, milliseconds: Int32(clamping: max(1, milliseconds * 9 / 10)))
        // Of eight clients three: two slow collections leave the others two.
        workers = BlockingWorkers(
            count: connection.size, groups: Collection.allCases.count, share: connection.size * 3 / 8)
    }

    /// Whether a connection string can be used. Connects to nothing.
    ///
    /// - Throws: ``StoreError/unavailable(_:)`` with what is wrong, which repeats nothing that may be a secret.
    package static func validate(uri: String) throws(StoreError) {
        try MongoConnection.validate(uri)
    }

    package func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch] {
        let deadline = QueryDeadline.current
        if queries.count == 1 {
            let query = queries[0]
            return [
                try await workers.run(group: query.collection.place, until: deadline) { [connection] in
                    connection.find(query, until: deadline)
                }
            ]
        }
        return try await together(queries, by: { $0.collection }, until: deadline) { [connection] query in
            connection.find(query, until: deadline)
        }
    }

    package func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value {
        let deadline = QueryDeadline.current
        let result: Result<Value, any Error> = try await workers.run(
            group: query.collection.place, until: deadline
        ) { [connection] in
            .success(connection.reduce(query, into: initial, until: deadline, body))
        }
        return try result.get()
    }

    package func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch] {
        let deadline = QueryDeadline.current
        return try await together(queries, by: { $0.collection }, until: deadline) { [connection] query in
            connection.newest(query, until: deadline)
        }
    }

    package func check() async throws(StoreError) {
        try await watch.run(until: QueryDeadline.current) { [connection] in connection.ping() }
    }

    package func missing(among names: [String]) async throws(StoreError) -> [String] {
        try await watch.run(until: QueryDeadline.current) { [connection] in connection.missing(among: names) }
    }

    package var use: StoreUse? {
        let load = workers.load
        return StoreUse(capacity: connection.size, running: load.running, waiting: load.waiting)
    }

    package func close() async {
        await workers.close()
        await watch.close()
    }

    /// Sends the driver's own log lines to `sink` instead of standard error.
    package static func redirectLog(to sink: @escaping @Sendable (_ isProblem: Bool, _ line: String) -> Void) {
        MongoConnection.redirectLog(to: sink)
    }

    /// Runs several queries at the same time, one client each, and answers in the order asked.
    private func together<Asked: Sendable, Answer: Sendable>(
        _ queries: [Asked], by collection: @escaping @Sendable (Asked) -> Collection,
        until deadline: ContinuousClock.Instant?,
        _ body: @escaping @Sendable (Asked) -> Result<Answer, StoreError>
    ) async throws(StoreError) -> [Answer] {
        let results = await withTaskGroup(of: (Int, Result<Answer, StoreError>).self) { group in
            for (index, query) in queries.enumerated() {
                group.addTask { [workers] in
                    // The answer first, then the pair: optimised by Swift 6.3.1, a pair begun before an await loses its
                    // first half.
                    let answer: Result<Answer, StoreError>
                    do throws(StoreError) {
                        answer = .success(
                            try await workers.run(group: collection(query).place, until: deadline) { body(query) })
                    } catch {
                        answer = .failure(error)
                    }
                    return (index, answer)
                }
            }
            var results = [Result<Answer, StoreError>?](repeating: nil, count: queries.count)
            for await (index, result) in group { results[index] = result }
            return results.compactMap { $0 }
        }
        var answers: [Answer] = []
        for result in results { answers.append(try result.get()) }
        return answers
    }
}
