import CSQLite

/// Why the ledger could not be read or written.
package struct LedgerFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Cause: Sendable, Equatable {
        /// The file is no whole database: what is in it cannot be trusted.
        case damaged
        /// Another process has it open.
        case inUse
        /// A newer version made it, or something else altogether. It is left alone.
        case foreign
        /// A full disk, a lost mount, a missing right: it may pass.
        case unavailable
        /// The disk has not answered in time: what was to be written may be written, or may yet be.
        case unanswered
    }

    package var cause: Cause
    /// For people.
    package var reason: String

    package init(_ cause: Cause, _ reason: String) {
        self.cause = cause
        self.reason = reason
    }

    package var description: String { self.reason }

    /// From a result of SQLite, extended or not, and its words.
    init(code: Int32, _ words: String) {
        let cause: Cause =
            switch code & 0xFF {
            case SQLITE_CORRUPT, SQLITE_NOTADB: .damaged
            case SQLITE_BUSY, SQLITE_LOCKED: .inUse
            default: .unavailable
            }
        self.init(cause, cause == .inUse ? "another process has it open" : words)
    }
}
