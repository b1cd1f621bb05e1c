/// The collections that the service reads; the raw value is the name in the database.
package enum Collection: String, CaseIterable, Sendable, Hashable {
    case candidates
    case chainMetadata = "chainmetadatas"
    case validatorScores = "validatorscores"
    case nominatorStakes = "nominatorstakes"
    case locations
    case nominators
    case nominations
    case eras
    case delayedTransactions = "delayedtxes"
    case eraPoints = "erapoints"
    case totalEraPoints = "totalerapoints"
    case scoreMetadata = "validatorscoremetadatas"
    case validatorSets = "latestvalidatorsets"
    case eraStats = "erastatsmodels"
    case locationStats = "locationstatsmodels"
    case validators
    case rewards
    case identities
    case blockIndex = "blockindexes"
    case releases

    /// The collection's place in `allCases`.
    var place: Int { Self.places[self] ?? 0 }

    private static let places = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}
