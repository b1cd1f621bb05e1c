@testable import Control
import HTTPTypes
import Migration
import RoutesFile
import Testing

/// Every word that is said of a plan: in the journal, in answers, in refusals.
@Suite("What is said of a plan") struct PlanWordTests {
    private static var standing: PlanStanding {
        get throws {
            var plan = PlanSpec(
                name: "move", routes: ["api"], from: "core", to: "gateway",
                stages: [
                    .init(.mirror, mirror: 20_000, hold: 10_000), .init(.share(50_000), hold: 60_000),
                    .init(.share(1_000_000), hold: 10_000, approval: true), .init(.retire, hold: 20_000),
                ])
            plan.retreat.unavailable = 15_000
            return try #require(PlanStanding(MigrationSpec(plan: plan), state: PlanState()))
        }
    }

    private static func at(_ phase: PlanState.Phase, _ change: (inout PlanState) -> Void = { _ in }) throws
        -> PlanStanding
    {
        var standing = try self.standing
        standing.state.phase = phase
        standing.state.stage = 1
        standing.state.epoch = 7
        standing.state.share = 50_000
        change(&standing.state)
        return standing
    }

    private static func reading(
        _ gate: GateName, route: String? = nil, _ verdict: GateBook.Verdict = .fail, evidence: Double = 12.963
    ) -> GateBook.Reading {
        GateBook.Reading(
            gate: gate, route: route, verdict: verdict, new: Arm(bad: 22, count: 2_000),
            old: Arm(bad: 38, count: 38_000),
            retreat: .init(evidence: evidence, threshold: 8.187), advance: .init(evidence: 1, threshold: 3))
    }

