import Testing

@testable import Documents
@testable import GatewayService

/// Documents that no writer of this database makes: every route answers or fails, and the process lives on.
@Suite("Hostile documents")
struct HostileDocumentTests {
    private static let sample: [(collection: Collection, documents: DocumentBatch)] =
        SampleData(shape: .small).documents()

    private static let requests: [RouteTable.Match] = Route.allCases.compactMap { route in
        RouteTable().match(
            route.template.replacing(":address", with: "x").replacing(":era", with: "7").replacing(
                ":session", with: "7"
            )
            .replacing(":limit", with: "5").replacing(":last", with: "1"))
    }

    /// The sample's documents, each with a few values of other types, of other lengths or none, or with other bytes.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func everyRouteSurvives(seed: UInt64) async throws {
        #expect(Self.requests.count == Route.allCases.count)
        var random = SampleRandom(seed: seed)
        var documents: [Collection: DocumentBatch] = [:]
        for (collection, batch) in Self.sample {
            var damaged = DocumentBatch()
            for index in 0..<min(batch.count, 40) {
                var bytes = Array(batch.bytes[batch.range(index)])
                if seed % 2 == 0 { retype(&bytes, &random) } else { scramble(&bytes, &random) }
                bytes.withUnsafeBytes { try? damaged.append($0) }
            }
            documents[collection] = damaged
        }
        let store = HostileStore(documents)
        var answered = 0
        for request in Self.requests {
            do {
                _ = try await Resources(store: store).answer(request)
                answered += 1
            } catch {
                // A 500. What must not happen is a trap, or no end.
            }
        }
        #expect(answered > 0)
    }

    /// Gives some elements, at any depth, another type whose value is as long, so that the document stays whole.
    private func retype(_ bytes: inout [UInt8], _ random: inout SampleRandom) {
        let sizes: [[BSONType]] = [
            [.null, .undefined, .minKey, .maxKey], [.double, .date, .timestamp, .int64], [.string, .code, .symbol],
            [.document, .array],
        ]
        for (place, type) in elements(bytes) where random.chance(30) {
            guard let alike = sizes.first(where: { $0.contains(type) }) else { continue }
            bytes[place] = random.pick(alike).rawValue
        }
        // Numbers at the ends of what they can hold.
        for (place, type) in elements(bytes) where [.double, .int64, .date].contains(type) && random.chance(50) {
            guard let end = bytes[place...].firstIndex(of: 0) else { continue }
            let value = random.pick([UInt64.max, 0, 1 << 63, 0x7FF0 << 48, 0x7FF8 << 48, 0x7FEF_FFFF_FFFF_FFFF, 1])
            for byte in 0..<8 where end + 1 + byte < bytes.count - 1 {
                bytes[end + 1 + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(byte)))
            }
        }
    }

    /// Puts any bytes anywhere but into the document's own length and end.
    private func scramble(_ bytes: inout [UInt8], _ random: inout SampleRandom) {
        for _ in 0..<random.number(1...4) {
            bytes[random.number(4...(bytes.count - 2))] = UInt8(random.number(0...255))
        }
    }

    /// Where each element's type stands, at any depth.
    private func elements(_ bytes: [UInt8]) -> [(place: Int, type: BSONType)] {
        var found: [(Int, BSONType)] = []
        var open = [0]
        while let start = open.popLast() {
            guard var scanner = try? BSONScanner(document: start, in: bytes.span) else { continue }
            while let element = try? scanner.next(in: bytes.span) {
                found.append((element.name.lowerBound - 1, element.type))
                if element.type == .document || element.type == .array { open.append(element.value.lowerBound) }
            }
        }
        return found
    }
}

/// Answers every query with all that there is in its collection, and every join with one document for each value.
private struct HostileStore: DocumentStore {
    private let documents: [Collection: DocumentBatch]

    init(_ documents: [Collection: DocumentBatch]) {
        self.documents = documents
    }

    private func all(_ collection: Collection) -> DocumentBatch { documents[collection] ?? DocumentBatch() }

    func find(_ queries: [Query]) async throws(StoreError) -> [DocumentBatch] { queries.map { all($0.collection) } }

    func reduce<Value: Sendable>(
        _ query: Query, into initial: Value, _ body: @escaping @Sendable (inout Value, Span<UInt8>) throws -> Void
    ) async throws -> Value {
        let batch = all(query.collection)
        var value = initial
        try batch.bytes.withUnsafeBufferPointer { bytes in
            for index in 0..<batch.count {
                try body(&value, UnsafeBufferPointer(rebasing: bytes[batch.range(index)]).span)
            }
        }
        return value
    }

    func newest(_ queries: [NewestQuery]) async throws(StoreError) -> [NewestBatch] {
        queries.map { query in
            let batch = all(query.collection)
            let starts = query.values.indices.map { batch.isEmpty ? nil : batch.starts[$0 % batch.count] }
            return NewestBatch(documents: batch, starts: starts)
        }
    }

    func check() async throws(StoreError) {}

    func close() async {}
}
