/// A query as SQL over the key columns.
///
/// A plan is exact when the key columns alone decide which documents match and in which order. Otherwise its rows are a
/// superset in stored order, and the documents themselves decide. A collection with arrays in key columns is never exact.
struct QueryPlan: Sendable {
    let sql: String
    let arguments: [[UInt8]]
    let isExact: Bool

    init(_ query: Query, anyArrays: Bool) {
        let layout = CollectionLayout.of(query.collection)
        var clauses: [String] = []
        var arguments: [[UInt8]] = []
        var decided = !anyArrays
        for criterion in query.criteria {
            if layout.fields.contains(criterion.field),
                let clause = Self.clause(criterion.condition, CollectionLayout.column(criterion.field), &arguments)
            {
                clauses.append(clause)
            } else {
                decided = false
            }
        }
        var ordered = true
        if let field = query.descendingBy { ordered = layout.fields.contains(field) }

        let table = "\"\(query.collection.rawValue)\""
        var condition = clauses.joined(separator: " AND ")
        if anyArrays && !clauses.isEmpty { condition = "multi = 1 OR (\(condition))" }
        let filter = condition.isEmpty ? "" : " WHERE " + condition
        isExact = decided && ordered
        if isExact, let field = query.descendingBy {
            let limit = query.limit.map { " LIMIT \($0)" } ?? ""
            sql = "SELECT body FROM \(table)\(filter) ORDER BY \(CollectionLayout.column(field)) DESC, seq\(limit)"
        } else {
            let limit = decided && query.descendingBy == nil ? query.limit.map { " LIMIT \($0)" } ?? "" : ""
            // Ordering row numbers first keeps long documents out of SQLite's sorter.
            sql =
                filter.isEmpty
                ? "SELECT body FROM \(table) ORDER BY seq\(limit)"
                : "SELECT body FROM \(table) WHERE seq IN (SELECT seq FROM \(table)\(filter)) ORDER BY seq\(limit)"
        }
        self.arguments = arguments
    }

    private static func clause(_ condition: Condition, _ column: String, _ arguments: inout [[UInt8]]) -> String? {
        switch condition {
        case .equals(let value):
            arguments.append(SortKey.make(value))
            return "\(column) = ?"
        case .oneOf(let values):
            // SQLite bounds the number of arguments; a longer list is left to the documents.
            guard values.count <= 4000 else { return nil }
            arguments.append(contentsOf: values.map(SortKey.make))
            return "\(column) IN (\(values.map { _ in "?" }.joined(separator: ",")))"
        case .atLeast(let bound):
            arguments.append(SortKey.make(.number(bound)))
            arguments.append([SortKey.Rank.string.rawValue])
            return "\(column) >= ? AND \(column) < ?"
        case .isString:
            arguments.append([SortKey.Rank.string.rawValue])
            arguments.append([SortKey.Rank.document.rawValue])
            // The plus keeps SQLite from the index: nearly every document matches.
            return "+\(column) >= ? AND +\(column) < ?"
        case .hasDigit:
            return nil
        }
    }
}
