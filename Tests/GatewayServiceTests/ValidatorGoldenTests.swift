import Documents
import Testing

@testable import GatewayService

@Suite("Golden: validators and locations")
struct ValidatorGoldenTests {
    @Test func currentSetAndValidators() async throws {
        let fixture = Fixture(
            (
                .validatorSets,
                [#"{"validators":["A"],"session":2,"era":1}"#, #"{"validators":["B"],"session":1,"era":2}"#]
            ),
            (.validators, [#"{"address":"A","keys":{"beefy":"0x1"}}"#]))
        #expect(try await fixture.get("/validators/current") == #"{"validators":["A"],"session":2,"era":1}"#)
        #expect(try await fixture.get("/validators") == #"[{"address":"A","keys":{"beefy":"0x1"}}]"#)
        #expect(try await fixture.get("/validator/A") == #"{"address":"A","keys":{"beefy":"0x1"}}"#)
        #expect(try await fixture.get("/validator/B") == nil)
        #expect(try await Fixture().get("/validators/current") == nil)
        #expect(try await Fixture().get("/validators") == "[]")
    }

    @Test func activeErasIsABareNumber() async throws {
        let sets = [
            #"{"validators":["A","B"],"era":1}"#, #"{"validators":["A"],"era":2}"#, #"{"validators":[],"era":3}"#,
        ]
        let fixture = Fixture((.validatorSets, sets))
        #expect(try await fixture.get("/validators/activeeras/A") == "2")
        #expect(try await fixture.get("/validators/activeeras/C") == "0")
        #expect(await Fixture((.validatorSets, sets + [#"{"era":4}"#])).fails("/validators/activeeras/A"))
    }

    @Test func beefyCounts() async throws {
        let fixture = Fixture(
            (.validatorSets, [#"{"validators":["A","B","X"],"session":1}"#]),
            (
                .validators,
                [
                    #"{"address":"A","keys":{"beefy":"0x01020304"}}"#,
                    #"{"address":"B","keys":{"beefy":"0x6265656600"}}"#,
                    #"{"address":"C"}"#, #"{"address":"D","keys":{"beefy":"0xff"}}"#,
                    #"{"address":"E","keys":{"beefy":"0x62656566"}}"#,
                    #"{"address":"F","keys":{}}"#, #"{"address":"G","keys":{"beefy":"0x6265656"}}"#,
                ]
            ),
            (.candidates, [#"{"stash":"A"}"#, #"{"stash":"C"}"#, #"{"stash":"B"}"#, #"{"stash":null}"#]))
        #expect(
            try await fixture.get("/validators/beefy")
                == #"{"beefy1KVCount":2,"activeBeefy1KVCount":1,"activeBeefy1KVPercentage":33.33333333333333,"total1KVValidatorCount":3,"beefyTotalValidatorCount":5,"activeBeefyValidatorCount":1,"activeBeefyPercentage":33.33333333333333,"activeValidatorCount":3,"totalValidators":7,"totalBeefyValidators":71.42857142857143}"#
        )
        #expect(
            try await fixture.get("/validators/beefy/dummy")
                == #"[{"address":"B","keys":{"beefy":"0x6265656600"}},{"address":"E","keys":{"beefy":"0x62656566"}}]"#)
    }

    @Test func beefyWithoutASetAndWithAnEmptyOne() async throws {
        let zeros =
            #"{"beefy1KVCount":0,"activeBeefy1KVCount":0,"activeBeefy1KVPercentage":P,"total1KVValidatorCount":0,"beefyTotalValidatorCount":0,"activeBeefyValidatorCount":0,"activeBeefyPercentage":P,"activeValidatorCount":0,"totalValidators":0,"totalBeefyValidators":0}"#
        #expect(try await Fixture().get("/validators/beefy") == zeros.replacing("P,", with: "0,"))
        #expect(
            try await Fixture((.validatorSets, [#"{"session":1}"#])).get("/validators/beefy")
                == zeros.replacing("P,", with: "0,"))
        #expect(
            try await Fixture((.validatorSets, [#"{"session":1,"validators":[]}"#])).get("/validators/beefy")
                == zeros.replacing("P,", with: "null,"))
    }

    @Test func locationsOfTheCurrentSet() async throws {
        let fixture = Fixture(
            (.validatorSets, [#"{"validators":["B","A","B"],"session":5}"#]),
            (
                .locations,
                [
                    #"{"address":"A","updated":1,"addr":"1.2.3.4","name":"a","city":"c","region":"r","country":"k","provider":"p","session":2,"source":"Telemetry","cpu":"x"}"#,
                    #"{"address":"A","updated":2,"name":"a2"}"#, #"{"address":"C","updated":9}"#,
                ]
            ))
        let a =
            #"{"address":"A","locations":[{"name":"a2","address":"A","updated":2},{"name":"a","address":"A","city":"c","region":"r","country":"k","provider":"p","updated":1,"session":2,"source":"Telemetry"}]}"#
        let b = #"{"address":"B","locations":[]}"#
        #expect(try await fixture.get("/location/currentvalidatorset") == "[\(b),\(a),\(b)]")
        #expect(try await Fixture().get("/location/currentvalidatorset") == "[]")
        #expect(await Fixture((.validatorSets, [#"{"session":5}"#])).fails("/location/currentvalidatorset"))
    }

    /// What is stored is what is sent; it is looked for as text.
    @Test func aSetWithMembersThatAreNoText() async throws {
        var fixture = Fixture(
            (.validatorSets, [#"{"validators":[5,"A",null,true],"session":5}"#]),
            (
                .locations,
                [
                    #"{"address":"5","updated":1,"name":"five"}"#, #"{"address":5,"updated":2,"name":"number"}"#,
                    #"{"updated":3,"name":"nobody"}"#, #"{"address":null,"updated":4,"name":"null"}"#,
                    #"{"address":"true","updated":5,"name":"yes"}"#,
                ]
            ))
        fixture.isForeign = true
        let expected = [
            #"{"address":5,"locations":[{"name":"five","address":"5","updated":1}]}"#,
            #"{"address":"A","locations":[]}"#,
            #"{"address":null,"locations":[{"name":"null","address":null,"updated":4},{"name":"nobody","updated":3}]}"#,
            #"{"address":true,"locations":[{"name":"yes","address":"true","updated":5}]}"#,
        ]
        #expect(try await fixture.get("/location/currentvalidatorset") == "[" + expected.joined(separator: ",") + "]")
        for item in [#"{"a":1}"#, "[]"] {
            let broken = Fixture((.validatorSets, [#"{"validators":["A",\#(item)],"session":5}"#]))
            #expect(await broken.fails("/location/currentvalidatorset"))
        }
    }

    @Test func locationOfAValidator() async throws {
        let documents: [(Collection, [String])] = [
            (.candidates, [#"{"stash":"S","slotId":3}"#]),
            (
                .locations,
                [
                    #"{"slotId":3,"addr":"1.2.3.4","updated":1,"__v":0}"#,
                    #"{"slotId":3,"addr":"5.6.7.8","updated":2,"__v":0}"#,
                ]
            ),
        ]
        var fixture = Fixture()
        fixture.documents = documents
        #expect(try await fixture.get("/location/validator/S") == #"{"slotId":3,"addr":"5.6.7.8","updated":2,"__v":0}"#)
        #expect(try await fixture.get("/location/validator/unknown") == nil)
        fixture.options.redactsAddresses = true
        #expect(try await fixture.get("/location/validator/S") == #"{"slotId":3,"updated":2,"__v":0}"#)
        fixture.documents = [(.locations, [#"{"city":"nowhere","updated":1}"#])]
        #expect(try await fixture.get("/location/validator/unknown") == #"{"city":"nowhere","updated":1}"#)
    }

    private static let stats = #"""
        {"totalNodes":9,"session":4,"updated":5,"locations":[{"name":"a","numberOfNodes":1},{"name":"b","numberOfNodes":3},{"name":"c","numberOfNodes":1}],
         "regions":[{"name":"r","numberOfNodes":2}],"countries":[],"providers":[{"name":"p","numberOfNodes":1},{"name":"q","numberOfNodes":2}],
         "locationVariance":1.5,"regionVariance":2,"countryVariance":3,"providerVariance":4,"decentralization":5,"__v":0}
        """#

    private static func statsJSON(_ provider: String) -> String {
        #"{"totalNodes":9,"session":4,"updated":5,"locations":[{"name":"b","numberOfNodes":3},{"name":"a","numberOfNodes":1},{"name":"c","numberOfNodes":1}],"regions":[{"name":"r","numberOfNodes":2}],"countries":[],"providers":[{"name":"q","numberOfNodes":2},{"name":"p","numberOfNodes":1}],"locationVariance":1.5,"regionVariance":2,"countyVariance":3,"\#(provider)":4,"decentralization":5}"#
    }

    @Test func locationStatsWithTheirSpellings() async throws {
        let fixture = Fixture((.locationStats, [Self.stats, #"{"session":1}"#]))
        #expect(try await fixture.get("/locationstats") == Self.statsJSON("providerVaraince"))
        #expect(try await fixture.get("/locationstats/4") == Self.statsJSON("providerVariance"))
        #expect(await fixture.fails("/locationstats/5"))
        #expect(await fixture.fails("/locationstats/x"))
        #expect(await fixture.fails("/locationstats/1"))
        #expect(try await Fixture().get("/locationstats") == nil)
    }

    @Test func locationStatsWithoutAList() async throws {
        let without = #"{"session":4,"regions":[],"countries":[],"providers":[]}"#
        #expect(
            try await Fixture((.locationStats, [without])).get("/locationstats")
                == #"{"session":4,"regions":[],"countries":[],"providers":[]}"#)
        #expect(await Fixture((.locationStats, [without])).fails("/locationstats/4"))
        #expect(
            await Fixture((.locationStats, [#"{"session":4,"locations":[],"regions":[],"countries":[]}"#])).fails(
                "/locationstats"))
    }

    @Test func validLocationStats() async throws {
        let fixture = Fixture(
            (.candidates, (1...6).map { #"{"slotId":\#($0),"valid":\#($0 != 6)}"# }),
            (
                .locations,
                [
                    #"{"slotId":1,"city":"A","region":"R","country":"K","provider":"P","updated":1}"#,
                    #"{"slotId":2,"city":"B","region":"R","country":"K","provider":"Q","updated":1}"#,
                    #"{"slotId":3,"city":"A","region":"","country":"K","provider":"Q","updated":1}"#,
                    #"{"slotId":4,"city":"A","region":"R","country":"None","provider":"P","updated":1}"#,
                    #"{"slotId":6,"city":"Z","updated":1}"#,
                ]
            ))
        // Candidate 5 has no location and still counts as a node; 4 is none because of its country.
        #expect(
            try await fixture.get("/locationstats/valid")
                == #"{"totalNodes":4,"locations":[{"name":"A","numberOfNodes":2,"score":0},{"name":"B","numberOfNodes":1,"score":40}],"regions":[{"name":"R","numberOfNodes":2,"score":10}],"countries":[{"name":"K","numberOfNodes":3,"score":10}],"providers":[{"name":"Q","numberOfNodes":2,"score":0},{"name":"P","numberOfNodes":1,"score":100}]}"#
        )
        #expect(
            try await Fixture().get("/locationstats/valid")
                == #"{"totalNodes":0,"locations":[],"regions":[],"countries":[],"providers":[]}"#)
    }

    /// One letter in two spellings makes two names, two addresses and two slots' owners.
    @Test func textIsComparedByItsBytes() async throws {
        let (one, two) = ("Montr\u{E9}al", "Montre\u{301}al")
        let fixture = Fixture(
            (
                .candidates,
                [#"{"slotId":1,"stash":"\#(one)","valid":true}"#, #"{"slotId":2,"stash":"\#(two)","valid":true}"#]
            ),
            (.locations, [#"{"slotId":1,"city":"\#(one)"}"#, #"{"slotId":2,"city":"\#(two)"}"#]),
            (.validatorScores, [#"{"address":"\#(two)","session":1,"total":2}"#]),
            (
                .rewards,
                [
                    #"{"role":"validator","validator":"\#(one)","rewardAmount":2}"#,
                    #"{"role":"validator","validator":"\#(two)","rewardAmount":1}"#,
                ]
            ),
            (.identities, [#"{"address":"\#(two)","name":"n"}"#]), Fixture.metadata)
        #expect(
            try await fixture.get("/locationstats/valid")
                == #"{"totalNodes":2,"locations":[{"name":"\#(one)","numberOfNodes":1,"score":40},{"name":"\#(two)","numberOfNodes":1,"score":40}],"regions":[],"countries":[],"providers":[]}"#
        )
        let totals = try await fixture.get("/rewards/validators/total")
        #expect(
            Array((totals ?? "").utf8)
                == Array(
                    #"[{"validator":"\#(one)","total":2,"identity":null},{"validator":"\#(two)","total":1,"identity":{"address":"\#(two)","name":"n"}}]"#
                        .utf8))
        #expect(try await fixture.get("/candidate/\(one)")?.contains(#""score":null"#) == true)
        #expect(try await fixture.get("/candidate/\(two)")?.contains(#""score":{"address""#) == true)
    }
}
