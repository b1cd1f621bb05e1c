import CMongoC

extension MongoConnection {
    /// Answers a join in one to three commands.
    ///
    /// - Parameter deadline: when whoever asks stops waiting; nil for the connection's own limit alone.
    func newest(_ query: NewestQuery, until deadline: ContinuousClock.Instant?) -> Result<NewestBatch, StoreError> {
        query.hasLongHistory ? newestFirst(query, deadline) : newestOfAll(query, deadline)
    }

    /// Leaves it to the server to find each value's newest document. With an index on the key and the order it reads one
    /// document for each; without one, all that each ever had.
    private func newestOfAll(
        _ query: NewestQuery, _ deadline: ContinuousClock.Instant?
    ) -> Result<NewestBatch, StoreError> {
        milliseconds(until: deadline).flatMap { time in
            withCollection(query.collection.rawValue) { collection in
                Self.withDocument(MongoCommand.pipeline(query)) { pipeline in
                    Self.withDocument(MongoCommand.aggregateOptions(milliseconds: time)) { options in
                        let cursor = mongoc_collection_aggregate(
                            collection, MONGOC_QUERY_NONE, pipeline, options, nil)
                        guard let cursor else { return .failure(.failed("no cursor")) }
                        defer { mongoc_cursor_destroy(cursor) }
                        return Self.collect(cursor, until: deadline)
                    }
                }
            }
        }.flatMap { (groups: DocumentBatch) in
            Self.reading { () throws(BSONError) in try NewestBatch(groups: groups, query) }
        }
    }

    /// Looks among as many of the collection's newest documents as there are values, and in the whole history only for
    /// those values that are not found there.
    private func newestFirst(
        _ query: NewestQuery, _ deadline: ContinuousClock.Instant?
    ) -> Result<NewestBatch, StoreError> {
        boundary(query, deadline).flatMap { boundary in
            guard let boundary else { return newestOfAll(query, deadline) }
            return recent(query, since: boundary, deadline).flatMap { recent in
                let missing = zip(query.values, recent.starts).filter { $0.1 == nil }.map(\.0)
                if missing.isEmpty { return .success(recent) }
                let rest = NewestQuery(query.collection, key: query.key, values: missing, by: query.by)
                return newestOfAll(rest, deadline).flatMap { rest in
                    Self.reading { () throws(BSONError) in try recent.completed(by: rest) }
                }
            }
        }
    }

    /// The number that as many documents as there are values are not less than; nil when there are not so many, or when it
    /// is no number.
    private func boundary(
        _ query: NewestQuery, _ deadline: ContinuousClock.Instant?
    ) -> Result<Double?, StoreError> {
        milliseconds(until: deadline).flatMap { time in
            let options = MongoCommand.boundaryOptions(
                of: query.by, skipping: Set(query.values).count, milliseconds: time)
            return find(query.collection, filter: MongoCommand.filter([]), options: options, until: deadline)
        }.flatMap { batch in
            Self.reading { () throws(BSONError) in
                let bytes = batch.bytes.span
                guard let start = batch.first, let element = try bytes.element(query.by, inDocument: start),
                    let number = bytes.number(of: element), number.isFinite
                else { return nil }
                return number
            }
        }
    }

    private func recent(
        _ query: NewestQuery, since boundary: Double, _ deadline: ContinuousClock.Instant?
    ) -> Result<NewestBatch, StoreError> {
        milliseconds(until: deadline).flatMap { time in
            find(
                query.collection, filter: MongoCommand.recent(query, since: boundary),
                options: MongoCommand.options(Query(query.collection), milliseconds: time), until: deadline)
        }.flatMap { batch in
            Self.reading { () throws(BSONError) in
                try NewestBatch(among: batch, query, notBefore: SortKey.make(.number(boundary)))
            }
        }
    }

    private static func reading<Value>(_ body: () throws(BSONError) -> Value) -> Result<Value, StoreError> {
        do throws(BSONError) {
            return .success(try body())
        } catch {
            return .failure(.malformed(error))
        }
    }
}

extension NewestBatch {
    /// Reads the groups of a join's pipeline and puts them in the order of the values asked for. A document whose key is an
    /// array makes a group of its own and belongs to each of its items: of several groups the newest counts.
    fileprivate init(groups: DocumentBatch, _ query: NewestQuery) throws(BSONError) {
        let bytes = groups.bytes.span
        var found = DocumentBatch()
        for start in groups.starts {
            guard let newest = try bytes.element("newest", inDocument: start), newest.type == .document else {
                continue
            }
            try found.append(newest.value, of: groups.bytes)
        }
        try self.init(among: found, query, notBefore: [])
    }

    /// Picks each value's newest document, of equals the first, unless it comes before a boundary: then there may be a
    /// newer one that is not among these.
    fileprivate init(
        among candidates: DocumentBatch, _ query: NewestQuery, notBefore boundary: [UInt8]
    ) throws(BSONError) {
        self.init()
        let bytes = candidates.bytes.span
        var best: [Scalar: (index: Int, order: [UInt8])] = [:]
        for (index, start) in candidates.starts.enumerated() {
            let order = try SortKey.greatest(query.by, document: start, in: bytes)
            if order.lexicographicallyPrecedes(boundary) { continue }
            for key in try Self.scalars(try bytes.element(query.key, inDocument: start), in: bytes) {
                if let known = best[key], !known.order.lexicographicallyPrecedes(order) { continue }
                best[key] = (index, order)
            }
        }
        var places: [Int: Int] = [:]
        for value in query.values {
            guard let index = best[value]?.index else {
                starts.append(nil)
                continue
            }
            if places[index] == nil {
                places[index] = documents.bytes.count
                documents.append(index, of: candidates)
            }
            starts.append(places[index])
        }
    }

    /// This answer, with what another one found for the values that are still without a document, in their order.
    fileprivate func completed(by other: NewestBatch) throws(BSONError) -> NewestBatch {
        var result = self
        var rest = other.starts.makeIterator()
        for place in result.starts.indices where result.starts[place] == nil {
            guard let found = rest.next(), let start = found else { continue }
            let length = try other.documents.bytes.span.documentLength(at: start)
            result.starts[place] = result.documents.bytes.count
            try result.documents.append(start..<(start + length), of: other.documents.bytes)
        }
        return result
    }

    /// What a join's key is compared with; nil for a type that no value has.
    private static func scalar(_ element: BSONElement?, in bytes: Span<UInt8>) -> Scalar? {
        guard let element else { return .null }
        if element.type == .null || element.type == .undefined { return .null }
        if let text = bytes.string(of: element) { return .string(text) }
        return bytes.number(of: element).map { .number($0) }
    }

    private static func scalars(_ element: BSONElement?, in bytes: Span<UInt8>) throws(BSONError) -> [Scalar] {
        guard let element, element.type == .array else { return scalar(element, in: bytes).map { [$0] } ?? [] }
        var result: [Scalar] = []
        var items = try BSONScanner(document: element.value.lowerBound, in: bytes)
        while let item = try items.next(in: bytes) {
            if let value = scalar(item, in: bytes) { result.append(value) }
        }
        return result
    }
}
