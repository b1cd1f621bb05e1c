/// Documents shaped like the real database's, irregularities included, from a seed. The same seed gives the same bytes.
package struct SampleData: Sendable {
    /// How much of everything there is.
    package struct Shape: Sendable, Equatable {
        package var candidates: Int
        /// Validators in each set, and so entries in each era's points.
        package var validators: Int
        package var eras: Int
        package var sessions: Int
        package var rewards: Int

        package init(
            candidates: Int = 1126, validators: Int = 160, eras: Int = 88, sessions: Int = 4, rewards: Int = 3000
        ) {
            self.candidates = candidates
            self.validators = validators
            self.eras = eras
            self.sessions = sessions
            self.rewards = rewards
        }

        /// As many documents per collection as the production database holds of a few days.
        package static let realistic = Shape(validators: 1000, eras: 90, sessions: 24, rewards: 20_000)
        /// Enough of each irregularity for tests.
        package static let small = Shape(candidates: 40, validators: 12, eras: 86, sessions: 3, rewards: 60)
    }

    package let network: SampleNetwork
    let shape: Shape
    let seed: UInt64
    let candidates: [SampleCandidate]
    /// The addresses in the newest validator set: some candidates, some others.
    let validators: [String]

    /// 13 November 2024, 12:00 UTC in milliseconds: sample times count back from here, not from the clock.
    static let now = 1_731_499_200_000.0

    /// - Parameter candidates: who the candidates are, nil to invent them.
    package init(
        seed: UInt64 = 1, network: SampleNetwork = .kusama, shape: Shape = Shape(), candidates: [SampleCandidate]? = nil
    ) {
        self.network = network
        self.shape = shape
        self.seed = seed
        var random = SampleRandom(seed: seed)
        self.candidates = candidates ?? SampleCandidate.invent(shape.candidates, network, &random)
        var validators: [String] = []
        for index in 0..<shape.validators {
            let isCandidate = index % 2 == 0 && index < self.candidates.count
            validators.append(isCandidate ? self.candidates[index].stash : random.address(network))
        }
        self.validators = validators
    }

    /// Every collection, in a fixed order. Each draws from its own sequence, so that a change to one leaves the others.
    package func documents() -> [(collection: Collection, documents: DocumentBatch)] {
        Collection.allCases.map { collection in
            var writer = BSONWriter()
            var random = SampleRandom(seed: seed &+ SampleData.salt(collection))
            write(collection, &writer, &random)
            // The writer's own documents are whole; an empty batch would show as a missing collection in every test.
            return (collection, (try? DocumentBatch(writer.bytes)) ?? DocumentBatch())
        }
    }

    /// The documents that the candidates file itself accounts for: candidates without any history, and the chain's figures.
    package func facts() -> [(collection: Collection, documents: DocumentBatch)] {
        [Collection.candidates, .chainMetadata].map { collection in
            var writer = BSONWriter()
            var random = SampleRandom(seed: seed &+ SampleData.salt(collection))
            if collection == .candidates {
                bareCandidates(&writer, &random)
            } else {
                write(collection, &writer, &random)
            }
            return (collection, (try? DocumentBatch(writer.bytes)) ?? DocumentBatch())
        }
    }

    /// A number of its own for each collection (FNV-1a of its name).
    private static func salt(_ collection: Collection) -> UInt64 {
        collection.rawValue.utf8.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    }

    private func write(_ collection: Collection, _ writer: inout BSONWriter, _ random: inout SampleRandom) {
        switch collection {
        case .candidates: candidates(&writer, &random)
        case .chainMetadata: chainMetadata(&writer, &random)
        case .validatorScores: scores(&writer, &random)
        case .nominatorStakes: stakes(&writer, &random)
        case .locations: locations(&writer, &random)
        case .nominators: nominators(&writer, &random)
        case .nominations: nominations(&writer, &random)
        case .eras: eras(&writer, &random)
        case .delayedTransactions: delayedTransactions(&writer, &random)
        case .eraPoints: eraPoints(&writer, &random)
        case .totalEraPoints: totalEraPoints(&writer, &random)
        case .scoreMetadata: scoreMetadata(&writer, &random)
        case .validatorSets: validatorSets(&writer, &random)
        case .eraStats: eraStats(&writer, &random)
        case .locationStats: locationStats(&writer, &random)
        case .validators: validators(&writer, &random)
        case .rewards: rewards(&writer, &random)
        case .identities: identities(&writer, &random)
        case .blockIndex: blockIndex(&writer, &random)
        case .releases: releases(&writer, &random)
        }
    }
}

extension BSONWriter {
    /// An ObjectId that MongoDB could have made.
    mutating func identity(_ random: inout SampleRandom) {
        objectID("_id", 0x6730_0000 | UInt32(truncatingIfNeeded: random.next() & 0xFFFF), random.next())
    }

    mutating func version() {
        int32("__v", 0)
    }

    /// A sub-document whose own `_id` stands first or last, as both are found in stored data.
    mutating func item(_ name: String, _ random: inout SampleRandom, _ body: (inout BSONWriter) -> Void) {
        let first = random.chance(50)
        var copy = random
        subdocument(name) { writer in
            if first { writer.identity(&copy) }
            body(&writer)
            if !first { writer.identity(&copy) }
        }
        random = copy
    }
}
