import Foundation
import GRDB

extension EmbeddedStore {
    /// Stores documents in the order given, all or none.
    package func insert(_ batches: [(collection: Collection, documents: DocumentBatch)]) throws(StoreError) {
        do {
            try database.write { db in
                for (collection, documents) in batches { try Self.insert(documents, into: collection, db) }
            }
        } catch let error as BSONError {
            throw .malformed(error)
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Removes every document of the collections.
    package func removeAll(from collections: [Collection]) throws(StoreError) {
        do {
            try database.write { db in
                for collection in collections { try db.execute(sql: "DELETE FROM \"\(collection.rawValue)\"") }
            }
        } catch {
            throw .failed("\(error)")
        }
    }

    private static func insert(_ documents: DocumentBatch, into collection: Collection, _ db: Database) throws {
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
