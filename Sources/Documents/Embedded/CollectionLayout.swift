/// How the embedded store keeps a collection: which fields have a column of sort keys, and which indexes there are.
struct CollectionLayout: Sendable {
    /// Fields with a column. All top level; a query on any other field reads and checks documents.
    let fields: [String]
    /// Each an equality field, then perhaps the field that orders what it finds.
    let indexes: [[String]]

    static func of(_ collection: Collection) -> CollectionLayout {
        switch collection {
        case .candidates: CollectionLayout(indexes: [["stash"], ["valid"]])
        case .validatorScores: CollectionLayout(indexes: [["address", "session"]])
        case .nominatorStakes: CollectionLayout(indexes: [["validator", "era"]])
        case .locations: CollectionLayout(indexes: [["slotId", "updated"], ["address", "updated"]])
        case .nominators: CollectionLayout(indexes: [["stash"]])
        case .nominations: CollectionLayout(indexes: [["address", "era"]])
        case .eraPoints: CollectionLayout(indexes: [["address", "era"]])
        case .totalEraPoints: CollectionLayout(indexes: [["era"]])
        case .scoreMetadata: CollectionLayout(indexes: [["session"], ["updated"]])
        case .validatorSets: CollectionLayout(indexes: [["session"], ["era"]])
        case .eraStats: CollectionLayout(indexes: [["era"]])
        case .locationStats: CollectionLayout(indexes: [["session"]])
        case .validators: CollectionLayout(indexes: [["address"]])
        case .rewards: CollectionLayout(indexes: [["validator"], ["nominator"], ["role"]])
        case .identities: CollectionLayout(indexes: [["address"]])
        case .releases: CollectionLayout(indexes: [["publishedAt"]])
        case .chainMetadata, .eras, .delayedTransactions, .blockIndex: CollectionLayout(indexes: [])
        }
    }

    private init(indexes: [[String]]) {
        self.indexes = indexes
        var fields: [String] = []
        for field in indexes.joined() where !fields.contains(field) { fields.append(field) }
        self.fields = fields
    }

    static func column(_ field: String) -> String { "\"k_\(field)\"" }

    /// The statements that make the table and its indexes.
    func schema(_ collection: Collection) -> [String] {
        let table = collection.rawValue
        let keys = fields.map { ", \(Self.column($0)) BLOB NOT NULL" }.joined()
        // Keys stand before the body: SQLite need not walk a long document's overflow pages to reach them.
        var statements = [
            "CREATE TABLE \"\(table)\" (seq INTEGER PRIMARY KEY, multi INTEGER NOT NULL\(keys), body BLOB NOT NULL)",
            "CREATE INDEX \"\(table)_multi\" ON \"\(table)\" (multi) WHERE multi = 1",
        ]
        for index in indexes {
            // Descending in the second column: the newest first and, between equals, the one stored first.
            let columns = index.enumerated().map {
                $0.offset == 0 ? Self.column($0.element) : Self.column($0.element) + " DESC"
            }
            statements.append(
                "CREATE INDEX \"\(table)_\(index.joined(separator: "_"))\" ON \"\(table)\" (\(columns.joined(separator: ", ")))"
            )
        }
        return statements
    }

    /// The statement that stores one document: multi, the fields' keys, the body.
    func insertion(_ collection: Collection) -> String {
        let columns = fields.map { ", " + Self.column($0) }.joined()
        let marks = String(repeating: ", ?", count: fields.count)
        return "INSERT INTO \"\(collection.rawValue)\" (multi\(columns), body) VALUES (?\(marks), ?)"
    }

    /// The keys of one document, and whether any of these fields is an array, which one key cannot stand for.
    func keys(document start: Int, in bytes: Span<UInt8>) throws(BSONError) -> (keys: [[UInt8]], multi: Bool) {
        var keys = [[UInt8]](repeating: SortKey.null, count: fields.count)
        var found = [Bool](repeating: false, count: fields.count)
        var multi = false
        var scanner = try BSONScanner(document: start, in: bytes)
        while let element = try scanner.next(in: bytes) {
            for index in fields.indices where !found[index] && bytes.matches(element.name, fields[index]) {
                found[index] = true
                if element.type == .array { multi = true } else { keys[index] = SortKey.make(element, in: bytes) }
            }
        }
        return (keys, multi)
    }
}