    @Test("Stages are numbered from one and named by what they do")
    func stages() throws {
        let plan = try Self.standing.plan
        #expect(
            (0...3).map { PlanWords.stage(plan, $0) } == [
                "stage 1 of 4 (copies alone, 2 %)", "stage 2 of 4 (5 %)", "stage 3 of 4 (100 %)",
                "stage 4 of 4 (retire core)",
            ])
    }

    @Test("The journal's words, one for each step")
    func details() throws {
        var before = PlanState()
        before.stage = 0
        before.share = 2_500
        let standing = try Self.at(.running) {
            $0.objection = "too thin"
            $0.pause = .weightsByHand
            $0.retreat = .init(cause: .byHand(reason: "a smell"), began: 0, from: 50_000, aim: 0)
        }
        let expected: [(PlanAction.Word, String)] = [
            (.started, "started: stage 2 of 4 (5 %), gateway 0.25 %→5 %, epoch 7"),
            (.advanced, "advanced to stage 2 of 4 (5 %), gateway 0.25 %→5 %, epoch 7"),
            (.waiting, "awaits approval of stage 3 of 4 (100 %)"),
            (.frozen, "a freeze window is open: stage 3 of 4 (100 %) waits"),
            (.inconclusive, "inconclusive in stage 2 of 4 (5 %): too thin"),
            (.paused, "paused in stage 2 of 4 (5 %): weights-by-hand"),
            (.resumed, "resumed: stage 2 of 4 (5 %), gateway 0.25 %→5 %"),
            (.approved, "stage 3 of 4 (100 %) is approved"),
            (.retreating, "goes back from 0.25 %: by hand: a smell"),
            (.blocked, "cannot go back: core has no available endpoint"), (.retreated, "is back at 5 %"),
            (.complete, "complete: gateway has 5 %; weights stay live until the file says them"),
            (.stopped, "stopped in stage 1 of 4 (copies alone, 2 %): gateway 0.25 %→5 %"),
            (.wouldRetreat, "would have gone back from 5 %, and enforces nothing"),
            (.weighed, "weights were set by hand: gateway 0.25 %→5 %; paused"),
        ]
        for (word, text) in expected { #expect(PlanWords.detail(word, of: standing, before: before) == text) }
    }

    @Test("Why it goes back, with the numbers of the gate")
    func causes() throws {
        let plan = try Self.standing.plan
        let expected: [(PlanState.Retreat.Cause, String)] = [
            (.unavailable, "gateway has had no available endpoint for 15 s"), (.byHand(reason: "now"), "by hand: now"),
            (
                .gate(Self.reading(.errors)),
                "errors: 22 of 2000 against 38 of 38000 (evidence 12.96 ≥ 8.19)"
            ),
            (
                .gate(Self.reading(.clientErrors, route: "api", evidence: 8.186)),
                "clientErrors of route api: 22 of 2000 against 38 of 38000 (evidence 8.19 < 8.19)"
            ),
            (
                .gate(Self.reading(.cancelled, evidence: 8.187)),
                "cancelled: 22 of 2000 against 38 of 38000 (evidence 8.19 ≥ 8.19)"
            ),
            (.gate(Self.reading(.p50)), "p50: 2000 answers against 38000 (evidence 12.96 ≥ 8.19)"),
            (.gate(Self.reading(.p99)), "p99: 2000 answers against 38000 (evidence 12.96 ≥ 8.19)"),
            (.gate(Self.reading(.mismatches)), "mismatches: 22 of 2000 comparisons (evidence 12.96 ≥ 8.19)"),
        ]
        for (cause, text) in expected { #expect(PlanWords.cause(cause, plan) == text) }
    }

    @Test("What comes next, in every phase")
    func next() throws {
        func say(_ standing: PlanStanding, _ readings: [GateBook.Reading] = [], isFromAvailable: Bool = true) -> String
        {
            PlanWords.next(standing, .init(readings: readings), isFromAvailable: isFromAvailable)
        }
        let back = PlanState.Retreat(cause: .unavailable, began: 0, from: 50_000, aim: 2_500)
        var blocked = back
        blocked.blockedSince = 1
        #expect(say(try Self.at(.ready)) == "start it: stage 1 of 4 (copies alone, 2 %)")
        #expect(say(try Self.at(.stopped)) == "start it again, at any stage")
        #expect(say(try Self.at(.complete)) == "write the weights into the file, and remove the plan")
        #expect(say(try Self.at(.retreated)) == "find out why, then start it again")
        #expect(say(try Self.at(.retreating) { $0.retreat = back }, isFromAvailable: false) == "goes back to 0.25 %")
        #expect(say(try Self.at(.retreating) { $0.retreat = blocked }) == "goes back to 0.25 %")
        #expect(
            say(try Self.at(.retreating) { $0.retreat = blocked }, isFromAvailable: false)
                == "blocked: core has no available endpoint. It goes back when one lives; `retreat` by hand goes back now"
        )
        #expect(say(try Self.at(.paused) { $0.pause = .fileChanged }) == "resume it, or stop it (file-changed)")
        #expect(say(try Self.at(.waiting)) == "approve stage 3 of 4 (100 %)")
        #expect(say(try Self.at(.frozen)) == "stage 3 of 4 (100 %) when the freeze window is over")
        #expect(
            say(try Self.at(.inconclusive) { $0.objection = "too thin" })
                == "too thin: it goes on by itself when that changes; `advance --force` goes on now")
    }

    @Test("What a running stage waits for: its hold, its gates, an approval, an operator")
    func waits() throws {
        func say(_ standing: PlanStanding, _ readings: [GateBook.Reading] = []) -> String {
            PlanWords.next(standing, .init(readings: readings), isFromAvailable: true)
        }
        let collecting = [
            Self.reading(.errors, .collecting), Self.reading(.p50, .pass), Self.reading(.p99, .collecting),
            Self.reading(.cancelled, route: "api", .collecting),
        ]
        #expect(
            say(try Self.at(.running) { $0.held = 15_000 }, collecting)
                == "stage 3 of 4 (100 %), once approved: 45 s of the hold are left; gates collect: errors, p99")
        #expect(
            say(try Self.at(.running) { $0.held = 60_000 }) == "stage 3 of 4 (100 %), once approved with the next tick")
        #expect(
            say(
                try Self.at(.running) {
                    $0.held = 60_000
                    $0.approvedBy = "bob"
                }) == "stage 3 of 4 (100 %) with the next tick")
        #expect(
            say(try Self.at(.running) { $0.stage = 0 })
                == "stage 2 of 4 (5 %): 10 s of the hold are left")
        #expect(say(try Self.at(.running) { $0.stage = 3 }) == "completes: 20 s of the hold are left")
        #expect(
            say(
                try Self.at(.running) {
                    $0.stage = 3
                    $0.held = 20_000
                }) == "completes with the next tick")
        var told = try Self.standing.plan
        told.gates.enforce = false
        var standing = try #require(PlanStanding(MigrationSpec(plan: told), state: PlanState()))
        standing.state.phase = .running
        standing.state.held = 10_000
        #expect(say(standing) == "stage 2 of 4 (5 %): it enforces nothing: `advance` takes it on")
    }

    @Test("Refusals: which status, and what to do about it")
    func refusals() {
        let conflicts: [(PlanRefusal, String)] = [
            (.state(.waiting), "it is waiting, and takes there: pause, approve, advance, retreat, stop"),
            (.state(.paused), "it is paused, and takes there: pause, resume, retreat, stop"),
            (.state(.complete), "it is complete, and takes there: nothing"),
            (.moved, "it has taken another step meanwhile: look at it again, then ask again"),
            (.guarded("G"), "the guard objects: G; if it is meant, ask with \"force\": true and a reason"),
            (
                .unresumable("G"),
                "the guard objects: G; `resume` takes no force: stop it, then start it at its stage with \"force\": true "
                    + "and a reason, or set the weights by hand"
            ),
            (
                .unrestorable("G"),
                "the guard objects to the file's weights: G; without \"restore\" it stops and they stay as they are, and then "
                    + "they can be set by hand"
            ),
            (
                .cooldown(left: 90_000),
                "it went back a short while ago: 90 s are left of the cooldown; \"force\": true and a reason start it now"
            ), (.gatesFail, "a gate fails"),
            (.gatesNotPassed, "the gates do not pass; \"force\": true and a reason take it on all the same"),
            (.fourEyes, "four eyes: it is for another to approve"), (.owned, "the weights are the plan's"),
            (.lastStage, "it is in its last stage"),
        ]
        for (refusal, text) in conflicts {
            let failure = PlanWords.refusal(refusal, "move")
            #expect(failure.status == .conflict && failure.body.error == "migration move: \(text)")
            #expect(failure.body.problems.isEmpty)
        }
        let needed = PlanWords.refusal(.reasonNeeded, "move")
        #expect(needed.status == .unprocessableContent && needed.body.error == "nothing was changed")
        #expect(needed.body.problems == [ControlProblem(path: "$.reason", message: "is missing: this needs one")])
        let none = PlanWords.refusal(.noSuchStage, "move")
        #expect(none.status == .unprocessableContent && none.body.error == "nothing was changed")
        #expect(
            none.body.problems == [
                ControlProblem(path: "$.stage", message: "there is no such stage, or not to start at after a retreat")
            ])
    }

    @Test(
        "Durations in the unit that people use",
        arguments: [
            (0.4, "400 ms"), (0.9996, "1000 ms"), (1, "1 s"), (119.4, "119 s"), (120, "2 min"), (7_199, "120 min"),
            (7_200, "2 h"), (9_000, "2.5 h"), (172_799, "48 h"), (172_800, "2 d"), (216_000, "2.5 d"),
        ])
    func durations(seconds: Double, text: String) {
        #expect(Wording.duration(seconds: seconds) == text)
    }

    @Test("Numbers are rounded, without zeros behind them; points have their sign")
    func numbers() {
        #expect(Wording.percent(0.05) == "5 %" && Wording.percent(0.002_5) == "0.25 %")
        #expect(Wording.percent(0.000_000_6) == "0.0001 %" && Wording.percent(1) == "100 %")
        #expect(Wording.points(0.003_62) == "+0.362" && Wording.points(-0.003_62) == "-0.362")
        #expect(Wording.points(0) == "0" && Wording.points(-0.000_000_1) == "0")
        let rounded: [(Double, Int, String)] = [
            (1.005, 1, "1"), (1.25, 1, "1.3"), (-1.25, 1, "-1.3"), (-0.01, 1, "0"), (99.96, 1, "100"), (2.5, 0, "3"),
            (-2.4, 0, "-2"), (0.062_5, 4, "0.0625"), (12, 3, "12"), (.infinity, 2, "inf"),
            (1e15, 2, "1000000000000000.0"),
            (-1e16, 0, "-1e+16"), (0.101, 2, "0.1"), (3.001, 3, "3.001"),
        ]
        for (value, decimals, text) in rounded { #expect(Wording.rounded(value, decimals) == text) }
    }
}
