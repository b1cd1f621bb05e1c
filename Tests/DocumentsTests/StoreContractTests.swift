import Foundation
import Synchronization
import Testing

@testable import Documents

/// What every store must do alike. The suite runs over each store that the machine can offer.
@Suite("Document store contract")
struct StoreContractTests {
    /// The value of `n` in each document found, in the order found.
    private func numbers(_ batch: DocumentBatch) throws -> [Int] {
        try batch.starts.map { try Self.number($0, batch.bytes.span) }
    }

    private static func number(_ start: Int, _ bytes: Span<UInt8>) throws -> Int {
        guard let element = try bytes.element("n", inDocument: start) else { return -1 }
        return Int(bytes.number(of: element) ?? -1)
    }

    /// What is found, which is also what a fold sees.
    private func find(
        _ documents: [String], _ query: Query, _ kind: StoreKind, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> [Int] {
        try await kind.withStore([(query.collection, documents)]) { store in
            let found = try self.numbers(try await store.find(query))
            let folded = try await store.reduce(query, into: [Int]()) { $0.append(try Self.number(0, $1)) }
            #expect(folded == found, sourceLocation: sourceLocation)
            return found
        }
    }

    // MARK: Filters

    @Test(arguments: StoreKind.available)
    func equalityOfText(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"stash":"A"}"#, #"{"n":2,"stash":"a"}"#, #"{"n":3,"stash":"A "}"#, #"{"n":4}"#,
            #"{"n":5,"stash":null}"#,
            #"{"n":6,"stash":["B","A"]}"#, #"{"n":7,"stash":{"A":1}}"#, #"{"n":8,"stash":"A"}"#,
        ]
        let found = try await find(documents, .matching(.candidates, "stash", .string("A")), kind)
        #expect(found == [1, 6, 8])
    }

    @Test(arguments: StoreKind.available)
    func nullFindsMissingFieldsToo(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"slotId":0}"#, #"{"n":2,"slotId":null}"#, #"{"n":3}"#, #"{"n":4,"slotId":""}"#,
            #"{"n":5,"slotId":[null]}"#,
            #"{"n":6,"slotId":[]}"#,
        ]
        let found = try await find(documents, .matching(.locations, "slotId", .null), kind)
        #expect(found == [2, 3, 5])
    }

    @Test(arguments: StoreKind.available)
    func numbersEqualAcrossTypes(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"era":7}"#, #"{"n":2,"era":{"$long":"7"}}"#, #"{"n":3,"era":{"$double":7}}"#,
            #"{"n":4,"era":"7"}"#,
            #"{"n":5,"era":7.5}"#, #"{"n":6,"era":{"$nan":true}}"#,
        ]
        let query = Query(.nominatorStakes, [Criterion("era", .equals(.number(7)))])
        #expect(try await find(documents, query, kind) == [1, 2, 3])
    }

    @Test(arguments: StoreKind.available)
    func bothZerosAreEqual(kind: StoreKind) async throws {
        let documents = [#"{"n":1,"era":{"$double":-0.0}}"#, #"{"n":2,"era":0}"#]
        #expect(try await find(documents, Query(.eraPoints, [Criterion("era", .equals(.number(0)))]), kind) == [1, 2])
    }

    @Test(arguments: StoreKind.available)
    func aBooleanIsNoNumber(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"valid":true}"#, #"{"n":2,"valid":1}"#, #"{"n":3,"valid":{"$double":1}}"#,
            #"{"n":4,"valid":[true]}"#, #"{"n":5,"valid":false}"#, #"{"n":6,"valid":0}"#, #"{"n":7}"#,
        ]
        func valid(_ condition: Condition) async throws -> [Int] {
            try await find(documents, Query(.candidates, [Criterion("valid", condition)]), kind)
        }
        #expect(try await valid(.equals(.bool(true))) == [1, 4])
        #expect(try await valid(.equals(.number(1))) == [2, 3])
        #expect(try await valid(.equals(.bool(false))) == [5])
        #expect(try await valid(.oneOf([.bool(false), .number(1)])) == [2, 3, 5])
    }

    @Test(arguments: StoreKind.available)
    func largeIntegersKeepApart(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"era":{"$long":"9007199254740993"}}"#, #"{"n":2,"era":{"$double":9007199254740992}}"#,
            #"{"n":3,"era":{"$long":"9007199254740992"}}"#,
        ]
        let query = Query(.eraPoints, [Criterion("era", .equals(.number(9_007_199_254_740_992)))])
        #expect(try await find(documents, query, kind) == [2, 3])
    }

    @Test(arguments: StoreKind.available)
    func atLeastTakesNumbersOnly(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"era":10}"#, #"{"n":2,"era":9.99}"#, #"{"n":3,"era":"11"}"#, #"{"n":4,"era":{"$long":"12"}}"#,
            #"{"n":5,"era":null}"#, #"{"n":6}"#, #"{"n":7,"era":{"$infinity":true}}"#, #"{"n":8,"era":true}"#,
            #"{"n":9,"era":{"$nan":true}}"#, #"{"n":10,"era":{"$date":99}}"#,
        ]
        #expect(try await find(documents, Query(.totalEraPoints, [Criterion("era", .atLeast(10))]), kind) == [1, 4, 7])
    }

    @Test(arguments: StoreKind.available)
    func isStringAndHasDigit(kind: StoreKind) async throws {
        let stashes = [
            #"{"n":1,"stash":""}"#, #"{"n":2,"stash":null}"#, #"{"n":3,"stash":5}"#, #"{"n":4,"stash":"x"}"#,
            #"{"n":5}"#,
        ]
        #expect(try await find(stashes, Query(.candidates, [Criterion("stash", .isString)]), kind) == [1, 4])
        let eras = [
            #"{"n":1,"lastNominatedEraIndex":"none"}"#, #"{"n":2,"lastNominatedEraIndex":7}"#,
            #"{"n":3,"lastNominatedEraIndex":"a7b"}"#,
        ]
        #expect(try await find(eras, Query(.eras, [Criterion("lastNominatedEraIndex", .hasDigit)]), kind) == [3])
    }

    @Test(arguments: StoreKind.available)
    func pathsReachIntoArraysOfDocuments(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"subIdentities":[{"address":"A"},{"address":"B"}]}"#, #"{"n":2,"subIdentities":[]}"#,
            #"{"n":3,"subIdentities":{"address":"B"}}"#, #"{"n":4,"subIdentities":["B"]}"#, #"{"n":5,"address":"B"}"#,
        ]
        let query = Query(.identities, [Criterion("subIdentities.address", .equals(.string("B")))])
        #expect(try await find(documents, query, kind) == [1, 3])
    }

    @Test(arguments: StoreKind.available)
    func oneOfAndSeveralCriteria(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"validator":"A","role":"validator"}"#, #"{"n":2,"validator":"A","role":"nominator"}"#,
            #"{"n":3,"validator":"B","role":"validator"}"#, #"{"n":4,"role":"validator"}"#,
        ]
        let both = Query(
            .rewards, [Criterion("validator", .equals(.string("A"))), Criterion("role", .equals(.string("validator")))])
        #expect(try await find(documents, both, kind) == [1])
        let some = Query(.rewards, [Criterion("validator", .oneOf([.string("B"), .null]))])
        #expect(try await find(documents, some, kind) == [3, 4])
        #expect(try await find(documents, Query(.rewards, [Criterion("validator", .oneOf([]))]), kind) == [])
    }

    /// Of which fields a store sends more is its own affair.
    @Test(arguments: StoreKind.available)
    func theFieldsAskedForComeAsStored(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"role":"validator","a":{"b":[1,{"c":2}]},"z":1}"#, #"{"z":1,"role":"validator","n":2}"#,
            #"{"role":"nominator","n":3}"#,
        ]
        let query = Query.matching(.rewards, "role", .string("validator"), fields: ["n", "a"])
        try await kind.withStore([(.rewards, documents)]) { store in
            let batch = try await store.find(query)
            #expect(try self.numbers(batch) == [1, 2])
            let whole = try ExtendedJSON.batch(documents)
            let found = try #require(try batch.bytes.span.element("a", inDocument: batch.starts[0]))
            let stored = try #require(try whole.bytes.span.element("a", inDocument: 0))
            #expect(batch.bytes[found.value] == whole.bytes[stored.value])
        }
    }

    // MARK: Order

    @Test(arguments: StoreKind.available)
    func descendingOrderOverTypes(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"session":null}"#, #"{"n":2,"session":5}"#, #"{"n":3,"session":"text"}"#,
            #"{"n":4,"session":{"$long":"6"}}"#,
            #"{"n":5,"session":true}"#, #"{"n":6,"session":{"$date":1}}"#,
            #"{"n":7,"session":{"$oid":"0123456789abcdef01234567"}}"#,
            #"{"n":8,"session":{"a":1}}"#, #"{"n":11,"session":5.5}"#, #"{"n":13,"session":{"$infinity":true}}"#,
            #"{"n":14,"session":false}"#,
        ]
        let found = try await find(documents, Query(.validatorSets, descendingBy: "session"), kind)
        #expect(found == [6, 5, 14, 7, 8, 3, 13, 4, 11, 2, 1])
    }

    // The mock behind the wire server cannot order what the next two tests are about; a real server can.
    @Test(arguments: StoreKind.available.filter { $0 != .wireServer })
    func descendingOrderOfTheExtremes(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"session":{"$minKey":true}}"#, #"{"n":2,"session":{"$nan":true}}"#,
            #"{"n":3,"session":{"$maxKey":true}}"#,
            #"{"n":4,"session":-5}"#, #"{"n":5}"#,
        ]
        let found = try await find(documents, Query(.validatorSets, descendingBy: "session"), kind)
        #expect(found == [3, 4, 2, 5, 1])
    }

    @Test(arguments: StoreKind.available.filter { $0 != .wireServer })
    func anArrayIsPlacedByItsGreatestItem(kind: StoreKind) async throws {
        let documents = [#"{"n":1,"session":5}"#, #"{"n":2,"session":[1,9]}"#, #"{"n":3,"session":[]}"#, #"{"n":4}"#]
        #expect(try await find(documents, Query(.validatorSets, descendingBy: "session"), kind) == [2, 1, 4, 3])
    }

    @Test(arguments: StoreKind.available)
    func limitTakesTheGreatest(kind: StoreKind) async throws {
        let documents = (1...250).map { #"{"n":\#($0),"era":\#(($0 * 37) % 251)}"# }
        let found = try await find(documents, Query(.eraStats, descendingBy: "era", limit: 3), kind)
        #expect(found.map { ($0 * 37) % 251 } == [250, 249, 248])
        #expect(try await find(documents, Query(.eraStats, limit: 2), kind) == [1, 2])
    }

    @Test(arguments: StoreKind.available)
    func storedOrderWithoutAWishAndManyBatches(kind: StoreKind) async throws {
        // More than a MongoDB server's first batch of 101.
        let documents = (1...1000).map { #"{"n":\#($0),"address":"\#($0 % 2)"}"# }
        #expect(try await find(documents, Query(.validators), kind) == Array(1...1000))
        let odd = Query.matching(.validators, "address", .string("1"))
        #expect(try await find(documents, odd, kind) == stride(from: 1, to: 1000, by: 2).map { $0 })
    }

    private struct Enough: Error {}

    /// In stored order, and with arrays in the way, where SQLite cannot decide by itself.
    @Test(arguments: StoreKind.available, [#"{"n":0,"address":"x"}"#, #"{"n":0,"address":["x"]}"#])
    func aFoldEndsWhereItIsEnded(kind: StoreKind, first: String) async throws {
        let documents = [first] + (1...300).map { #"{"n":\#($0),"address":"x"}"# }
        let query = Query.matching(.validators, "address", .string("x"))
        try await kind.withStore([(.validators, documents)]) { store async throws in
            let seen = Mutex<[Int]>([])
            await #expect(throws: Enough.self) {
                try await store.reduce(query, into: 0) { count, document in
                    let number = try Self.number(0, document)
                    seen.withLock { $0.append(number) }
                    count += 1
                    if count == 150 { throw Enough() }
                }
            }
            #expect(seen.withLock { $0 } == Array(0..<150))
            // Nothing is left behind that would be in the way of the next.
            for _ in 0..<4 { #expect(try await store.reduce(query, into: 0) { count, _ in count += 1 } == 301) }
        }
    }

    @Test(arguments: StoreKind.available)
    func aFoldIsGivenUpWhenItsTimeIsUp(kind: StoreKind) async throws {
        try await kind.withStore([(.validators, (1...2000).map { #"{"n":\#($0)}"# })]) { store async throws in
            await #expect(throws: StoreError.timedOut) {
                try await QueryDeadline.$current.withValue(.now + .milliseconds(50)) {
                    // Each takes its time: all would take far longer than they have.
                    try await store.reduce(Query(.validators), into: 0) { count, _ in
                        count += 1
                        Thread.sleep(forTimeInterval: 0.001)
                    }
                }
            }
        }
    }

    // MARK: Joins

    @Test(arguments: StoreKind.available)
    func newestPerKey(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"slotId":7,"updated":10}"#, #"{"n":2,"slotId":{"$double":7},"updated":30}"#,
            #"{"n":3,"slotId":7,"updated":20}"#,
            #"{"n":4,"slotId":8,"updated":{"$long":"5"}}"#, #"{"n":5,"updated":1}"#,
            #"{"n":6,"slotId":null,"updated":2}"#,
        ]
        let query = NewestQuery(
            .locations, key: "slotId", values: [.number(7), .number(9), .null, .number(8), .number(7)], by: "updated")
        try await kind.withStore([(.locations, documents)]) { store in
            let answer = try await store.newest([query])
            let batch = try #require(answer.first)
            let span = batch.documents.bytes.span
            var found: [Int?] = []
            for start in batch.starts {
                guard let start, let element = try span.element("n", inDocument: start) else {
                    found.append(nil)
                    continue
                }
                found.append(span.number(of: element).map { Int($0) })
            }
            #expect(found == [2, nil, 6, 4, 2])
        }
    }

    /// An array belongs to each of its items, and a newer scalar goes before it.
    @Test(arguments: StoreKind.available)
    func newestPerKeyAmongArrays(kind: StoreKind) async throws {
        let documents = [
            #"{"n":1,"validator":["A","B"],"era":9}"#, #"{"n":2,"validator":"A","era":8}"#,
            #"{"n":3,"validator":"B","era":10}"#, #"{"n":4,"validator":["C"],"era":1}"#,
        ]
        let query = NewestQuery(
            .nominatorStakes, key: "validator", values: ["A", "B", "C", "D"].map { .string($0) }, by: "era")
        #expect(try await newest(documents, query, kind) == [1, 3, 4, nil])
    }

    /// One letter in two spellings.
    @Test(arguments: StoreKind.available, [true, false])
    func newestPerKeyByItsBytes(kind: StoreKind, hasLongHistory: Bool) async throws {
        let (one, two) = ("\u{E9}", "e\u{301}")
        let documents = [
            #"{"n":1,"address":"\#(one)","session":1}"#, #"{"n":2,"address":"\#(two)","session":2}"#,
            #"{"n":3,"address":"x","session":3}"#,
        ]
        let query = NewestQuery(
            .validatorScores, key: "address", values: [one, two].map { .string($0) }, by: "session",
            hasLongHistory: hasLongHistory)
        #expect(try await newest(documents, query, kind) == [1, 2])
    }

    /// What `newest` finds, as the value of `n` for each key asked for.
    private func newest(
        _ documents: [String], _ query: NewestQuery, _ kind: StoreKind
    ) async throws -> [Int?] {
        try await kind.withStore([(query.collection, documents)]) { store in
            let batch = try #require(try await store.newest([query]).first)
            let span = batch.documents.bytes.span
            return try batch.starts.map { start in
                guard let start, let element = try span.element("n", inDocument: start) else { return nil }
                return span.number(of: element).map { Int($0) }
            }
        }
    }

    /// Values whose newest document is old, values with other types in the order's place, equals, and values without any.
    @Test(arguments: StoreKind.available, [true, false])
    func aLongHistoryDoesNotChangeTheAnswer(kind: StoreKind, hasLongHistory: Bool) async throws {
        var documents: [String] = []
        func add(_ address: String, _ session: String) {
            documents.append(#"{"n":\#(documents.count),"address":"\#(address)","session":\#(session)}"#)
        }
        for session in 1...40 {
            for address in ["A", "B", "C"] { add(address, String(session)) }
            if session < 4 { add("old", String(session)) }
        }
        add("A", "40")
        add("odd", #""text""#)
        add("odd", "40")
        add("null", "null")
        add("null", "1")
        add("B", #"{"$long":"40"}"#)
        add("C", "40.5")
        let query = NewestQuery(
            .validatorScores, key: "address",
            values: ["C", "nobody", "odd", "A", "old", "B", "null", "A"].map { .string($0) }, by: "session",
            hasLongHistory: hasLongHistory)
        let found = try await newest(documents, query, kind)
        // Of A's and B's equals the one stored first: 117 + 3 documents came before the last session's.
        #expect(found == [documents.count - 1, nil, 124, 120, 11, 121, 127, 120])
    }

    @Test(arguments: StoreKind.available)
    func aLongHistoryOfLessThanAskedFor(kind: StoreKind) async throws {
        let query = NewestQuery(
            .validatorScores, key: "address", values: ["A", "B", "C"].map { .string($0) }, by: "session",
            hasLongHistory: true)
        #expect(try await newest([], query, kind) == [nil, nil, nil])
        #expect(try await newest([#"{"n":7,"address":"B","session":1}"#], query, kind) == [nil, 7, nil])
    }

    @Test(arguments: StoreKind.available)
    func emptyCollectionsAnswerEmpty(kind: StoreKind) async throws {
        try await kind.withStore([]) { store in
            for collection in Collection.allCases {
                #expect(try await store.find(Query(collection)).isEmpty)
            }
            let joins = try await store.newest([NewestQuery(.locations, key: "slotId", values: [.null], by: "updated")])
            #expect(joins.first?.starts == [nil])
            try await store.check()
        }
    }

    @Test(arguments: StoreKind.available)
    func aClosedStoreFails(kind: StoreKind) async throws {
        try await kind.withStore([(.releases, [#"{"n":1}"#])]) { store async throws in
            let before = try await store.find(Query(.releases))
            #expect(before.count == 1)
            await store.close()
            await #expect(throws: StoreError.unavailable("the store is closed")) {
                _ = try await store.find(Query(.releases))
            }
            await #expect(throws: StoreError.unavailable("the store is closed")) { try await store.check() }
            await #expect(throws: StoreError.unavailable("the store is closed")) {
                try await store.reduce(Query(.releases), into: 0) { count, _ in count += 1 }
            }
        }
    }

    @Test(arguments: StoreKind.available)
    func documentsComeBackByteForByte(kind: StoreKind) async throws {
        let text = #"""
            {"_id":{"$oid":"0123456789abcdef01234567"},"a":1.5,"b":"tëxt","c":{"x":1},"d":[1,"two",null],"e":{"$binary":[1,2,3]},
             "h":true,"i":{"$date":-1},"j":null,"l":{"$long":"9007199254740993"},"q":{"$double":7}}
            """#
        let expected = try ExtendedJSON.batch([text])
        try await kind.withStore([(.releases, [text])]) { store in
            let found = try await store.find(Query(.releases))
            #expect(found.bytes == expected.bytes)
        }
    }
}
