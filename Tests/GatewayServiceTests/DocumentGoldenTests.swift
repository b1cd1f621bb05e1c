import Documents
import Testing

@testable import GatewayService

@Suite("Golden: documents as stored")
struct DocumentGoldenTests {
    private static let id = #""_id":{"$oid":"0123456789abcdef01234567"}"#
    private static let idJSON = #""_id":"0123456789abcdef01234567""#

    @Test func nominatorStake() async throws {
        let fixture = Fixture(
            (
                .nominatorStakes,
                [
                    #"{\#(Self.id),"validator":"V","era":8,"totalStake":1.5,"__v":0}"#, #"{"validator":"V","era":10}"#,
                    #"{"validator":"V","era":9}"#, #"{"validator":"W","era":99}"#,
                ]
            ))
        #expect(try await fixture.get("/nominatorstake/V") == #"{"validator":"V","era":10}"#)
        #expect(try await fixture.get("/nominatorstake/X") == nil)
        #expect(
            try await fixture.get("/nominatorstake/V/8")
                == #"{\#(Self.idJSON),"validator":"V","era":8,"totalStake":1.5,"__v":0}"#)
        #expect(try await fixture.get("/nominatorstake/V/0x8") != nil)
        #expect(try await fixture.get("/nominatorstake/V/%208.0e0") != nil)
        #expect(try await fixture.get("/nominatorstake/V/7") == nil)
        #expect(try await fixture.get("/nominatorstake/V/Infinity") == nil)
        #expect(await fixture.fails("/nominatorstake/V/last"))
        #expect(await fixture.fails("/nominatorstake/V/8a"))
    }

