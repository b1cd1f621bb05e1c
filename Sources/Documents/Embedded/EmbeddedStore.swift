import FoundationEssentials

/// Documents in SQLite: BSON as it is, with sort keys of the indexed fields beside it.
///
/// Answers as ``DocumentStore`` asks, mixed types and arrays included. Serves the sample data, tests, and snapshots of a
/// real database.
package struct EmbeddedStore: DocumentStore {
    package enum Location: Sendable, Equatable {
        /// Lives as long as the store.
        case memory
        case file(String)
    }

    let database: SQLitePool
    /// A connection that queries never have: whether the database answers is known while all the others read. That of
    /// `database` in memory, where there is no second one.
    private let probe: SQLitePool
    private let reads = OpenReads()
    /// The file that is served; nil in memory, and for one that is being filled.
    private let file: ServedFile?

    /// Opens an existing file for reading only, or an empty database in memory.
    ///
    /// - Throws: ``StoreError/unavailable(_:)`` when the file is missing, unreadable, or made by something else.
    package init(reading location: Location) throws(StoreError) {
        switch location {
        case .memory:
            file = nil
            database = try Self.pool(at: nil)
            probe = database
            try writing(Self.createSchema)
        case .file(let path):
            guard FileManager.default.fileExists(atPath: path) else { throw .unavailable("no file at \(path)") }
            file = ServedFile(path)
            do {
                database = try SQLitePool(
                    reading: path, connections: max(2, ProcessInfo.processInfo.activeProcessorCount))
                probe = try SQLitePool(reading: path, connections: 1)
                try database.use { connection in
                    guard try connection.integer("PRAGMA user_version") == Self.schemaVersion else {
                        throw StoreError.unavailable("\(path) is not a document file of this version")
                    }
                    if try Self.isUnfinished(connection) {
                        throw StoreError.unavailable(
                            "\(path) is an unfinished snapshot; run the snapshot command again")
                    }
                }
            } catch let error as StoreError {
                throw error
            } catch {
                throw .unavailable("\(path): \(error)")
            }
        }
    }

    /// Opens a file to fill it, making it where there is none.
    package init(writing path: String) throws(StoreError) {
        try self.init(copyingTo: path)
        try writing(Self.createSchema)
    }

    /// Opens a file that a snapshot is to fill, making it where there is none. It gets its tables when the copy begins.
    package init(copyingTo path: String) throws(StoreError) {
        file = nil
        database = try Self.pool(at: path)
        probe = database
        let version: Int64?
        let tables: Int64?
        do {
            version = try database.use { try $0.integer("PRAGMA user_version") }
            tables = try database.use { try $0.integer("SELECT count(*) FROM sqlite_master") }
        } catch {
            throw .unavailable("\(path): \(error)")
        }
        if version == Self.schemaVersion { return }
        guard version == 0, tables == 0 else {
            throw .unavailable("\(path) is a database of something else; choose another file")
        }
    }

    /// Raised whenever a file written by an earlier release could not be read.
    private static let schemaVersion: Int64 = 1

    private static func pool(at path: String?) throws(StoreError) -> SQLitePool {
        do {
            return try SQLitePool(path: path)
        } catch {
            throw .unavailable("\(path ?? "memory"): \(error)")
        }
    }

    /// Makes the tables, unless they are there.
    static func createSchema(_ connection: SQLiteConnection) throws {
        guard try connection.integer("PRAGMA user_version") == 0 else { return }
        for collection in Collection.allCases {
            for statement in CollectionLayout.of(collection).schema(collection) { try connection.execute(statement) }
        }
        try connection.execute("PRAGMA user_version = \(schemaVersion)")
    }

    package func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch] {
        let deadline = QueryDeadline.current
        return try await reading { connection in
            try queries.map { try Self.answer($0, connection, until: deadline) }
        }
    }

    package func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value {
        let deadline = QueryDeadline.current
        // What `body` throws is none of the store's errors.
        let result: Result<Value, any Error> = try await reading { connection in
            var value = initial
            var failure: (any Error)?
            try Self.each(query, connection, until: deadline) { document in
                do {
                    try document.withDocument { try body(&value, $0) }
                } catch {
                    failure = error
                }
                return failure == nil
            }
            if let failure { return .failure(failure) }
            return .success(value)
        }
        return try result.get()
    }

    package func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch] {
        let deadline = QueryDeadline.current
        return try await reading { connection in
            try queries.map { try Self.answer($0, connection, until: deadline) }
        }
    }

    package func check() async throws(StoreError) {
        try file?.check()
        let tables = try await reading(from: probe) { connection in
            Set(try connection.texts("SELECT name FROM sqlite_master WHERE type = 'table'"))
        }
        let lost = Collection.allCases.first { !tables.contains($0.rawValue) }
        if let lost { throw .failed("the file has no table \(lost.rawValue)") }
    }

    /// A collection of a file is there when it holds something: the tables are always there.
    package func missing(among names: [String]) async throws(StoreError) -> [String] {
        try await reading(from: probe) { connection in
            try names.filter { name in
                guard Collection(rawValue: name) != nil, try Self.hasTable(name, connection) else { return true }
                return try connection.integer("SELECT 1 FROM \"\(name)\" LIMIT 1") == nil
            }
        }
    }

    package func close() async {
        await reads.close()
        database.close()
        probe.close()
    }

    static func hasTable(_ name: String, _ connection: SQLiteConnection) throws -> Bool {
        try connection.integer("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [.text(name)]) != nil
    }

    private func reading<Answer: Sendable>(
        from pool: SQLitePool? = nil, _ body: @escaping @Sendable (SQLiteConnection) throws -> Answer
    ) async throws(StoreError) -> Answer {
        guard reads.begin() else { throw .unavailable("the store is closed") }
        defer { reads.end() }
        let account = QueryMemory.current
        do {
            return try await (pool ?? database).read { connection in
                try QueryMemory.$current.withValue(account) { try body(connection) }
            }
        } catch let error as BSONError {
            throw .malformed(error)
        } catch let error as StoreError {
            throw error
        } catch is CancellationError {
            throw .timedOut
        } catch let error as SQLiteFailure where error.isInterruption {
            throw .timedOut
        } catch {
            throw .failed("\(error)")
        }
    }
}
