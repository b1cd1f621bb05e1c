import Documents
import NIOCore
import Testing

@testable import GatewayService

/// A store with a few documents, and the API over it.
struct Fixture {
    /// Documents by collection, in extended JSON.
    var documents: [(Collection, [String])] = []
    var options = Resources.Options()
    var stores = StoreKind.available
    /// Whether documents hold what the programme never writes: then answers need not be as the API's description says.
    var isForeign = false

    static let metadata: (Collection, [String]) = (.chainMetadata, [#"{"decimals":12,"name":"Kusama"}"#])

    init(_ documents: (Collection, [String])..., options: Resources.Options = .init()) {
        self.documents = documents
        self.options = options
    }

    /// What a GET of `path` answers, over each store that this machine offers: `nil` for 204.
    ///
    /// - Throws: what would be a 500.
    func get(_ path: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> String? {
        let match = try #require(RouteTable().match(path), "no route for \(path)", sourceLocation: sourceLocation)
        let outcomes = try await stores.asyncMap { kind in
            try await kind.withStore(documents) { store -> Outcome in
                do {
                    switch try await Resources(store: store, options: options).answer(match) {
                    case .nothing: return .nothing
                    case .json(let body, _):
                        return .json(ExtendedJSON.withoutGivenIdentities(String(decoding: body.bytes, as: UTF8.self)))
                    }
                } catch {
                    return .failure("\(error)")
                }
            }
        }
        for (kind, outcome) in zip(stores, outcomes) where !outcome.isLike(outcomes[0]) {
            Issue.record("\(kind) answers \(outcome), not \(outcomes[0])", sourceLocation: sourceLocation)
        }
        switch outcomes[0] {
        case .nothing: return nil
        case .json(let text):
            if !isForeign, let api = DescribedAPI.shared {
                let problems = api.problems(text, match.route)
                #expect(problems == [], "not as described: \(path)", sourceLocation: sourceLocation)
            }
            return text
        case .failure(let reason): throw Failure(reason: reason)
        }
    }

    private enum Outcome: Sendable {
        case nothing
        case json(String)
        case failure(String)

        func isLike(_ other: Outcome) -> Bool {
            switch (self, other) {
            case (.nothing, .nothing), (.failure, .failure): true
            case (.json(let left), .json(let right)): left == right
            default: false
            }
        }
    }

    private struct Failure: Error {
        let reason: String
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

extension Body {
    /// Everything in one piece.
    var bytes: [UInt8] { pieces.flatMap { Array($0.readableBytesView) } }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
