extension Component {
    /// Where nodes run.
    var locationSchema: Schema? {
        switch self {
        case .location:
            .document(
                "Where a node was seen.",
                [
                    Schema.integer("The candidate's number.", 945).at("slotId")
                ] + Self.place + [
                    Schema.string("IP address; left out by server.redactAddresses.", "192.0.2.7").at("addr"),
                    Schema.integer("", 30_333).at("port"), Schema.boolean("", false).at("vpn"),
                    Schema.string("", "AMD Ryzen 9 5950X").at("cpu"),
                    Schema.string("In bytes, as text.", "67430510592").at("memory"),
                    Schema.string("As text.", "16").at("coreCount"),
                    Schema.boolean("Whether it is a virtual machine.", false).at("vm"),
                    Schema.string("").at("networkId"),
                ])
        case .setLocations:
            Schema(
                .object([
                    Schema.address.always("address"),
                    Schema.list(.component(.setLocation), "The newest first.").always("locations"),
                ]), "Where a validator of the current set runs.")
        case .setLocation: Schema(.object(Self.place), "Where it was seen.")
        case .locationStats, .sessionLocationStats:
            Schema(
                .object(
                    [
                        Schema.integer("", 507).at("totalNodes"), Schema.integer("", 42_903).at("session"),
                        Schema.integer("In milliseconds since 1970.", 1_731_499_200_000).at("updated"),
                    ]
                        + ["locations", "regions", "countries", "providers"].map {
                            Schema.list(.component(.nodeCount), "The most nodes first.").at($0)
                        }
                        + [
                            "locationVariance", "regionVariance", "countyVariance",
                            self == .locationStats ? "providerVaraince" : "providerVariance",
                        ].map { Schema.number("Variance of the counts. The names are spelt so.", "5.27").at($0) }
                        + [Schema.number("Mean of the variances.", "5.27").at("decentralization")]),
                "How nodes are spread.")
        case .validLocationStats:
            Schema(
                .object(
                    [Schema.integer("", 443).always("totalNodes")]
                        + ["locations", "regions", "countries", "providers"].map {
                            Schema.list(.component(.scoredCount), "The most nodes first.").always($0)
                        }), "How the nodes of valid candidates are spread, counted now.")
        case .scoredCount:
            Schema(
                .object([
                    Schema.string("", "Zürich").always("name"), Schema.integer("", 48).always("numberOfNodes"),
                    Schema.number("What a candidate there gets for it.", "10").always("score"),
                ]), "How many nodes are in one place.")
        default: nil
        }
    }

    private static var place: [Schema.Field] {
        [
            Schema.string("", "Keen Glacier 916").at("name"), Schema.address.at("address"),
            Schema.string("", "Zürich").at("city"), Schema.string("", "Zurich").at("region"),
            Schema.string("", "Switzerland").at("country"),
            Schema.string("None when it is unknown.", "Hetzner Online GmbH").at("provider"),
            Schema.integer("In milliseconds since 1970.", 1_731_499_200_484).at("updated"),
            Schema.integer("0 when it is unknown.", 42_903).at("session"), Schema.string("", "Telemetry").at("source"),
        ]
    }
}
