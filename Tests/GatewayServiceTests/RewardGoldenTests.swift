import Documents
import Testing

@testable import GatewayService

@Suite("Golden: rewards")
struct RewardGoldenTests {
    private static let rewards = [
        #"{"_id":{"$oid":"0123456789abcdef01234567"},"role":"validator","validator":"V","nominator":"V","rewardAmount":0.1,"totalStake":10,"validatorStakeEfficiency":50,"erasMinStake":1,"commission":5,"__v":0}"#,
        #"{"role":"nominator","validator":"V","nominator":"N","rewardAmount":1}"#,
        #"{"role":"validator","validator":"V","nominator":"V","rewardAmount":0.2,"totalStake":20,"validatorStakeEfficiency":70,"erasMinStake":3,"commission":0}"#,
        #"{"role":"nominator","validator":"V","nominator":"N","rewardAmount":2}"#,
        #"{"role":"nominator","validator":"V","nominator":"N","rewardAmount":4}"#,
        #"{"role":"validator","validator":"W","nominator":"W","rewardAmount":7}"#,
        #"{"role":"validator","validator":"W","nominator":"W","rewardAmount":0}"#,
        #"{"role":"validator","validator":"U","nominator":"U"}"#,
        #"{"role":"nominator","validator":"V","nominator":"M","rewardAmount":9}"#,
    ]

