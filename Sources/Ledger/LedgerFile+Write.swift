extension LedgerFile {
    private static let insert = """
        INSERT INTO change (sequence, id, at, replica, door, who, what, subject, before, after, reason, evidence, forced, undoes,
          generation_before, generation_after, state, detail, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
          ?15, ?16, ?17, ?18, ?19) ON CONFLICT (id) DO UPDATE SET state = excluded.state
        """
    private static let setLive = """
        INSERT INTO live (key, value, change) VALUES (?1, ?2, ?3)
          ON CONFLICT (key) DO UPDATE SET value = excluded.value, change = excluded.change WHERE value <> excluded.value
        """

    /// Writes rows and live state in one transaction, and returns when both are on the disk. A row that is there already, by
    /// its id, gets the state that it has here.
    package func write(_ rows: [ChangeRow], live: LiveWrite) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            try connection.transaction { () throws(LedgerFailure) in
                for row in rows { try Self.write(row, connection) }
                switch live {
                case .edit(let set, let remove):
                    for key in remove { try connection.run("DELETE FROM live WHERE key = ?1", [.text(key)]) }
                    for row in set { try Self.write(row, connection) }
                case .replace(let all):
                    let keys = Set(all.map(\.key))
                    var gone: [String] = []
                    try connection.run("SELECT key FROM live") { row in
                        if !keys.contains(row.text(0)) { gone.append(row.text(0)) }
                    }
                    for key in gone { try connection.run("DELETE FROM live WHERE key = ?1", [.text(key)]) }
                    for row in all { try Self.write(row, connection) }
                }
                try Self.prune(rows, connection)
            }
        }
    }

    /// Marks changes as in force. It need not be on the disk at once: after a start they are, marked or not.
    package func markApplied(from first: UInt64, through last: UInt64) throws(LedgerFailure) {
        try self.use { (connection) throws(LedgerFailure) in
            try connection.execute("PRAGMA synchronous = NORMAL")
            // Whatever happens, the next change waits for the disk.
            defer { try? connection.execute("PRAGMA synchronous = FULL") }
            try connection.run(
                "UPDATE change SET state = 'applied' WHERE sequence BETWEEN ?1 AND ?2 AND state = 'intended'",
                [SQLiteValue(first), SQLiteValue(last)])
        }
    }

    private static func write(_ row: ChangeRow, _ connection: SQLiteConnection) throws(LedgerFailure) {
        try connection.run(
            Self.insert,
            [
                SQLiteValue(row.sequence), .text(row.id), SQLiteValue(row.at), .text(row.replica), .text(row.door),
                .text(row.who), .text(row.what), .text(row.subject), .text(row.before), .text(row.after),
                .text(row.reason), SQLiteValue(row.evidence), row.forced ? 1 : 0, SQLiteValue(row.undoes),
                SQLiteValue(row.generationBefore), SQLiteValue(row.generationAfter), .text(row.state.rawValue),
                .text(row.detail), SQLiteValue(row.revision),
            ])
    }

    private static func write(_ row: LiveRow, _ connection: SQLiteConnection) throws(LedgerFailure) {
        try connection.run(Self.setLive, [.text(row.key), .text(row.value), .text(row.change)])
    }

    /// Takes away what is too old or too much, now and then.
    private static func prune(_ rows: [ChangeRow], _ connection: SQLiteConnection) throws(LedgerFailure) {
        guard let first = rows.first, let last = rows.last,
            first.sequence / Self.pruneInterval != (last.sequence &+ 1) / Self.pruneInterval
        else { return }
        let oldest = last.sequence > Self.rowLimit ? last.sequence - Self.rowLimit : 0
        // By a clock that has just been set years ahead, all would be old: the one of a look ago has a say.
        let earlier = last.sequence > Self.pruneInterval ? last.sequence - Self.pruneInterval : 0
        let then =
            try connection.integer(
                "SELECT at FROM change WHERE sequence <= ?1 ORDER BY sequence DESC LIMIT 1", [SQLiteValue(earlier)]
            ).map { UInt64(clamping: $0) } ?? last.at
        let present = min(last.at, then)
        let since = present > Self.ageLimit ? present - Self.ageLimit : 0
        let condition = "(sequence <= ?1 OR at < ?2) AND id NOT IN (SELECT change FROM live)"
        let values = [SQLiteValue(oldest), SQLiteValue(since)]
        try connection.run(
            """
            INSERT INTO pruned (one, generation)
              SELECT 1, max(coalesce(generation_after, generation_before)) FROM change WHERE \(condition) HAVING count(*) > 0
              ON CONFLICT (one) DO UPDATE SET generation = max(generation, excluded.generation)
            """, values)
        try connection.run("DELETE FROM change WHERE \(condition)", values)
    }
}
