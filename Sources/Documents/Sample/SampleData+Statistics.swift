extension SampleData {
    func scoreMetadata(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        let groups = [
            "bonded", "faults", "inclusion", "spanInclusion", "discoveredAt", "nominatedAt", "offline", "rank",
            "location",
            "region", "country", "provider", "nominatorStake",
        ]
        for age in (0..<shape.sessions).reversed() {
            writer.document { writer in
                writer.identity(&random)
                writer.int32("session", Int32(network.session - age))
                for group in groups {
                    statistics(group, &writer, &random)
                    // The fault weight is written under another name than it is declared, and so never stored.
                    if group != "faults" { writer.int32("\(group)Weight", Int32(random.number(5...200))) }
                }
                writer.double("updated", Self.now - Double(age) * 3_600_000)
                writer.version()
            }
        }
    }

    private func statistics(_ group: String, _ writer: inout BSONWriter, _ random: inout SampleRandom) {
        var copy = random
        let isPlace = ["location", "region", "country", "provider"].contains(group)
        writer.subdocument("\(group)Stats") { writer in
            writer.array("values", count: isPlace ? 12 : min(100, candidates.count)) { writer, index, key in
                if isPlace {
                    let nodes = Int32(copy.number(1...80))
                    writer.item(key, &copy) { writer in
                        writer.string("name", "\(group) \(index)")
                        writer.int32("numberOfNodes", nodes)
                    }
                } else {
                    writer.number(key, copy.decimal(0...100, places: 2))
                }
            }
            for figure in [
                "absoluteMin", "absoluteMax", "q10", "q25", "q50", "q75", "q90", "mean", "standardDeviation",
            ] {
                writer.number(figure, copy.decimal(0...100, places: 6))
            }
        }
        random = copy
    }

    func locationStats(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (0..<shape.sessions).reversed() {
            writer.document { writer in
                writer.identity(&random)
                var copy = random
                for list in ["locations", "regions", "countries", "providers"] {
                    writer.array(list, count: 20) { writer, index, key in
                        // Few distinct counts: equals keep their order when sorted.
                        let nodes = Int32(copy.number(1...9))
                        writer.item(key, &copy) { writer in
                            writer.string("name", "\(list) \(index)")
                            writer.int32("numberOfNodes", nodes)
                        }
                    }
                }
                random = copy
                writer.int32("totalNodes", Int32(random.number(400...600)))
                writer.int32("session", Int32(network.session - age))
                for figure in [
                    "locationVariance", "regionVariance", "countryVariance", "providerVariance", "decentralization",
                ] {
                    writer.double(figure, random.decimal(0...5000, places: 9))
                }
                writer.double("updated", Self.now - Double(age) * 3_600_000)
                writer.version()
            }
        }
    }

    func rewards(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for index in 0..<shape.rewards {
            let isValidator = index % 2 == 0
            let validator = validators.isEmpty ? "" : validators[random.number(0...min(validators.count, 120) - 1)]
            writer.document { writer in
                writer.identity(&random)
                writer.string("role", isValidator ? "validator" : "nominator")
                writer.number("exposurePercentage", random.decimal(0...100, places: 6))
                writer.number("exposure", random.decimal(0...5000, places: 6))
                if index % 37 != 4 { writer.number("totalStake", random.decimal(1000...9000, places: 6)) }
                writer.number("commission", random.pick([0, 1, 2.5, 5, 10]))
                writer.int32("era", Int32(network.era - index % 80))
                if index % 61 != 8 { writer.string("validator", validator) }
                writer.string(
                    "nominator",
                    isValidator ? validator : validators.isEmpty ? "" : validators[index % validators.count])
                switch index % 23 {
                case 5: break
                case 6: writer.int32("rewardAmount", 0)
                case 7: writer.null("rewardAmount")
                default: writer.number("rewardAmount", random.decimal(0...3, places: 12))
                }
                writer.string("rewardDestination", "Staked")
                writer.number("erasMinStake", random.decimal(1000...3000, places: 6))
                if index % 41 != 9 { writer.number("validatorStakeEfficiency", random.decimal(50...100, places: 9)) }
                writer.string("blockHash", random.hexadecimal(64))
                writer.int32("blockNumber", Int32(network.block - index * 10))
                writer.double("timestamp", Self.now - Double(index) * 60_000)
                writer.string("date", "13-11-2024")
                writer.number("chf", random.decimal(0...40, places: 4))
                writer.number("usd", random.decimal(0...40, places: 4))
                writer.number("eur", random.decimal(0...40, places: 4))
                writer.version()
            }
        }
    }

    func identities(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for (index, candidate) in candidates.enumerated() where index % 3 != 2 {
            // Some operators run several candidates under one identity: the next one is found only through it.
            let next = index % 3 == 1 && index + 1 < candidates.count ? candidates[index + 1] : nil
            writer.document { writer in
                writer.identity(&random)
                writer.string("name", candidate.name)
                writer.string("address", candidate.stash)
                writer.bool("verified", candidate.kyc)
                var copy = random
                writer.array("subIdentities", count: next == nil ? 0 : 1) { writer, _, key in
                    writer.item(key, &copy) { writer in
                        writer.string("name", next?.name ?? "")
                        writer.string("address", next?.stash ?? "")
                    }
                }
                random = copy
                writer.string("display", candidate.name)
                if index % 4 == 0 { writer.string("web", "https://node\(index).example.org/") }
                writer.strings("judgements", index % 2 == 0 ? ["Reasonable"] : [])
                writer.version()
            }
        }
    }
}
