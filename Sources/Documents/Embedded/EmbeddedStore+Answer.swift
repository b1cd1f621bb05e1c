extension EmbeddedStore {
    /// How many documents are read between two looks at the clock.
    private static let stride = 64

    static func answer(
        _ query: Query, _ connection: SQLiteConnection, until deadline: ContinuousClock.Instant?
    ) throws -> DocumentBatch {
        let plan = QueryPlan(query, anyArrays: try hasArrays(query.collection, connection))
        if plan.isExact { return try collect(plan, connection, until: deadline) { _, _ in true } }

        let matching = try collect(plan, connection, until: deadline) { bytes, start throws(BSONError) in
            try Matcher.matches(query.criteria, document: start, in: bytes)
        }
        guard let field = query.descendingBy else {
            guard let limit = query.limit, limit < matching.count else { return matching }
            return matching.picking(Array(0..<limit))
        }
        return try matching.descending(by: field, limit: query.limit)
    }

    /// Hands over the documents of a query one after the other, straight from the database where it can decide by itself
    /// which ones they are, and in which order.
    ///
    /// - Parameter body: whether to go on.
    static func each(
        _ query: Query, _ connection: SQLiteConnection, until deadline: ContinuousClock.Instant?,
        _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        let plan = QueryPlan(query, anyArrays: try hasArrays(query.collection, connection))
        guard plan.isExact else {
            let batch = try answer(query, connection, until: deadline)
            try batch.bytes.withUnsafeBytes { bytes in
                for index in 0..<batch.count {
                    if index % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
                    guard try body(UnsafeRawBufferPointer(rebasing: bytes[batch.range(index)])) else { return }
                }
            }
            return
        }
        var count = 0
        try connection.run(plan.sql, plan.arguments.map { .blob($0) }) { row in
            if count % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            count += 1
            return try withBytes(of: row, body)
        }
    }

    static func answer(
        _ query: NewestQuery, _ connection: SQLiteConnection, until deadline: ContinuousClock.Instant?
    ) throws -> NewestBatch {
        var result = NewestBatch()
        result.starts.reserveCapacity(query.values.count)
        let layout = CollectionLayout.of(query.collection)
        let anyArrays = try hasArrays(query.collection, connection)
        guard !anyArrays, layout.fields.contains(query.key), layout.fields.contains(query.by) else {
            for value in query.values {
                let single = try answer(
                    Query.matching(query.collection, query.key, value, descendingBy: query.by, limit: 1), connection,
                    until: deadline)
                result.starts.append(result.documents.bytes.count)
                if single.isEmpty {
                    result.starts[result.starts.count - 1] = nil
                } else {
                    result.documents.append(0, of: single)
                }
            }
            return result
        }
        // One prepared statement run once per value: in the same process that is cheaper than any join.
        let lookup = """
            SELECT body FROM "\(query.collection.rawValue)" WHERE \(CollectionLayout.column(query.key)) = ?
            ORDER BY \(CollectionLayout.column(query.by)) DESC, seq LIMIT 1
            """
        for (index, value) in query.values.enumerated() {
            if index % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            let start = result.documents.bytes.count
            var isThere = false
            try connection.run(lookup, [.blob(SortKey.make(value))]) { row in
                try append(row, to: &result.documents)
                isThere = true
                return false
            }
            result.starts.append(isThere ? start : nil)
        }
        return result
    }

    private static func hasArrays(_ collection: Collection, _ connection: SQLiteConnection) throws -> Bool {
        try connection.integer("SELECT 1 FROM \"\(collection.rawValue)\" WHERE multi = 1 LIMIT 1") != nil
    }

    private static func collect(
        _ plan: QueryPlan, _ connection: SQLiteConnection, until deadline: ContinuousClock.Instant?,
        where accepts: (Span<UInt8>, Int) throws(BSONError) -> Bool
    ) throws -> DocumentBatch {
        var batch = DocumentBatch()
        var count = 0
        var meter = MemoryMeter()
        try connection.run(plan.sql, plan.arguments.map { .blob($0) }) { row in
            if count % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            count += 1
            try append(row, to: &batch)
            // Memory that grows is there twice for a while.
            guard meter.covers(2 * batch.bytes.count) else { throw StoreError.outOfMemory }
            if try !accepts(batch.bytes.span, batch.starts[batch.count - 1]) { batch.removeLast() }
            return true
        }
        return batch
    }

    private static func append(_ row: SQLiteRow, to batch: inout DocumentBatch) throws {
        try withBytes(of: row) { try batch.append($0) }
    }

    private static func withBytes<Value>(
        of row: SQLiteRow, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        try row.withBytes(0) { bytes in
            guard let bytes else { throw BSONError.malformed(offset: 0) }
            return try body(bytes)
        }
    }
}

extension DocumentBatch {
    /// The documents ordered by a field, greatest first, equals in the order they have now.
    fileprivate func descending(by field: String, limit: Int?) throws(BSONError) -> DocumentBatch {
        var keyed: [(key: [UInt8], index: Int)] = []
        keyed.reserveCapacity(count)
        for index in 0..<count {
            keyed.append((try SortKey.greatest(field, document: starts[index], in: bytes.span), index))
        }
        keyed.sort { left, right in
            if left.key == right.key { return left.index < right.index }
            return right.key.lexicographicallyPrecedes(left.key)
        }
        return picking(keyed.prefix(limit ?? keyed.count).map(\.index))
    }
}
