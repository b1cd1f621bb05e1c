import CSQLite
import Dispatch
import Glibc
import Synchronization

/// Why SQLite did not do what it was asked for.
struct SQLiteFailure: Error, CustomStringConvertible {
    let code: Int32
    let words: String

    /// It was told to stop by ``SQLiteConnection/isInterrupted``.
    var isInterruption: Bool { code & 0xFF == SQLITE_INTERRUPT }

    var description: String { "SQLite error \(code & 0xFF): \(words)" }
}

/// What goes into a statement.
enum SQLiteValue {
    case integer(Int64)
    case text(String)
    case blob([UInt8])
}

/// One row of a result, valid until the next is asked for.
struct SQLiteRow {
    fileprivate let statement: OpaquePointer

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    func text(_ column: Int32) -> String {
        guard let bytes = sqlite3_column_text(statement, column) else { return "" }
        let count = Int(sqlite3_column_bytes(statement, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// The bytes where SQLite has them; nil where there are none.
    func withBytes<Value>(_ column: Int32, _ body: (UnsafeRawBufferPointer?) throws -> Value) rethrows -> Value {
        let bytes = sqlite3_column_blob(statement, column)
        let count = Int(sqlite3_column_bytes(statement, column))
        return try body(bytes.map { UnsafeRawBufferPointer(start: $0, count: count) })
    }
}

/// A connection to one database. Whatever is done with it is done on its queue, but for ``isInterrupted``.
final class SQLiteConnection: @unchecked Sendable {  // RULE: its queue has it
    /// Statements that are kept for the next time; a list of any length in a query makes a statement of its own.
    private static let keptStatements = 64
    /// SQLite's steps between two looks at whether it is to stop: some microseconds.
    private static let stepsBetweenLooks: Int32 = 1000

    private final class Flag: Sendable {
        let isUp = Atomic(false)
    }

    let queue = DispatchQueue(label: "sqlite")
    private var handle: OpaquePointer?
    private var statements: [String: OpaquePointer] = [:]
    private let interruption = Flag()

    /// Opens a file, or makes it if it is to be written and not there; nil is an empty database in memory.
    init(path: String?, readOnly: Bool = false) throws(SQLiteFailure) {
        var handle: OpaquePointer?
        // A name such as `:memory:` is a file's, too.
        let name = path.map { $0.hasPrefix("/") ? $0 : "./\($0)" } ?? ":memory:"
        let access = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        let code = sqlite3_open_v2(name, &handle, access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let handle else {
            let failure = SQLiteFailure(code: code, words: handle.map(Self.words) ?? "out of memory")
            sqlite3_close_v2(handle)
            throw failure
        }
        self.handle = handle
        // SQLite's own way to interrupt is lost on a statement that is about to begin.
        sqlite3_progress_handler(
            handle, Self.stepsBetweenLooks,
            { context in
                guard let context else { return 0 }
                return Unmanaged<Flag>.fromOpaque(context).takeUnretainedValue().isUp.load(ordering: .relaxed) ? 1 : 0
            }, Unmanaged.passUnretained(interruption).toOpaque())
    }

    deinit { close() }

    /// Gives the file back. What is asked for afterwards fails.
    func close() {
        for statement in statements.values { sqlite3_finalize(statement) }
        statements = [:]
        sqlite3_close_v2(handle)
        handle = nil
    }

    /// Whether statements that run, and those that begin, end with an error. Any thread may say so.
    var isInterrupted: Bool {
        get { interruption.isUp.load(ordering: .relaxed) }
        set { interruption.isUp.store(newValue, ordering: .relaxed) }
    }

    /// What `body` reads is of one moment.
    func reading<Value>(_ body: (SQLiteConnection) throws -> Value) throws -> Value {
        try execute("BEGIN")
        // Nothing was written; an error may have ended it already.
        defer { try? execute("ROLLBACK") }
        return try body(self)
    }

    /// All that `body` writes, or nothing.
    func writing<Value>(_ body: (SQLiteConnection) throws -> Value) throws -> Value {
        try execute("BEGIN IMMEDIATE")
        do {
            let value = try body(self)
            try execute("COMMIT")
            return value
        } catch {
            try? execute("ROLLBACK")
            throw error
        }
    }

    /// Statements without values and without a result that matters.
    func execute(_ sql: String) throws(SQLiteFailure) {
        let handle = try open()
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code) }
    }

    /// One statement; its rows, if any, go to `body`, until that says no.
    func run(
        _ sql: String, _ values: [SQLiteValue] = [], _ body: (SQLiteRow) throws -> Bool = { _ in true }
    ) throws {
        let (statement, isKept) = try prepare(sql)
        defer {
            if isKept {
                // Also gives back the lock that a read holds.
                sqlite3_reset(statement)
                sqlite3_clear_bindings(statement)
            } else {
                sqlite3_finalize(statement)
            }
        }
        for (index, value) in values.enumerated() {
            let code = Self.bind(value, to: statement, at: Int32(index + 1))
            guard code == SQLITE_OK else { throw failure(code) }
        }
        while true {
            let code = sqlite3_step(statement)
            switch code {
            case SQLITE_ROW: if try !body(SQLiteRow(statement: statement)) { return }
            case SQLITE_DONE: return
            default: throw failure(code)
            }
        }
    }

    /// The first column of the first row; nil when there is none.
    func integer(_ sql: String, _ values: [SQLiteValue] = []) throws -> Int64? {
        var result: Int64?
        try run(sql, values) { row in
            result = row.integer(0)
            return false
        }
        return result
    }

    /// The first column of every row.
    func texts(_ sql: String, _ values: [SQLiteValue] = []) throws -> [String] {
        var result: [String] = []
        try run(sql, values) { row in
            result.append(row.text(0))
            return true
        }
        return result
    }

    /// How many rows the last statement has written.
    var changes: Int { handle.map { Int(sqlite3_changes($0)) } ?? 0 }

    private func open() throws(SQLiteFailure) -> OpaquePointer {
        guard let handle else { throw SQLiteFailure(code: SQLITE_MISUSE, words: "the connection is closed") }
        return handle
    }

    private func failure(_ code: Int32) -> SQLiteFailure {
        SQLiteFailure(code: code, words: handle.map(Self.words) ?? "the connection is closed")
    }

    private static func words(_ handle: OpaquePointer) -> String {
        let text = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "unknown error"
        let system = sqlite3_system_errno(handle)
        return system == 0 ? text : "\(text) (\(String(cString: strerror(system))))"
    }

    private func prepare(_ sql: String) throws(SQLiteFailure) -> (statement: OpaquePointer, isKept: Bool) {
        if let statement = statements[sql] { return (statement, true) }
        let handle = try open()
        let isKept = statements.count < Self.keptStatements
        var statement: OpaquePointer?
        let flags = isKept ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
        let code = sqlite3_prepare_v3(handle, sql, -1, flags, &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code) }
        if isKept { statements[sql] = statement }
        return (statement, isKept)
    }

    /// The bytes are copied before the call returns.
    private static func bind(_ value: SQLiteValue, to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch value {
        case .integer(let number): return sqlite3_bind_int64(statement, index, number)
        case .text(var text):
            return text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { characters in
                    sqlite3_bind_text64(
                        statement, index, characters.baseAddress, UInt64(characters.count), transient,
                        UInt8(SQLITE_UTF8))
                }
            }
        case .blob(let bytes):
            // Without an address it would be NULL.
            guard !bytes.isEmpty else { return sqlite3_bind_zeroblob(statement, index, 0) }
            return bytes.withUnsafeBytes {
                sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), transient)
            }
        }
    }

    /// SQLITE_TRANSIENT, a macro that Swift does not see.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
