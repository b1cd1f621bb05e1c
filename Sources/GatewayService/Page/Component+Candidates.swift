extension Component {
    /// Candidates, who they are, and whether they are valid.
    var candidateSchema: Schema? {
        switch self {
        case .candidate: Schema(.object(Self.card), "A candidate with its score, place and stake.")
        case .identity:
            .item(
                "What the chain knows of who somebody is. What has not been set is missing.",
                [
                    Schema.string("", "Keen Glacier 916").at("name"), Schema.address.at("address"),
                    Schema.boolean("Whether a registrar has judged it well.", false).at("verified"),
                    Schema.list(.component(.subIdentity)).at("subIdentities"),
                    Schema.string("", "Keen Glacier 916").at("display"), Schema.string("", "a@example.org").at("email"),
                    Schema.string("").at("image"), Schema.list(.string("", "Reasonable")).at("judgements"),
                    Schema.string("").at("legal"), Schema.string("").at("pgp"), Schema.string("").at("riot"),
                    Schema.string("").at("twitter"), Schema.string("", "https://node72.example.org/").at("web"),
                ])
        case .subIdentity:
            .item(
                "An account that belongs to an identity.",
                [Schema.string("", "Eager Ember 89").at("name"), Schema.address.at("address")])
        case .validity:
            .item(
                "One condition, and whether the candidate meets it.",
                [
                    Schema.boolean("", true).at("valid"),
                    Schema.string("Which condition; COMMISION is spelt so.", "ONLINE").at("type"),
                    Schema(
                        .any, "Why it is not met, in English; empty when it is. Old documents may hold other things.",
                        example: #""""#
                    ).at("details"),
                    Schema.integer("When it was checked, in milliseconds since 1970.", 1_731_499_030_801).at("updated"),
                ])
        case .nominationSummary:
            Schema(
                .object([
                    Schema.number("Stake in whole tokens.", "2797.9232").at("totalStake"),
                    Schema.number("Stake that is not active, in whole tokens.", "78.7841").at("inactiveStake"),
                    Schema.integer("How many nominators are active.", 6).at("activeNominators"),
                    Schema.integer("How many are not.", 4).at("inactiveNominators"),
                ]), "The newest stake; empty when none is known.")
        default: nil
        }
    }

    private static var card: [Schema.Field] {
        let place = "None when it is unknown; missing when the node has never been seen."
        return [
            Schema.integer("The candidate's number in the programme.", 945).at("slotId"),
            Schema.boolean("Whether its operator is known.", false).at("kyc"),
            Schema.integer("When it was found, in milliseconds since 1970.", 1_687_521_600_000).at("discoveredAt"),
            Schema.integer("An era's number, no time: the last with points; 0 for none.", 0).at("nominatedAt"),
            Schema.integer("Since when it is offline, in milliseconds since 1970; 0 when it is not.", 0).at(
                "offlineSince"),
            Schema.integer("How long it was offline lately, in milliseconds.", 0).at("offlineAccumulated"),
            Schema.integer("In how many stored eras it was in the validator set.", 51).always("rank"),
            Schema.integer("", 0).at("faults"),
            Schema.string("Normally missing.", "").at("invalidityReasons"),
            Schema.list(.integer("An era.", 7150)).at("unclaimedEras"),
            Schema.number("Share of the last 84 eras in which it was in the set, 0 to 1.", "0.2619047619047619").at(
                "inclusion"),
            Schema.string("", "Keen Glacier 916").at("name"),
            Schema.address.orNull.at("stash"),
            Schema.string("Its stash on Kusama; empty on Kusama itself.", "").at("kusamaStash"),
            Schema.number("In percent.", "1").at("commission"),
            Schema.component(.identity).at("identity"),
            Schema.boolean("Whether it is in the validator set.", false).at("active"),
            Schema.number("Bonded stake in whole tokens; null when it is unknown.", "86885.64852671695").orNull.always(
                "bonded"),
            Schema.boolean("Whether it meets every condition; missing before the first check.", true).at("valid"),
            Schema.list(.component(.validity), "The conditions.").at("validity"),
            Schema.component(.score).orNull.always("score"),
            Schema.number("The score's total; 0 when there is none.", "894.218026").always("total"),
            Schema.string("City. \(place)", "Zürich").at("location"),
            Schema.string("Provider of the machine. \(place)", "Hetzner Online GmbH").at("provider"),
            Schema.string("", "AMD Ryzen 9 5950X").at("cpu"),
            Schema.string("In bytes, as text.", "67430510592").at("memory"),
            Schema.string("As text.", "16").at("coreCount"),
            Schema.boolean("Whether it is a virtual machine.", false).at("vm"),
            Schema.string(place, "Zurich").at("region"),
            Schema.string(place, "Switzerland").at("country"),
            Schema.list(.string("A Matrix handle.", "@operator243:example.org")).at("matrix"),
            Schema.string("The node's version.", "1.16.0").at("version"),
            Schema.string("The node's kind.", "Parity Polkadot").at("implementation"),
            Schema.string("Hexadecimal.").at("queuedKeys"),
            Schema.string("Hexadecimal.").at("nextKeys"),
            Schema.string("Staked, Stash, Controller, None, or an address.", "Staked").at("rewardDestination"),
            Schema.component(.nominationSummary).always("nominations"),
        ]
    }
}
