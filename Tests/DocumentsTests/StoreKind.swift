import Documents
import Foundation
import Testing

/// A store that the contract runs against.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case embedded
    /// The driver against the wire server that tests start themselves.
    case wireServer
    /// The driver against whatever `GATEWAY_TEST_MONGODB_URI` names. Databases whose names begin with `gateway_test_` are
    /// made there and dropped.
    case mongoDB

    var testDescription: String { rawValue }

    /// Those that this machine can offer.
    static var available: [StoreKind] {
        allCases.filter { kind in
            switch kind {
            case .embedded: true
            case .wireServer: WireServer.isAvailable
            case .mongoDB: realURI != nil
            }
        }
    }

    private static var realURI: String? { ProcessInfo.processInfo.environment["GATEWAY_TEST_MONGODB_URI"] }

    /// Runs `body` with a store that holds these documents and no others.
    @discardableResult
    func withStore<Value>(
        _ documents: [(Collection, [String])], _ body: (any DocumentStore) async throws -> Value
    ) async throws -> Value {
        let batches = try documents.map {
            (collection: $0.0, documents: try ExtendedJSON.batch($0.1, identified: self != .embedded))
        }
        if self == .embedded {
            let store = try EmbeddedStore(reading: .memory)
            try store.insert(batches)
            let value = try await body(store)
            await store.close()
            return value
        }
        let database = "gateway_test_" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let uri = try uri(database)
        let writer = MongoWriter(uri: uri)
        try writer.drop(database)
        for (collection, documents) in batches { try writer.insert(documents, into: collection, database: database) }
        let store = try MongoStore(uri: uri, deadline: .seconds(10))
        let value: Value
        do {
            value = try await body(store)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
        try writer.drop(database)
        return value
    }

    private func uri(_ database: String) throws -> String {
        if self == .wireServer { return try WireServer.shared.get().uri(database) }
        let uri = try #require(Self.realURI)
        // The name of the database stands between the hosts and the options.
        let scheme = try #require(uri.range(of: "://"))
        let hosts = uri[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        let options = uri.firstIndex(of: "?").map { String(uri[$0...]) } ?? ""
        return uri[..<scheme.upperBound] + hosts + "/" + database + options
    }
}
