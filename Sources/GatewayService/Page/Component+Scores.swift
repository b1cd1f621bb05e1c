extension Component {
    /// Scores and how they come about.
    var scoreSchema: Schema? {
        switch self {
        case .score:
            Schema(
                .object(
                    [
                        Schema.integer("When it was computed, in milliseconds since 1970.", 1_731_499_200_000).at(
                            "updated"),
                        Schema.integer("A session's number.", 42_903).at("session"), Schema.address.at("address"),
                        Schema.number("The aggregate times the randomness.", "894.218026").at("total"),
                        Schema.number("The sum of the parts.", "214.120538").at("aggregate"),
                    ]
                        + [
                            "spanInclusion", "inclusion", "discovered", "nominated", "rank", "unclaimed", "bonded",
                            "faults",
                            "offline", "location", "region", "country", "provider", "nominatorStake", "client",
                        ].map { Schema.number("A part, up to its weight.", "33.8255").at($0) }
                        + [Schema.number("1 to 1.15.", "1.088484242121319").at("randomness")]),
                "A candidate's score in a session.")
        case .scoreMetadata:
            .document(
                "How scores were computed in a session: figures of what went in, and weights.",
                [
                    Schema.integer("A session's number.", 42_903).at("session"),
                    Schema.integer("In milliseconds since 1970.", 1_731_499_200_000).at("updated"),
                ]
                    + Self.scored.flatMap { name in
                        [
                            Schema.component(.statistics).at("\(name)Stats"),
                            Schema.number("", "111").at("\(name)Weight"),
                        ]
                    }
                    + ["location", "region", "country", "provider"].flatMap { name in
                        [
                            Schema.component(.placeStatistics).at("\(name)Stats"),
                            Schema.number("", "40").at("\(name)Weight"),
                        ]
                    })
        case .statistics: Schema(.object(Self.figures(.number("", "70.71"))), "Figures of a list of values.")
        case .placeStatistics:
            Schema(.object(Self.figures(.component(.nodeCount))), "Figures of how many nodes there are in each place.")
        case .nodeCount:
            .item(
                "How many nodes are in one place.",
                [Schema.string("", "Zürich").at("name"), Schema.integer("", 48).at("numberOfNodes")])
        default: nil
        }
    }

    private static let scored = [
        "bonded", "faults", "inclusion", "spanInclusion", "discoveredAt", "nominatedAt", "offline", "rank",
        "nominatorStake",
        "openGov", "openGovDelegation", "council", "democracy", "delegation",
    ]

    private static func figures(_ value: Schema) -> [Schema.Field] {
        [Schema.list(value).at("values")]
            + ["absoluteMin", "absoluteMax", "q10", "q25", "q50", "q75", "q90", "mean", "standardDeviation"].map {
                Schema.number("", "59.892021").at($0)
            }
    }
}
