import Documents
import Foundation

extension Resources {
    enum CandidateSelection {
        case withStash, byRank, valid, invalid
    }

    /// One candidate's card. Whatever goes wrong, the answer is that there is none: the legacy service swallows its errors.
    func candidate(_ stash: String) async -> Answer {
        do {
            let found = try await store.find([
                .matching(.candidates, "stash", .string(stash), limit: 1), Query(.chainMetadata, limit: 1),
            ])
            guard found.count == 2, !found[0].isEmpty else { return .nothing }
            let cards = try await cards(of: found[0], metadata: found[1])
            return .json(Array(cards.bytes[cards.ranges[0]]))
        } catch {
            return .nothing
        }
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
        guard found.count == 2, !found[0].isEmpty else { return .json(Array("[]".utf8)) }
        let cards = try await cards(of: found[0], metadata: found[1])
        let order: [Int] =
            switch selection {
            case .withStash: Self.descending(cards.totals)
            case .byRank: Self.descending(cards.ranks)
            case .valid, .invalid: Array(cards.ranges.indices)
            }
        return .json(cards.array(in: order))
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

/// Finished cards, back to back, with what lists are ordered by.
private struct Cards {
    var bytes: [UInt8] = []
    var ranges: [Range<Int>] = []
    var totals: [Double] = []
    var ranks: [Double] = []

    func array(in order: [Int]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + order.count + 2)
        result.append(UInt8(ascii: "["))
        for (place, index) in order.enumerated() {
            if place > 0 { result.append(UInt8(ascii: ",")) }
            result.append(contentsOf: bytes[ranges[index]])
        }
        result.append(UInt8(ascii: "]"))
        return result
    }
}

extension Resources {
    private func cards(of candidates: DocumentBatch, metadata: DocumentBatch) async throws -> Cards {
        guard let start = metadata.first else { throw ResourceError.missing("chainmetadatas") }
        let decimals = JavaScriptValue.number(
            try metadata.bytes.span.element("decimals", inDocument: start), in: metadata.bytes.span)

        let keys = try Self.joinKeys(candidates)
        let joins = try await store.newest([
            NewestQuery(.validatorScores, key: "address", values: keys.stashes, by: "session"),
            NewestQuery(.nominatorStakes, key: "validator", values: keys.stashes, by: "era"),
            NewestQuery(.locations, key: "slotId", values: keys.slots, by: "updated"),
        ])
        guard joins.count == 3 else { throw ResourceError.missing("joins") }
        return try Self.write(candidates, unit: pow(10, decimals), joins: joins)
    }

    private static func write(
        _ candidates: DocumentBatch, unit: Double, joins: [NewestBatch]
    ) throws(BSONError) -> Cards {
        var card = CandidateCard(unit: unit)
        var cards = Cards()
        let bytes = candidates.bytes.span
        let scores = joins[0].documents
        var writer = JSONWriter(capacity: candidates.bytes.count * 2)
        for (index, start) in candidates.starts.enumerated() {
            let before = writer.bytes.count
            let scoreStart = joins[0].starts[index]
            try card.write(
                candidate: start, in: bytes,
                joins: .init(
                    score: (scores, scoreStart), stake: (joins[1].documents, joins[1].starts[index]),
                    location: (joins[2].documents, joins[2].starts[index])),
                to: &writer)
            // The writer sets a comma between two cards; it belongs to neither.
            cards.ranges.append((index == 0 ? before : before + 1)..<writer.bytes.count)
            var total = 0.0
            if let scoreStart,
                let element = try scores.bytes.span.element("total", inDocument: scoreStart),
                JavaScriptValue.isTruthy(element, in: scores.bytes.span)
            {
                total = JavaScriptValue.number(element, in: scores.bytes.span)
            }
            cards.totals.append(total)
            let rank = try bytes.element("rank", inDocument: start)
            cards.ranks.append(
                JavaScriptValue.isTruthy(rank, in: bytes) ? JavaScriptValue.number(rank, in: bytes) : 0)
        }
        cards.bytes = writer.bytes
        return cards
    }

    /// What each candidate's joins look for. A missing value looks for null, which also finds what is missing.
    static func joinKeys(_ candidates: DocumentBatch) throws -> (stashes: [Scalar], slots: [Scalar]) {
        var stashes: [Scalar] = []
        var slots: [Scalar] = []
        let bytes = candidates.bytes.span
        for start in candidates.starts {
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
        return .null
    }

    /// A value as the schema's number fields cast it; what is no number cannot be asked for.
    static func numberScalar(_ element: BSONElement?, in bytes: Span<UInt8>) throws(ResourceError) -> Scalar {
        guard let element, !JavaScriptValue.isNullish(element) else { return .null }
        let value = JavaScriptValue.number(element, in: bytes)
        guard !value.isNaN else { throw .notANumber("slotId") }
        return .number(value)
    }
}
