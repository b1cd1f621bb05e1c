import Documents
import Glibc

extension Resources {
    enum CandidateSelection {
        case withStash, byRank, valid, invalid
    }

    /// One candidate's card. What goes wrong here is told to the client as if there were none; see ``GatewayResponder``.
    func candidate(_ stash: String) async throws -> Answer {
        let found = try await store.find([
            .matching(.candidates, "stash", .string(stash), limit: 1), Query(.chainMetadata, limit: 1),
        ])
        guard found.count == 2, !found[0].isEmpty else { return .nothing }
        return .json(try await cards(of: found[0], metadata: found[1]).one())
    }

    /// The cards of many candidates, with a number of queries that does not depend on how many there are.
    func candidates(_ selection: CandidateSelection) async throws -> Answer {
        let criterion: Criterion =
            switch selection {
            case .withStash, .byRank: Criterion("stash", .isString)
            case .valid: Criterion("valid", .equals(.bool(true)))
            case .invalid: Criterion("valid", .equals(.bool(false)))
            }
        let found = try await store.find([Query(.candidates, [criterion]), Query(.chainMetadata, limit: 1)])
        guard found.count == 2, !found[0].isEmpty else { return .json(Body("[]")) }
        let cards = try await cards(of: found[0], metadata: found[1])
        return try await Composer.run(over: cards.size) { pace in
            let order: [Int] =
                switch selection {
                case .withStash: Self.descending(try cards.totals(&pace))
                case .byRank: Self.descending(try cards.ranks(&pace))
                case .valid, .invalid: Array(cards.candidates.starts.indices)
                }
            return .json(try cards.list(in: order, &pace))
        }
    }

    /// Indices ordered by their value, greatest first, equals as they came. A NaN equals everything.
    static func descending(_ values: [Double]) -> [Int] {
        values.indices.sorted { left, right in
            let a = values[left]
            let b = values[right]
            return a == b || a.isNaN || b.isNaN ? left < right : a > b
        }
    }
}

/// Candidates with all that their cards are made of, one join each in the order of the candidates.
private struct Cards: Sendable {
    let candidates: DocumentBatch
    let unit: Double
    let scores: NewestBatch
    let stakes: NewestBatch
    let locations: NewestBatch

    /// Bytes of documents, those of the joins too.
    var size: Int {
        candidates.bytes.count + scores.documents.bytes.count + stakes.documents.bytes.count
            + locations.documents.bytes.count
    }

    func one() throws(BSONError) -> Body {
        var writer = JSONWriter(capacity: candidates.bytes.count * 2)
        var card = CandidateCard(unit: unit)
        try write(0, &card, &writer)
        return writer.body()
    }

    /// The cards are written in the order in which they are sent: there is nothing to sort or to copy afterwards.
    func list(in order: [Int], _ pace: inout Pace) throws -> Body {
        var writer = JSONWriter(capacity: candidates.bytes.count * 2)
        var card = CandidateCard(unit: unit)
        writer.beginArray()
        for index in order {
            try pace.step()
            try write(index, &card, &writer)
            try writer.cut()
        }
        writer.endArray()
        return writer.body()
    }

    private func write(_ index: Int, _ card: inout CandidateCard, _ writer: inout JSONWriter) throws(BSONError) {
        try card.write(
            candidate: candidates.starts[index], in: candidates.bytes.span,
            joins: .init(
                score: (scores.documents, scores.starts[index]), stake: (stakes.documents, stakes.starts[index]),
                location: (locations.documents, locations.starts[index])),
            to: &writer)
    }

    /// Each candidate's total score, 0 without one.
    func totals(_ pace: inout Pace) throws -> [Double] {
        let bytes = scores.documents.bytes.span
        var totals: [Double] = []
        totals.reserveCapacity(scores.starts.count)
        for start in scores.starts {
            try pace.step()
            guard let start else {
                totals.append(0)
                continue
            }
            totals.append(try Self.number("total", start, bytes))
        }
        return totals
    }

    /// Each candidate's rank, 0 without one.
    func ranks(_ pace: inout Pace) throws -> [Double] {
        let bytes = candidates.bytes.span
        var ranks: [Double] = []
        for start in candidates.starts {
            try pace.step()
            ranks.append(try Self.number("rank", start, bytes))
        }
        return ranks
    }

    private static func number(_ field: String, _ start: Int, _ bytes: Span<UInt8>) throws(BSONError) -> Double {
        let element = try bytes.element(field, inDocument: start)
        return JavaScriptValue.isTruthy(element, in: bytes) ? JavaScriptValue.number(element, in: bytes) : 0
    }
}

extension Resources {
    private func cards(of candidates: DocumentBatch, metadata: DocumentBatch) async throws -> Cards {
        guard let start = metadata.first else { throw ResourceError.missing("chainmetadatas") }
        let decimals = JavaScriptValue.number(
            try metadata.bytes.span.element("decimals", inDocument: start), in: metadata.bytes.span)

        let keys = try await Composer.run(over: candidates.bytes.count) { pace in
            try Self.joinKeys(candidates, &pace)
        }
        let joins = try await store.newest([
            // Scores are never cleaned: thousands for each candidate.
            NewestQuery(
                .validatorScores, key: "address", values: keys.stashes, by: "session", hasLongHistory: true),
            NewestQuery(.nominatorStakes, key: "validator", values: keys.stashes, by: "era"),
            NewestQuery(.locations, key: "slotId", values: keys.slots, by: "updated"),
        ])
        guard joins.count == 3 else { throw ResourceError.missing("joins") }
        return Cards(
            candidates: candidates, unit: pow(10, decimals), scores: joins[0], stakes: joins[1], locations: joins[2])
    }

    /// What each candidate's joins look for. A missing value looks for null, which also finds what is missing.
    static func joinKeys(
        _ candidates: DocumentBatch, _ pace: inout Pace
    ) throws -> (stashes: [Scalar], slots: [Scalar]) {
        var stashes: [Scalar] = []
        var slots: [Scalar] = []
        let bytes = candidates.bytes.span
        for start in candidates.starts {
            try pace.step()
            stashes.append(textScalar(try bytes.element("stash", inDocument: start), in: bytes))
            slots.append(try numberScalar(try bytes.element("slotId", inDocument: start), in: bytes))
        }
        return (stashes, slots)
    }

    /// A value as the schema's text fields cast it.
    static func textScalar(_ element: BSONElement?, in bytes: Span<UInt8>) -> Scalar {
        guard let element else { return .null }
        if let text = bytes.string(of: element) { return .string(text) }
        if let number = bytes.number(of: element) { return .string(JavaScriptNumber.text(number)) }
        if element.type == .bool { return .string(bytes[element.value.lowerBound] == 0 ? "false" : "true") }
        return .null
    }

    /// A value as the schema's number fields cast it; what is no number cannot be asked for. The empty text is null.
    static func numberScalar(_ element: BSONElement?, in bytes: Span<UInt8>) throws(ResourceError) -> Scalar {
        guard let element, !JavaScriptValue.isNullish(element) else { return .null }
        if element.type == .string, bytes.textRange(of: element)?.isEmpty == true { return .null }
        let value = JavaScriptValue.number(element, in: bytes)
        guard !value.isNaN else { throw .notANumber("slotId") }
        return .number(value)
    }
}
