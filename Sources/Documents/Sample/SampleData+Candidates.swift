extension SampleData {
    private static let constraints = [
        "ONLINE", "VALIDATE_INTENTION", "CLIENT_UPGRADE", "CONNECTION_TIME", "IDENTITY", "ACCUMULATED_OFFLINE_TIME",
        "REWARD_DESTINATION", "COMMISION", "SELF_STAKE", "UNCLAIMED_REWARDS", "BLOCKED", "PROVIDER", "BEEFY",
        "SANCTIONED_GEO_AREA",
    ]

    func candidates(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for (index, candidate) in candidates.enumerated() {
            writer.document { candidateDocument(index, candidate, &$0, &random) }
        }
    }

    /// Candidates as they are right after a restart of the core process: known, but never checked.
    func bareCandidates(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for candidate in candidates {
            writer.document { writer in
                writer.identity(&random)
                defaults(&writer)
                facts(candidate, &writer)
                writer.strings("matrix", candidate.handles)
                writer.version()
            }
        }
    }

    private func defaults(_ writer: inout BSONWriter) {
        for field in ["discoveredAt", "nominatedAt", "offlineSince", "offlineAccumulated", "onlineSince"] {
            writer.int32(field, 0)
        }
        writer.bool("updated", false)
        writer.int32("rank", 0)
        writer.int32("faults", 0)
        writer.strings("faultEvents", [])
        writer.strings("unclaimedEras", [])
        writer.int32("inclusion", 0)
        writer.int32("spanInclusion", 0)
        writer.strings("invalidity", [])
    }

    private func facts(_ candidate: SampleCandidate, _ writer: inout BSONWriter) {
        writer.number("slotId", Double(candidate.slotId))
        writer.bool("kyc", candidate.kyc)
        writer.string("name", candidate.name)
        writer.string("stash", candidate.stash)
        writer.string("kusamaStash", candidate.kusamaStash)
        writer.bool("skipSelfStake", candidate.skipSelfStake)
    }

    private func candidateDocument(
        _ index: Int, _ candidate: SampleCandidate, _ writer: inout BSONWriter, _ random: inout SampleRandom
    ) {
        // Every 37th candidate and so on shows one irregularity that stored data has; tests count on all of them.
        let isValid = random.chance(55)
        writer.identity(&random)
        writer.number("discoveredAt", Self.now - Double(random.number(1...900)) * 86_400_000)
        writer.int32("nominatedAt", random.chance(60) ? Int32(network.era - random.number(0...80)) : 0)
        writer.number("offlineSince", random.chance(8) ? Self.now - 3_600_000 : 0)
        writer.number("offlineAccumulated", random.chance(10) ? Double(random.number(1000...9_000_000)) : 0)
        writer.number("onlineSince", Self.now - Double(random.number(1...400)) * 3_600_000)
        writer.bool("updated", random.chance(90))
        // Few distinct ranks: many equals, whose order must hold.
        if index % 53 != 7 { writer.int32("rank", Int32(random.number(0...60))) }
        writer.int32("faults", random.chance(5) ? Int32(random.number(1...5)) : 0)
        writer.strings("faultEvents", [])
        writer.strings("unclaimedEras", [])
        writer.number("inclusion", Double(random.number(0...84)) / 84)
        writer.number("spanInclusion", Double(random.number(0...28)) / 28)
        invalidity(isValid, candidate.name, &writer, &random)
        switch index % 41 {
        case 11: break
        case 12: writer.int64("slotId", Int64(candidate.slotId))
        case 13: writer.double("slotId", Double(candidate.slotId))
        default: writer.number("slotId", Double(candidate.slotId))
        }
        writer.bool("kyc", candidate.kyc)
        writer.int32("nodeRefs", Int32(random.number(0...3)))
        writer.string("name", candidate.name)
        writer.string("version", random.pick(["1.15.2", "1.16.0", "1.16.1-b2f3c1d"]))
        if index % 39 == 20 { writer.null("stash") } else { writer.string("stash", candidate.stash) }
        writer.string("controller", candidate.stash)
        writer.string("kusamaStash", candidate.kusamaStash)
        if index % 29 != 3 { writer.bool("valid", isValid) }
        writer.number("lastValid", Self.now - Double(random.number(0...100_000_000)))
        writer.number("commission", random.pick([0, 1, 2.5, 3, 5, 10, 100]))
        if index % 17 != 4 { identity(candidate, &writer, &random) }
        writer.bool("active", random.chance(40))
        writer.string("rewardDestination", random.pick(["Staked", "Stash", "Controller", "None"]))
        switch index % 31 {
        case 9: break
        case 10: writer.null("bonded")
        default: writer.number("bonded", Double(random.number(10_000_000_000_000...100_000_000_000_000_000)))
        }
        writer.bool("skipSelfStake", candidate.skipSelfStake)
        writer.strings("matrix", candidate.handles)
        writer.string("implementation", random.pick(["Parity Polkadot", "Parity Polkadot", "Kagome"]))
        if index % 97 == 5 { writer.string("queuedKeys", random.hexadecimal(64)) }
        // A field of an earlier release, never cleaned up.
        if index % 43 == 6 { writer.int32("unclaimedErasCount", 3) }
        writer.version()
    }

    private func invalidity(_ isValid: Bool, _ name: String, _ writer: inout BSONWriter, _ random: inout SampleRandom) {
        var copy = random
        writer.array("invalidity", count: Self.constraints.count) { writer, index, key in
            let holds = isValid || copy.chance(80)
            let updated = Self.now - Double(copy.number(0...300_000))
            writer.item(key, &copy) { writer in
                writer.bool("valid", holds)
                writer.string("type", Self.constraints[index])
                writer.string("details", holds ? "" : "\(name) does not meet \(Self.constraints[index]).")
                writer.double("updated", updated)
            }
        }
        random = copy
    }

    private func identity(_ candidate: SampleCandidate, _ writer: inout BSONWriter, _ random: inout SampleRandom) {
        var copy = random
        let display = candidate.name
        writer.item("identity", &copy) { writer in
            writer.string("name", display)
            writer.string("address", candidate.stash)
            writer.bool("verified", candidate.kyc)
            writer.strings("subIdentities", [])
            writer.string("display", display)
        }
        random = copy
    }

    func scores(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        let parts = [
            "spanInclusion", "inclusion", "discovered", "nominated", "rank", "unclaimed", "bonded", "faults", "offline",
            "location", "region", "country", "provider", "nominatorStake", "client",
        ]
        for age in (0..<shape.sessions).reversed() {
            for (index, candidate) in candidates.enumerated() where index % 5 < 3 {
                writer.document { writer in
                    writer.identity(&random)
                    // Older sessions keep the time of their own last update.
                    let session = network.session - age
                    if index % 19 == 0 {
                        writer.double("session", Double(session))
                    } else {
                        writer.int32("session", Int32(session))
                    }
                    writer.string("address", candidate.stash)
                    writer.double("updated", Self.now - Double(age) * 3_600_000)
                    // A coarse scale: equal totals occur and keep their order.
                    writer.number(
                        "total", index % 23 == 6 ? 0 : random.decimal(150...900, places: index % 3 == 0 ? 0 : 6))
                    writer.number("aggregate", random.decimal(140...800, places: 6))
                    for part in parts { writer.number(part, random.decimal(0...100, places: 4)) }
                    writer.number("randomness", random.decimal(1...1.15, places: 15))
                    writer.version()
                }
            }
        }
    }

    func stakes(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (0..<2).reversed() {
            for (index, candidate) in candidates.enumerated() where index % 9 != 8 {
                writer.document { writer in
                    writer.identity(&random)
                    writer.string("validator", candidate.stash)
                    writer.int32("era", Int32(network.era - age))
                    writer.number("totalStake", random.decimal(0...9000, places: 4))
                    writer.number("inactiveStake", random.decimal(0...500, places: 4))
                    for field in ["activeNominators", "inactiveNominators"]
                    where !(index % 27 == 1 && field == "inactiveNominators") {
                        supporters(field, random.number(0...(index % 11 == 0 ? 40 : 6)), &writer, &random)
                    }
                    writer.double("updated", Self.now - Double(age) * 21_600_000)
                    writer.version()
                }
            }
        }
    }

    private func supporters(_ field: String, _ count: Int, _ writer: inout BSONWriter, _ random: inout SampleRandom) {
        var copy = random
        writer.array(field, count: count) { writer, _, key in
            let address = copy.address(network)
            let bonded = copy.decimal(0...2000, places: 4)
            writer.item(key, &copy) { writer in
                writer.string("address", address)
                writer.number("bonded", bonded)
            }
        }
        random = copy
    }

    func locations(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        let places = [
            ("Helsinki", "Uusimaa", "Finland"), ("Falkenstein", "Saxony", "Germany"),
            ("Roubaix", "Hauts-de-France", "France"),
            ("Zürich", "Zurich", "Switzerland"), ("São Paulo", "São Paulo", "Brazil"),
            ("Singapore", "Singapore", "Singapore"),
            ("Warsaw", "Mazovia", "Poland"), ("None", "None", "None"), ("Vilnius", "Vilnius", "Lithuania"),
        ]
        let providers = [
            "Hetzner Online GmbH", "OVH SAS", "Amazon.com, Inc.", "Contabo GmbH", "None", "UAB Cherry Servers",
        ]
        var serial = 0.0
        for age in (0..<2).reversed() {
            for (index, candidate) in candidates.enumerated() where index % 7 != 6 && (age == 0 || index % 2 == 0) {
                let (city, region, country) = random.pick(places)
                serial += 1
                writer.document { writer in
                    writer.identity(&random)
                    if index % 83 != 30 { writer.number("slotId", Double(candidate.slotId)) }
                    writer.string("name", candidate.name)
                    writer.string("address", candidate.stash)
                    writer.string("addr", "203.0.113.\(random.number(1...254))")
                    writer.int32("port", 30333)
                    writer.string("city", city)
                    writer.string("region", region)
                    writer.string("country", country)
                    writer.string("provider", random.pick(providers))
                    // No two alike: which of two equally new locations wins is nobody's to say.
                    writer.double("updated", Self.now - Double(age) * 7_200_000 + serial)
                    writer.int32("session", Int32(network.session - age))
                    writer.string("source", "Telemetry")
                    writer.bool("vpn", false)
                    if index % 13 != 2 {
                        writer.string(
                            "cpu",
                            random.pick([
                                "AMD Ryzen 9 5950X 16-Core Processor", "Intel(R) Xeon(R) E-2386G CPU @ 3.50GHz",
                            ]))
                        writer.string("memory", String(random.number(16...128) * 1_073_741_824))
                        writer.string("coreCount", String(random.pick([4, 8, 16])))
                        writer.bool("vm", random.chance(10))
                    }
                    writer.version()
                }
            }
        }
    }
}
