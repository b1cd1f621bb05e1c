import Documents
import Testing

@testable import GatewayService

/// A store with a few documents, and the API over it.
struct Fixture {
    /// Documents by collection, in extended JSON.
    var documents: [(Collection, [String])] = []
    var options = Resources.Options()

    static let metadata: (Collection, [String]) = (.chainMetadata, [#"{"decimals":12,"name":"Kusama"}"#])

    init(_ documents: (Collection, [String])..., options: Resources.Options = .init()) {
        self.documents = documents
        self.options = options
    }

    /// What a GET of `path` answers over each store: `nil` for 204.
    ///
    /// - Throws: what would be a 500.
    func get(_ path: String) async throws -> String? {
        let store = try EmbeddedStore(reading: .memory)
        try store.insert(try documents.map { (collection: $0.0, documents: try ExtendedJSON.batch($0.1)) })
        let match = try #require(RouteTable().match(path), "no route for \(path)")
        let answer: Answer
        do {
            answer = try await Resources(store: store, options: options).answer(match)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
        switch answer {
        case .nothing: return nil
        case .json(let bytes, _): return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Whether a GET of `path` answers 500.
    func fails(_ path: String) async -> Bool {
        do {
            _ = try await get(path)
            return false
        } catch {
            return true
        }
    }
}
