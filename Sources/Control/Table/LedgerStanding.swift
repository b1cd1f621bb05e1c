import Ledger

/// How things are between this process and its ledger.
package struct LedgerStanding: Sendable {
    /// Entries kept for a ledger that cannot be written; beyond, the oldest are lost.
    static let unwrittenLimit = 1_000

    let store: LedgerStore
    /// Name of this process among those that may share what they do.
    let replica: String
    /// It has been open in this process.
    var wasOpen = false
    /// A predecessor has handed over what is live: what the file kept is older, whenever it opens.
    var isSuccessor = false
    /// Tells that the ledger can be written again. Tried again as it is: a write that was given up may have landed, and its
    /// number must not stand for another entry.
    var recovery: JournalEntry?
    /// Why it could not be written last; nil: it was, or has not been asked.
    package internal(set) var trouble: String?
    /// What it has not been told yet, oldest first.
    package internal(set) var unwritten: [JournalEntry] = []
    /// Entries that it will never be told.
    package internal(set) var lost: UInt64 = 0
    /// Times that it could not be read or written, or was found damaged.
    package internal(set) var errors: UInt64 = 0

    package var path: String { self.store.path }

    init(store: LedgerStore, replica: String) {
        self.store = store
        self.replica = replica
    }

    mutating func keep(_ entries: [JournalEntry]) {
        self.unwritten += entries
        let excess = self.unwritten.count - Self.unwrittenLimit
        guard excess > 0 else { return }
        self.unwritten.removeFirst(excess)
        self.lost += UInt64(excess)
    }

    func rows(_ entries: [JournalEntry]) -> [ChangeRow] { entries.map { LedgerRows.row($0, replica: self.replica) } }
}

/// A piece of the journal.
package struct JournalPage: Sendable {
    /// Oldest first.
    package var entries: [JournalEntry]
    /// There are older ones.
    package var hasMore: Bool

    package init(entries: [JournalEntry], hasMore: Bool) {
        self.entries = entries
        self.hasMore = hasMore
    }
}