    @Test func listsAreWholeWithoutIdentity() async throws {
        let fixture = Fixture((.rewards, Self.rewards))
        #expect(
            try await fixture.get("/rewards/nominator/N")
                == #"[{"role":"nominator","validator":"V","nominator":"N","rewardAmount":1},{"role":"nominator","validator":"V","nominator":"N","rewardAmount":2},{"role":"nominator","validator":"V","nominator":"N","rewardAmount":4}]"#
        )
        #expect(
            try await fixture.get("/rewards/validator/V")
                == #"[{"role":"validator","validator":"V","nominator":"V","rewardAmount":0.1,"totalStake":10,"validatorStakeEfficiency":50,"erasMinStake":1,"commission":5},{"role":"nominator","validator":"V","nominator":"N","rewardAmount":1},{"role":"validator","validator":"V","nominator":"V","rewardAmount":0.2,"totalStake":20,"validatorStakeEfficiency":70,"erasMinStake":3,"commission":0},{"role":"nominator","validator":"V","nominator":"N","rewardAmount":2},{"role":"nominator","validator":"V","nominator":"N","rewardAmount":4},{"role":"nominator","validator":"V","nominator":"M","rewardAmount":9}]"#
        )
        #expect(try await fixture.get("/rewards/validator/X") == "[]")
    }

    @Test func totalsOfOne() async throws {
        let fixture = Fixture((.rewards, Self.rewards))
        #expect(
            try await fixture.get("/rewards/validator/V/total")
                == #"{"validator":"V","total":0.30000000000000004,"rewardCount":2}"#)
        #expect(try await fixture.get("/rewards/nominator/N/total") == #"{"total":7,"rewardCount":3}"#)
        #expect(
            try await fixture.get("/rewards/validator/V/stats")
                == #"{"total":0.30000000000000004,"rewardCount":2,"avgEfficiency":60,"avgStake":15}"#)
        #expect(
            try await fixture.get("/rewards/validator/U/total") == #"{"validator":"U","total":null,"rewardCount":1}"#)
        #expect(
            try await fixture.get("/rewards/validator/a%22b/total")
                == #"{"validator":"a\"b","total":0,"rewardCount":0}"#)
        #expect(
            try await fixture.get("/rewards/validator/X/stats")
                == #"{"total":0,"rewardCount":0,"avgEfficiency":null,"avgStake":null}"#)
    }

    @Test func totalsOfAllValidators() async throws {
        let identity =
            #"{"_id":{"$oid":"0123456789abcdef01234567"},"name":"v","address":"X","subIdentities":[{"name":"s","address":"W","_id":{"$oid":"aaaaaaaaaaaaaaaaaaaaaaaa"}}],"__v":0}"#
        let own = #"{"name":"own","address":"V"}"#
        let fixture = Fixture((.rewards, Self.rewards), (.identities, [identity, own]))
        #expect(
            try await fixture.get("/rewards/validators/total")
                == #"[{"validator":"W","total":7,"identity":{"name":"v","address":"X","subIdentities":[{"name":"s","address":"W","_id":"aaaaaaaaaaaaaaaaaaaaaaaa"}]}},{"validator":"V","total":0.30000000000000004,"identity":{"name":"own","address":"V"}}]"#
        )
    }

    @Test func statsOfAllValidators() async throws {
        let fixture = Fixture((.rewards, Self.rewards))
        #expect(
            try await fixture.get("/rewards/validators/stats")
                == #"[{"validator":"V","numRewards":2,"totalRewards":0.30000000000000004,"avgEfficiency":60,"avgStake":15,"avgEraMinStake":2,"avgCommission":2.5,"identity":null},{"validator":"W","numRewards":2,"totalRewards":7,"avgEfficiency":0,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null}]"#
        )
    }

    /// The totals of one take the whole text for a number, the summaries what it begins with.
    @Test func amountsThatAreText() async throws {
        let fixture = Fixture(
            (
                .rewards,
                [
                    #"{"role":"validator","validator":"V","nominator":"V","rewardAmount":"1.5"}"#,
                    #"{"role":"validator","validator":"V","nominator":"V","rewardAmount":" 2e1 "}"#,
                    #"{"role":"validator","validator":"W","nominator":"W","rewardAmount":"3 KSM"}"#,
                    #"{"role":"validator","validator":"W","nominator":"W","rewardAmount":""}"#,
                    #"{"role":"validator","validator":"X","nominator":"X","rewardAmount":"much"}"#,
                    #"{"role":"nominator","validator":"V","nominator":"N","rewardAmount":"4.25 KSM"}"#,
                ]
            ))
        #expect(
            try await fixture.get("/rewards/validator/V/total")
                == #"{"validator":"V","total":21.5,"rewardCount":2}"#)
        #expect(
            try await fixture.get("/rewards/validator/W/total") == #"{"validator":"W","total":null,"rewardCount":2}"#)
        #expect(try await fixture.get("/rewards/nominator/N/total") == #"{"total":null,"rewardCount":1}"#)
        // NaN equals everything, so X stays where it came.
        #expect(
            try await fixture.get("/rewards/validators/total")
                == #"[{"validator":"V","total":21.5,"identity":null},{"validator":"W","total":3,"identity":null},{"validator":"X","total":null,"identity":null}]"#
        )
        #expect(
            try await fixture.get("/rewards/nominators/total")
                == #"[{"nominator":"N","total":4.25,"identity":null}]"#)
        #expect(
            try await fixture.get("/rewards/validators/stats")
                == #"[{"validator":"V","numRewards":2,"totalRewards":21.5,"avgEfficiency":0,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null},{"validator":"W","numRewards":2,"totalRewards":3,"avgEfficiency":0,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null},{"validator":"X","numRewards":1,"totalRewards":0,"avgEfficiency":0,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null}]"#
        )
    }

    /// The totals leave it out; the statistics have a group of it, without the key.
    @Test func aRewardWithoutAValidator() async throws {
        let fixture = Fixture(
            (
                .rewards,
                [
                    #"{"role":"validator","rewardAmount":2,"validatorStakeEfficiency":9}"#,
                    #"{"role":"validator","validator":"V","rewardAmount":1}"#,
                    #"{"role":"validator","validator":null,"rewardAmount":4,"validatorStakeEfficiency":3}"#,
                ]
            ))
        #expect(
            try await fixture.get("/rewards/validators/total") == #"[{"validator":"V","total":1,"identity":null}]"#)
        #expect(
            try await fixture.get("/rewards/validators/stats")
                == #"[{"numRewards":2,"totalRewards":6,"avgEfficiency":6,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null},{"validator":"V","numRewards":1,"totalRewards":1,"avgEfficiency":0,"avgStake":0,"avgEraMinStake":0,"avgCommission":0,"identity":null}]"#
        )
    }

    /// 1, then 1 + (1 + 2) = 4, then 4 + (4 + 4) = 12: the sum the legacy service publishes.
    @Test func totalsOfAllNominatorsDouble() async throws {
        let fixture = Fixture((.rewards, Self.rewards))
        #expect(
            try await fixture.get("/rewards/nominators/total")
                == #"[{"nominator":"N","total":12,"identity":null},{"nominator":"M","total":9,"identity":null}]"#)
    }

    /// s + (s + a) and 2s + a differ in their last digit for these.
    @Test func theOrderOfAdditionsShows() async throws {
        let amounts = [0.1, 0.7, 0.3, 0.11, 1.3]
        var expected = 0.0
        for amount in amounts { expected = expected + (expected + amount) }
        let documents = amounts.map { #"{"role":"nominator","nominator":"N","rewardAmount":\#($0)}"# }
        #expect(
            try await Fixture((.rewards, documents)).get("/rewards/nominators/total")
                == #"[{"nominator":"N","total":\#(expected),"identity":null}]"#)
    }

    @Test func emptyDatabase() async throws {
        for path in [
            "/rewards/validators/total", "/rewards/validators/stats", "/rewards/nominators/total",
            "/rewards/nominator/X",
        ] {
            #expect(try await Fixture().get(path) == "[]")
        }
    }
}
