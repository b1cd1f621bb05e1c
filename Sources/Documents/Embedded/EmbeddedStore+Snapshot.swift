extension EmbeddedStore {
    /// Where the copy of one collection stands.
    typealias SnapshotState = (copied: Int, isComplete: Bool)

    /// Makes the file ready for a copy of `source`, or for going on with one.
    ///
    /// - Throws: ``StoreError/unavailable(_:)`` when the file holds documents that are no unfinished copy of `source`.
    func beginSnapshot(of source: String) throws(StoreError) {
        let mark = Self.mark(of: source)
        try writing { connection in
            // All in one transaction: a file with tables and without this one is taken for whole.
            try Self.createSchema(connection)
            if try Self.isUnfinished(connection) {
                let hasSource = "SELECT 1 FROM pragma_table_info('snapshot') WHERE name = 'source'"
                guard try connection.integer(hasSource) != nil,
                    try connection.texts("SELECT DISTINCT source FROM snapshot") == [mark]
                else {
                    throw StoreError.unavailable(
                        "the file holds an unfinished copy of another database; choose another file")
                }
                return
            }
            for collection in Collection.allCases
            where try connection.integer("SELECT 1 FROM \"\(collection.rawValue)\" LIMIT 1") != nil {
                throw StoreError.unavailable("the file holds data already; choose another file")
            }
            try connection.execute(
                """
                CREATE TABLE snapshot
                (collection TEXT PRIMARY KEY, copied INTEGER NOT NULL, complete INTEGER NOT NULL, source TEXT NOT NULL)
                """)
            for collection in Collection.allCases {
                try connection.run(
                    "INSERT INTO snapshot VALUES (?, 0, 0, ?)", [.text(collection.rawValue), .text(mark)])
            }
        }
    }

    /// Tells sources apart without naming them in the file (FNV-1a).
    private static func mark(of source: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in source.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 16)
    }

    /// Takes the marks away: the file is whole.
    func endSnapshot() throws(StoreError) {
        try writing { connection in try connection.execute("DROP TABLE snapshot") }
    }

    func snapshotState(of collection: Collection) throws(StoreError) -> SnapshotState {
        try writing { connection in
            var state: SnapshotState = (0, false)
            try connection.run(
                "SELECT copied, complete FROM snapshot WHERE collection = ?", [.text(collection.rawValue)]
            ) { row in
                state = (Int(row.integer(0)), row.integer(1) != 0)
                return false
            }
            return state
        }
    }

    /// Stores a portion and counts it, both or neither.
    ///
    /// - Parameter copied: how many documents of the collection are stored already.
    /// - Throws: ``StoreError/failed(_:)`` when there are more or fewer: someone else fills the file too.
    func storePortion(
        _ documents: DocumentBatch, of collection: Collection, after copied: Int, isLast: Bool
    ) throws(StoreError) {
        try writing { connection in
            try connection.run(
                "UPDATE snapshot SET copied = copied + ?, complete = ? WHERE collection = ? AND copied = ?",
                [
                    .integer(Int64(documents.count)), .integer(isLast ? 1 : 0), .text(collection.rawValue),
                    .integer(Int64(copied)),
                ])
            guard connection.changes == 1 else { throw StoreError.failed("another process fills the same file") }
            try Self.insert(documents, into: collection, connection)
        }
    }

    /// Whether a copy into this database was begun and not finished.
    static func isUnfinished(_ connection: SQLiteConnection) throws -> Bool {
        try hasTable("snapshot", connection)
    }
}
