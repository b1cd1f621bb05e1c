/// What answers are made of, by the names that generated clients give them.
enum Component: String, CaseIterable, Sendable {
    case candidate = "Candidate"
    case identity = "Identity"
    case subIdentity = "SubIdentity"
    case validity = "Validity"
    case nominationSummary = "NominationSummary"
    case score = "Score"
    case scoreMetadata = "ScoreMetadata"
    case statistics = "Statistics"
    case placeStatistics = "PlaceStatistics"
    case nodeCount = "NodeCount"
    case nominatorStake = "NominatorStake"
    case nominatorBond = "NominatorBond"
    case nominator = "Nominator"
    case nominated = "NominatedCandidate"
    case nomination = "Nomination"
    case lastNomination = "LastNomination"
    case proxyTransaction = "ProxyTransaction"
    case eraPoints = "EraPoints"
    case totalEraPoints = "TotalEraPoints"
    case validatorEraPoints = "ValidatorEraPoints"
    case eraStats = "EraStats"
    case validatorSet = "ValidatorSet"
    case validator = "Validator"
    case sessionKeys = "SessionKeys"
    case beefyStats = "BeefyStats"
    case location = "Location"
    case setLocations = "ValidatorLocations"
    case setLocation = "ValidatorLocation"
    case locationStats = "LocationStats"
    case sessionLocationStats = "SessionLocationStats"
    case validLocationStats = "ValidLocationStats"
    case scoredCount = "ScoredNodeCount"
    case reward = "Reward"
    case validatorRewardTotal = "ValidatorRewardTotal"
    case validatorRewardStats = "ValidatorRewardStats"
    case validatorRewards = "ValidatorRewards"
    case validatorRewardAverages = "ValidatorRewardAverages"
    case nominatorRewardTotal = "NominatorRewardTotal"
    case nominatorRewards = "NominatorRewards"
    case blockIndex = "BlockIndex"
    case release = "Release"
    case endpointCounts = "EndpointCounts"

    var schema: Schema {
        candidateSchema ?? scoreSchema ?? nominationSchema ?? eraSchema ?? locationSchema ?? rewardSchema
            ?? operationSchema
            ?? Schema(.any)
    }

    private var operationSchema: Schema? {
        switch self {
        case .blockIndex:
            Schema(
                .object([
                    Schema.integer("The newest block that has been indexed.", 25_600_000).at("latest"),
                    Schema.integer("The oldest.", 24_900_000).at("earliest"),
                    Schema.integer("How many blocks lie between them; null when nothing has been indexed.", 700_000)
                        .orNull.always("blocksIndexed"),
                ]), "Which blocks have been indexed.")
        case .release:
            .document(
                "A release of the node.",
                [
                    Schema.string("Its version.", "v1.16.1").at("name"),
                    Schema.integer("When it was published, in milliseconds since 1970.", 1_730_289_600_000).at(
                        "publishedAt"),
                ])
        case .endpointCounts:
            Schema(
                .object([Schema.integer("Always 1.", 1).always("requestReceived")]),
                "A constant, kept for old clients.")
        default: nil
        }
    }
}
