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
            return .json(writer.bytes)
        }
        try writer.document(at: start, in: batch.bytes.span, without: "addr")
        return .json(writer.bytes)
    }

    /// Where the validators of the newest set run: for each, in the set's order, all its locations, the newest first.
    func currentSetLocations() async throws -> Answer {
        let sets = try await store.find(Query(.validatorSets, descendingBy: "session", limit: 1))
        guard let start = sets.first else { return .json(Array("[]".utf8)) }
        let addresses = try Self.addresses(ofSetAt: start, in: sets.bytes.span)
        var seen: Set<String> = []
        let distinct = addresses.filter { seen.insert($0).inserted }
        let locations = try await store.find(
            Query(.locations, [.init("address", .oneOf(distinct.map(Scalar.string)))], descendingBy: "updated"))
        return .json(try Self.write(addresses, locations))
    }

    private static func addresses(ofSetAt start: Int, in bytes: Span<UInt8>) throws -> [String] {
        var addresses: [String] = []
        var items = try validators(ofSetAt: start, in: bytes)
        while let item = try items.next(in: bytes) {
            if let address = bytes.string(of: item) { addresses.append(address) }
        }
        return addresses
    }

    private static let entry = FieldPicker([
        "name", "address", "city", "region", "country", "provider", "updated", "session", "source",
    ])

    private static func write(_ addresses: [String], _ locations: DocumentBatch) throws -> [UInt8] {
        let bytes = locations.bytes.span
        var byAddress: [String: [Int]] = [:]
        for start in locations.starts {
            guard let element = try bytes.element("address", inDocument: start), let address = bytes.string(of: element)
            else { continue }
            byAddress[address, default: []].append(start)
        }
        var writer = JSONWriter(capacity: locations.bytes.count * 2)
        writer.beginArray()
        for address in addresses {
            writer.beginObject()
            writer.key("address")
            writer.string(address)
            writer.key("locations")
            writer.beginArray()
            for start in byAddress[address] ?? [] {
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
        }
        writer.endArray()
        return writer.bytes
    }
}
