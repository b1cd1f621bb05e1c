/// What the API's description says of a route. One place: the OpenAPI document, the page and their test all read it.
struct RouteDescription {
    enum Tag: String, CaseIterable {
        case candidates = "Candidates"
        case nominators = "Nominators"
        case eras = "Eras"
        case scores = "Scores"
        case validators = "Validators"
        case locations = "Locations"
        case rewards = "Rewards"
        case operations = "Operations"
    }

    /// What a successful answer holds.
    enum Shape: String {
        case object, array, number
    }

    let tag: Tag
    let summary: String
    let shape: Shape
    /// Whether there may be nothing to answer: 204.
    let mayBeMissing: Bool

    private init(_ tag: Tag, _ summary: String, _ shape: Shape, mayBeMissing: Bool = false) {
        self.tag = tag
        self.summary = summary
        self.shape = shape
        self.mayBeMissing = mayBeMissing
    }

    static func of(_ route: Route) -> RouteDescription {
        switch route {
        case .candidate: Self(.candidates, "One candidate by its stash.", .object, mayBeMissing: true)
        case .candidates: Self(.candidates, "All candidates, the highest score first.", .array)
        case .candidatesByRank: Self(.candidates, "All candidates, the highest rank first.", .array)
        case .validCandidates: Self(.candidates, "Candidates that meet every condition.", .array)
        case .invalidCandidates: Self(.candidates, "Candidates that miss a condition.", .array)
        case .nominatorStake: Self(.nominators, "A validator's newest stake.", .object, mayBeMissing: true)
        case .nominatorStakeInEra: Self(.nominators, "A validator's stake in an era.", .object, mayBeMissing: true)
        case .lastNominatorStakes: Self(.nominators, "A validator's newest stakes; 0 for all.", .array)
        case .nominators: Self(.nominators, "The programme's nominators.", .array)
        case .nominator: Self(.nominators, "One nominator by its stash.", .object, mayBeMissing: true)
        case .nominations: Self(.nominators, "All nominations made.", .array)
        case .nominationsOfAddress:
            Self(.nominators, "Kept for old clients; answers nothing.", .array, mayBeMissing: true)
        case .lastNomination: Self(.nominators, "When nominations were last made.", .object, mayBeMissing: true)
        case .proxyTransactions: Self(.nominators, "Proxy transactions that wait.", .array)
        case .eraPoints: Self(.eras, "A validator's points in the last 84 eras.", .array)
        case .totalEraPoints: Self(.eras, "All points of the last 84 eras.", .array)
        case .score: Self(.scores, "A candidate's newest score.", .object, mayBeMissing: true)
        case .scoreInSession: Self(.scores, "A candidate's score in a session.", .object, mayBeMissing: true)
        case .scoreMetadata: Self(.scores, "How scores are computed now.", .object, mayBeMissing: true)
        case .scoreMetadataInSession:
            Self(.scores, "How scores were computed in a session.", .object, mayBeMissing: true)
        case .currentValidators: Self(.validators, "The newest validator set.", .object, mayBeMissing: true)
        case .activeEras: Self(.validators, "In how many stored sets an address is.", .number)
        case .validators: Self(.validators, "All validators with their keys.", .array)
        case .validator: Self(.validators, "One validator with its keys.", .object, mayBeMissing: true)
        case .beefy: Self(.validators, "How many validators have set BEEFY keys.", .object)
        case .beefyDummies: Self(.validators, "Validators whose BEEFY key is a placeholder.", .array)
        case .currentSetLocations: Self(.locations, "Where the current validators run.", .array)
        case .validatorLocation: Self(.locations, "Where one candidate runs.", .object, mayBeMissing: true)
        case .eraStats: Self(.eras, "Figures of the newest era, in a list of one.", .array)
        case .locationStats: Self(.locations, "The newest location statistics.", .object, mayBeMissing: true)
        case .validLocationStats: Self(.locations, "Location statistics of valid candidates, counted now.", .object)
        case .locationStatsInSession: Self(.locations, "Location statistics of a session.", .object)
        case .validatorRewards: Self(.rewards, "All rewards paid through a validator.", .array)
        case .validatorRewardsTotal: Self(.rewards, "A validator's rewards in sum.", .object)
        case .validatorRewardsStats: Self(.rewards, "A validator's rewards in sum and average.", .object)
        case .allValidatorRewards: Self(.rewards, "Every validator's rewards in sum.", .array)
        case .allValidatorStats: Self(.rewards, "Every validator's rewards in sum and average.", .array)
        case .nominatorRewards: Self(.rewards, "All rewards of a nominator.", .array)
        case .nominatorRewardsTotal: Self(.rewards, "A nominator's rewards in sum.", .object)
        case .allNominatorRewards: Self(.rewards, "Every nominator's rewards, summed as they always were.", .array)
        case .blockIndex: Self(.operations, "Which blocks have been indexed.", .object)
        case .release: Self(.operations, "The newest node release.", .object, mayBeMissing: true)
        case .totalRequests: Self(.operations, "A constant, kept for old clients.", .number)
        case .endpointCounts: Self(.operations, "A constant, kept for old clients.", .object)
        }
    }
}
