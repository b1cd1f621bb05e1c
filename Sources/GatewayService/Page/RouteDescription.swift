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

        var text: String {
            switch self {
            case .candidates: "Those who take part in the programme."
            case .nominators: "The programme's nominators, their stakes and nominations."
            case .eras: "Points and figures of eras."
            case .scores: "Candidates' scores and how they come about."
            case .validators: "The network's validators."
            case .locations: "Where nodes run."
            case .rewards: "What was paid."
            case .operations: "What the programme does itself."
            }
        }
    }

    let tag: Tag
    let summary: String
    /// What a successful answer holds.
    let schema: Schema
    /// Whether there may be nothing to answer: 204.
    let mayBeMissing: Bool

    private init(_ tag: Tag, _ summary: String, _ schema: Schema, mayBeMissing: Bool = false) {
        self.tag = tag
        self.summary = summary
        self.schema = schema
        self.mayBeMissing = mayBeMissing
    }

    static func of(_ route: Route) -> RouteDescription {
        switch route {
        case .candidate: Self(.candidates, "One candidate by its stash.", .component(.candidate), mayBeMissing: true)
        case .candidates: Self(.candidates, "All candidates, the highest score first.", .list(.component(.candidate)))
        case .candidatesByRank:
            Self(.candidates, "All candidates, the highest rank first.", .list(.component(.candidate)))
        case .validCandidates: Self(.candidates, "Candidates that meet every condition.", .list(.component(.candidate)))
        case .invalidCandidates: Self(.candidates, "Candidates that miss a condition.", .list(.component(.candidate)))
        case .nominatorStake:
            Self(.nominators, "A validator's newest stake.", .component(.nominatorStake), mayBeMissing: true)
        case .nominatorStakeInEra:
            Self(.nominators, "A validator's stake in an era.", .component(.nominatorStake), mayBeMissing: true)
        case .lastNominatorStakes:
            Self(.nominators, "A validator's newest stakes; 0 for all.", .list(.component(.nominatorStake)))
        case .nominators: Self(.nominators, "The programme's nominators.", .list(.component(.nominator)))
        case .nominator: Self(.nominators, "One nominator by its stash.", .component(.nominator), mayBeMissing: true)
        case .nominations: Self(.nominators, "All nominations made.", .list(.component(.nomination)))
        case .nominationsOfAddress:
            Self(
                .nominators, "Kept for old clients; answers nothing.", .list(.component(.nomination)),
                mayBeMissing: true)
        case .lastNomination:
            Self(.nominators, "When nominations were last made.", .component(.lastNomination), mayBeMissing: true)
        case .proxyTransactions:
            Self(.nominators, "Proxy transactions that wait.", .list(.component(.proxyTransaction)))
        case .eraPoints: Self(.eras, "A validator's points in the last 84 eras.", .list(.component(.eraPoints)))
        case .totalEraPoints: Self(.eras, "All points of the last 84 eras.", .list(.component(.totalEraPoints)))
        case .score: Self(.scores, "A candidate's newest score.", .component(.score), mayBeMissing: true)
        case .scoreInSession: Self(.scores, "A candidate's score in a session.", .component(.score), mayBeMissing: true)
        case .scoreMetadata:
            Self(.scores, "How scores are computed now.", .component(.scoreMetadata), mayBeMissing: true)
        case .scoreMetadataInSession:
            Self(.scores, "How scores were computed in a session.", .component(.scoreMetadata), mayBeMissing: true)
        case .currentValidators:
            Self(.validators, "The newest validator set.", .component(.validatorSet), mayBeMissing: true)
        case .activeEras: Self(.validators, "In how many stored sets an address is.", .integer(""))
        case .validators: Self(.validators, "All validators with their keys.", .list(.component(.validator)))
        case .validator: Self(.validators, "One validator with its keys.", .component(.validator), mayBeMissing: true)
        case .beefy: Self(.validators, "How many validators have set BEEFY keys.", .component(.beefyStats))
        case .beefyDummies:
            Self(.validators, "Validators whose BEEFY key is a placeholder.", .list(.component(.validator)))
        case .currentSetLocations:
            Self(.locations, "Where the current validators run.", .list(.component(.setLocations)))
        case .validatorLocation:
            Self(.locations, "Where one candidate runs.", .component(.location), mayBeMissing: true)
        case .eraStats: Self(.eras, "Figures of the newest era, in a list of one.", .list(.component(.eraStats)))
        case .locationStats:
            Self(.locations, "The newest location statistics.", .component(.locationStats), mayBeMissing: true)
        case .validLocationStats:
            Self(.locations, "Location statistics of valid candidates, counted now.", .component(.validLocationStats))
        case .locationStatsInSession:
            Self(.locations, "Location statistics of a session.", .component(.sessionLocationStats))
        case .validatorRewards: Self(.rewards, "All rewards paid through a validator.", .list(.component(.reward)))
        case .validatorRewardsTotal: Self(.rewards, "A validator's rewards in sum.", .component(.validatorRewardTotal))
        case .validatorRewardsStats:
            Self(.rewards, "A validator's rewards in sum and average.", .component(.validatorRewardStats))
        case .allValidatorRewards:
            Self(.rewards, "Every validator's rewards in sum.", .list(.component(.validatorRewards)))
        case .allValidatorStats:
            Self(.rewards, "Every validator's rewards in sum and average.", .list(.component(.validatorRewardAverages)))
        case .nominatorRewards: Self(.rewards, "All rewards of a nominator.", .list(.component(.reward)))
        case .nominatorRewardsTotal: Self(.rewards, "A nominator's rewards in sum.", .component(.nominatorRewardTotal))
        case .allNominatorRewards:
            Self(
                .rewards, "Every nominator's rewards, summed as they always were.", .list(.component(.nominatorRewards))
            )
        case .blockIndex: Self(.operations, "Which blocks have been indexed.", .component(.blockIndex))
        case .release: Self(.operations, "The newest node release.", .component(.release), mayBeMissing: true)
        case .totalRequests: Self(.operations, "A constant, kept for old clients.", .integer(""))
        case .endpointCounts: Self(.operations, "A constant, kept for old clients.", .component(.endpointCounts))
        }
    }
}
