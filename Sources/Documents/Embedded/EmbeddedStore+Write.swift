extension EmbeddedStore {
    /// Stores documents in the order given, all or none.
    package func insert(_ batches: [(collection: Collection, documents: DocumentBatch)]) throws(StoreError) {
        try writing { connection in
            for (collection, documents) in batches {
                try Self.insert(documents, into: collection, connection)
            }
        }
    }

    /// Runs `body` in one transaction.
    func writing<Value>(_ body: (SQLiteConnection) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.use { try $0.writing(body) }
        } catch let error as BSONError {
            throw .malformed(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed("\(error)")
        }
    }

    static func insert(
        _ documents: DocumentBatch, into collection: Collection, _ connection: SQLiteConnection
    ) throws {
        let layout = CollectionLayout.of(collection)
        let insertion = layout.insertion(collection)
        for index in 0..<documents.count {
            let start = documents.starts[index]
            let (keys, multi) = try layout.keys(document: start, in: documents.bytes.span)
            var values: [SQLiteValue] = [.integer(multi ? 1 : 0)]
            values.append(contentsOf: keys.map { .blob($0) })
            values.append(.blob(Array(documents.bytes[documents.range(index)])))
            try connection.run(insertion, values)
        }
    }
}
