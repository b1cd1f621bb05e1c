extension Component {
    /// Nominators, their stakes and what they nominate.
    var nominationSchema: Schema? {
        switch self {
        case .nominatorStake:
            .document(
                "A validator's stake in an era.",
                [
                    Schema.address.at("validator"), Schema.integer("", 7150).at("era"),
                    Schema.number("In whole tokens.", "2797.9232").at("totalStake"),
                    Schema.number("In whole tokens.", "78.7841").at("inactiveStake"),
                    Schema.list(.component(.nominatorBond)).at("activeNominators"),
                    Schema.list(.component(.nominatorBond)).at("inactiveNominators"),
                    Schema.integer("In milliseconds since 1970.", 1_731_499_200_000).at("updated"),
                ])
        case .nominatorBond:
            .item(
                "What one nominator has bonded.",
                [Schema.address.at("address"), Schema.number("In whole tokens.", "1717.0086").at("bonded")])
        case .nominator:
            .document(
                "One of the programme's nominators.",
                [
                    Schema.address.at("address"), Schema.address.at("stash"),
                    Schema.string("Address of the proxy; empty for none.", "").at("proxy"),
                    Schema.number("In planck: 10^12 are a token on Kusama, 10^10 on Polkadot.", "81711468398077600").at(
                        "bonded"),
                    Schema.number("What each candidate gets, in whole tokens.", "1313.524015").at("avgStake"),
                    Schema.number("How many candidates it nominates.", "17").at("nominateAmount"),
                    Schema.integer("In blocks.", 10_850).at("proxyDelay"),
                    Schema.string("", "Staked").at("rewardDestination"),
                    Schema.number("In whole tokens.", "81711.4683").at("newBondedAmount"),
                    Schema.list(.component(.nominated), "Whom it nominates now.").at("current"),
                    Schema.integer("In milliseconds since 1970; 0 for never.", 1_731_472_671_400).at("lastNomination"),
                    Schema.integer("In milliseconds since 1970.", 1_731_299_200_000).at("createdAt"),
                ])
        case .nominated:
            .item(
                "A candidate that a nominator nominates.",
                [
                    Schema.string("", "Humble Glacier 0").at("name"), Schema.address.at("stash"),
                    Schema.component(.identity).orNull.at("identity"),
                ])
        case .nomination:
            .document(
                "A nomination that was made.",
                [
                    Schema.address.at("address"), Schema.integer("", 7150).at("era"),
                    Schema.list(.address, "Whom it names.").at("validators"),
                    Schema.integer("In milliseconds since 1970.", 1_731_472_671_400).at("timestamp"),
                    Schema.number("In planck.", "81711468398077600").at("bonded"),
                    Schema.string("0x and 64 hexadecimal digits.").at("blockHash"),
                ])
        case .lastNomination:
            .document(
                "When nominations were last made.",
                [
                    Schema.string("An era's number, as text.", "7149").at("lastNominatedEraIndex"),
                    Schema.integer("When, in milliseconds since 1970.", 1_731_489_200_000).at("when"),
                    Schema.integer("When the next ones are due, in milliseconds since 1970.", 1_731_510_800_000).at(
                        "nextNomination"),
                ])
        case .proxyTransaction:
            .document(
                "An announced nomination that waits for its delay to pass.",
                [
                    Schema.integer("The block in which it was announced.", 25_600_000).at("number"),
                    Schema.address.at("controller"), Schema.list(.address, "Whom it names.").at("targets"),
                    Schema.string("0x and 64 hexadecimal digits.").at("callHash"),
                ])
        default: nil
        }
    }
}
