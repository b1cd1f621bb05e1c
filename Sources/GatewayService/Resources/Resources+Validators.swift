import Documents

extension Resources {
    /// How many stored validator sets name the address, as a bare number. Zero is falsy, so it is never kept.
    func activeEras(of address: String) async throws -> Answer {
        // The order shows only in which of several faulty sets is named first.
        let sets = Query(.validatorSets, descendingBy: "era", fields: ["validators"])
        let count = try await store.reduce(sets, into: 0) { count, set in
            if try Self.contains(address, set: set) { count += 1 }
        }
        return .json(Body(String(count)), isKept: count != 0)
    }

    private static func contains(_ address: String, set bytes: Span<UInt8>) throws -> Bool {
        var items = try validators(ofSetAt: 0, in: bytes)
        while let item = try items.next(in: bytes) {
            if item.type == .string, let text = bytes.textRange(of: item), bytes.matches(text, address) { return true }
        }
        return false
    }

    /// Walks a validator set's addresses.
    ///
    /// - Throws: ``ResourceError/missing(_:)`` when the set has no list of validators.
    static func validators(ofSetAt start: Int, in bytes: Span<UInt8>) throws -> BSONScanner {
        guard let element = try bytes.element("validators", inDocument: start), element.type == .array else {
            throw ResourceError.missing("latestvalidatorsets.validators")
        }
        return try BSONScanner(document: element.value.lowerBound, in: bytes)
    }

    /// The validators whose BEEFY key is still the placeholder.
    func beefyDummies() async throws -> Answer {
        try await list(Query(.validators)) { try Self.hasPlaceholder(validatorAt: 0, in: $0) }
    }

    /// Whether `keys.beefy` begins like the placeholder. Without keys it does not, which counts as a real key.
    fileprivate static func hasPlaceholder(validatorAt start: Int, in bytes: Span<UInt8>) throws(BSONError) -> Bool {
        guard let keys = try bytes.element("keys", inDocument: start), keys.type == .document,
            let beefy = try bytes.element("beefy", inDocument: keys.value.lowerBound), beefy.type == .string,
            let text = bytes.textRange(of: beefy), text.count >= 10
        else { return false }
        return bytes.matches(text.lowerBound..<(text.lowerBound + 10), "0x62656566")
    }

    /// How far the validators, and the candidates among them, have set BEEFY keys.
    func beefy() async throws -> Answer {
        let found = try await store.find([
            Query(.validatorSets, descendingBy: "session", limit: 1, fields: ["validators"]),
            Query(.validators, fields: ["address", "keys"]),
            Query(.candidates, [.init("stash", .isString)], fields: ["stash"]),
        ])
        guard found.count == 3 else { throw ResourceError.missing("validators") }
        return try await Composer.run(over: found.reduce(0) { $0 + $1.bytes.count }) { pace in
            let report = try BeefyReport(
                set: try Self.newestSet(found[0]), validators: found[1], candidates: found[2], &pace)
            return .json(report.json)
        }
    }

    /// The addresses of the newest set; nil without a set or without a list in it. Items that are no text become "".
    private static func newestSet(_ sets: DocumentBatch) throws -> [String]? {
        let bytes = sets.bytes.span
        guard let start = sets.first, let element = try bytes.element("validators", inDocument: start),
            element.type == .array
        else { return nil }
        var addresses: [String] = []
        var items = try BSONScanner(document: element.value.lowerBound, in: bytes)
        while let item = try items.next(in: bytes) { addresses.append(bytes.string(of: item) ?? "") }
        return addresses
    }
}

/// The counts behind `/validators/beefy`.
private struct BeefyReport {
    /// The newest set's size, nil without a set.
    let setSize: Int?
    let validatorCount: Int
    let candidateCount: Int
    private(set) var validators = 0
    private(set) var activeValidators = 0
    private(set) var candidates = 0
    private(set) var activeCandidates = 0

    init(set: [String]?, validators: DocumentBatch, candidates: DocumentBatch, _ pace: inout Pace) throws {
        setSize = set?.count
        validatorCount = validators.count
        candidateCount = candidates.count
        let active = Set((set ?? []).map { Scalar.string($0) })
        var addresses: Set<Scalar> = []
        for start in validators.starts {
            try pace.step()
            let bytes = validators.bytes.span
            if try Resources.hasPlaceholder(validatorAt: start, in: bytes) { continue }
            self.validators += 1
            guard let address = try bytes.text("address", inDocument: start).map({ Scalar.string($0) }) else {
                continue
            }
            addresses.insert(address)
            if active.contains(address) { activeValidators += 1 }
        }
        for start in candidates.starts {
            try pace.step()
            guard let stash = try candidates.bytes.span.text("stash", inDocument: start).map({ Scalar.string($0) }),
                addresses.contains(stash)
            else { continue }
            self.candidates += 1
            if active.contains(stash) { activeCandidates += 1 }
        }
    }

    /// A part of the newest set in percent: division first, as the last digit depends on it.
    private func percentage(_ part: Int) -> Double {
        setSize.map { Double(part) / Double($0) * 100 } ?? 0
    }

    var json: Body {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("beefy1KVCount")
        writer.number(candidates)
        writer.key("activeBeefy1KVCount")
        writer.number(activeCandidates)
        writer.key("activeBeefy1KVPercentage")
        writer.number(percentage(activeCandidates))
        writer.key("total1KVValidatorCount")
        writer.number(candidateCount)
        writer.key("beefyTotalValidatorCount")
        writer.number(validators)
        writer.key("activeBeefyValidatorCount")
        writer.number(activeValidators)
        writer.key("activeBeefyPercentage")
        writer.number(percentage(activeValidators))
        writer.key("activeValidatorCount")
        writer.number(setSize ?? 0)
        writer.key("totalValidators")
        writer.number(validatorCount)
        writer.key("totalBeefyValidators")
        writer.number(validatorCount == 0 ? 0 : Double(validators) / Double(validatorCount) * 100)
        writer.endObject()
        return writer.body()
    }
}

extension Span<UInt8> {
    /// The text of a top-level field, nil when it is missing or no text.
    fileprivate func text(_ name: String, inDocument start: Int) throws(BSONError) -> String? {
        guard let element = try element(name, inDocument: start) else { return nil }
        return string(of: element)
    }
}
