import Documents

extension Resources {
    /// How many eras back, the newest one included, points are given for.
    private static let pointsWindow = 84.0

    func eraPoints(of address: String) async throws -> Answer {
        let since = try await firstEraOfPoints()
        return try await list(Query(.eraPoints, [.init("address", .equals(.string(address))), since]))
    }

    func totalEraPoints() async throws -> Answer {
        let since = try await firstEraOfPoints()
        return try await list(Query(.totalEraPoints, [since]))
    }

    private func firstEraOfPoints() async throws -> Criterion {
        let newest = try await store.find(Query(.totalEraPoints, descendingBy: "era", limit: 1))
        guard let start = newest.first else { throw ResourceError.missing("totalerapoints") }
        let bytes = newest.bytes.span
        let era = JavaScriptValue.number(try bytes.element("era", inDocument: start), in: bytes)
        guard !era.isNaN else { throw ResourceError.missing("totalerapoints.era") }
        return Criterion("era", .atLeast(era - (Self.pointsWindow - 1)))
    }

    /// The legacy service looks these up and then forgets to return them. Only a failing database shows.
    func discardedNominations(_ address: String) async throws -> Answer {
        _ = try await store.find(.matching(.nominations, "address", .string(address), descendingBy: "era", limit: 1))
        return .nothing
    }

    func blockIndex() async throws -> Answer {
        let batch = try await store.find(Query(.blockIndex, limit: 1))
        var writer = JSONWriter()
        writer.beginObject()
        var indexed = Double.nan
        if let start = batch.first {
            let bytes = batch.bytes.span
            let latest = try bytes.element("latest", inDocument: start)
            let earliest = try bytes.element("earliest", inDocument: start)
            try writer.copy("latest", latest, in: bytes)
            try writer.copy("earliest", earliest, in: bytes)
            indexed = JavaScriptValue.number(latest, in: bytes) - JavaScriptValue.number(earliest, in: bytes)
        }
        writer.key("blocksIndexed")
        writer.number(indexed)
        writer.endObject()
        return .json(writer.body())
    }
}
