import CSQLite
import Glibc
import Synchronization

/// The file that keeps the journal and the live state: SQLite with a write-ahead log, every write on the disk before it
/// counts. One process has it open at a time.
///
/// Every call blocks, and may wait for the disk.
package final class LedgerFile: Sendable {
    /// What a start finds.
    package struct Contents: Sendable {
        package var live: [LiveRow]
        /// Of the newest row; 0: there is none.
        package var lastSequence: UInt64
        package var lastGeneration: UInt64
        /// The largest number of a change that all replicas know.
        package var lastRevision: UInt64
        /// Changes that were written and not marked as applied: the process before this one ended in between.
        package var unfinished: Int
        /// Where a damaged file was moved to.
        package var damaged: String?
    }

    /// Rows kept, and for how long (milliseconds), save those that set what is still live.
    package static let rowLimit: UInt64 = 100_000
    package static let ageLimit: UInt64 = 400 * 86_400_000
    /// Rows written between two looks for old ones.
    static let pruneInterval: UInt64 = 1_000

    /// "bLgr", so that no other program's file is taken for one.
    static let application: Int64 = 0x624C_6772
    static let format: Int64 = 1

    /// nil once closed.
    private let connection: Mutex<SQLiteConnection?>

    private init(_ connection: consuming sending SQLiteConnection) {
        self.connection = Mutex(connection)
    }

    /// Lets another process open the file. Every later call fails.
    package func close() { self.connection.withLock { $0 = nil } }

    func use<Value: Sendable>(
        _ body: (SQLiteConnection) throws(LedgerFailure) -> Value
    ) throws(LedgerFailure) -> Value {
        try self.connection.withLock { (connection) throws(LedgerFailure) in
            guard let connection else { throw LedgerFailure(.unavailable, "it is closed") }
            return try body(connection)
        }
    }

    /// What is thought of a file that is opened.
    package enum Suspicion: Sendable {
        case none
        /// It was found damaged in use: it is looked at as a whole, indices and all, which takes longer.
        case doubted
        /// It was found damaged again, though a look at the whole had found nothing.
        case certain
    }

    /// Opens the file, or makes it: mode 0600, in a folder that is made with 0700 where there is none. A damaged one is moved
    /// aside and a new one begun. Changes that were intended are applied from here on.
    package static func open(
        path: String, suspicion: Suspicion = .none
    ) throws(LedgerFailure) -> (file: LedgerFile, contents: Contents) {
        try Self.makeFolder(of: path)
        do throws(LedgerFailure) {
            if case .certain = suspicion { throw LedgerFailure(.damaged, "it was found damaged in use") }
            return try Self.openOnce(path: path, suspicion: suspicion, damaged: nil)
        } catch {
            guard error.cause == .damaged else { throw error }
            return try Self.openOnce(path: path, suspicion: .none, damaged: try Self.moveAside(path))
        }
    }

    private static func openOnce(
        path: String, suspicion: Suspicion, damaged: String?
    ) throws(LedgerFailure) -> (file: LedgerFile, contents: Contents) {
        try Self.makeFile(path)
        let connection = try SQLiteConnection(path: path)
        try connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        // Takes the lock, and replays what a killed process had written.
        guard try connection.text("PRAGMA journal_mode = WAL") == "wal" else {
            throw LedgerFailure(.unavailable, "the file system takes no write-ahead log")
        }
        try connection.execute(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 4194304")
        try Self.prepare(connection, suspicion)
        let contents = try Self.read(connection, damaged: damaged)
        return (LedgerFile(connection), contents)
    }

    private static func prepare(
        _ connection: SQLiteConnection, _ suspicion: Suspicion
    ) throws(LedgerFailure) {
        let format = try connection.integer("PRAGMA user_version") ?? 0
        let application = try connection.integer("PRAGMA application_id") ?? 0
        let tables = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
        if tables == 0, format == 0 {
            try connection.transaction { () throws(LedgerFailure) in
                try connection.execute(Self.schema)
                try connection.execute(Self.pruned)
                try connection.execute(Self.differences)
                try connection.execute(Self.needTable)
                try connection.execute(Self.kindTable)
                try connection.execute(
                    "PRAGMA application_id = \(Self.application); PRAGMA user_version = \(Self.format)")
            }
            return
        }
        guard application == Self.application else {
            throw LedgerFailure(.foreign, "another program's database is there")
        }
        guard format == Self.format else {
            throw LedgerFailure(.foreign, "it has format \(format), and this version knows \(Self.format)")
        }
        let check = if case .doubted = suspicion { "integrity_check" } else { "quick_check" }
        guard try connection.text("PRAGMA \(check)(1)") == "ok" else {
            throw LedgerFailure(.damaged, "its pages do not fit together")
        }
        try connection.execute(Self.pruned)
        try connection.execute(Self.differences)
        try connection.execute(Self.needTable)
        try connection.execute(Self.kindTable)
    }

    private static func read(_ connection: SQLiteConnection, damaged: String?) throws(LedgerFailure) -> Contents {
        let unfinished = try connection.integer("SELECT count(*) FROM change WHERE state = 'intended'") ?? 0
        if unfinished > 0 {
            try connection.execute(
                "UPDATE change SET state = 'applied', evidence = coalesce(evidence, 'at-start') WHERE state = 'intended'"
            )
        }
        var live: [LiveRow] = []
        try connection.run("SELECT key, value, change FROM live ORDER BY key") { row in
            live.append(LiveRow(key: row.text(0), value: row.text(1), change: row.text(2)))
        }
        // AUTOINCREMENT remembers also what has been pruned.
        let last = try connection.integer("SELECT max(seq) FROM sqlite_sequence WHERE name = 'change'") ?? 0
        let generation =
            try connection.integer(
                "SELECT max(max(generation_before, coalesce(generation_after, 0))) FROM change") ?? 0
        let revision = try connection.integer("SELECT max(CAST(revision AS INTEGER)) FROM change") ?? 0
        return Contents(
            live: live, lastSequence: UInt64(clamping: last), lastGeneration: UInt64(clamping: generation),
            lastRevision: UInt64(clamping: revision),
            unfinished: Int(clamping: unfinished), damaged: damaged)
    }

    /// The last generation of which a row was taken away: what was in force before it cannot be told any more. A ledger of an
    /// earlier version gets it when it is opened; that version passes it over.
    private static let pruned =
        "CREATE TABLE IF NOT EXISTS pruned (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL) STRICT"

    private static let schema = """
        CREATE TABLE change (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
          replica TEXT NOT NULL, door TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
          before TEXT NOT NULL, after TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT, forced INTEGER NOT NULL DEFAULT 0,
          undoes TEXT, generation_before INTEGER NOT NULL, generation_after INTEGER, revision TEXT,
          state TEXT NOT NULL CHECK (state IN ('intended','applied','refused','failed')),
          detail TEXT NOT NULL DEFAULT '') STRICT;
        CREATE INDEX change_subject ON change (subject, sequence);
        CREATE TABLE live (key TEXT PRIMARY KEY, value TEXT NOT NULL, change TEXT NOT NULL REFERENCES change(id)) STRICT;
        CREATE INDEX live_change ON live (change);
        """
}
