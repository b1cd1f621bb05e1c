/// A read-only source of documents.
///
/// Every call may suspend for I/O but never blocks the thread that makes it.
package protocol DocumentStore: Sendable {
    /// Answers every query, in the order asked. A store that has snapshots answers all of them from one.
    func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch]

    /// Answers every join, in the order asked, with a number of round trips that does not depend on the values.
    func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch]

    /// Returns when the database answers.
    func check() async throws(StoreError)

    /// How busy the store's connections are; nil for a store without any.
    var use: StoreUse? { get }

    /// Lets go of connections and files. Later calls fail.
    func close() async
}

extension DocumentStore {
    package var use: StoreUse? { nil }

    package func find(_ query: Query) async throws(StoreError) -> DocumentBatch {
        try await find([query]).first ?? DocumentBatch()
    }
}

/// Why a store could not answer.
package enum StoreError: Error, Equatable, Sendable {
    /// The database cannot be reached, or was closed.
    case unavailable(String)
    /// No answer within the store's own deadline.
    case timedOut
    /// The database answered, and the answer is an error.
    case failed(String)
    /// A stored document is not BSON.
    case malformed(BSONError)
}
