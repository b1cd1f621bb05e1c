import Hummingbird
import Migration

/// What plans do, in words.
enum PlanWords {
    static func share(_ weight: UInt32) -> String { Wording.percent(Double(weight) / 1_000_000) }

    /// `stage 3 of 7 (25 %)`
    static func stage(_ plan: PlanSpec, _ stage: Int) -> String {
        let kind =
            switch plan.stages[stage].kind {
            case .share(let weight): self.share(weight)
            case .mirror: "copies alone, \(self.share(plan.mirror(stage)))"
            case .retire: "retire \(plan.from)"
            }
        return "stage \(stage + 1) of \(plan.stages.count) (\(kind))"
    }

    // MARK: the journal

    /// What a step did; `before` is where the plan stood.
    static func detail(_ word: PlanAction.Word, of standing: PlanStanding, before: PlanState) -> String {
        let (plan, state) = (standing.plan, standing.state)
        let shares = "\(plan.to) \(self.share(before.share))→\(self.share(state.share))"
        return switch word {
        case .started: "started: \(self.stage(plan, state.stage)), \(shares), epoch \(state.epoch)"
        case .advanced: "advanced to \(self.stage(plan, state.stage)), \(shares), epoch \(state.epoch)"
        case .waiting: "awaits approval of \(self.stage(plan, state.stage + 1))"
        case .frozen: "a freeze window is open: \(self.stage(plan, state.stage + 1)) waits"
        case .inconclusive: "inconclusive in \(self.stage(plan, state.stage)): \(state.objection ?? "")"
        case .paused: "paused in \(self.stage(plan, state.stage)): \(state.pause?.rawValue ?? "")"
        case .resumed: "resumed: \(self.stage(plan, state.stage)), \(shares)"
        case .approved: "\(self.stage(plan, state.stage + 1)) is approved"
        case .retreating:
            "goes back from \(self.share(before.share)): "
                + (state.retreat.map { self.cause($0.cause, plan) } ?? "")
        case .blocked: "cannot go back: \(plan.from) has no available endpoint"
        case .retreated: "is back at \(self.share(state.share))"
        case .complete:
            "complete: \(plan.to) has \(self.share(state.share)); weights stay live until the file says them"
        case .stopped: "stopped in \(self.stage(plan, before.stage)): \(shares)"
        case .wouldRetreat: "would have gone back from \(self.share(state.share)), and enforces nothing"
        case .weighed: "weights were set by hand: \(shares); paused"
        }
    }

    /// Where it stands, said by a replica of which the others did not know it.
    static func stands(_ standing: PlanStanding) -> String {
        let pause = standing.state.pause.map { ": \($0.rawValue)" } ?? ""
        return "is \(standing.state.phase.rawValue) in \(self.stage(standing.plan, standing.state.stage))\(pause)"
    }

    /// Why it goes back: `errors: 22 of 2000 against 38 of 38000 (evidence 12.96 ≥ 8.19)`.
    static func cause(_ cause: PlanState.Retreat.Cause, _ plan: PlanSpec) -> String {
        switch cause {
        case .gate(let reading): self.reading(reading)
        case .unavailable:
            "\(plan.to) has had no available endpoint for "
                + Wording.duration(seconds: Double(plan.retreat.unavailable) / 1_000)
        case .byHand(let reason): "by hand: \(reason)"
        }
    }

    static func reading(_ reading: GateBook.Reading) -> String {
        let place = reading.route.map { " of route \($0)" } ?? ""
        let numbers =
            switch reading.gate {
            case .p50, .p99: "\(reading.new.count) answers against \(reading.old.count)"
            case .mismatches: "\(reading.new.bad) of \(reading.new.count) comparisons"
            default:
                "\(reading.new.bad) of \(reading.new.count) against \(reading.old.bad) of \(reading.old.count)"
            }
        let evidence = Wording.rounded(reading.retreat.evidence, 2)
        let sign = reading.retreat.isReached ? "≥" : "<"
        return "\(reading.gate.rawValue)\(place): \(numbers) (evidence \(evidence) \(sign) "
            + "\(Wording.rounded(reading.retreat.threshold, 2)))"
    }

    // MARK: what comes next

