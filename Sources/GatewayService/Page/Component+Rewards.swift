extension Component {
    /// What was paid, and sums of it.
    var rewardSchema: Schema? {
        let total = Schema.number("In whole tokens; null when a payment's amount is unknown.", "34.893642224320004")
            .orNull
        let count = Schema.integer("How many payments.", 6)
        return switch self {
        case .reward:
            Schema(
                .object([
                    Schema.string("validator or nominator.", "validator").at("role"),
                    Schema.number("").at("exposurePercentage"), Schema.number("In whole tokens.").at("exposure"),
                    Schema.number("In whole tokens.").at("totalStake"),
                    Schema.number("In percent.", "1").at("commission"),
                    Schema.integer("", 7150).at("era"), Schema.address.at("validator"), Schema.address.at("nominator"),
                    Schema.number("In whole tokens.", "1.3071").orNull.at("rewardAmount"),
                    Schema.string("", "Staked").at("rewardDestination"),
                    Schema.number("The least stake in the set, in whole tokens.").at("erasMinStake"),
                    Schema.number("The least stake by this one's, in percent.").at("validatorStakeEfficiency"),
                    Schema.string("0x and 64 hexadecimal digits.").at("blockHash"),
                    Schema.integer("", 25_600_000).at("blockNumber"),
                    Schema.integer("In milliseconds since 1970.", 1_731_472_671_400).at("timestamp"),
                    Schema.string("dd-MM-yyyy", "13-11-2024").at("date"),
                    Schema.number("The token's price in Swiss francs.").at("chf"),
                    Schema.number("In US dollars.").at("usd"), Schema.number("In euros.").at("eur"),
                ]), "A payment.")
        case .validatorRewardTotal:
            Schema(
                .object([Schema.address.always("validator"), total.always("total"), count.always("rewardCount")]),
                "A validator's rewards in sum.")
        case .validatorRewardStats:
            Schema(
                .object([
                    total.always("total"), count.always("rewardCount"),
                    Schema.number("In percent; null when there is none.", "84.2").orNull.always("avgEfficiency"),
                    Schema.number("In whole tokens; null when there is none.", "5930.3161996").orNull.always(
                        "avgStake"),
                ]), "A validator's rewards in sum and average.")
        case .validatorRewards:
            Schema(
                .object([
                    Schema.address.always("validator"), total.always("total"),
                    Schema.component(.identity).orNull.always("identity"),
                ]), "A validator's rewards in sum.")
        case .validatorRewardAverages:
            Schema(
                .object([
                    Schema.address.at("validator"), count.always("numRewards"), total.always("totalRewards"),
                    Schema.number("In percent.", "84.21955793160001").orNull.always("avgEfficiency"),
                    Schema.number("In whole tokens.", "5930.3161996").orNull.always("avgStake"),
                    Schema.number("In whole tokens.", "2156.6591342").orNull.always("avgEraMinStake"),
                    Schema.number("In percent.", "6").orNull.always("avgCommission"),
                    Schema.component(.identity).orNull.always("identity"),
                ]), "A validator's rewards in sum and average.")
        case .nominatorRewardTotal:
            Schema(
                .object([total.always("total"), count.always("rewardCount")]), "A nominator's rewards in sum.")
        case .nominatorRewards:
            Schema(
                .object([
                    Schema.address.always("nominator"),
                    Schema.number("No sum: each payment counts the earlier ones again, as it always did.", "1139995.59")
                        .orNull.always("total"),
                    Schema.component(.identity).orNull.always("identity"),
                ]), "A nominator's rewards, summed as they always were.")
        default: nil
        }
    }
}
