import Documents
import Testing

@testable import GatewayService

@Suite("Golden: candidates")
struct CandidateGoldenTests {
    private static let full = #"""
        {"_id":{"$oid":"0123456789abcdef01234567"},"discoveredAt":1700000000000,"nominatedAt":7012,"offlineSince":0,
         "offlineAccumulated":0,"onlineSince":5,"updated":true,"rank":84,"faults":0,"faultEvents":[],"unclaimedEras":[],
         "inclusion":0.5,"spanInclusion":0.25,"invalidity":[{"_id":{"$oid":"aaaaaaaaaaaaaaaaaaaaaaaa"},"valid":true,"type":"ONLINE","details":"","updated":1}],
         "slotId":7,"kyc":false,"nodeRefs":1,"name":"n \"é\" /<b>","version":"1.15.2","stash":"S1","controller":"S1","kusamaStash":"",
         "valid":true,"lastValid":9,"commission":5,"identity":{"name":"i","_id":{"$oid":"bbbbbbbbbbbbbbbbbbbbbbbb"}},"active":true,
         "rewardDestination":"Staked","queuedKeys":"0x1","nextKeys":"0x2","bonded":{"$double":25500000000000},"skipSelfStake":false,
         "matrix":["@a:b"],"implementation":"Parity Polkadot","invalidityReasons":"old","telemetryId":4,"__v":0}
        """#
    private static let score =
        #"{"_id":{"$oid":"cccccccccccccccccccccccc"},"session":3,"address":"S1","total":12.5,"__v":0}"#
    private static let stake = #"""
        {"validator":"S1","era":9,"totalStake":1.5,"inactiveStake":0,"activeNominators":[{"address":"a"},{"address":"b"}],"inactiveNominators":[]}
        """#
    private static let location = #"""
        {"slotId":{"$double":7},"city":"Zürich","region":"ZH","country":"CH","provider":"P","updated":1,"cpu":"c","memory":"64","coreCount":"8","vm":false}
        """#

    private static let card = #"""
        {"slotId":7,"kyc":false,"discoveredAt":1700000000000,"nominatedAt":7012,"offlineSince":0,"offlineAccumulated":0,"rank":84,"faults":0,"invalidityReasons":"old","unclaimedEras":[],"inclusion":0.5,"name":"n \"é\" /<b>","stash":"S1","kusamaStash":"","commission":5,"identity":{"name":"i","_id":"bbbbbbbbbbbbbbbbbbbbbbbb"},"active":true,"bonded":25.5,"valid":true,"validity":[{"_id":"aaaaaaaaaaaaaaaaaaaaaaaa","valid":true,"type":"ONLINE","details":"","updated":1}],"score":{"session":3,"address":"S1","total":12.5},"total":12.5,"location":"Zürich","provider":"P","cpu":"c","memory":"64","coreCount":"8","vm":false,"region":"ZH","country":"CH","matrix":["@a:b"],"version":"1.15.2","implementation":"Parity Polkadot","queuedKeys":"0x1","nextKeys":"0x2","rewardDestination":"Staked","nominations":{"totalStake":1.5,"inactiveStake":0,"activeNominators":2,"inactiveNominators":0}}
        """#

    /// Values of other types than the legacy code writes: copied as they are, and read as JavaScript reads them.
    @Test func fieldsOfOtherTypes() async throws {
        let candidate = #"""
            {"slotId":1,"stash":"S","rank":"7","bonded":"25000000000000","valid":true,"name":5,"faults":{"$nan":true},
             "commission":{"$long":"9007199254740993"},"inclusion":{"$decimal":["3476778912330022912","25"]},"active":{"$date":0}}
            """#
        let big =
            #"{"slotId":2,"stash":"T","rank":null,"bonded":{"$long":"9007199254740993"},"valid":true,"unknown":1}"#
        var fixture = Fixture(
            Fixture.metadata, (.candidates, [candidate, big]),
            (
                .validatorScores,
                [#"{"address":"S","session":1,"total":"3"}"#, #"{"address":"T","session":1,"total":{"$nan":true}}"#]
            ),
            (
                .nominatorStakes,
                [#"{"validator":"S","era":1,"activeNominators":[],"inactiveNominators":[1,{"a":2},"x"]}"#]
            ))
        fixture.isForeign = true
        let first =
            #"{"slotId":1,"rank":"7","faults":null,"inclusion":{"$numberDecimal":"25"},"name":5,"stash":"S","commission":{"low":1,"high":2097152,"unsigned":false},"active":"1970-01-01T00:00:00.000Z","bonded":25,"valid":true,"score":{"address":"S","session":1,"total":"3"},"total":"3","nominations":{"activeNominators":0,"inactiveNominators":3}}"#
        let second =
            #"{"slotId":2,"rank":0,"stash":"T","bonded":9007.199254740992,"valid":true,"score":{"address":"T","session":1,"total":null},"total":0,"nominations":{}}"#
        #expect(try await fixture.get("/candidates/valid") == "[\(first),\(second)]")
        #expect(try await fixture.get("/candidates") == "[\(first),\(second)]")
        #expect(try await fixture.get("/candidates/rank") == "[\(first),\(second)]")
    }

    /// Joins look for what the schemas make of a candidate's own values.
    @Test func castsOfJoinKeys() async throws {
        var fixture = Fixture(
            Fixture.metadata,
            (.candidates, [#"{"slotId":"","stash":true,"valid":true}"#, #"{"slotId":"7","stash":8,"valid":true}"#]),
            (.validatorScores, [#"{"address":"true","session":1}"#, #"{"address":"8","session":2}"#]),
            (.locations, [#"{"slotId":0,"city":"zero"}"#, #"{"city":"none"}"#, #"{"slotId":7,"city":"seven"}"#]))
        fixture.isForeign = true
        #expect(
            try await fixture.get("/candidates/valid")
                == #"[{"slotId":"","rank":0,"stash":true,"bonded":null,"valid":true,"score":{"address":"true","session":1},"total":0,"location":"none","nominations":{}},{"slotId":"7","rank":0,"stash":8,"bonded":null,"valid":true,"score":{"address":"8","session":2},"total":0,"location":"seven","nominations":{}}]"#
        )
    }

    @Test func everyFieldInOrder() async throws {
        let older = #"{"session":2,"address":"S1","total":99}"#
        let fixture = Fixture(
            Fixture.metadata, (.candidates, [Self.full]), (.validatorScores, [Self.score, older]),
            (.nominatorStakes, [Self.stake]),
            (.locations, [Self.location, #"{"slotId":7,"city":"old","updated":0}"#]))
        #expect(try await fixture.get("/candidate/S1") == Self.card)
        #expect(try await fixture.get("/candidates") == "[\(Self.card)]")
        #expect(try await fixture.get("/candidates/valid") == "[\(Self.card)]")
        #expect(try await fixture.get("/candidates/invalid") == "[]")
    }

    @Test func onlyWhatIsStored() async throws {
        let fixture = Fixture(Fixture.metadata, (.candidates, [#"{"stash":"S1"}"#]))
        let card = #"{"rank":0,"stash":"S1","bonded":null,"score":null,"total":0,"nominations":{}}"#
        #expect(try await fixture.get("/candidate/S1") == card)
        #expect(try await fixture.get("/candidates/rank") == "[\(card)]")
    }

    @Test func nullsStayNullAndNullBondedIsZero() async throws {
        let candidate =
            #"{"slotId":null,"rank":null,"stash":"S1","bonded":null,"valid":null,"invalidity":null,"identity":null}"#
        var fixture = Fixture(Fixture.metadata, (.candidates, [candidate]))
        fixture.isForeign = true
        let card =
            #"{"slotId":null,"rank":0,"stash":"S1","identity":null,"bonded":0,"valid":null,"validity":null,"score":null,"total":0,"nominations":{}}"#
        #expect(try await fixture.get("/candidate/S1") == card)
        #expect(try await fixture.get("/candidates/valid") == "[]")
        #expect(try await fixture.get("/candidates/invalid") == "[]")
    }

    @Test func aMissingSlotJoinsTheNewestLocationWithoutOne() async throws {
        let fixture = Fixture(
            Fixture.metadata, (.candidates, [#"{"stash":"S1"}"#]),
            (
                .locations,
                [
                    #"{"city":"A","updated":1}"#, #"{"slotId":null,"city":"B","updated":2}"#,
                    #"{"slotId":1,"city":"C","updated":3}"#,
                ]
            ))
        let card = #"{"rank":0,"stash":"S1","bonded":null,"score":null,"total":0,"location":"B","nominations":{}}"#
        #expect(try await fixture.get("/candidate/S1") == card)
    }

    @Test func aNullStashAppearsOnlyWhereNoStashIsAskedFor() async throws {
        let fixture = Fixture(Fixture.metadata, (.candidates, [#"{"stash":null,"valid":true}"#, #"{"valid":false}"#]))
        #expect(try await fixture.get("/candidates") == "[]")
        let card = #"{"rank":0,"stash":null,"bonded":null,"valid":true,"score":null,"total":0,"nominations":{}}"#
        #expect(try await fixture.get("/candidates/valid") == "[\(card)]")
        #expect(
            try await fixture.get("/candidates/invalid")
                == #"[{"rank":0,"bonded":null,"valid":false,"score":null,"total":0,"nominations":{}}]"#)
    }

    @Test func orderIsByTotalOrRankAndEqualsKeepTheirs() async throws {
        let fixture = Fixture(
            Fixture.metadata,
            (
                .candidates,
                ["A", "B", "C", "D"].enumerated().map { #"{"stash":"\#($1)","rank":\#([1, 2, 2, 5][$0])}"# }
            ),
            (
                .validatorScores,
                [
                    #"{"address":"A","session":1,"total":5}"#, #"{"address":"C","session":1,"total":5}"#,
                    #"{"address":"D","session":1,"total":9}"#, #"{"address":"B","session":1,"total":0}"#,
                ]
            ))
        func stashes(_ path: String) async throws -> String {
            let text = try #require(try await fixture.get(path))
            return text.matches(of: #/"stash":"(\w)"/#).map { String($0.output.1) }.joined()
        }
        #expect(try await stashes("/candidates") == "DACB")
        #expect(try await stashes("/candidates/rank") == "DBCA")
    }

    /// The server shows the failure of one as an absence.
    @Test func withoutMetadataCardsFail() async throws {
        let fixture = Fixture((.candidates, [#"{"stash":"S1","valid":true}"#]))
        #expect(await fixture.fails("/candidates"))
        #expect(await fixture.fails("/candidates/valid"))
        #expect(try await fixture.get("/candidates/invalid") == "[]")
        #expect(await fixture.fails("/candidate/S1"))
        #expect(try await fixture.get("/candidate/unknown") == nil)
    }

    @Test func withoutDecimalsBondedIsNull() async throws {
        let fixture = Fixture((.chainMetadata, [#"{"name":"Kusama"}"#]), (.candidates, [#"{"stash":"S1","bonded":5}"#]))
        #expect(
            try await fixture.get("/candidate/S1")
                == #"{"rank":0,"stash":"S1","bonded":null,"score":null,"total":0,"nominations":{}}"#)
    }

    @Test func emptyDatabase() async throws {
        for path in ["/candidates", "/candidates/rank", "/candidates/valid", "/candidates/invalid"] {
            #expect(try await Fixture().get(path) == "[]")
        }
        #expect(try await Fixture().get("/candidate/x") == nil)
    }
}
