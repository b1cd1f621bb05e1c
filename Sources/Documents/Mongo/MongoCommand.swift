/// Queries as the BSON that MongoDB's commands take.
enum MongoCommand {
    /// The filter document of a query.
    static func filter(_ criteria: [Criterion]) -> [UInt8] {
        document { writer in for criterion in criteria { write(criterion, &writer) } }
    }

    /// The options beside a filter: order, limit, and how long the server may work on it.
    static func options(_ query: Query, milliseconds: Int32) -> [UInt8] {
        document { writer in
            if let field = query.descendingBy { writer.subdocument("sort") { $0.int32(field, -1) } }
            if let limit = query.limit { writer.int64("limit", Int64(limit)) }
            if let fields = query.fields {
                writer.subdocument("projection") { writer in
                    for field in fields { writer.int32(field, 1) }
                    writer.int32("_id", 0)
                }
            }
            writer.int32("maxTimeMS", milliseconds)
        }
    }

    /// The pipeline of a join. Ordered by key first: with an index on key and order a server skips from key to key.
    static func pipeline(_ query: NewestQuery) -> [UInt8] {
        var seen: Set<Scalar> = []
        let distinct = query.values.filter { seen.insert($0).inserted }
        let stages: [(inout BSONWriter) -> Void] = [
            { $0.subdocument("$match") { write(Criterion(query.key, .oneOf(distinct)), &$0) } },
            {
                $0.subdocument("$sort") {
                    $0.int32(query.key, 1); $0.int32(query.by, -1)
                }
            },
            {
                $0.subdocument("$group") { writer in
                    writer.string("_id", "$" + query.key)
                    writer.subdocument("newest") { $0.string("$first", "$$ROOT") }
                }
            },
        ]
        return document { writer in
            writer.array("pipeline", count: stages.count) { writer, index, key in writer.subdocument(key, stages[index])
            }
        }
    }

    /// The options of a search for the value of `field` that so many documents are not less than.
    static func boundaryOptions(of field: String, skipping count: Int, milliseconds: Int32) -> [UInt8] {
        document { writer in
            writer.subdocument("sort") { $0.int32(field, -1) }
            // Only the field: with an index on it the server reads no document at all.
            writer.subdocument("projection") {
                $0.int32(field, 1); $0.int32("_id", 0)
            }
            writer.int64("skip", Int64(count))
            writer.int64("limit", 1)
            writer.int32("maxTimeMS", milliseconds)
        }
    }

    /// The filter of a join among the documents that do not come before a boundary. "Not less" instead of "at least":
    /// values of other types, and missing ones, are let through.
    static func recent(_ query: NewestQuery, since boundary: Double) -> [UInt8] {
        var seen: Set<Scalar> = []
        let distinct = query.values.filter { seen.insert($0).inserted }
        return document { writer in
            write(Criterion(query.key, .oneOf(distinct)), &writer)
            writer.subdocument(query.by) { writer in
                writer.subdocument("$not") { $0.number("$lt", boundary) }
            }
        }
    }

    static func aggregateOptions(milliseconds: Int32) -> [UInt8] {
        document { writer in
            writer.bool("allowDiskUse", true)
            writer.int32("maxTimeMS", milliseconds)
        }
    }

    static let ping = document { $0.int32("ping", 1) }

    /// A listing of collections by name. Of others, and of what they hold, nothing is asked: no right but to read them is
    /// needed.
    static func listing(of names: [String]) -> [UInt8] {
        document { writer in
            writer.int32("listCollections", 1)
            writer.subdocument("filter") { writer in
                writer.subdocument("name") { writer in
                    writer.array("$in", count: names.count) { writer, index, key in writer.string(key, names[index]) }
                }
            }
            writer.bool("nameOnly", true)
            writer.bool("authorizedCollections", true)
            // All of them at once.
            writer.subdocument("cursor") { $0.int32("batchSize", Int32(clamping: names.count + 1)) }
        }
    }

    /// The names that the reply to a listing tells.
    static func names(inListing reply: Span<UInt8>) throws(BSONError) -> Set<String> {
        var names: Set<String> = []
        guard let cursor = try reply.element("cursor", inDocument: 0), cursor.type == .document,
            let batch = try reply.element("firstBatch", inDocument: cursor.value.lowerBound), batch.type == .array
        else { return names }
        var items = try BSONScanner(document: batch.value.lowerBound, in: reply)
        while let item = try items.next(in: reply) {
            guard item.type == .document,
                let name = try reply.element("name", inDocument: item.value.lowerBound),
                let text = reply.string(of: name)
            else { continue }
            names.insert(text)
        }
        return names
    }

    private static func document(_ body: (inout BSONWriter) -> Void) -> [UInt8] {
        var writer = BSONWriter()
        writer.document(body)
        return writer.bytes
    }

    private static func write(_ criterion: Criterion, _ writer: inout BSONWriter) {
        let field = criterion.field
        switch criterion.condition {
        case .equals(let value): write(field, value, &writer)
        case .oneOf(let values):
            writer.subdocument(field) { writer in
                writer.array("$in", count: values.count) { writer, index, key in write(key, values[index], &writer) }
            }
        case .atLeast(let bound): writer.subdocument(field) { $0.number("$gte", bound) }
        case .isString: writer.subdocument(field) { $0.string("$type", "string") }
        case .hasDigit: writer.subdocument(field) { $0.string("$regex", "[0-9]+") }
        }
    }

    private static func write(_ name: String, _ value: Scalar, _ writer: inout BSONWriter) {
        switch value {
        case .string(let text): writer.string(name, text)
        case .number(let number): writer.number(name, number)
        case .bool(let flag): writer.bool(name, flag)
        case .null: writer.null(name)
        }
    }
}
