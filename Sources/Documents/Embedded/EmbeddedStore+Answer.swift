import Foundation
import GRDB

extension EmbeddedStore {
    /// How many documents are read between two looks at the clock.
    private static let stride = 64

    static func answer(
        _ query: Query, _ db: Database, until deadline: ContinuousClock.Instant?
    ) throws -> DocumentBatch {
        let plan = QueryPlan(query, anyArrays: try hasArrays(query.collection, db))
        let rows = try rows(of: plan, db)
        if plan.isExact { return try collect(rows, until: deadline) { _, _ in true } }

        let matching = try collect(rows, until: deadline) { bytes, start throws(BSONError) in
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
        _ query: Query, _ db: Database, until deadline: ContinuousClock.Instant?,
        _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        let plan = QueryPlan(query, anyArrays: try hasArrays(query.collection, db))
        guard plan.isExact else {
            let batch = try answer(query, db, until: deadline)
            try batch.bytes.withUnsafeBytes { bytes in
                for index in 0..<batch.count {
                    if index % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
                    guard try body(UnsafeRawBufferPointer(rebasing: bytes[batch.range(index)])) else { return }
                }
            }
            return
        }
        let rows = try rows(of: plan, db)
        var count = 0
        while let row = try rows.next() {
            if count % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            count += 1
            guard try withBytes(of: row, body) else { return }
        }
    }

    private static func rows(of plan: QueryPlan, _ db: Database) throws -> RowCursor {
        let statement = try db.cachedStatement(sql: plan.sql)
        statement.setUncheckedArguments(StatementArguments(plan.arguments.map { Data($0) }))
        return try Row.fetchCursor(statement)
    }

    static func answer(
        _ query: NewestQuery, _ db: Database, until deadline: ContinuousClock.Instant?
    ) throws -> NewestBatch {
        var result = NewestBatch()
        result.starts.reserveCapacity(query.values.count)
        let layout = CollectionLayout.of(query.collection)
        let anyArrays = try hasArrays(query.collection, db)
        guard !anyArrays, layout.fields.contains(query.key), layout.fields.contains(query.by) else {
            for value in query.values {
                let single = try answer(
                    Query.matching(query.collection, query.key, value, descendingBy: query.by, limit: 1), db,
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
        let statement = try db.cachedStatement(
            sql: """
                SELECT body FROM "\(query.collection.rawValue)" WHERE \(CollectionLayout.column(query.key)) = ?
                ORDER BY \(CollectionLayout.column(query.by)) DESC, seq LIMIT 1
                """)
        for (index, value) in query.values.enumerated() {
            if index % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            statement.setUncheckedArguments([Data(SortKey.make(value))])
            let rows = try Row.fetchCursor(statement)
            let start = result.documents.bytes.count
            if let row = try rows.next() {
                try append(row, to: &result.documents)
                result.starts.append(start)
            } else {
                result.starts.append(nil)
            }
        }
        return result
    }

    private static func hasArrays(_ collection: Collection, _ db: Database) throws -> Bool {
        let statement = try db.cachedStatement(
            sql: "SELECT 1 FROM \"\(collection.rawValue)\" WHERE multi = 1 LIMIT 1")
        return try Int.fetchOne(statement) != nil
    }

    private static func collect(
        _ rows: RowCursor, until deadline: ContinuousClock.Instant?,
        where accepts: (Span<UInt8>, Int) throws(BSONError) -> Bool
    ) throws -> DocumentBatch {
        var batch = DocumentBatch()
        var count = 0
        var meter = MemoryMeter()
        while let row = try rows.next() {
            if count % stride == 0, QueryDeadline.hasPassed(deadline) { throw StoreError.timedOut }
            count += 1
            try append(row, to: &batch)
            // Memory that grows is there twice for a while.
            guard meter.covers(2 * batch.bytes.count) else { throw StoreError.outOfMemory }
            if try !accepts(batch.bytes.span, batch.starts[batch.count - 1]) { batch.removeLast() }
        }
        return batch
    }

    private static func append(_ row: Row, to batch: inout DocumentBatch) throws {
        try withBytes(of: row) { try batch.append($0) }
    }

    private static func withBytes<Value>(
        of row: Row, _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value {
        try row.withUnsafeData(atIndex: 0) { data in
            guard let data else { throw BSONError.malformed(offset: 0) }
            return try data.withUnsafeBytes(body)
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
