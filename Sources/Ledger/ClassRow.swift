/// A class of differences between the sides of a plan, as the ledger keeps it.
package struct ClassRow: Sendable, Equatable {
    /// `d-` and eight hexadecimal digits.
    package var number: String
    package var migration: String
    /// In the order in which the classes were found, from 1.
    package var position: UInt64
    /// JSON of what makes the class: route, template, kind, path.
    package var key: String
    package var state: String
    package var seen: UInt64
    package var confirmed: UInt64
    package var cleared: UInt64
    package var rechecked: UInt64
    package var repeated: UInt64
    /// Milliseconds since 1970.
    package var first: UInt64
    package var last: UInt64
    /// Why an operator lets it stay; nil: none does.
    package var accepted: String?
    /// JSON, redacted, each at most `exampleLimit` bytes.
    package var examples: [String]

    package static let exampleLimit = 2_048

    package init(
        number: String, migration: String, position: UInt64, key: String, state: String, seen: UInt64,
        confirmed: UInt64, cleared: UInt64, rechecked: UInt64, repeated: UInt64, first: UInt64, last: UInt64,
        accepted: String?, examples: [String]
    ) {
        self.number = number
        self.migration = migration
        self.position = position
        self.key = key
        self.state = state
        self.seen = seen
        self.confirmed = confirmed
        self.cleared = cleared
        self.rechecked = rechecked
        self.repeated = repeated
        self.first = first
        self.last = last
        self.accepted = accepted
        self.examples = examples
    }
}

extension LedgerFile {
    /// A ledger of an earlier version gets these when it is opened; that version passes them over.
    static let differences = """
        CREATE TABLE IF NOT EXISTS class (id TEXT NOT NULL, migration TEXT NOT NULL, position INTEGER NOT NULL, key TEXT NOT NULL,
          state TEXT NOT NULL, seen INTEGER NOT NULL, confirmed INTEGER NOT NULL, cleared INTEGER NOT NULL,
          rechecked INTEGER NOT NULL, repeated INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, accepted TEXT,
          PRIMARY KEY (migration, id)) STRICT;
        CREATE TABLE IF NOT EXISTS example (migration TEXT NOT NULL, class TEXT NOT NULL, place INTEGER NOT NULL, body TEXT NOT NULL,
          PRIMARY KEY (migration, class, place),
          FOREIGN KEY (migration, class) REFERENCES class (migration, id) ON DELETE CASCADE) STRICT;
        """

    private static let setClass = """
        INSERT INTO class (id, migration, position, key, state, seen, confirmed, cleared, rechecked, repeated, first, last, accepted)
          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
          ON CONFLICT (migration, id) DO UPDATE SET state = excluded.state, seen = excluded.seen,
            confirmed = excluded.confirmed, cleared = excluded.cleared, rechecked = excluded.rechecked,
            repeated = excluded.repeated, last = excluded.last, accepted = excluded.accepted
        """

    /// Writes classes with their examples. It need not be on the disk at once: what is lost is found again.
    package func write(_ classes: [ClassRow]) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            try connection.execute("PRAGMA synchronous = NORMAL")
            defer { try? connection.execute("PRAGMA synchronous = FULL") }
            try connection.transaction { () throws(LedgerFailure) in
                for row in classes {
                    try connection.run(
                        Self.setClass,
                        [
                            .text(row.number), .text(row.migration), SQLiteValue(row.position), .text(row.key),
                            .text(row.state), SQLiteValue(row.seen), SQLiteValue(row.confirmed),
                            SQLiteValue(row.cleared), SQLiteValue(row.rechecked), SQLiteValue(row.repeated),
                            SQLiteValue(row.first), SQLiteValue(row.last), SQLiteValue(row.accepted),
                        ])
                    try connection.run(
                        "DELETE FROM example WHERE migration = ?1 AND class = ?2",
                        [.text(row.migration), .text(row.number)])
                    for (place, body) in row.examples.enumerated() where body.utf8.count <= ClassRow.exampleLimit {
                        try connection.run(
                            "INSERT INTO example (migration, class, place, body) VALUES (?1, ?2, ?3, ?4)",
                            [.text(row.migration), .text(row.number), SQLiteValue(UInt64(place)), .text(body)])
                    }
                }
            }
        }
    }

    /// The classes of a plan in the order in which they were found.
    package func classes(of migration: String) throws(LedgerFailure) -> [ClassRow] {
        try self.use { (connection) throws(LedgerFailure) in
            var rows: [ClassRow] = []
            try connection.run(
                """
                SELECT id, position, key, state, seen, confirmed, cleared, rechecked, repeated, first, last, accepted
                  FROM class WHERE migration = ?1 ORDER BY position
                """, [.text(migration)]
            ) { row in
                rows.append(
                    ClassRow(
                        number: row.text(0), migration: migration, position: row.count(1), key: row.text(2),
                        state: row.text(3), seen: row.count(4), confirmed: row.count(5), cleared: row.count(6),
                        rechecked: row.count(7), repeated: row.count(8), first: row.count(9), last: row.count(10),
                        accepted: row.optionalText(11), examples: []))
            }
            for index in rows.indices {
                try connection.run(
                    "SELECT body FROM example WHERE migration = ?1 AND class = ?2 ORDER BY place",
                    [.text(migration), .text(rows[index].number)]
                ) { row in rows[index].examples.append(row.text(0)) }
            }
            return rows
        }
    }

    /// Forgets the differences, and the kinds of requests, of plans that the file has no more.
    package func forget(migrations: [String]) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            for name in migrations {
                try connection.run("DELETE FROM class WHERE migration = ?1", [.text(name)])
                try connection.run("DELETE FROM kind WHERE migration = ?1", [.text(name)])
            }
        }
    }
}
