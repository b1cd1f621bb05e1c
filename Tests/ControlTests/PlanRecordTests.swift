@testable import Control
import Migration
import RoutesFile
import Testing
import Traffic

/// A plan's state as it is kept and handed on: each field, there and back.
@Suite("Plans as they are kept") struct PlanRecordTests {
    private static func standing() throws -> PlanStanding {
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [.init(.share(50_000), hold: 10_000), .init(.share(1_000_000), hold: 10_000)])
        plan.gates.mismatches = nil
        var standing = try #require(PlanStanding(MigrationSpec(plan: plan), state: PlanState()))
        standing.state.phase = .paused
        standing.state.stage = 1
        standing.state.epoch = 7
        standing.state.share = 60_000
        standing.state.held = 1_234
        standing.state.patienceFrom = 99
        standing.state.pause = .weightsByHand
        standing.state.objection = "too thin"
        standing.state.responsible = "ann"
        standing.state.approvedBy = "bob"
        standing.state.retreatedAt = 5
        standing.state.wouldHaveRetreated = true
        standing.since = 11
        standing.stageSince = 12
        standing.fullSince = 13
        var counts = StageCounts(route: "api", epoch: 7)
        counts.old.samples = 21
        counts.old.errors = 22
        counts.old.clientErrors = 23
        counts.old.cancelled = 24
        counts.new.samples = 25
        counts.newDurations.record(microseconds: 1)
        counts.newDurations.record(microseconds: 3_000_000)
        counts.newDurations.record(microseconds: 3_000_000)
        counts.oldDurations.record(microseconds: 5)
        standing.baseline = StageBaseline([counts, StageCounts(route: "more", epoch: 7)])
        return standing
    }

    private static let reading = GateBook.Reading(
        gate: .mismatches, route: "api", verdict: .fail, new: Arm(bad: 1, count: 2), old: Arm(bad: 3, count: 4),
        retreat: .init(evidence: 5.000_06, threshold: 6), advance: .init(evidence: 7, threshold: .infinity),
        differenceClass: "c1")

    @Test("Every field of a standing is in the record, by its name")
    func record() throws {
        let standing = try Self.standing()
        let place = LatencyGrid.index(microseconds: 3_000_000)
        #expect(
            wholeJSON(PlanRecord(standing)) == """
                {"approvedBy":"bob","baseline":{"durations":[[0,1],[\(place),2]],"routes":{"api":{"cancelled":24,\
                "clientErrors":23,"errors":22,"samples":21},"more":{"cancelled":0,"clientErrors":0,"errors":0,"samples":0}}},\
                "epoch":7,"fingerprint":"\(standing.fingerprint)","fullSince":13,"hasRetreated":true,"held":1234,\
                "name":"move","objection":"too thin","patienceFrom":99,"pause":"weights-by-hand","phase":"paused",\
                "responsible":"ann","share":60000,"since":11,"stage":1,"stageSince":12,"wouldHaveRetreated":true}
                """)
    }

    @Test("The state comes back as it was, but for times of another clock")
    func back() throws {
        let standing = try Self.standing()
        var expected = standing.state
        expected.retreatedAt = 1_000
        #expect(PlanRecord(standing).state(of: standing.plan, now: 1_000) == expected)
        let side = try #require(standing.baseline?.routes["api"]?.side)
        #expect(side == StageSums.Side(samples: 21, errors: 22, clientErrors: 23, cancelled: 24))
        let durations = try #require(standing.baseline?.durationCounts)
        #expect(durations.count == 3)
        #expect(durations.quantile(tail: 0.9).map { LatencyGrid.index(microseconds: $0) } == 0)
        #expect(
            durations.quantile(tail: 0.5).map { LatencyGrid.index(microseconds: $0) }
                == LatencyGrid.index(microseconds: 3_000_000))
    }

    @Test("What a record says too much of is cut to the plan, and words that nobody knows wait for eyes")
    func strange() throws {
        let standing = try Self.standing()
        var record = PlanRecord(standing)
        record.stage = 2
        record.share = 1_000_001
        record.held = -1
        record.patienceFrom = -1
        record.phase = "dreaming"
        record.pause = "whim"
        record.hasRetreated = false
        var expected = standing.state
        expected.stage = 1
        expected.share = 1_000_000
        (expected.held, expected.patienceFrom) = (0, 0)
        expected.pause = .byHand
        expected.retreatedAt = nil
        #expect(record.state(of: standing.plan, now: 1_000) == expected)
        record.stage = -1
        record.phase = "running"
        let running = record.state(of: standing.plan, now: 1_000)
        #expect(running.stage == 0 && running.phase == .running && running.pause == nil)
        // A retreat of which nothing is known goes on, and asks nobody.
        record.phase = "retreating"
        record.share = 40_000
        let retreating = record.state(of: standing.plan, now: 1_000)
        #expect(retreating.phase == .retreating && retreating.pause == nil)
        #expect(
            retreating.retreat
                == PlanState.Retreat(cause: .byHand(reason: "unknown"), began: 1_000, from: 40_000, aim: 0))
    }

    @Test("A retreat there and back: its cause, with every number of the gate")
    func retreats() throws {
        var known = Self.reading
        // Four decimals are kept, and what JSON cannot say is nothing.
        known.retreat = .init(evidence: 5.000_1, threshold: 6)
        known.advance = .init(evidence: 7, threshold: 0)
        var single = Self.reading
        single.advance = nil
        for (cause, kept) in [
            (.gate(Self.reading), .gate(known)), (.unavailable, .unavailable),
            (.byHand(reason: "now"), .byHand(reason: "now")),
        ] as [(PlanState.Retreat.Cause, PlanState.Retreat.Cause)] {
            for (blocked, forced) in [(true, false), (false, true)] {
                var retreat = PlanState.Retreat(
                    cause: cause, began: 5, from: 60_000, aim: 50_000, blockedSince: blocked ? 3 : nil)
                retreat.isForced = forced
                var expected = PlanState.Retreat(
                    cause: kept, began: 0, from: 60_000, aim: 50_000, blockedSince: blocked ? 0 : nil)
                expected.isForced = forced
                #expect(PlanRecord.Retreat(retreat).retreat == expected)
            }
        }
        let record = PlanRecord.Retreat(.init(cause: .gate(single), began: 0, from: 1, aim: 0))
        #expect(
            wholeJSON(record) == """
                {"aim":0,"cause":"gate","from":1,"isBlocked":false,"isForced":false,"reading":{"differenceClass":"c1",\
                "gate":"mismatches","new":{"bad":1,"of":2},"old":{"bad":3,"of":4},"retreat":{"evidence":5.0001,\
                "threshold":6},"route":"api","verdict":"fail"}}
                """)
        #expect(
            wholeJSON(PlanRecord.Retreat(.init(cause: .byHand(reason: "now"), began: 0, from: 1, aim: 0))) == """
                {"aim":0,"cause":"by-hand","from":1,"isBlocked":false,"isForced":false,"reason":"now"}
                """)
        #expect(
            wholeJSON(PlanRecord.Retreat(.init(cause: .unavailable, began: 0, from: 1, aim: 0))) == """
                {"aim":0,"cause":"unavailable","from":1,"isBlocked":false,"isForced":false}
                """)
        // What is not known: shares beyond the whole, an aim above the start, a gate without numbers.
        var strange = record
        (strange.from, strange.aim) = (1_000_001, 1_000_002)
        strange.reading?.gate = "taste"
        #expect(strange.retreat == PlanState.Retreat(cause: .unavailable, began: 0, from: 1_000_000, aim: 1_000_000))
        strange.reading = nil
        #expect(strange.retreat.cause == .unavailable && strange.retreat.from == 1_000_000)
        strange.cause = "whim"
        #expect(strange.retreat.cause == .byHand(reason: ""))
    }
}
