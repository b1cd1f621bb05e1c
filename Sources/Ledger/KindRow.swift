/// A kind of request that a plan has seen, and what proves that the new side answers it, as the ledger keeps it.
package struct KindRow: Sendable, Equatable {
    package var migration: String
    package var route: String
    package var template: String
    /// Milliseconds since 1970.
    package var last: UInt64
    /// Times that the new side answered it, of those that were looked at.
    package var answered: UInt64
    /// Times that answers of both sides were compared.
    package var compared: UInt64

    package init(
        migration: String, route: String, template: String, last: UInt64, answered: UInt64, compared: UInt64
    ) {
        self.migration = migration
        self.route = route
        self.template = template
        self.last = last
        self.answered = answered
        self.compared = compared
    }
}

extension LedgerFile {
    /// A ledger of an earlier version gets it when it is opened; that version passes it over.
    static let kindTable = """
        CREATE TABLE IF NOT EXISTS kind (migration TEXT NOT NULL, route TEXT NOT NULL, template TEXT NOT NULL, last INTEGER NOT NULL,
          answered INTEGER NOT NULL, compared INTEGER NOT NULL, PRIMARY KEY (migration, route, template)) STRICT
        """

    /// Puts rows in the place of those of the same kind, and forgets those that were seen last before `since`. It need not be on
    /// the disk at once.
    package func putKinds(_ rows: [KindRow], since: UInt64) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            try connection.execute("PRAGMA synchronous = NORMAL")
            defer { try? connection.execute("PRAGMA synchronous = FULL") }
            try connection.transaction { () throws(LedgerFailure) in
                for row in rows {
                    try connection.run(
                        """
                        INSERT INTO kind (migration, route, template, last, answered, compared) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                          ON CONFLICT (migration, route, template) DO UPDATE
                            SET last = excluded.last, answered = excluded.answered, compared = excluded.compared
                        """,
                        [
                            .text(row.migration), .text(row.route), .text(row.template), SQLiteValue(row.last),
                            SQLiteValue(row.answered), SQLiteValue(row.compared),
                        ])
                }
                try connection.run("DELETE FROM kind WHERE last < ?1", [SQLiteValue(since)])
            }
        }
    }

    package func kinds(of migration: String) throws(LedgerFailure) -> [KindRow] {
        try self.use { (connection) throws(LedgerFailure) in
            var rows: [KindRow] = []
            try connection.run(
                "SELECT route, template, last, answered, compared FROM kind WHERE migration = ?1 ORDER BY last DESC",
                [.text(migration)]
            ) { row in
                rows.append(
                    KindRow(
                        migration: migration, route: row.text(0), template: row.text(1), last: row.count(2),
                        answered: row.count(3), compared: row.count(4)))
            }
            return rows
        }
    }
}