    /// `gate p99` and what it needs, whichever takes longest, is told by the caller.
    static func next(
        _ standing: PlanStanding, _ judgement: GateBook.Judgement?, isFromAvailable: Bool
    ) -> String {
        let (plan, state) = (standing.plan, standing.state)
        switch state.phase {
        case .ready: return "start it: \(self.stage(plan, 0))"
        case .stopped: return "start it again, at any stage"
        case .complete: return "write the weights into the file, and remove the plan"
        case .retreated: return "find out why, then start it again"
        case .retreating:
            if state.retreat?.blockedSince != nil, !isFromAvailable {
                return
                    "blocked: \(plan.from) has no available endpoint. It goes back when one lives; `retreat` by hand goes "
                    + "back now"
            }
            return "goes back to \(self.share(state.retreat?.aim ?? 0))"
        case .paused: return "resume it, or stop it (\(state.pause?.rawValue ?? ""))"
        case .waiting: return "approve \(self.stage(plan, state.stage + 1))"
        case .frozen: return "\(self.stage(plan, state.stage + 1)) when the freeze window is over"
        case .inconclusive:
            return "\(state.objection ?? ""): it goes on by itself when that changes; `advance --force` goes on now"
        case .running: break
        }
        let stage = plan.stages[state.stage]
        var waits: [String] = []
        if state.held < stage.hold {
            waits.append("\(Wording.duration(seconds: Double(stage.hold - state.held) / 1_000)) of the hold are left")
        }
        guard state.stage + 1 < plan.stages.count else {
            return waits.isEmpty ? "completes with the next tick" : "completes: " + waits.joined(separator: "; ")
        }
        let open = (judgement?.readings ?? []).filter { $0.route == nil && $0.verdict == .collecting }
        if !open.isEmpty {
            waits.append("gates collect: " + open.map { $0.gate.rawValue }.joined(separator: ", "))
        }
        if !plan.gates.enforce { waits.append("it enforces nothing: `advance` takes it on") }
        let approval = plan.stages[state.stage + 1].approval && state.approvedBy == nil ? ", once approved" : ""
        let aim = self.stage(plan, state.stage + 1) + approval
        return waits.isEmpty ? aim + " with the next tick" : aim + ": " + waits.joined(separator: "; ")
    }

    // MARK: refusals

    static func refusal(_ refusal: PlanRefusal, _ migration: String) -> AdminFailure {
        let conflict = { (text: String) in AdminFailure(status: .conflict, "migration \(migration): \(text)") }
        switch refusal {
        case .state(let phase):
            let taken = PlanVerb.allCases.filter(phase.takes).map(\.rawValue).joined(separator: ", ")
            return conflict("it is \(phase.rawValue), and takes there: \(taken.isEmpty ? "nothing" : taken)")
        case .moved: return conflict("it has taken another step meanwhile: look at it again, then ask again")
        case .guarded(let objection):
            return conflict(
                "the guard objects: \(objection); if it is meant, ask with \"force\": true and a reason")
        case .unresumable(let objection):
            return conflict(
                "the guard objects: \(objection); `resume` takes no force: stop it, then start it at its stage with \"force\": "
                    + "true and a reason, or set the weights by hand")
        case .unrestorable(let objection):
            return conflict(
                "the guard objects to the file's weights: \(objection); without \"restore\" it stops and they stay as they are, "
                    + "and then they can be set by hand")
        case .cooldown(let left):
            return conflict(
                "it went back a short while ago: \(Wording.duration(seconds: Double(left) / 1_000)) are left of the "
                    + "cooldown; \"force\": true and a reason start it now")
        case .gatesFail: return conflict("a gate fails")
        case .gatesNotPassed:
            return conflict("the gates do not pass; \"force\": true and a reason take it on all the same")
        case .fourEyes: return conflict("four eyes: it is for another to approve")
        case .owned: return conflict("the weights are the plan's")
        case .lastStage: return conflict("it is in its last stage")
        case .reasonNeeded:
            return AdminFailure(
                status: .unprocessableContent, "nothing was changed",
                problems: [ControlProblem(path: "$.reason", message: "is missing: this needs one")])
        case .noSuchStage:
            return AdminFailure(
                status: .unprocessableContent, "nothing was changed",
                problems: [
                    ControlProblem(
                        path: "$.stage", message: "there is no such stage, or not to start at after a retreat")
                ])
        }
    }
}
