import Documents

extension Resources {
    private static let stats = FieldPicker([
        "totalNodes", "session", "updated", "locations", "regions", "countries", "providers", "locationVariance",
        "regionVariance", "countryVariance", "providerVariance", "decentralization",
    ])

    /// The stored statistics of one session, or of the newest. The two routes differ in how they spell one key and in what
    /// a missing document or list means.
    func locationStats(session: String?) async throws -> Answer {
        let query: Query =
            if let session {
                Query(.locationStats, [try number("session", session)], limit: 1)
            } else {
                Query(.locationStats, descendingBy: "session", limit: 1)
            }
        let batch = try await store.find(query)
        guard let start = batch.first else {
            if let session { throw ResourceError.unknown("session \(session)") }
            return .nothing
        }
        let bytes = batch.bytes.span
        let fields = try Self.stats.pick(document: start, in: bytes)
        var writer = JSONWriter()
        writer.beginObject()
        try writer.copy("totalNodes", fields[0], in: bytes)
        try writer.copy("session", fields[1], in: bytes)
        try writer.copy("updated", fields[2], in: bytes)
        if session != nil || !JavaScriptValue.isNullish(fields[3]) {
            try Self.writeSorted("locations", fields[3], in: bytes, to: &writer)
        }
        try Self.writeSorted("regions", fields[4], in: bytes, to: &writer)
        try Self.writeSorted("countries", fields[5], in: bytes, to: &writer)
        try Self.writeSorted("providers", fields[6], in: bytes, to: &writer)
        try writer.copy("locationVariance", fields[7], in: bytes)
        try writer.copy("regionVariance", fields[8], in: bytes)
        // Clients know the keys by these spellings.
        try writer.copy("countyVariance", fields[9], in: bytes)
        try writer.copy(session == nil ? "providerVaraince" : "providerVariance", fields[10], in: bytes)
        try writer.copy("decentralization", fields[11], in: bytes)
        writer.endObject()
        return .json(writer.body())
    }

    private static func writeSorted(
        _ key: StaticString, _ list: BSONElement?, in bytes: Span<UInt8>, to writer: inout JSONWriter
    ) throws {
        guard let list, list.type == .array else { throw ResourceError.missing("\(key)") }
        var items: [BSONElement] = []
        var counts: [Double] = []
        var scanner = try BSONScanner(document: list.value.lowerBound, in: bytes)
        while let item = try scanner.next(in: bytes) {
            items.append(item)
            var count: BSONElement?
            if item.type == .document { count = try bytes.element("numberOfNodes", inDocument: item.value.lowerBound) }
            counts.append(JavaScriptValue.number(count, in: bytes))
        }
        writer.key(key)
        writer.beginArray()
        for index in descending(counts) { try writer.value(items[index], in: bytes) }
        writer.endArray()
    }
}

/// The four ways in which nodes are counted, with the score that being alone is worth.
private enum Spread: Int, CaseIterable {
    case city, region, country, provider

    var weight: Double {
        switch self {
        case .city: 40
        case .region, .country: 10
        case .provider: 100
        }
    }

    var key: StaticString {
        switch self {
        case .city: "locations"
        case .region: "regions"
        case .country: "countries"
        case .provider: "providers"
        }
    }
}

extension Resources {
    private static let place = FieldPicker(["city", "region", "country", "provider"])

    /// How the nodes of the valid candidates spread over the world, counted now.
    func validLocationStats() async throws -> Answer {
        let candidates = try await store.find(.matching(.candidates, "valid", .bool(true)))
        let slots = try await Composer.run(over: candidates.bytes.count) { pace in
            try Self.joinKeys(candidates, &pace).slots
        }
        let joined = try await store.newest([NewestQuery(.locations, key: "slotId", values: slots, by: "updated")])
        guard let newest = joined.first else { throw ResourceError.missing("locations") }
        return try await Composer.run(over: newest.documents.bytes.count) { pace in
            .json(try Self.spread(newest, &pace))
        }
    }

    private static func spread(_ newest: NewestBatch, _ pace: inout Pace) throws -> Body {
        var nodes = 0
        var groups = Spread.allCases.map { _ in Tally() }
        let bytes = newest.documents.bytes.span
        for start in newest.starts {
            try pace.step()
            guard let start else {
                // A candidate without any location is a node of no place.
                nodes += 1
                continue
            }
            let fields = try place.pick(document: start, in: bytes)
            let names = texts(fields, in: bytes)
            if names.contains("None") { continue }
            nodes += 1
            for (index, name) in names.enumerated() {
                if let name, !name.isEmpty { groups[index].count(name) }
            }
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("totalNodes")
        writer.number(nodes)
        for spread in Spread.allCases { groups[spread.rawValue].write(spread, to: &writer) }
        writer.endObject()
        return writer.body()
    }

    private static func texts(_ fields: [BSONElement?], in bytes: Span<UInt8>) -> [String?] {
        var texts: [String?] = []
        for field in fields {
            if let field { texts.append(bytes.string(of: field)) } else { texts.append(nil) }
        }
        return texts
    }
}

/// Names with how often each was seen, in the order first seen.
private struct Tally {
    private var places: [Scalar: Int] = [:]
    private var names: [String] = []
    private var counts: [Int] = []

    mutating func count(_ name: String) {
        if let place = places[.string(name)] {
            counts[place] += 1
        } else {
            places[.string(name)] = names.count
            names.append(name)
            counts.append(1)
        }
    }

    func write(_ spread: Spread, to writer: inout JSONWriter) {
        let least = counts.min() ?? 0
        let most = counts.max() ?? 0
        writer.key(spread.key)
        writer.beginArray()
        for index in Resources.descending(counts.map(Double.init)) {
            let count = counts[index]
            // When all counts are equal the first case takes them: each then scores the full weight.
            let scaled = count <= least ? 0 : count >= most ? 1 : Double(count - least) / Double(most - least)
            writer.beginObject()
            writer.key("name")
            writer.string(names[index])
            writer.key("numberOfNodes")
            writer.number(count)
            writer.key("score")
            writer.number((1 - scaled) * spread.weight)
            writer.endObject()
        }
        writer.endArray()
    }
}
