/// Copies the collections that the service reads from MongoDB into a SQLite file, in stored order and a few documents at a
/// time.
///
/// Each portion is stored together with the count so far, so a copy that was interrupted goes on after the documents that it
/// has. Several answers depend on the stored order, which is why it is kept, and why nothing should be deleted from the
/// database between an interruption and the continuation.
package struct MongoSnapshot: Sendable {
    package struct Progress: Sendable {
        package let collection: Collection
        package let copied: Int
        /// How many there are by the server's own estimate.
        package let expected: Int
    }

    /// Documents per portion: small enough that a portion of the largest (validator sets, score statistics) is some tens
    /// of megabytes.
    private static let portion = 500

    private let connection: MongoConnection
    private let workers = BlockingWorkers(count: 1)

    /// - Throws: ``StoreError/unavailable(_:)`` when the connection string is malformed.
    package init(uri: String, deadline: Duration) throws(StoreError) {
        let milliseconds = deadline.components.seconds * 1000
        connection = try MongoConnection(uri: uri, milliseconds: Int32(clamping: max(1000, milliseconds)))
    }

    /// Copies everything that the file does not hold yet.
    ///
    /// - Throws: ``StoreError/unavailable(_:)`` also when the file holds something else than an unfinished copy of the same
    ///   database; ``StoreError/failed(_:)`` also when there is nothing to copy.
    /// - Parameter report: called on another thread after each portion.
    package func copy(
        to store: EmbeddedStore, report: @escaping @Sendable (Progress) -> Void
    ) async throws(StoreError) {
        do throws(StoreError) {
            try store.beginSnapshot(of: connection.source)
            var total = 0
            for collection in Collection.allCases {
                total += try await workers.run { [connection] in
                    do throws(StoreError) {
                        return .success(try Self.copy(collection, from: connection, to: store, report: report))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            // The marks stay, so that nobody serves the file.
            guard total > 0 else {
                throw .failed("nothing to copy: \(connection.source) has none of the collections, or they are empty")
            }
            try store.endSnapshot()
        } catch {
            await workers.close()
            throw error
        }
        await workers.close()
    }

    /// How many documents the file holds then.
    private static func copy(
        _ collection: Collection, from connection: MongoConnection, to store: EmbeddedStore, report: (Progress) -> Void
    ) throws(StoreError) -> Int {
        var (copied, isComplete) = try store.snapshotState(of: collection)
        if isComplete { return copied }
        let expected = try connection.count(collection).get()
        try connection.stream(collection, skipping: copied, portion: portion) { documents throws(StoreError) in
            let isLast = documents.count < portion
            try store.storePortion(documents, of: collection, after: copied, isLast: isLast)
            copied += documents.count
            report(Progress(collection: collection, copied: copied, expected: max(expected, copied)))
        }.get()
        return copied
    }
}

extension MongoConnection {
    /// Hands over all documents of a collection but the first `skipped`, in stored order.
    ///
    /// - Parameter body: gets portions of exactly `portion` documents, and in the end one with fewer, perhaps none.
    func stream(
        _ collection: Collection, skipping skipped: Int, portion: Int,
        _ body: (DocumentBatch) throws(StoreError) -> Void
    ) -> Result<Void, StoreError> {
        var options = BSONWriter()
        options.document { writer in
            writer.subdocument("sort") { $0.int32("$natural", 1) }
            if skipped > 0 { writer.int64("skip", Int64(skipped)) }
        }
        return withCursor(collection, filter: MongoCommand.filter([]), options: options.bytes) { cursor in
            do throws(StoreError) {
                while true {
                    let documents = try Self.collect(cursor, limit: portion, largest: .max).get()
                    try body(documents)
                    if documents.count < portion { return .success(()) }
                }
            } catch {
                return .failure(error)
            }
        }
    }
}
