import Documents

extension Resources {
    /// The newest location of one validator, found over its candidate's slot. Without a candidate the slot is null, which
    /// finds a location that has none.
    func validatorLocation(_ address: String) async throws -> Answer {
        let candidate = try await store.find(.matching(.candidates, "stash", .string(address), limit: 1))
        var slot = Scalar.null
        if let start = candidate.first {
            let bytes = candidate.bytes.span
            slot = try Self.numberScalar(try bytes.element("slotId", inDocument: start), in: bytes)
        }
        let batch = try await store.find(.matching(.locations, "slotId", slot, descendingBy: "updated", limit: 1))
        guard let start = batch.first else { return .nothing }
        var writer = JSONWriter()
        guard options.redactsAddresses else {
            try writer.document(at: start, in: batch.bytes.span)
            return .json(writer.body())
        }
        try writer.document(at: start, in: batch.bytes.span, without: "addr")
        return .json(writer.body())
    }

    /// Where the validators of the newest set run: for each, in the set's order, all its locations, the newest first.
    func currentSetLocations() async throws -> Answer {
        let sets = try await store.find(Query(.validatorSets, descendingBy: "session", limit: 1))
        guard let start = sets.first else { return .json(Body("[]")) }
        let members = try Self.members(ofSetAt: start, in: sets.bytes.span)
        var seen: Set<Scalar> = []
        let distinct = members.map(\.key).filter { seen.insert($0).inserted }
        let locations = try await store.find(
            Query(.locations, [.init("address", .oneOf(distinct))], descendingBy: "updated"))
        return try await Composer.run(over: locations.bytes.count) { pace in
            .json(try Self.write(members, of: sets, locations, &pace))
        }
    }

    /// A validator of a set as stored, and what its locations are looked for by.
    private struct Member: Sendable {
        let item: BSONElement
        let key: Scalar
    }

    private static func members(ofSetAt start: Int, in bytes: Span<UInt8>) throws -> [Member] {
        var members: [Member] = []
        var items = try validators(ofSetAt: start, in: bytes)
        while let item = try items.next(in: bytes) {
            members.append(Member(item: item, key: try addressKey(item, in: bytes)))
        }
        return members
    }

    /// An item that is no text is looked for as the schema's text fields cast it; what they cannot cast is an error.
    private static func addressKey(_ item: BSONElement, in bytes: Span<UInt8>) throws(ResourceError) -> Scalar {
        switch item.type {
        case .string, .double, .int32, .int64, .bool, .null, .undefined: textScalar(item, in: bytes)
        default: throw .missing("latestvalidatorsets.validators: text")
        }
    }

    private static let entry = FieldPicker([
        "name", "address", "city", "region", "country", "provider", "updated", "session", "source",
    ])

    private static func write(
        _ members: [Member], of sets: DocumentBatch, _ locations: DocumentBatch, _ pace: inout Pace
    ) throws -> Body {
        let bytes = locations.bytes.span
        var byAddress: [Scalar: [Int]] = [:]
        for start in locations.starts {
            try pace.step()
            let element = try bytes.element("address", inDocument: start)
            if JavaScriptValue.isNullish(element) {
                byAddress[.null, default: []].append(start)
            } else if let element, let address = bytes.string(of: element) {
                byAddress[.string(address), default: []].append(start)
            }
        }
        var writer = JSONWriter(capacity: locations.bytes.count * 2)
        writer.beginArray()
        for member in members {
            try pace.step()
            writer.beginObject()
            try writer.copy("address", member.item, in: sets.bytes.span)
            writer.key("locations")
            writer.beginArray()
            for start in byAddress[member.key] ?? [] {
                let fields = try entry.pick(document: start, in: bytes)
                writer.beginObject()
                try writer.copy("name", fields[0], in: bytes)
                try writer.copy("address", fields[1], in: bytes)
                try writer.copy("city", fields[2], in: bytes)
                try writer.copy("region", fields[3], in: bytes)
                try writer.copy("country", fields[4], in: bytes)
                try writer.copy("provider", fields[5], in: bytes)
                try writer.copy("updated", fields[6], in: bytes)
                try writer.copy("session", fields[7], in: bytes)
                try writer.copy("source", fields[8], in: bytes)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
            try writer.cut()
        }
        writer.endArray()
        return writer.body()
    }
}
