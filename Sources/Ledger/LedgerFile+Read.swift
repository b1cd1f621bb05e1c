extension LedgerFile {
    private static let columns = """
        sequence, id, at, replica, door, who, what, subject, detail, before, after, reason, evidence, forced, undoes,
          generation_before, generation_after, state, revision
        """

    /// The newest `limit` rows before a sequence, newest first.
    package func page(before: UInt64, subject: String?, limit: Int) throws(LedgerFailure) -> [ChangeRow] {
        let end = SQLiteValue(before)
        let count = SQLiteValue.integer(Int64(clamping: limit))
        guard let subject else {
            return try self.rows("WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2", [end, count])
        }
        return try self.rows(
            "WHERE subject = ?3 AND sequence < ?1 ORDER BY sequence DESC LIMIT ?2", [end, count, .text(subject)])
    }

    package func row(_ sequence: UInt64) throws(LedgerFailure) -> ChangeRow? {
        try self.rows("WHERE sequence = ?1", [SQLiteValue(sequence)]).first
    }

    /// The first change by hand of each subject after a generation, oldest first: what it was before is where it stood then.
    package func firstChanges(afterGeneration generation: UInt64) throws(LedgerFailure) -> [ChangeRow] {
        try self.rows(
            """
            WHERE sequence IN (
              SELECT min(sequence) FROM change
                WHERE generation_after > ?1 AND state <> 'refused' AND state <> 'failed' AND before <> ''
                GROUP BY subject, json_extract(before, '$.upstream'))
              ORDER BY sequence
            """, [SQLiteValue(generation)])
    }

    /// What was changed of a subject after a sequence, oldest first.
    package func changes(of subject: String, after sequence: UInt64) throws(LedgerFailure) -> [ChangeRow] {
        try self.rows(
            """
            WHERE subject = ?1 AND sequence > ?2 AND state <> 'refused' AND state <> 'failed' AND before <> ''
              ORDER BY sequence
            """, [.text(subject), SQLiteValue(sequence)])
    }

    /// What was changed here alone (`evidence` is `detached`, and no number of all replicas) and has not been settled since, oldest
    /// first: no change of its subject came after it but others of this kind. A plan's steps, which name no weights, are the affair of
    /// the next function, although a plan may have a route's name.
    package func unsettledAlone() throws(LedgerFailure) -> [ChangeRow] {
        try self.rows(
            """
            WHERE evidence = 'detached' AND revision IS NULL AND state <> 'refused' AND state <> 'failed' AND before <> ''
              AND NOT EXISTS (
                SELECT 1 FROM change AS later
                  WHERE later.subject = change.subject AND later.sequence > change.sequence
                    AND (later.what IN ('weights', 'undo', 'cluster') OR (later.what = 'migration' AND later.before <> ''))
                    AND later.state <> 'refused' AND later.state <> 'failed'
                    AND (later.evidence IS NOT 'detached' OR later.revision IS NOT NULL))
              ORDER BY sequence
            """, [])
    }

    /// Steps that plans have taken here alone, likewise: all replicas have not been told of them, nor was it said since that they
    /// give way. What others did with the plan meanwhile settles nothing.
    package func unsettledPlans() throws(LedgerFailure) -> [ChangeRow] {
        try self.rows(
            """
            WHERE evidence = 'detached' AND revision IS NULL AND what = 'migration' AND before = ''
              AND state <> 'refused' AND state <> 'failed'
              AND NOT EXISTS (
                SELECT 1 FROM change AS later
                  WHERE later.subject = change.subject AND later.sequence > change.sequence
                    AND (later.what = 'cluster'
                      OR (later.what = 'migration' AND later.before = ''
                        AND later.evidence = 'detached' AND later.revision IS NOT NULL)))
              ORDER BY sequence
            """, [])
    }

    /// The earliest generation of which rows tell all that came since; nil: there are none. A row that is kept because what it
    /// set is still live may be older.
    package func firstGeneration() throws(LedgerFailure) -> UInt64? {
        try self.use { (connection) throws(LedgerFailure) in
            let first = try connection.integer("SELECT min(generation_before) FROM change")
            let pruned = try connection.integer("SELECT generation FROM pruned") ?? 0
            return first.map { UInt64(clamping: max($0, pruned)) }
        }
    }

    private func rows(_ condition: String, _ values: [SQLiteValue]) throws(LedgerFailure) -> [ChangeRow] {
        try self.use { (connection) throws(LedgerFailure) in
            var rows: [ChangeRow] = []
            try connection.run("SELECT \(Self.columns) FROM change \(condition)", values) { row in
                rows.append(ChangeRow(row))
            }
            return rows
        }
    }
}

extension ChangeRow {
    fileprivate init(_ row: SQLiteRow) {
        self.init(
            sequence: row.count(0), id: row.text(1), at: row.count(2), replica: row.text(3), door: row.text(4),
            who: row.text(5), what: row.text(6), subject: row.text(7), detail: row.text(8), before: row.text(9),
            after: row.text(10), reason: row.text(11), evidence: row.optionalText(12), forced: row.integer(13) != 0,
            undoes: row.optionalText(14), generationBefore: row.count(15), generationAfter: row.count(16),
            revision: row.optionalText(18), state: State(rawValue: row.text(17)) ?? .applied)
    }
}
