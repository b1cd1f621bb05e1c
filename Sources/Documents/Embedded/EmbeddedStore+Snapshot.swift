import GRDB

extension EmbeddedStore {
    /// Where the copy of one collection stands.
    typealias SnapshotState = (copied: Int, isComplete: Bool)

    func beginSnapshot() throws(StoreError) {
        try writing { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS snapshot
                    (collection TEXT PRIMARY KEY, copied INTEGER NOT NULL, complete INTEGER NOT NULL)
                    """)
            for collection in Collection.allCases {
                try db.execute(
                    sql: "INSERT OR IGNORE INTO snapshot VALUES (?, 0, 0)", arguments: [collection.rawValue])
            }
        }
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
    func storePortion(
        _ documents: DocumentBatch, of collection: Collection, isLast: Bool
    ) throws(StoreError) {
        try writing { db in
            try Self.insert(documents, into: collection, db)
            try db.execute(
                sql: "UPDATE snapshot SET copied = copied + ?, complete = ? WHERE collection = ?",
                arguments: [documents.count, isLast, collection.rawValue])
        }
    }

    /// Whether a copy into this database was begun and not finished.
    static func isUnfinished(_ db: Database) throws -> Bool {
        try db.tableExists("snapshot")
    }
}
