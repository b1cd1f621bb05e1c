/// A read-only source of documents.
///
/// Every call may suspend for I/O but never blocks the thread that makes it.
package protocol DocumentStore: Sendable {
    /// Answers every query, in the order asked. A store that has snapshots answers all of them from one.
    func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch]

    /// Folds the documents of one query into a value, in the order of the query and as they come: however many there are,
    /// no more than the database sends at a time are in memory. (A store that has to order or to pick them itself may need
    /// all of them.)
    ///
    /// - Parameter body: gets the value so far and the next document, which begins at 0 and is there only for the call. Runs
    ///   on a thread where it may take its time. What it throws ends the query.
    /// - Throws: ``StoreError``, and what `body` throws. Nothing of a fold that has not come to its end is of use.
    func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value

    /// Answers every join, in the order asked, with a number of round trips that does not depend on the values.
    func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch]

    /// Returns when the database answers. Is not held up by queries, however many there are and however long they take.
    func check() async throws(StoreError)

    /// Those of `names` that no collection of the database has.
    func missing(among names: [String]) async throws(StoreError) -> [String]

    /// How busy the store's connections are; nil for a store without any.
    var use: StoreUse? { get }

    /// Lets go of connections and files. Later calls fail.
    func close() async
}

extension DocumentStore {
    package var use: StoreUse? { nil }

    package func missing(among names: [String]) async throws(StoreError) -> [String] { [] }

    package func find(_ query: Query) async throws(StoreError) -> DocumentBatch {
        try await find([query]).first ?? DocumentBatch()
    }
}

/// Why a store could not answer.
package enum StoreError: Error, Equatable, Sendable {
    /// The database cannot be reached, or was closed.
    case unavailable(String)
    /// The database does not accept who asks.
    case unauthorized(String)
    /// More queries wait than can be answered before their time is up.
    case overloaded
    /// No answer within the store's own deadline.
    case timedOut
    /// There is no memory for what the query would read.
    case outOfMemory
    /// The database answered, and the answer is an error.
    case failed(String)
    /// A stored document is not BSON.
    case malformed(BSONError)

    /// What happened in a few words that anybody may read.
    package var reason: String {
        switch self {
        case .unavailable: "unreachable"
        case .unauthorized: "authentication failed"
        case .overloaded: "too many queries are waiting"
        case .timedOut: "timed out"
        case .outOfMemory: "no memory for the answer"
        case .failed: "answered with an error"
        case .malformed: "holds a malformed document"
        }
    }
}

extension StoreError: CustomStringConvertible {
    /// What happened in full, for those who run the process. Holds no password.
    package var description: String {
        switch self {
        case .unavailable(let details), .failed(let details): details
        case .unauthorized(let details): "authentication failed: \(details)"
        case .malformed(let error): "malformed document: \(error)"
        case .overloaded, .timedOut, .outOfMemory: reason
        }
    }
}
