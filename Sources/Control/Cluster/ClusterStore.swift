/// Where replicas meet: etcd or the Kubernetes API. It keeps bytes and knows nothing of what they mean. Every call ends within
/// seconds, one way or the other.
package protocol ClusterStore: Sendable {
    /// `etcd` or `kubernetes`, and where: for people.
    var place: String { get }
    /// Milliseconds for which presence and leadership are lent.
    var lease: UInt64 { get }
    /// Milliseconds between two renewals.
    var interval: UInt64 { get }

    /// All of it as it is now, never as it was before something that this process has been answered.
    func read() async throws(StoreFailure) -> StoreSnapshot
    /// Replaces the document, if it is still the one of that revision; 0: if there is none. A call that ends without an answer
    /// may have been done, and may be made again.
    func swap(_ write: StoreWrite) async throws(StoreFailure) -> SwapOutcome
    /// Tells what happens after a revision, in order, until that ends or fails.
    func follow(after revision: UInt64, _ event: @escaping @Sendable (StoreEvent) async -> Void) async
        -> StoreFailure
    /// Tells of this replica, and renews what is lent if `renewing`. The revision that the telling has.
    func attend(_ presence: [UInt8], renewing: Bool) async throws(StoreFailure) -> UInt64
    /// This replica goes, with a last word.
    func leave(_ presence: [UInt8]) async
    /// Asks for the leadership, or renews it; nil: another has it.
    func lead(_ claim: [UInt8]) async throws(StoreFailure) -> ClusterFence?
    func resign() async
    /// Texts of changes after a number, oldest first.
    func journal(after sequence: UInt64, limit: Int) async throws(StoreFailure) -> [[UInt8]]

    /// Milliseconds between two tellings of what was counted.
    var countersInterval: UInt64 { get }
    /// Keeps what this process has counted, instead of what it told before; no lease ends it.
    func tell(counters: [CounterKey: [UInt8]]) async throws(StoreFailure)
    /// What all processes have told.
    func counters() async throws(StoreFailure) -> [CounterKey: [UInt8]]
    func forget(counters: [CounterKey]) async throws(StoreFailure)
}

package struct StoredDocument: Sendable, Equatable {
    package var bytes: [UInt8]
    /// Grows with each that replaces another, as long as it is the same store.
    package var revision: UInt64

    package init(bytes: [UInt8], revision: UInt64) {
        self.bytes = bytes
        self.revision = revision
    }
}

package struct StoreSnapshot: Sendable, Equatable {
    package var document: StoredDocument?
    /// By the names of replicas.
    package var presences: [String: [UInt8]] = [:]
    /// What the leader claimed with.
    package var leader: [UInt8]?
    /// Where to follow from.
    package var revision: UInt64 = 0

    package init() {}
}

package struct StoreWrite: Sendable {
    package var document: [UInt8]
    /// The revision of the one that it replaces; 0: there is none.
    package var replacing: UInt64
    /// Changes by their numbers, for the journal.
    package var changes: [(sequence: UInt64, text: [UInt8])]
    package var fence: ClusterFence?

    package init(
        document: [UInt8], replacing: UInt64, changes: [(sequence: UInt64, text: [UInt8])], fence: ClusterFence? = nil
    ) {
        self.document = document
        self.replacing = replacing
        self.changes = changes
        self.fence = fence
    }
}

package enum SwapOutcome: Sendable, Equatable {
    case done(revision: UInt64)
    /// Another is there, or none any more.
    case overtaken(StoredDocument?)
    /// The fence is another leader's by now, or nobody's.
    case deposed
}

package enum StoreEvent: Sendable, Equatable {
    case document(StoredDocument)
    case documentGone(revision: UInt64)
    case presence(replica: String, bytes: [UInt8], revision: UInt64)
    case gone(replica: String, revision: UInt64)
    /// nil: nobody leads.
    case leader([UInt8]?, revision: UInt64)
    /// Nothing but where one is.
    case progress(revision: UInt64)

    var revision: UInt64 {
        switch self {
        case .document(let document): document.revision
        case .documentGone(let revision), .presence(_, _, let revision), .gone(_, let revision),
            .leader(_, let revision), .progress(let revision):
            revision
        }
    }
}

/// Why the store did not do what it was asked.
package struct StoreFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Cause: Sendable, Equatable {
        /// It cannot be reached, does not answer in time, or has no quorum.
        case unreachable
        /// It answers and says no: a wrong password, a missing right, a gateway that is off.
        case refused
        /// What is asked for is not remembered any more: read anew.
        case expired
    }

    package var cause: Cause
    package var reason: String

    package init(_ cause: Cause, _ reason: String) {
        self.cause = cause
        self.reason = reason
    }

    package var description: String { self.reason }
}
