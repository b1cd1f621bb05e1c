import Documents
import Testing

/// A store that the contract runs against.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case embedded

    var testDescription: String { rawValue }

    /// Those that this machine can offer.
    static var available: [StoreKind] { allCases }

    /// Runs `body` with a store that holds these documents and no others.
    @discardableResult
    func withStore<Value>(
        _ documents: [(Collection, [String])], _ body: (any DocumentStore) async throws -> Value
    ) async throws -> Value {
        let batches = try documents.map { (collection: $0.0, documents: try ExtendedJSON.batch($0.1)) }
        switch self {
        case .embedded:
            let store = try EmbeddedStore(reading: .memory)
            try store.insert(batches)
            let value = try await body(store)
            await store.close()
            return value
        }
    }
}
