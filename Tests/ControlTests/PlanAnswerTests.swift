@testable import Control
import Migration
import RoutesFile
import Synchronization
import Testing
import Traffic

/// What is answered of a plan, every member of it.
@Suite("Answers about plans") struct PlanAnswerTests {
    private static func plan(_ change: (inout PlanSpec) -> Void = { _ in }) -> PlanSpec {
        var plan = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [
                .init(.mirror, mirror: 20_000, hold: 10_000), .init(.share(50_000), hold: 60_000),
                .init(.share(1_000_000), hold: 10_000, approval: true), .init(.retire, hold: 20_000),
            ])
        plan.gates.minimum = 1_000
        change(&plan)
        return plan
    }

    private static func standing(
        _ change: (inout PlanStanding) -> Void, plan: PlanSpec = Self.plan()
    ) throws -> PlanStanding {
        var standing = try #require(PlanStanding(MigrationSpec(plan: plan), state: PlanState()))
        standing.state.phase = .running
        standing.state.stage = 1
        standing.state.epoch = 7
        standing.state.share = 50_000
        standing.state.held = 20_000
        change(&standing)
        return standing
    }

    private static func reading(
        _ gate: GateName, _ verdict: GateBook.Verdict, route: String? = nil, new: (UInt64, UInt64) = (22, 2_000),
        old: (UInt64, UInt64) = (38, 38_000), evidence: Double = 1
    ) -> GateBook.Reading {
        GateBook.Reading(
            gate: gate, route: route, verdict: verdict, new: Arm(bad: new.0, count: new.1),
            old: Arm(bad: old.0, count: old.1), retreat: .init(evidence: 12.963_44, threshold: 8.187),
            advance: route == nil ? .init(evidence: evidence, threshold: 3) : nil,
            differenceClass: gate == .mismatches ? "c1" : nil)
    }

    private static func gates(_ readings: [GateBook.Reading], _ plan: PlanSpec = Self.plan()) throws -> [GateBody] {
        var reading = PlanReading()
        reading.judgement = .init(readings: readings, thinRoutes: ["thin"])
        let standing = try Self.standing({ _ in }, plan: plan)
        return PlanAnswer(standing: standing, reading: reading, rate: 0).body.gates
    }

    @Test("A plan under way") func running() throws {
        var reading = PlanReading()
        reading.isFrozen = true
        reading.isToAvailable = false
        reading.judgement.thinRoutes = ["thin"]
        let standing = try Self.standing { standing in
            standing.since = 1_767_323_045_000
            standing.stageSince = 1_767_323_046_500
            standing.state.responsible = "ann"
            standing.state.approvedBy = "bob"
            standing.state.pause = .byHand
            standing.state.wouldHaveRetreated = true
            standing.state.retreat = .init(
                cause: .unavailable, began: 1, from: 50_000, aim: 2_500, blockedSince: 3)
        }
        let stages = [
            ("mirror", 0, 2, 10, false, "done"), ("share", 5, 2, 60, false, "present"),
            ("share", 100, 2, 10, true, "ahead"), ("retire", 100, 0, 20, false, "ahead"),
        ].enumerated().map { place, stage in
            #"{"approval":\#(stage.4),"holdSeconds":\#(stage.3),"kind":"\#(stage.0)","mirror":\#(stage.2),"#
                + #""share":\#(stage.1),"stage":\#(place + 1),"state":"\#(stage.5)"}"#
        }.joined(separator: ",")
        #expect(
            wholeJSON(PlanAnswer(standing: standing, reading: reading, rate: 0).body) == """
                {"approvedBy":"bob","enforces":true,"epoch":7,"fourEyes":false,"from":"core","fromAvailable":true,\
                "frozen":true,"gates":[],"heldSeconds":20,"holdSeconds":60,"mirror":2,"name":"move",\
                "next":"stage 3 of 4 (100 %): 40 s of the hold are left","reason":"by-hand","responsible":"ann",\
                "retreat":{"aim":0.25,"blocked":true,"cause":"unavailable","from":5,\
                "words":"gateway has had no available endpoint for 10 s"},"routes":["api"],"share":5,\
                "since":"2026-01-02T03:04:05.000Z","stage":2,"stageSince":"2026-01-02T03:04:06.500Z","stages":[\(stages)],\
                "state":"running","thinRoutes":["thin"],"to":"gateway","toAvailable":false,"wouldHaveRetreated":true}
                """)
    }

    @Test("A plan that is not started, complete or stopped") func resting() throws {
        var reading = PlanReading()
        reading.judgement = .init(readings: [Self.reading(.errors, .pass)], thinRoutes: ["thin"])
        func body(_ phase: PlanState.Phase, _ change: (inout PlanSpec) -> Void = { _ in }) throws -> MigrationBody {
            let standing = try Self.standing({ $0.state.phase = phase }, plan: Self.plan(change))
            return PlanAnswer(standing: standing, reading: reading, rate: 0).body
        }
        let ready = try body(.ready) {
            $0.gates.enforce = false
            $0.fourEyes = true
        }
        #expect(ready.stage == 0 && ready.since == nil && ready.stageSince == nil && ready.mirror == 0)
        #expect(ready.gates.isEmpty && ready.thinRoutes.isEmpty && !ready.enforces && ready.fourEyes)
        #expect(ready.stages.map(\.state) == ["ahead", "ahead", "ahead", "ahead"])
        #expect(ready.retreat == nil && ready.reason == nil && ready.approvedBy == nil && !ready.wouldHaveRetreated)
        let complete = try body(.complete)
        #expect(complete.stages.map(\.state) == ["done", "done", "done", "done"] && complete.stage == 2)
        #expect(complete.gates.isEmpty && complete.mirror == 0)
        for phase in [PlanState.Phase.retreating, .retreated, .paused] {
            let counting = try body(phase)
            #expect(counting.gates.count == 1 && counting.thinRoutes == ["thin"] && counting.mirror == 2)
            #expect(counting.stages.map(\.state) == ["done", "present", "ahead", "ahead"])
        }
        #expect(try body(.stopped).gates.isEmpty)
    }

    @Test("A gate on a rate: both rates, their difference, its interval, and what it must reach") func rates() throws {
        let gate = try #require(try Self.gates([Self.reading(.errors, .fail)]).first)
        #expect(gate.gate == "errors" && gate.verdict == "fail" && gate.unit == "percent" && gate.route == nil)
        #expect(gate.new == GateBody.Side(bad: 22, of: 2_000, value: 1.1))
        #expect(gate.old == GateBody.Side(bad: 38, of: 38_000, value: 0.1))
        #expect(gate.estimate == 1 && gate.tolerance == 0.1 && gate.margin == 0.5 && gate.minimum == 1_000)
        #expect(gate.retreat == PlanEvidence.Test(.init(evidence: 12.963_4, threshold: 8.187)))
        #expect(gate.advance == PlanEvidence.Test(.init(evidence: 1, threshold: 3)))
        let interval = try #require(gate.interval)
        #expect(interval.count == 2 && interval[0] < 1 && interval[1] > 1 && interval[0] > 0.3 && interval[1] < 3)
        #expect(gate.remainingSeconds == nil && gate.differenceClass == nil)
        let others = try Self.gates([Self.reading(.clientErrors, .pass), Self.reading(.cancelled, .pass)])
        #expect(others.map(\.tolerance) == [0.5, 1] && others.map(\.margin) == [1, 2])
        let off = try Self.gates([Self.reading(.errors, .off)], Self.plan { $0.gates.errors = nil })
        #expect(off[0].tolerance == nil && off[0].margin == nil && off[0].interval == nil && off[0].estimate == 1)
        let empty = try Self.gates([Self.reading(.errors, .collecting, new: (0, 0))])
        #expect(empty[0].new.value == nil && empty[0].old.value == 0.1 && empty[0].estimate == nil)
        #expect(empty[0].interval == nil && empty[0].remainingSeconds == nil && empty[0].tolerance == 0.1)
        let route = try Self.gates([Self.reading(.errors, .collecting, route: "api")])
        #expect(route[0].route == "api" && route[0].advance == nil && route[0].remainingSeconds == nil)
    }

    @Test("A gate on differences, and one on durations, whose tolerance is doubled beside another stage's")
    func others() throws {
        let mismatches = try Self.gates([Self.reading(.mismatches, .fail)])[0]
        #expect(mismatches.new.value == 1.1 && mismatches.old.value == nil && mismatches.margin == 0.1)
        #expect(mismatches.tolerance == nil && mismatches.differenceClass == "c1" && mismatches.estimate == nil)
        let off = try Self.gates([Self.reading(.mismatches, .off)], Self.plan { $0.gates.mismatches = nil })
        #expect(off[0].margin == nil)

        func durations(_ microseconds: UInt64) -> DurationCounts {
            var grid = LatencyGrid()
            for _ in 0..<100 { grid.record(microseconds: microseconds) }
            return DurationCounts(edges: LatencyGrid.edges, counts: grid.counts)
        }
        for (isDoubled, factor) in [(false, 1.0), (true, 2.0)] {
            var reading = PlanReading()
            reading.judgement.readings = [Self.reading(.p50, .pass), Self.reading(.p99, .pass)]
            reading.sums.latency = StageSums.Latency(
                new: durations(20_000), old: durations(10_000), isFromAnotherStage: isDoubled)
            let gates = PlanAnswer(standing: try Self.standing { _ in }, reading: reading, rate: 0).body.gates
            #expect(gates.map(\.unit) == ["milliseconds", "milliseconds"])
            #expect(gates.map(\.tolerance) == [10 * factor, 25 * factor])
            #expect(gates.map(\.margin) == [25 * factor, 50 * factor])
            for gate in gates {
                let (new, old) = (try #require(gate.new.value), try #require(gate.old.value))
                #expect(abs(new - 20) < 0.7 && abs(old - 10) < 0.4)
                #expect(abs((gate.estimate ?? 0) - (new / old - 1) * 100) < 0.001)
            }
        }
        var none = PlanReading()
        none.judgement.readings = [Self.reading(.p99, .collecting)]
        let gate = PlanAnswer(standing: try Self.standing { _ in }, reading: none, rate: 0).body.gates[0]
        #expect(gate.unit == "milliseconds" && gate.tolerance == 25 && gate.new.value == nil && gate.estimate == nil)
    }

    @Test(
        "How long until gates pass: by evidence and by samples, whichever takes longer, and unknown before there is any"
    )
    func remaining() throws {
        func seconds(
            _ readings: [GateBook.Reading], held: Int64 = 20_000, minimum: UInt64 = 1_000
        ) throws -> (gates: [Double?], plan: Double?) {
            var reading = PlanReading()
            reading.judgement.readings = readings
            let standing = try Self.standing(
                { $0.state.held = held }, plan: Self.plan { $0.gates.minimum = minimum })
            let body = PlanAnswer(standing: standing, reading: reading, rate: 0).body
            return (body.gates.map(\.remainingSeconds), body.remainingSeconds)
        }
        // 2,000 samples in 20 s are 100 a second; evidence of 1 of 3 wants twice as many again.
        let byEvidence = try seconds([Self.reading(.errors, .collecting)])
        #expect(byEvidence.gates == [40] && byEvidence.plan == 40)
        #expect(try seconds([Self.reading(.errors, .collecting, evidence: 3)], minimum: 5_000).gates == [30])
        #expect(try seconds([Self.reading(.errors, .collecting, evidence: 3)], minimum: 2_000).gates == [0])
        #expect(try seconds([Self.reading(.errors, .collecting)], minimum: 9_000).gates == [70])
        #expect(try seconds([Self.reading(.errors, .collecting, evidence: 0.2)]).gates == [nil])
        #expect(try seconds([Self.reading(.errors, .collecting)], held: 1_000).gates == [nil])
        #expect(try seconds([Self.reading(.errors, .collecting)], held: 2_000).gates == [4])
        let two = try seconds([
            Self.reading(.errors, .collecting), Self.reading(.cancelled, .collecting, evidence: 1.5),
            Self.reading(.clientErrors, .pass, evidence: 0.1), Self.reading(.errors, .collecting, route: "api"),
        ])
        #expect(two.gates == [40, 20, nil, nil] && two.plan == 40)
        let unknown = try seconds([
            Self.reading(.errors, .collecting), Self.reading(.cancelled, .collecting, evidence: 0.1),
        ])
        #expect(unknown.gates == [40, nil] && unknown.plan == nil)
        #expect(try seconds([Self.reading(.errors, .pass)]).plan == nil)
    }

    @Test("The verdict on the old side, every member of it") func verdict() async throws {
        let rig = MigrationRig()
        var configuration = MigrationRig.configuration()
        var only = RouteSpec(name: "only", action: .split([SplitEntry(upstream: "core", weight: 1)]))
        only.match.paths = [.prefix("/only")]
        var idle = only
        idle.name = "idle"
        idle.action = .split([SplitEntry(upstream: "core", weight: 0), SplitEntry(upstream: "gateway", weight: 1)])
        idle.match.paths = [.prefix("/idle")]
        configuration.table.routes += [only, idle]
        try await rig.load(configuration)
        let early = try await rig.engine.verdict("move")
        #expect(early.verdict == "needed" && early.quietSeconds == nil && early.needs.isEmpty)
        #expect(
            early.obstacles == [
                "gateway has 0 % only: take the plan to 100 %",
                "nothing has needed core for 0 ms only, and 20 s are wanted",
                "route only leads to core alone and would answer 503: give it another upstream, or take it out",
            ])
        try await rig.act(.start(stage: 4, by: "ann", force: true, reason: "a drill"))
        await rig.tick()
        rig.bench.dataPlane.state.withLock {
            $0.needs = [NeedCount(route: "api", template: "/candidate/*", cause: .override, count: 3)]
        }
        await rig.tick()
        rig.bench.time.advance(5_000)
        #expect(
            wholeJSON(try await rig.engine.verdict("move")) == """
                {"from":"core","migration":"move","needs":[{"cause":"override","count":3,\
                "last":"2026-01-02T03:04:17.000Z","perDay":3,"route":"api","template":"/candidate/*"}],"obstacles":[\
                "nothing has needed core for 5 s only, and 20 s are wanted",\
                "route only leads to core alone and would answer 503: give it another upstream, or take it out"],\
                "quietSeconds":5,"verdict":"needed","wantedSeconds":20}
                """)
        do {
            _ = try await rig.engine.verdict("none")
            Issue.record("answered")
        } catch {
            #expect(error == .notFound("no migration \"none\""))
        }
    }
}