    @Test(arguments: [
        ("1", 1), ("2", 2), ("0", 3), ("%20", 3), ("-2", 2), ("1.9", 1), ("0.5", 3), ("1e1", 3),
        ("99999999999999999999", 3), ("-0", 3),
    ])
    func limits(limit: String, count: Int) async throws {
        let documents = [8, 10, 9].map { #"{"validator":"V","era":\#($0)}"# }
        let expected = [10, 9, 8].prefix(count).map { #"{"validator":"V","era":\#($0)}"# }.joined(separator: ",")
        #expect(
            try await Fixture((.nominatorStakes, documents)).get("/nominatorstake/V/last/\(limit)") == "[\(expected)]")
    }

    @Test(arguments: ["abc", "NaN", "Infinity", "-Infinity", "1x"])
    func limitsThatFail(limit: String) async {
        #expect(await Fixture().fails("/nominatorstake/V/last/\(limit)"))
    }

    @Test func theCapBoundsEveryLimit() async throws {
        let documents = (1...5).map { #"{"validator":"V","era":\#($0)}"# }
        let fixture = Fixture((.nominatorStakes, documents), options: .init(limitCap: 2))
        for limit in ["0", "3", "-9", "2"] {
            let found = try #require(try await fixture.get("/nominatorstake/V/last/\(limit)"))
            #expect(found == #"[{"validator":"V","era":5},{"validator":"V","era":4}]"#)
        }
        #expect(try await fixture.get("/nominatorstake/V/last/1") == #"[{"validator":"V","era":5}]"#)
    }

    @Test func nominators() async throws {
        let fixture = Fixture((.nominators, [#"{"address":"A","stash":"S"}"#, #"{"address":"S","stash":"T"}"#]))
        #expect(try await fixture.get("/nominators") == #"[{"address":"A","stash":"S"},{"address":"S","stash":"T"}]"#)
        #expect(try await fixture.get("/nominator/S") == #"{"address":"A","stash":"S"}"#)
        #expect(try await fixture.get("/nominator/A") == nil)
        #expect(try await Fixture().get("/nominators") == "[]")
    }

    @Test func nominationsAndWhatIsForgotten() async throws {
        let fixture = Fixture((.nominations, [#"{"address":"A","era":1}"#, #"{"address":"B","era":2}"#]))
        #expect(try await fixture.get("/nominations") == #"[{"address":"A","era":1},{"address":"B","era":2}]"#)
        for last in ["5", "0", "abc", "Infinity"] { #expect(try await fixture.get("/nominations/A/\(last)") == nil) }
    }

    @Test func lastNomination() async throws {
        let fixture = Fixture(
            (.eras, [#"{"lastNominatedEraIndex":"none"}"#, #"{"lastNominatedEraIndex":"7149","when":{"$double":5}}"#]))
        #expect(try await fixture.get("/lastnomination") == #"{"lastNominatedEraIndex":"7149","when":5}"#)
        #expect(try await Fixture().get("/lastnomination") == nil)
    }

    @Test func proxyTransactions() async throws {
        #expect(
            try await Fixture((.delayedTransactions, [#"{"number":5,"targets":["a"]}"#])).get("/proxytxs")
                == #"[{"number":5,"targets":["a"]}]"#)
        #expect(try await Fixture().get("/proxytxs") == "[]")
    }

    @Test func eraPointsOfTheLast84Eras() async throws {
        let fixture = Fixture(
            (.totalEraPoints, [#"{"era":100}"#, #"{"era":16}"#, #"{"era":17}"#]),
            (
                .eraPoints,
                [
                    #"{"address":"A","era":16}"#, #"{"address":"A","era":17}"#, #"{"address":"B","era":100}"#,
                    #"{"address":"A","era":100}"#,
                ]
            ))
        #expect(try await fixture.get("/erapoints/A") == #"[{"address":"A","era":17},{"address":"A","era":100}]"#)
        #expect(try await fixture.get("/erapoints/X") == "[]")
        #expect(try await fixture.get("/totalerapoints") == #"[{"era":100},{"era":17}]"#)
        #expect(await Fixture().fails("/erapoints/A"))
        #expect(await Fixture().fails("/totalerapoints"))
        #expect(await Fixture((.totalEraPoints, [#"{"max":1}"#])).fails("/totalerapoints"))
    }

    @Test func scores() async throws {
        let fixture = Fixture(
            (
                .validatorScores,
                [
                    #"{\#(Self.id),"address":"A","session":5,"total":1,"__v":0}"#,
                    #"{"address":"A","session":6,"total":2,"_id":{"$oid":"0123456789abcdef01234568"},"__v":0}"#,
                ]
            ))
        #expect(try await fixture.get("/score/A") == #"{"address":"A","session":6,"total":2}"#)
        #expect(try await fixture.get("/score/B") == nil)
        #expect(try await fixture.get("/score/A/5") == #"{"address":"A","session":5,"total":1}"#)
        #expect(try await fixture.get("/score/A/7") == nil)
        #expect(await fixture.fails("/score/A/x"))
    }

    @Test func scoreMetadata() async throws {
        let fixture = Fixture(
            (.scoreMetadata, [#"{\#(Self.id),"session":9,"updated":1,"__v":0}"#, #"{"session":8,"updated":2}"#]))
        #expect(try await fixture.get("/scoremetadata") == #"{"session":8,"updated":2}"#)
        #expect(try await fixture.get("/scoremetadata/9") == #"{\#(Self.idJSON),"session":9,"updated":1,"__v":0}"#)
        #expect(try await fixture.get("/scoremetadata/7") == nil)
        #expect(await fixture.fails("/scoremetadata/x"))
        #expect(try await Fixture().get("/scoremetadata") == nil)
    }

    @Test func eraStatsIsAList() async throws {
        #expect(
            try await Fixture((.eraStats, [#"{"era":1}"#, #"{"era":3}"#, #"{"era":2}"#])).get("/erastats")
                == #"[{"era":3}]"#)
        #expect(try await Fixture().get("/erastats") == "[]")
    }

    @Test func blockIndexAndRelease() async throws {
        #expect(
            try await Fixture((.blockIndex, [#"{"earliest":5,"latest":30}"#])).get("/blockindex")
                == #"{"latest":30,"earliest":5,"blocksIndexed":25}"#)
        #expect(
            try await Fixture((.blockIndex, [#"{"latest":30}"#])).get("/blockindex")
                == #"{"latest":30,"blocksIndexed":null}"#)
        #expect(try await Fixture().get("/blockindex") == #"{"blocksIndexed":null}"#)
        #expect(
            try await Fixture((.releases, [#"{"name":"a","publishedAt":1}"#, #"{"name":"b","publishedAt":2}"#])).get(
                "/release") == #"{"name":"b","publishedAt":2}"#)
        #expect(try await Fixture().get("/release") == nil)
    }

    @Test func statisticsAreConstants() async throws {
        #expect(try await Fixture().get("/stats/totalRequests") == "1")
        #expect(try await Fixture().get("/stats/endpointCounts") == #"{"requestReceived":1}"#)
    }
}
