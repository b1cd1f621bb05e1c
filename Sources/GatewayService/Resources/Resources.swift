import Documents

/// Answers the API's routes from a document store. Holds no state of its own.
package struct Resources: Sendable {
    let store: any DocumentStore
    let options: Options

    package struct Options: Sendable {
        /// The most documents that a limit in a path may ask for, nil for no bound.
        package var limitCap: Int?
        /// Leaves the node's IP address out of location documents.
        package var redactsAddresses: Bool

        package init(limitCap: Int? = nil, redactsAddresses: Bool = false) {
            self.limitCap = limitCap
            self.redactsAddresses = redactsAddresses
        }
    }

    package init(store: any DocumentStore, options: Options = Options()) {
        self.store = store
        self.options = options
    }

    /// Answers one route.
    ///
    /// - Throws: anything means a 500: ``ResourceError``, `StoreError`, `BSONError`.
    package func answer(_ match: RouteTable.Match) async throws -> Answer {
        let first = match.parameters.first ?? ""
        let second = match.parameters.count > 1 ? match.parameters[1] : ""
        switch match.route {
        case .candidate: return try await candidate(first)
        case .candidates: return try await candidates(.withStash)
        case .candidatesByRank: return try await candidates(.byRank)
        case .validCandidates: return try await candidates(.valid)
        case .invalidCandidates: return try await candidates(.invalid)
        case .nominatorStake:
            return try await document(
                .matching(.nominatorStakes, "validator", .string(first), descendingBy: "era", limit: 1))
        case .nominatorStakeInEra:
            return try await document(
                Query(
                    .nominatorStakes, [.init("validator", .equals(.string(first))), try number("era", second)], limit: 1
                ))
        case .lastNominatorStakes:
            return try await list(
                .matching(.nominatorStakes, "validator", .string(first), descendingBy: "era", limit: try limit(second)))
        case .nominators: return try await list(Query(.nominators))
        case .nominator: return try await document(.matching(.nominators, "stash", .string(first), limit: 1))
        case .nominations: return try await list(Query(.nominations))
        case .nominationsOfAddress: return try await discardedNominations(first)
        case .lastNomination:
            return try await document(Query(.eras, [.init("lastNominatedEraIndex", .hasDigit)], limit: 1))
        case .proxyTransactions: return try await list(Query(.delayedTransactions))
        case .eraPoints: return try await eraPoints(of: first)
        case .totalEraPoints: return try await totalEraPoints()
        case .score:
            return try await document(
                .matching(.validatorScores, "address", .string(first), descendingBy: "session", limit: 1),
                withoutIdentity: true)
        case .scoreInSession:
            return try await document(
                Query(
                    .validatorScores, [.init("address", .equals(.string(first))), try number("session", second)],
                    limit: 1),
                withoutIdentity: true)
        case .scoreMetadata: return try await document(Query(.scoreMetadata, descendingBy: "updated", limit: 1))
        case .scoreMetadataInSession:
            return try await document(Query(.scoreMetadata, [try number("session", first)], limit: 1))
        case .currentValidators: return try await document(Query(.validatorSets, descendingBy: "session", limit: 1))
        case .activeEras: return try await activeEras(of: first)
        case .validators: return try await list(Query(.validators))
        case .validator: return try await document(.matching(.validators, "address", .string(first), limit: 1))
        case .beefy: return try await beefy()
        case .beefyDummies: return try await beefyDummies()
        case .currentSetLocations: return try await currentSetLocations()
        case .validatorLocation: return try await validatorLocation(first)
        case .eraStats: return try await list(Query(.eraStats, descendingBy: "era", limit: 1))
        case .locationStats: return try await locationStats(session: nil)
        case .locationStatsInSession: return try await locationStats(session: first)
        case .validLocationStats: return try await validLocationStats()
        case .validatorRewards:
            return try await list(.matching(.rewards, "validator", .string(first)), withoutIdentity: true)
        case .nominatorRewards:
            return try await list(.matching(.rewards, "nominator", .string(first)), withoutIdentity: true)
        case .validatorRewardsTotal: return try await validatorTotal(first)
        case .validatorRewardsStats: return try await validatorStats(first)
        case .nominatorRewardsTotal: return try await nominatorTotal(first)
        case .allValidatorRewards: return try await allValidatorTotals()
        case .allValidatorStats: return try await allValidatorStats()
        case .allNominatorRewards: return try await allNominatorTotals()
        case .blockIndex: return try await blockIndex()
        case .release: return try await document(Query(.releases, descendingBy: "publishedAt", limit: 1))
        case .totalRequests: return .json(Body("1"))
        case .endpointCounts: return .json(Body(#"{"requestReceived":1}"#))
        }
    }
}

extension Resources {
    /// The first document of a query, whole.
    func document(_ query: Query, withoutIdentity: Bool = false) async throws -> Answer {
        let batch = try await store.find(query)
        guard let start = batch.first else { return .nothing }
        return try await Composer.run(over: batch.bytes.count) { _ in
            var writer = JSONWriter(capacity: batch.bytes.count * 2)
            try writer.document(at: start, in: batch.bytes.span, withoutIdentity: withoutIdentity)
            return .json(writer.body())
        }
    }

    /// All documents of a query that `isListed` lets through, whole. Each becomes text as it comes from the store.
    func list(
        _ query: Query, withoutIdentity: Bool = false,
        where isListed: @escaping @Sendable (Span<UInt8>) throws -> Bool = { _ in true }
    ) async throws -> Answer {
        var writer = JSONWriter()
        writer.beginArray()
        writer = try await store.reduce(query, into: writer) { writer, document in
            guard try isListed(document) else { return }
            try writer.document(at: 0, in: document, withoutIdentity: withoutIdentity)
            try writer.cut()
        }
        writer.endArray()
        return .json(writer.body())
    }

    /// A criterion on a numeric field from a path parameter.
    func number(_ field: String, _ parameter: String) throws(ResourceError) -> Criterion {
        let value = JavaScriptNumber.parse(parameter)
        guard !value.isNaN else { throw .notANumber(parameter) }
        return Criterion(field, .equals(.number(value)))
    }

    /// The limit that a path parameter asks for: cut towards zero, sign dropped, 0 for no limit.
    func limit(_ parameter: String) throws(ResourceError) -> Int? {
        let value = JavaScriptNumber.parse(parameter)
        guard value.isFinite else { throw .notANumber(parameter) }
        let magnitude = value.magnitude.rounded(.towardZero)
        // No collection holds 2^31 documents, and a server reads limits as 32 bits.
        let limit = magnitude == 0 || magnitude >= 0x1p31 ? nil : Int(magnitude)
        guard let cap = options.limitCap else { return limit }
        return min(limit ?? cap, cap)
    }
}
