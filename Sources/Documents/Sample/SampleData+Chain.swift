extension SampleData {
    func chainMetadata(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        writer.document { writer in
            writer.identity(&random)
            writer.int32("decimals", network.decimals)
            writer.string("name", network.displayName)
            writer.version()
        }
    }

    func nominators(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for index in 0..<16 {
            writer.document { writer in
                writer.identity(&random)
                writer.double("avgStake", random.decimal(1000...9000, places: 6))
                writer.int32("nominateAmount", Int32(random.number(10...24)))
                writer.double("lastNomination", Self.now - Double(random.number(0...86_400_000)))
                writer.double("createdAt", Self.now - 200_000_000)
                writer.string("address", random.address(network))
                writer.string("stash", random.address(network))
                writer.string("proxy", index % 3 == 0 ? "" : random.address(network))
                writer.double("bonded", Double(random.number(50_000_000_000_000_000...90_000_000_000_000_000)))
                writer.int32("proxyDelay", index % 2 == 0 ? 10850 : 0)
                writer.string("rewardDestination", "Staked")
                writer.array("current", count: min(8, candidates.count)) { writer, place, key in
                    let candidate = candidates[(index * 8 + place) % candidates.count]
                    writer.subdocument(key) { writer in
                        writer.string("name", candidate.name)
                        writer.string("stash", candidate.stash)
                        writer.subdocument("identity") { $0.string("name", candidate.name) }
                    }
                }
                writer.version()
            }
        }
    }

    func nominations(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for index in 0..<200 {
            writer.document { writer in
                writer.identity(&random)
                writer.string("address", random.address(network))
                writer.int32("era", Int32(network.era - index / 16))
                writer.array("validators", count: 16) { writer, place, key in
                    writer.string(
                        key, candidates.isEmpty ? "" : candidates[(index + place * 7) % candidates.count].stash)
                }
                writer.double("timestamp", Self.now - Double(index) * 1_350_000)
                writer.double("bonded", Double(random.number(50_000_000_000_000_000...90_000_000_000_000_000)))
                writer.string("blockHash", random.hexadecimal(64))
                writer.version()
            }
        }
    }

    func eras(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        writer.document { writer in
            writer.identity(&random)
            writer.string("lastNominatedEraIndex", String(network.era - 1))
            writer.double("when", Self.now - 10_000_000)
            writer.double("nextNomination", Self.now + 11_600_000)
            writer.version()
        }
    }

    func delayedTransactions(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for index in 0..<4 {
            writer.document { writer in
                writer.identity(&random)
                writer.int32("number", Int32(network.block - index * 900))
                writer.string("controller", random.address(network))
                writer.strings("targets", candidates.prefix(16).map(\.stash))
                writer.string("callHash", random.hexadecimal(64))
                writer.version()
            }
        }
    }

    func eraPoints(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (1...shape.eras).reversed() {
            for address in validators {
                writer.document { writer in
                    writer.identity(&random)
                    writer.int32("era", Int32(network.era - age))
                    writer.string("address", address)
                    writer.int32("eraPoints", Int32(random.chance(3) ? 0 : random.number(20...200_000)))
                    writer.version()
                }
            }
        }
    }

    func totalEraPoints(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (1...shape.eras).reversed() {
            writer.document { writer in
                writer.identity(&random)
                writer.int32("totalEraPoints", Int32(random.number(20_000_000...90_000_000)))
                writer.int32("era", Int32(network.era - age))
                writer.int32("median", Int32(random.number(60_000...90_000)))
                writer.double("average", random.decimal(60_000...90_000, places: 3))
                writer.int32("max", 200_000)
                writer.int32("min", 20)
                var copy = random
                writer.array("validatorsEraPoints", count: validators.count) { writer, index, key in
                    let points = Int32(copy.number(20...200_000))
                    writer.item(key, &copy) { writer in
                        writer.string("address", validators[index])
                        writer.int32("eraPoints", points)
                    }
                }
                random = copy
                writer.version()
            }
        }
    }

    func validatorSets(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (0..<21).reversed() {
            writer.document { writer in
                writer.identity(&random)
                // A quarter of the set changes from era to era; the newest is the whole list.
                writer.strings("validators", age == 0 ? validators : validators.filter { _ in random.chance(75) })
                writer.int32("session", Int32(network.session - age * 6))
                writer.int32("era", Int32(network.era - age))
                // Written by an earlier release.
                if age > 18 { writer.double("updated", Self.now - Double(age) * 21_600_000) }
                writer.version()
            }
        }
    }

    func eraStats(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for age in (0..<30).reversed() {
            writer.document { writer in
                writer.identity(&random)
                writer.double("when", Self.now - Double(age) * 21_600_000)
                writer.int32("era", Int32(network.era - age))
                writer.int32("totalNodes", Int32(candidates.count))
                writer.int32("valid", Int32(random.number(400...600)))
                writer.int32("active", Int32(random.number(200...400)))
                if age < 25 { writer.int32("kyc", 351) }
                writer.version()
            }
        }
    }

    func validators(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for (index, address) in (validators + candidates.suffix(20).map(\.stash)).enumerated() {
            writer.document { writer in
                writer.identity(&random)
                writer.string("address", address)
                if index % 14 != 3 {
                    var copy = random
                    writer.subdocument("keys") { writer in
                        for key in [
                            "grandpa", "babe", "imOnline", "paraValidator", "authorityDiscovery", "paraAssignment",
                        ] {
                            writer.string(key, copy.hexadecimal(64))
                        }
                        writer.string(
                            "beefy",
                            index % 6 == 2 ? "0x62656566" + String(repeating: "0", count: 58) : copy.hexadecimal(66))
                    }
                    random = copy
                }
                writer.version()
            }
        }
    }

    func blockIndex(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        writer.document { writer in
            writer.identity(&random)
            writer.int32("earliest", Int32(network.block - 700_000))
            writer.int32("latest", Int32(network.block))
            writer.version()
        }
    }

    func releases(_ writer: inout BSONWriter, _ random: inout SampleRandom) {
        for (age, name) in ["v1.15.0", "v1.15.1", "v1.15.2", "v1.16.0", "v1.16.1"].reversed().enumerated().reversed() {
            writer.document { writer in
                writer.identity(&random)
                writer.string("name", name)
                writer.double("publishedAt", Self.now - Double(age + 1) * 1_209_600_000)
                writer.version()
            }
        }
    }
}
