/// A kind of request that reached a side which should not be needed any more.
package struct NeedRow: Sendable, Equatable, Codable {
    package var route: String
    package var template: String
    package var cause: String
    /// Milliseconds since 1970.
    package var first: UInt64
    package var last: UInt64
    package var count: UInt64

    package init(route: String, template: String, cause: String, first: UInt64, last: UInt64, count: UInt64) {
        self.route = route
        self.template = template
        self.cause = cause
        self.first = first
        self.last = last
        self.count = count
    }
}

extension LedgerFile {
    package static let needLimit = 4_096

    static let needTable = """
        CREATE TABLE IF NOT EXISTS need (route TEXT NOT NULL, template TEXT NOT NULL, cause TEXT NOT NULL, first INTEGER NOT NULL,
          last INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (route, template, cause)) STRICT
        """

    /// Puts rows in the place of those of the same kind; the oldest beyond the limit go.
    package func putNeeds(_ rows: [NeedRow]) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            try connection.transaction { () throws(LedgerFailure) in
                for row in rows {
                    try connection.run(
                        """
                        INSERT INTO need (route, template, cause, first, last, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                          ON CONFLICT (route, template, cause) DO UPDATE
                            SET first = excluded.first, last = excluded.last, count = excluded.count
                        """,
                        [
                            .text(row.route), .text(row.template), .text(row.cause), SQLiteValue(row.first),
                            SQLiteValue(row.last), SQLiteValue(row.count),
                        ])
                }
                try connection.run(
                    """
                    DELETE FROM need WHERE rowid IN (
                      SELECT rowid FROM need ORDER BY last DESC LIMIT -1 OFFSET \(Self.needLimit))
                    """)
            }
        }
    }

    package func needs() throws(LedgerFailure) -> [NeedRow] {
        try self.use { (connection) throws(LedgerFailure) in
            var rows: [NeedRow] = []
            try connection.run("SELECT route, template, cause, first, last, count FROM need ORDER BY last DESC") {
                row in
                rows.append(
                    NeedRow(
                        route: row.text(0), template: row.text(1), cause: row.text(2), first: row.count(3),
                        last: row.count(4), count: row.count(5)))
            }
            return rows
        }
    }
}
