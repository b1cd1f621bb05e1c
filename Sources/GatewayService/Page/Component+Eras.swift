extension Component {
    /// Eras, their points and their validators.
    var eraSchema: Schema? {
        switch self {
        case .eraPoints:
            .document(
                "A validator's points in an era.",
                [
                    Schema.integer("", 7150).at("era"), Schema.address.at("address"),
                    Schema.integer("", 27_256).at("eraPoints"),
                ])
        case .totalEraPoints:
            .document(
                "All points of an era.",
                [
                    Schema.integer("", 29_573_789).at("totalEraPoints"), Schema.integer("", 7066).at("era"),
                    Schema.number("", "79929").at("median"), Schema.number("", "63329.517").at("average"),
                    Schema.integer("", 200_000).at("max"), Schema.integer("", 20).at("min"),
                    Schema.list(.component(.validatorEraPoints)).at("validatorsEraPoints"),
                ])
        case .validatorEraPoints:
            .item(
                "One validator's points in the era.",
                [
                    Schema.address.at("address"), Schema.integer("", 27_256).at("eraPoints"),
                    Schema.integer("Normally missing: it is that of the whole.", 7066).at("era"),
                ])
        case .eraStats:
            .document(
                "Figures of an era.",
                [
                    Schema.integer("In milliseconds since 1970.", 1_731_499_200_000).at("when"),
                    Schema.integer("", 7150).at("era"), Schema.integer("How many candidates.", 1126).at("totalNodes"),
                    Schema.integer("How many of them are valid.", 536).at("valid"),
                    Schema.integer("How many are in the validator set.", 332).at("active"),
                    Schema.integer("How many operators are known.", 351).at("kyc"),
                ])
        case .validatorSet:
            .document(
                "The validators of a session.",
                [
                    Schema.integer("", 42_903).at("session"), Schema.integer("", 7150).at("era"),
                    Schema.list(.address).at("validators"),
                    Schema.integer("Of old documents, in milliseconds since 1970.").at("updated"),
                ])
        case .validator:
            .document(
                "A validator and its keys.",
                [Schema.address.at("address"), Schema.component(.sessionKeys).at("keys")])
        case .sessionKeys:
            Schema(
                .object(
                    ["grandpa", "babe", "imOnline", "paraValidator", "authorityDiscovery", "paraAssignment"].map {
                        Schema.string("0x and 64 hexadecimal digits.").at($0)
                    } + [
                        Schema.string("0x and 66 hexadecimal digits; begins with 0x62656566 when it was never set.").at(
                            "beefy")
                    ]),
                "A validator's session keys.")
        case .beefyStats:
            Schema(
                .object([
                    Schema.integer("Candidates with BEEFY keys.", 69).always("beefy1KVCount"),
                    Schema.integer("Those of them in the validator set.", 53).always("activeBeefy1KVCount"),
                    Schema.number("Their share of the set, in percent.", "33.125").orNull.always(
                        "activeBeefy1KVPercentage"),
                    Schema.integer("Candidates.", 1097).always("total1KVValidatorCount"),
                    Schema.integer("Validators with BEEFY keys, and those without any keys.", 150).always(
                        "beefyTotalValidatorCount"),
                    Schema.integer("Those of them in the set.", 133).always("activeBeefyValidatorCount"),
                    Schema.number("Their share of the set, in percent.", "83.125").orNull.always(
                        "activeBeefyPercentage"),
                    Schema.integer("The length of the set.", 160).always("activeValidatorCount"),
                    Schema.integer("Validators.", 180).always("totalValidators"),
                    Schema.number(
                        "A share in percent, no count: validators with BEEFY keys of all.", "83.33333333333334"
                    ).always("totalBeefyValidators"),
                ]), "How many validators have set BEEFY keys.")
        default: nil
        }
    }
}
