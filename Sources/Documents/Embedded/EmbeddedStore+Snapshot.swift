import GRDB

extension EmbeddedStore {
    /// Where the copy of one collection stands.
    typealias SnapshotState = (copied: Int, isComplete: Bool)

    /// Makes the file ready for a copy of `source`, or for going on with one.
    ///
    /// - Throws: ``StoreError/unavailable(_:)`` when the file holds documents that are no unfinished copy of `source`.
    func beginSnapshot(of source: String) throws(StoreError) {
        let mark = Self.mark(of: source)
        try writing { db in
            // All in one transaction: a file with tables and without this one is taken for whole.
            try Self.createSchema(db)
            if try Self.isUnfinished(db) {
                guard try db.columns(in: "snapshot").contains(where: { $0.name == "source" }),
                    try String.fetchAll(db, sql: "SELECT DISTINCT source FROM snapshot") == [mark]
                else {
                    throw StoreError.unavailable(
                        "the file holds an unfinished copy of another database; choose another file")
                }
                return
            }
            for collection in Collection.allCases
            where try Int.fetchOne(db, sql: "SELECT 1 FROM \"\(collection.rawValue)\" LIMIT 1") != nil {
                throw StoreError.unavailable("the file holds data already; choose another file")
            }
            try db.execute(
                sql: """
                    CREATE TABLE snapshot
                    (collection TEXT PRIMARY KEY, copied INTEGER NOT NULL, complete INTEGER NOT NULL, source TEXT NOT NULL)
                    """)
            for collection in Collection.allCases {
                try db.execute(
                    sql: "INSERT INTO snapshot VALUES (?, 0, 0, ?)", arguments: [collection.rawValue, mark])
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
        try writing { db in try db.execute(sql: "DROP TABLE snapshot") }
    }

    func snapshotState(of collection: Collection) throws(StoreError) -> SnapshotState {
        try writing { db in
            let row = try Row.fetchOne(
                db, sql: "SELECT copied, complete FROM snapshot WHERE collection = ?",
                arguments: [collection.rawValue])
            return (row?["copied"] ?? 0, row?["complete"] ?? false)
        }
    }

    /// Stores a portion and counts it, both or neither.
    ///
    /// - Parameter copied: how many documents of the collection are stored already.
    /// - Throws: ``StoreError/failed(_:)`` when there are more or fewer: someone else fills the file too.
    func storePortion(
        _ documents: DocumentBatch, of collection: Collection, after copied: Int, isLast: Bool
    ) throws(StoreError) {
        try writing { db in
            try db.execute(
                sql: "UPDATE snapshot SET copied = copied + ?, complete = ? WHERE collection = ? AND copied = ?",
                arguments: [documents.count, isLast, collection.rawValue, copied])
            guard db.changesCount == 1 else { throw StoreError.failed("another process fills the same file") }
            try Self.insert(documents, into: collection, db)
        }
    }

    /// Whether a copy into this database was begun and not finished.
    static func isUnfinished(_ db: Database) throws -> Bool {
        try db.tableExists("snapshot")
    }
}
