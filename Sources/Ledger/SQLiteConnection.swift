import CSQLite
import Glibc

/// What goes into a statement.
enum SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    case null
    case integer(Int64)
    case text(String)

    init(stringLiteral text: String) { self = .text(text) }
    init(integerLiteral number: Int64) { self = .integer(number) }
    init(_ text: String?) { self = text.map { .text($0) } ?? .null }
    /// Numbers beyond SQLite's are the largest it has.
    init(_ number: UInt64) { self = .integer(Int64(clamping: number)) }
    init(_ number: UInt64?) { self = number.map { SQLiteValue($0) } ?? .null }
}

/// One row of a result, valid until the next is asked for.
struct SQLiteRow {
    fileprivate let statement: OpaquePointer

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(self.statement, column) }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(self.statement, column) == SQLITE_NULL }

    func text(_ column: Int32) -> String {
        guard let bytes = sqlite3_column_text(self.statement, column) else { return "" }
        let count = Int(sqlite3_column_bytes(self.statement, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    func optionalText(_ column: Int32) -> String? { self.isNull(column) ? nil : self.text(column) }

    /// Never negative: what is, counts as 0.
    func count(_ column: Int32) -> UInt64 { UInt64(clamping: self.integer(column)) }
}

/// A connection to one database, used by one thread at a time. Statements are prepared once and kept.
final class SQLiteConnection {
    private let handle: OpaquePointer
    private var statements: [String: OpaquePointer] = [:]

    /// Makes the file if there is none.
    init(path: String) throws(LedgerFailure) {
        var handle: OpaquePointer?
        // A name such as `:memory:` is a file's, too.
        let code = sqlite3_open_v2(
            path.hasPrefix("/") ? path : "./\(path)", &handle,
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil
        )
        guard code == SQLITE_OK, let handle else {
            let words = handle.map { Self.words($0) } ?? "out of memory"
            sqlite3_close_v2(handle)
            throw LedgerFailure(code: code, words)
        }
        self.handle = handle
    }

    deinit {
        for statement in self.statements.values { sqlite3_finalize(statement) }
        sqlite3_close_v2(self.handle)
    }

    private static func words(_ handle: OpaquePointer) -> String {
        let text = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "unknown error"
        let system = sqlite3_system_errno(handle)
        return system == 0 ? text : "\(text) (\(String(cString: strerror(system))))"
    }

    private func failure(_ code: Int32) -> LedgerFailure { LedgerFailure(code: code, Self.words(self.handle)) }

    /// Statements without values and without a result that matters.
    func execute(_ sql: String) throws(LedgerFailure) {
        let code = sqlite3_exec(self.handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw self.failure(code) }
    }

    /// One statement; its rows, if any, go to `read`, until that gives nil.
    func run(
        _ sql: String, _ values: [SQLiteValue] = [], _ read: (SQLiteRow) -> Void = { _ in }
    ) throws(LedgerFailure) {
        let statement = try self.prepare(sql)
        // Also gives back the lock that a read holds.
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        for (index, value) in values.enumerated() {
            let code = Self.bind(value, to: statement, at: Int32(index + 1))
            guard code == SQLITE_OK else { throw self.failure(code) }
        }
        while true {
            let code = sqlite3_step(statement)
            switch code {
            case SQLITE_ROW: read(SQLiteRow(statement: statement))
            case SQLITE_DONE: return
            default: throw self.failure(code)
            }
        }
    }

    func integer(_ sql: String, _ values: [SQLiteValue] = []) throws(LedgerFailure) -> Int64? {
        var result: Int64?
        try self.run(sql, values) { row in
            if result == nil, !row.isNull(0) { result = row.integer(0) }
        }
        return result
    }

    func text(_ sql: String) throws(LedgerFailure) -> String? {
        var result: String?
        try self.run(sql) { row in
            if result == nil { result = row.optionalText(0) }
        }
        return result
    }

    /// All of `body` or nothing.
    func transaction(_ body: () throws(LedgerFailure) -> Void) throws(LedgerFailure) {
        try self.execute("BEGIN IMMEDIATE")
        do throws(LedgerFailure) {
            try body()
            try self.execute("COMMIT")
        } catch {
            // A failed commit may have ended the transaction already.
            if sqlite3_get_autocommit(self.handle) == 0 { try? self.execute("ROLLBACK") }
            throw error
        }
    }

    private func prepare(_ sql: String) throws(LedgerFailure) -> OpaquePointer {
        if let statement = self.statements[sql] { return statement }
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw self.failure(code) }
        self.statements[sql] = statement
        return statement
    }

    private static func bind(_ value: SQLiteValue, to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch value {
        case .null: return sqlite3_bind_null(statement, index)
        case .integer(let number): return sqlite3_bind_int64(statement, index, number)
        case .text(let text):
            var text = text
            // The bytes are copied before the call returns.
            return text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { characters in
                    sqlite3_bind_text64(
                        statement, index, characters.baseAddress, UInt64(characters.count), Self.transient,
                        UInt8(SQLITE_UTF8))
                }
            }
        }
    }

    /// SQLITE_TRANSIENT, a macro that Swift does not see.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
