import Testing

@testable import Documents

@Suite("Sample data")
struct SampleDataTests {
    @Test func theSameSeedGivesTheSameBytes() {
        let first = SampleData(seed: 7, shape: .small).documents()
        let second = SampleData(seed: 7, shape: .small).documents()
        let other = SampleData(seed: 8, shape: .small).documents()
        #expect(first.map(\.documents.bytes) == second.map(\.documents.bytes))
        #expect(first.map(\.documents.bytes) != other.map(\.documents.bytes))
        #expect(first.map(\.collection) == Collection.allCases)
    }

    @Test func noCollectionIsEmptyAndEveryDocumentIsWhole() throws {
        for (collection, documents) in SampleData(shape: .small).documents() {
            #expect(!documents.isEmpty, "\(collection)")
            let span = documents.bytes.span
            for start in documents.starts {
                var scanner = try BSONScanner(document: start, in: span)
                let first = try scanner.next(in: span)
                #expect(first?.type == .objectID, "\(collection) begins with its _id")
                while try scanner.next(in: span) != nil {}
            }
        }
    }

    @Test func defaultShapeHasAThousandCandidates() {
        #expect(SampleData().candidates.count >= 1000)
    }

    @Test func addressesLookLikeTheNetworks() {
        for network in SampleNetwork.allCases {
            for candidate in SampleData(network: network, shape: .small).candidates {
                #expect((47...48).contains(candidate.stash.utf8.count))
                #expect(SampleNetwork.of(address: candidate.stash) == network)
            }
        }
    }

    /// The irregularities that make a sample worth having, each counted.
    @Test func candidatesAreAsIrregularAsStoredOnes() async throws {
        let store = try EmbeddedStore(reading: .memory)
        try store.insert(
            SampleData(shape: .init(candidates: 200, validators: 12, eras: 3, sessions: 1, rewards: 100)).documents())
        let all = try await store.find(Query(.candidates)).count
        func count(_ criterion: Criterion, _ collection: Collection = .candidates) async throws -> Int {
            try await store.find(Query(collection, [criterion])).count
        }
        #expect(all == 200)
        #expect(try await count(Criterion("stash", .isString)) < all)
        #expect(try await count(Criterion("slotId", .equals(.null))) > 0)
        #expect(try await count(Criterion("valid", .equals(.null))) > 0)
        #expect(try await count(Criterion("bonded", .equals(.null))) > 0)
        #expect(try await count(Criterion("city", .equals(.string("None"))), .locations) > 0)
        #expect(try await count(Criterion("slotId", .equals(.null)), .locations) > 0)
        #expect(try await count(Criterion("keys", .equals(.null)), .validators) > 0)
        #expect(try await count(Criterion("rewardAmount", .equals(.null)), .rewards) > 0)
        #expect(try await count(Criterion("rewardAmount", .equals(.number(0))), .rewards) > 0)
        await store.close()
    }

    @Test func factsOfAFileAreCandidatesWithoutHistory() async throws {
        let candidate = SampleCandidate(
            slotId: 3, name: "N", stash: "1abc", kusamaStash: "", kyc: true, skipSelfStake: false, handles: ["@a:b"])
        let store = try EmbeddedStore(reading: .memory)
        try store.insert(SampleData(network: .polkadot, candidates: [candidate]).facts())
        let found = try await store.find([
            .matching(.candidates, "stash", .string("1abc")),
            Query(.chainMetadata, [Criterion("decimals", .equals(.number(10)))]),
            Query(.validatorScores),
        ])
        #expect(found.map(\.count) == [1, 1, 0])
        await store.close()
    }
}
