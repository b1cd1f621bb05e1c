/// Every route of the API, in the order in which they are tried.
package enum Route: String, CaseIterable, Sendable {
    case candidate = "/candidate/:address"
    case candidates = "/candidates"
    case candidatesByRank = "/candidates/rank"
    case validCandidates = "/candidates/valid"
    case invalidCandidates = "/candidates/invalid"
    case nominatorStake = "/nominatorstake/:address"
    case nominatorStakeInEra = "/nominatorstake/:address/:era"
    case lastNominatorStakes = "/nominatorstake/:address/last/:limit"
    case nominators = "/nominators"
    case nominator = "/nominator/:address"
    case nominations = "/nominations"
    case nominationsOfAddress = "/nominations/:address/:last"
    case lastNomination = "/lastnomination"
    case proxyTransactions = "/proxytxs"
    case eraPoints = "/erapoints/:address"
    case totalEraPoints = "/totalerapoints"
    case score = "/score/:address"
    case scoreInSession = "/score/:address/:session"
    case scoreMetadata = "/scoremetadata"
    case scoreMetadataInSession = "/scoremetadata/:session"
    case currentValidators = "/validators/current"
    case activeEras = "/validators/activeeras/:address"
    case validators = "/validators"
    case validator = "/validator/:address"
    case beefy = "/validators/beefy"
    case beefyDummies = "/validators/beefy/dummy"
    case currentSetLocations = "/location/currentvalidatorset"
    case validatorLocation = "/location/validator/:address"
    case eraStats = "/erastats"
    case locationStats = "/locationstats"
    case validLocationStats = "/locationstats/valid"
    case locationStatsInSession = "/locationstats/:session"
    case validatorRewards = "/rewards/validator/:address"
    case validatorRewardsTotal = "/rewards/validator/:address/total"
    case validatorRewardsStats = "/rewards/validator/:address/stats"
    case allValidatorRewards = "/rewards/validators/total"
    case allValidatorStats = "/rewards/validators/stats"
    case nominatorRewards = "/rewards/nominator/:address"
    case nominatorRewardsTotal = "/rewards/nominator/:address/total"
    case allNominatorRewards = "/rewards/nominators/total"
    case blockIndex = "/blockindex"
    case release = "/release"
    case totalRequests = "/stats/totalRequests"
    case endpointCounts = "/stats/endpointCounts"

    /// The path with `:name` where a parameter stands.
    package var template: String { rawValue }

    /// Whether a successful answer may be kept and given again.
    package var isCached: Bool {
        switch self {
        case .release, .totalRequests, .endpointCounts: false
        default: true
        }
    }

    /// The names of the parameters, in order.
    package var parameterNames: [String] {
        rawValue.split(separator: "/").filter { $0.hasPrefix(":") }.map { String($0.dropFirst()) }
    }
}
