import Documents

/// The public view of a candidate: its own fields, its newest score, stake and location.
struct CandidateCard {
    /// Places in `Self.candidate.names`.
    private enum Field: Int, CaseIterable {
        case slotId, kyc, discoveredAt, nominatedAt, offlineSince, offlineAccumulated, rank, faults, invalidityReasons
        case unclaimedEras, inclusion, name, stash, kusamaStash, commission, identity, active, bonded, valid, invalidity
        case matrix, version, implementation, queuedKeys, nextKeys, rewardDestination
    }

    private static let candidate = FieldPicker(Field.allCases.map { "\($0)" })
    private static let location = FieldPicker([
        "city", "provider", "cpu", "memory", "coreCount", "vm", "region", "country",
    ])
    private static let stake = FieldPicker(["totalStake", "inactiveStake", "activeNominators", "inactiveNominators"])

    /// The joined documents. A start of nil means that there is none.
    struct Joins {
        let score: (batch: DocumentBatch, start: Int?)
        let stake: (batch: DocumentBatch, start: Int?)
        let location: (batch: DocumentBatch, start: Int?)
    }

    /// Ten to the power of the chain's decimals; NaN when the chain's metadata does not tell them.
    let unit: Double
    private var fields = [BSONElement?](repeating: nil, count: Field.allCases.count)

    init(unit: Double) {
        self.unit = unit
    }

    /// Writes the card of the candidate at `start`.
    mutating func write(
        candidate start: Int, in bytes: Span<UInt8>, joins: Joins, to writer: inout JSONWriter
    ) throws(BSONError) {
        try Self.candidate.pick(document: start, in: bytes, into: &fields)
        writer.beginObject()
        try copy("slotId", .slotId, bytes, &writer)
        try copy("kyc", .kyc, bytes, &writer)
        try copy("discoveredAt", .discoveredAt, bytes, &writer)
        try copy("nominatedAt", .nominatedAt, bytes, &writer)
        try copy("offlineSince", .offlineSince, bytes, &writer)
        try copy("offlineAccumulated", .offlineAccumulated, bytes, &writer)
        writer.key("rank")
        if let rank = self[.rank], JavaScriptValue.isTruthy(rank, in: bytes) {
            try writer.value(rank, in: bytes)
        } else {
            writer.number(0)
        }
        try copy("faults", .faults, bytes, &writer)
        try copy("invalidityReasons", .invalidityReasons, bytes, &writer)
        try copy("unclaimedEras", .unclaimedEras, bytes, &writer)
        try copy("inclusion", .inclusion, bytes, &writer)
        try copy("name", .name, bytes, &writer)
        try copy("stash", .stash, bytes, &writer)
        try copy("kusamaStash", .kusamaStash, bytes, &writer)
        try copy("commission", .commission, bytes, &writer)
        try copy("identity", .identity, bytes, &writer)
        try copy("active", .active, bytes, &writer)
        writer.key("bonded")
        writer.number(JavaScriptValue.number(self[.bonded], in: bytes) / unit)
        try copy("valid", .valid, bytes, &writer)
        try copy("validity", .invalidity, bytes, &writer)
        try Self.writeScore(joins.score, to: &writer)
        try Self.writeLocation(joins.location, to: &writer)
        try copy("matrix", .matrix, bytes, &writer)
        try copy("version", .version, bytes, &writer)
        try copy("implementation", .implementation, bytes, &writer)
        try copy("queuedKeys", .queuedKeys, bytes, &writer)
        try copy("nextKeys", .nextKeys, bytes, &writer)
        try copy("rewardDestination", .rewardDestination, bytes, &writer)
        try Self.writeNominations(joins.stake, to: &writer)
        writer.endObject()
    }

    private subscript(_ field: Field) -> BSONElement? { fields[field.rawValue] }

    private func copy(
        _ key: StaticString, _ field: Field, _ bytes: Span<UInt8>, _ writer: inout JSONWriter
    ) throws(BSONError) {
        try writer.copy(key, self[field], in: bytes)
    }

    private static func writeScore(
        _ score: (batch: DocumentBatch, start: Int?), to writer: inout JSONWriter
    ) throws(BSONError) {
        writer.key("score")
        guard let start = score.start else {
            writer.null()
            writer.key("total")
            writer.number(0)
            return
        }
        let bytes = score.batch.bytes.span
        try writer.document(at: start, in: bytes, withoutIdentity: true)
        writer.key("total")
        if let total = try bytes.element("total", inDocument: start), JavaScriptValue.isTruthy(total, in: bytes) {
            try writer.value(total, in: bytes)
        } else {
            writer.number(0)
        }
    }

    private static func writeLocation(
        _ joined: (batch: DocumentBatch, start: Int?), to writer: inout JSONWriter
    ) throws(BSONError) {
        guard let start = joined.start else { return }
        let bytes = joined.batch.bytes.span
        let fields = try location.pick(document: start, in: bytes)
        try writer.copy("location", fields[0], in: bytes)
        try writer.copy("provider", fields[1], in: bytes)
        try writer.copy("cpu", fields[2], in: bytes)
        try writer.copy("memory", fields[3], in: bytes)
        try writer.copy("coreCount", fields[4], in: bytes)
        try writer.copy("vm", fields[5], in: bytes)
        try writer.copy("region", fields[6], in: bytes)
        try writer.copy("country", fields[7], in: bytes)
    }

    private static func writeNominations(
        _ joined: (batch: DocumentBatch, start: Int?), to writer: inout JSONWriter
    ) throws(BSONError) {
        writer.key("nominations")
        writer.beginObject()
        if let start = joined.start {
            let bytes = joined.batch.bytes.span
            let fields = try stake.pick(document: start, in: bytes)
            try writer.copy("totalStake", fields[0], in: bytes)
            try writer.copy("inactiveStake", fields[1], in: bytes)
            if let count = try bytes.itemCount(fields[2]) {
                writer.key("activeNominators")
                writer.number(count)
            }
            if let count = try bytes.itemCount(fields[3]) {
                writer.key("inactiveNominators")
                writer.number(count)
            }
        }
        writer.endObject()
    }
}

extension Span<UInt8> {
    /// How many items an array element has; nil for anything else.
    func itemCount(_ element: BSONElement?) throws(BSONError) -> Int? {
        guard let element, element.type == .array else { return nil }
        var count = 0
        var scanner = try BSONScanner(document: element.value.lowerBound, in: self)
        while try scanner.next(in: self) != nil { count += 1 }
        return count
    }
}
