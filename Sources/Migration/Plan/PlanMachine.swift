/// Takes a plan from state to state. Pure: one function of state, event and facts; every effect is an action that it returns.
///
///     ready ─start─▶ running ─tick─▶ running (next) … ─tick─▶ complete
///                      │  ▲ approve, window over, gates pass, resume
///                      ▼  │
///          waiting · frozen · inconclusive · paused
///     any of these ─brake, retreat─▶ retreating ─tick, retreat─▶ retreated ─start─▶ running (1)
///     any of these, retreated ─stop─▶ stopped ─start─▶ running
///
/// A share rises by `start`, by a stage that passed, and by `approve`, `advance` and `resume`; by nothing else. The brake is on
/// wherever the plan is active, also while a human is awaited.
package struct PlanMachine: Sendable {
    package struct Step: Sendable, Equatable {
        package var state: PlanState
        package var actions: [PlanAction]
    }

    package let spec: PlanSpec

    /// Nil if the plan has faults.
    package init?(_ spec: PlanSpec) {
        guard spec.faults().isEmpty else { return nil }
        self.spec = spec
    }

    package func step(_ state: PlanState, _ event: PlanEvent, _ facts: PlanFacts) throws(PlanRefusal) -> Step {
        switch event {
        case .tick: try self.tick(state, facts)
        case .start(let stage, let who, let force, let reason):
            try self.start(state, facts, stage: stage, by: who, force: force, reason: reason)
        case .approve(let who): try self.approve(state, facts, by: who)
        case .advance(let who, let force, let reason):
            try self.advance(state, facts, by: who, force: force, reason: reason)
        case .retreat(let who, let reason): try self.retreat(state, facts, by: who, reason: reason)
        case .pause(let reason, let who): try self.pause(state, reason, by: who)
        case .weighed(let share, let isRise, let who, let force, let reason):
            try self.weighed(state, share, isRise: isRise, by: who, force: force, reason: reason)
        case .resume(let who): try self.resume(state, facts, by: who)
        case .stop(let restore, let who): try self.stop(state, facts, restore: restore, by: who)
        }
    }

    // MARK: ticks

    private func tick(_ state: PlanState, _ facts: PlanFacts) throws(PlanRefusal) -> Step {
        if state.phase == .retreating { return self.goBack(state, facts) }
        guard state.phase.isActive else { throw .state(state.phase) }
        var state = state
        var actions: [PlanAction] = []
        // Also where it waits for somebody: what needed the old side then was not quiet either.
        if self.spec.stages[state.stage].kind == .retire, facts.isFromNeeded {
            state.held = 0
            state.patienceFrom = 0
            state.ticked = nil
        }
        if let cause = self.brake(facts) {
            if self.spec.gates.enforce { return self.beginRetreat(state, facts, cause) }
            if !state.wouldHaveRetreated {
                state.wouldHaveRetreated = true
                actions = [.journal(.wouldRetreat, by: "", reason: "", forced: false)]
            }
        }
        switch state.phase {
        case .running:
            self.hold(&state, facts)
            let step = self.judge(state, facts)
            return Step(state: step.state, actions: actions + step.actions)
        case .inconclusive where facts.judgement.passes, .frozen where !facts.isFrozen:
            let step = self.judge(state, facts)
            return Step(state: step.state, actions: actions + step.actions)
        default:
            return Step(state: state, actions: actions)
        }
    }

    /// Time counts while the plan runs and is led.
    private func hold(_ state: inout PlanState, _ facts: PlanFacts) {
        if let last = state.ticked, facts.isLed, facts.now > last { state.held += facts.now - last }
        state.ticked = facts.now
    }

    /// What becomes of a plan that runs, or could run again.
    private func judge(_ state: PlanState, _ facts: PlanFacts) -> Step {
        let stage = self.spec.stages[state.stage]
        var state = state
        if stage.kind == .retire, facts.isFromNeeded { return Step(state: state, actions: []) }
        guard state.held >= stage.hold else { return self.asRunning(state) }
        guard state.stage + 1 < self.spec.stages.count else {
            state.phase = .complete
            state.ticked = nil
            return Step(state: state, actions: [.verdict, .journal(.complete, by: "", reason: "", forced: false)])
        }
        guard facts.judgement.passes else {
            guard state.held >= max(stage.hold, state.patienceFrom) + self.spec.patience else {
                return self.asRunning(state)
            }
            return self.inconclusive(state, "the gates do not pass")
        }
        // Without enforcement only an operator lets a share rise.
        guard self.spec.gates.enforce, facts.isLed else { return self.asRunning(state) }
        let isApproved = state.approvedBy != nil
        if self.spec.stages[state.stage + 1].approval, !isApproved {
            if state.phase == .waiting { return Step(state: state, actions: []) }
            return self.rest(state, in: .waiting, .waiting)
        }
        return self.rise(state, facts, by: state.approvedBy ?? "", forced: false, reason: "")
    }

    /// What was frozen or inconclusive and has no reason to be any more runs again.
    private func asRunning(_ state: PlanState) -> Step {
        var state = state
        if state.phase == .frozen { state.phase = .running }
        return Step(state: state, actions: [])
    }

    private func rest(_ state: PlanState, in phase: PlanState.Phase, _ word: PlanAction.Word) -> Step {
        var state = state
        state.phase = phase
        state.ticked = nil
        state.objection = nil
        return Step(state: state, actions: [.journal(word, by: "", reason: "", forced: false), .notify(word)])
    }

    private func inconclusive(_ state: PlanState, _ objection: String) -> Step {
        var state = state
        // Told once: the numbers in the words may change every second.
        let isNews = state.phase != .inconclusive
        state.phase = .inconclusive
        state.ticked = nil
        state.objection = objection
        guard isNews else { return Step(state: state, actions: []) }
        return Step(
            state: state,
            actions: [.journal(.inconclusive, by: "", reason: objection, forced: false), .alert(.inconclusive)])
    }

    /// To the next stage, unless a window or the guard is against it.
    private func rise(
        _ state: PlanState, _ facts: PlanFacts, by who: String, forced: Bool, reason: String,
        isWindowPassed: Bool = false
    ) -> Step {
        if facts.isFrozen, !isWindowPassed { return self.rest(state, in: .frozen, .frozen) }
        let isRise = self.spec.weight(state.stage + 1) > state.share
        if let objection = self.objection(isRise: isRise, facts), !forced {
            return self.inconclusive(state, objection)
        }
        return self.enter(
            state, stage: state.stage + 1, facts, .journal(.advanced, by: who, reason: reason, forced: forced),
            responsible: state.approvedBy ?? (who.isEmpty ? state.responsible : who))
    }

    /// What is against giving the new side what a stage gives it: the guard, or that there would be nobody to go back to.
    private func objection(isRise: Bool, _ facts: PlanFacts) -> String? {
        if let objection = facts.objection { return objection }
        guard isRise, !facts.isFromAvailable else { return nil }
        return "\(self.spec.from) has no available endpoint: there would be nobody to go back to"
    }

    private func enter(
        _ state: PlanState, stage: Int, _ facts: PlanFacts, _ journal: PlanAction, responsible: String
    ) -> Step {
        var next = PlanState()
        next.phase = .running
        next.stage = stage
        next.epoch = state.epoch + 1
        next.share = self.spec.weight(stage)
        next.ticked = facts.now
        next.responsible = responsible
        return Step(
            state: next,
            actions: [journal, .epoch(next.epoch), .table(share: next.share, mirror: self.spec.mirror(stage))])
    }

    // MARK: going back

    /// Whether a look at these facts sends an active plan back.
    package func brakes(_ facts: PlanFacts) -> Bool { self.spec.gates.enforce && self.brake(facts) != nil }

    private func brake(_ facts: PlanFacts) -> PlanState.Retreat.Cause? {
        if let failure = facts.judgement.failure { return .gate(failure) }
        if let unavailable = facts.toUnavailable, unavailable >= self.spec.retreat.unavailable, facts.isFromAvailable {
            return .unavailable
        }
        return nil
    }

    private func beginRetreat(
        _ state: PlanState, _ facts: PlanFacts, _ cause: PlanState.Retreat.Cause, by who: String = "",
        reason: String = ""
    ) -> Step {
        var state = state
        // Going back always takes something away: the stage before may give as much, as where the old side is retired, and a hand
        // may have taken the share lower than it is there.
        let previous = (0..<state.stage).map { self.spec.weight($0) }.last { $0 < state.share } ?? 0
        let aim = self.spec.retreat.aim == .start ? 0 : previous
        state.retreat = PlanState.Retreat(
            cause: cause, began: facts.now, from: state.share, aim: aim, blockedSince: nil, alerted: nil)
        state.phase = .retreating
        state.ticked = nil
        state.pause = nil
        state.approvedBy = nil
        state.objection = nil
        let step = self.goBack(state, facts)
        return Step(
            state: step.state,
            actions: [.journal(.retreating, by: who, reason: reason, forced: false), .alert(.retreating)] + step.actions
        )
    }

    /// One step of a retreat: at once, or a tenth of the way at a time.
    private func goBack(_ state: PlanState, _ facts: PlanFacts) -> Step {
        guard var retreat = state.retreat else { return Step(state: state, actions: []) }
        var state = state
        guard facts.isFromAvailable || retreat.isByHand else {
            retreat.blockedSince = retreat.blockedSince ?? facts.now
            let isDue = retreat.alerted.map { facts.now - $0 >= 60_000 } ?? true
            if isDue { retreat.alerted = facts.now }
            state.retreat = retreat
            return Step(state: state, actions: isDue ? [.alert(.blocked)] : [])
        }
        if let blockedSince = retreat.blockedSince {
            // The way back is walked from where it stopped.
            retreat.began += facts.now - blockedSince
            retreat.blockedSince = nil
        }
        let steps = retreat.isForced ? 10 : self.steps(after: facts.now - retreat.began)
        let way = UInt64(retreat.from - retreat.aim)
        let share = retreat.from - UInt32(way * UInt64(steps) / 10)
        var actions: [PlanAction] = []
        if share < state.share {
            state.share = share
            actions.append(.table(share: share, mirror: self.spec.mirror(state.stage)))
        }
        state.retreat = retreat
        guard steps == 10 else { return Step(state: state, actions: actions) }
        state.phase = .retreated
        state.retreatedAt = facts.now
        actions.append(.journal(.retreated, by: "", reason: "", forced: false))
        return Step(state: state, actions: actions)
    }

    /// Tenths of the way that are due: the first at once, the last when `over` has passed.
    private func steps(after elapsed: Int64) -> Int64 {
        let over = self.spec.retreat.over
        guard over > 0, elapsed < over else { return 10 }
        return 1 + max(0, elapsed) * 9 / over
    }

    // MARK: operators

    private func start(
        _ state: PlanState, _ facts: PlanFacts, stage: Int?, by who: String, force: Bool, reason: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.start) else { throw .state(state.phase) }
        if force, reason.isEmpty { throw .reasonNeeded }
        let stage = stage ?? 1
        // After a retreat it begins at the beginning.
        guard (1...self.spec.stages.count).contains(stage), stage == 1 || state.phase != .retreated else {
            throw .noSuchStage
        }
        if !force {
            // Also where it was stopped since then, which proves nothing.
            if let since = state.retreatedAt, facts.now - since < self.spec.retreat.cooldown {
                throw .cooldown(left: self.spec.retreat.cooldown - (facts.now - since))
            }
            // To stop and to start further on would be a way around the second pair of eyes.
            if self.spec.fourEyes, stage > 1, self.spec.stages[..<stage].contains(where: \.approval),
                state.responsible.isEmpty || who == state.responsible
            {
                throw .fourEyes
            }
            let isRise = self.spec.weight(stage - 1) > state.share
            if let objection = self.objection(isRise: isRise, facts) { throw .guarded(objection) }
        }
        return self.enter(
            state, stage: stage - 1, facts, .journal(.started, by: who, reason: reason, forced: force), responsible: who
        )
    }

    private func approve(_ state: PlanState, _ facts: PlanFacts, by who: String) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.approve) else { throw .state(state.phase) }
        if facts.judgement.failure != nil { throw .gatesFail }
        if self.spec.fourEyes, who == state.responsible { throw .fourEyes }
        var state = state
        state.approvedBy = who
        var step = self.rise(state, facts, by: who, forced: false, reason: "")
        // Where the stage cannot begin yet, who approved it would otherwise be told nowhere.
        if step.state.phase != .running {
            step.actions.insert(.journal(.approved, by: who, reason: "", forced: false), at: 0)
        }
        return step
    }

    private func advance(
        _ state: PlanState, _ facts: PlanFacts, by who: String, force: Bool, reason: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.advance) else { throw .state(state.phase) }
        if force, reason.isEmpty { throw .reasonNeeded }
        guard state.stage + 1 < self.spec.stages.count else { throw .lastStage }
        if !force {
            guard facts.judgement.passes else { throw .gatesNotPassed }
            // It would be a way around the second pair of eyes.
            if self.spec.fourEyes, self.spec.stages[state.stage + 1].approval, state.approvedBy == nil,
                who == state.responsible
            {
                throw .fourEyes
            }
            let isRise = self.spec.weight(state.stage + 1) > state.share
            if let objection = self.objection(isRise: isRise, facts) { throw .guarded(objection) }
        }
        return self.rise(state, facts, by: who, forced: force, reason: reason, isWindowPassed: true)
    }

    private func retreat(
        _ state: PlanState, _ facts: PlanFacts, by who: String, reason: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.retreat) else { throw .state(state.phase) }
        if reason.isEmpty { throw .reasonNeeded }
        guard state.phase == .retreating, var retreat = state.retreat else {
            return self.beginRetreat(state, facts, .byHand(reason: reason), by: who, reason: reason)
        }
        // Whoever asks again wants the rest of the way now, whether the old side lives or not. Why it began stays told.
        retreat.isForced = true
        var state = state
        state.retreat = retreat
        let step = self.goBack(state, facts)
        return Step(
            state: step.state,
            actions: [.journal(.retreating, by: who, reason: reason, forced: true)] + step.actions)
    }

    private func pause(
        _ state: PlanState, _ reason: PlanState.PauseReason, by who: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.pause) else { throw .state(state.phase) }
        return self.paused(state, reason, [.journal(.paused, by: who, reason: reason.rawValue, forced: false)])
    }

    private func paused(_ state: PlanState, _ reason: PlanState.PauseReason, _ actions: [PlanAction]) -> Step {
        var state = state
        state.phase = .paused
        state.pause = reason
        state.ticked = nil
        state.objection = nil
        state.approvedBy = nil
        return Step(state: state, actions: actions)
    }

    /// Lower is always taken; higher is the plan's own affair, save by force.
    private func weighed(
        _ state: PlanState, _ share: UInt32, isRise: Bool, by who: String, force: Bool, reason: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.isActive else { throw .state(state.phase) }
        let share = min(share, PlanSpec.fullWeight)
        if isRise || share > state.share {
            guard force else { throw .owned }
            if reason.isEmpty { throw .reasonNeeded }
        }
        var state = state
        state.share = share
        return self.paused(
            state, .weightsByHand,
            [
                .journal(.weighed, by: who, reason: reason, forced: force),
                .table(share: share, mirror: self.spec.mirror(state.stage)),
            ])
    }

    private func resume(_ state: PlanState, _ facts: PlanFacts, by who: String) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.resume) else { throw .state(state.phase) }
        let wanted = self.spec.weight(state.stage)
        let isChanged = wanted != state.share || facts.weightsDiffer
        // Where its routes have not all the same, some of them get more.
        if wanted > state.share || facts.weightsDiffer, let objection = self.objection(isRise: true, facts) {
            throw .unresumable(objection)
        }
        var state = state
        state.phase = .running
        state.pause = nil
        state.objection = nil
        state.ticked = facts.now
        var actions: [PlanAction] = [.journal(.resumed, by: who, reason: "", forced: false)]
        if isChanged {
            state.epoch += 1
            state.share = wanted
            state.held = 0
            state.wouldHaveRetreated = false
            actions += [.epoch(state.epoch), .table(share: wanted, mirror: self.spec.mirror(state.stage))]
        }
        // Whoever resumes grants it another time of patience.
        state.patienceFrom = state.held
        return Step(state: state, actions: actions)
    }

    private func stop(
        _ state: PlanState, _ facts: PlanFacts, restore: Bool, by who: String
    ) throws(PlanRefusal) -> Step {
        guard state.phase.takes(.stop) else { throw .state(state.phase) }
        // The file may give the new side more than it has: that is a rise as any other.
        if restore, let objection = facts.objection { throw .unrestorable(objection) }
        var state = state
        state.phase = .stopped
        state.ticked = nil
        state.pause = nil
        state.retreat = nil
        return Step(
            state: state,
            actions: [.journal(.stopped, by: who, reason: "", forced: false)] + (restore ? [.restoreFile] : []))
    }
}
