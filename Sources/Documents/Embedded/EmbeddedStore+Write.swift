import Foundation
import GRDB

extension EmbeddedStore {
    /// Stores documents in the order given, all or none.
    package func insert(_ batches: [(collection: Collection, documents: DocumentBatch)]) throws(StoreError) {
        try writing { db in
            for (collection, documents) in batches { try Self.insert(documents, into: collection, db) }
        }
    }

    /// Runs `body` in one transaction.
    func writing<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.write(body)
        } catch let error as BSONError {
            throw .malformed(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .failed("\(error)")
        }
    }

    static func insert(_ documents: DocumentBatch, into collection: Collection, _ db: Database) throws {
        let layout = CollectionLayout.of(collection)
        let statement = try db.cachedStatement(sql: layout.insertion(collection))
        for index in 0..<documents.count {
            let start = documents.starts[index]
            let (keys, multi) = try layout.keys(document: start, in: documents.bytes.span)
            var values: [(any DatabaseValueConvertible)?] = [multi ? 1 : 0]
            values.append(contentsOf: keys.map { Data($0) })
            values.append(Data(documents.bytes[documents.range(index)]))
            statement.setUncheckedArguments(StatementArguments(values))
            try statement.execute()
        }
    }
}
