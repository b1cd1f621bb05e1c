import Ledger
import Migration
import RoutesFile
import Traffic

/// What a step of a plan did, or would do.
package struct PlanOutcome: Sendable {
    package var standing: PlanStanding
    package var etag: String
    package var changed: Bool
    /// What the journal was told, or would be, in words.
    package var words: [String]
    package var warnings: [String]
    package var tellings: [PlanAction.Word]
}

/// Plans take their steps here, in the same turn and in the same way as every other change.
extension TablePublisher {
    /// Each replica would judge what it alone has counted, and move the weights of all.
    private static var runsAlone: ChangeRefused {
        .invalid([
            ControlProblem(path: "$", message: "plans do not run yet where replicas share what is live ($.cluster)")
        ])
    }

    package func step(
        _ change: PlanChange, origin: ChangeOrigin, dryRun: Bool = false
    ) async throws(ChangeRefused) -> PlanOutcome {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        if change.event != .tick { await self.mendLedger() }
        if self.agreement != nil, case .start = change.event { throw Self.runsAlone }
        var change = change
        var (next, transition) = try self.applying(.plan(change))
        // A plan that was under way when replicas began to share may go back, and never on.
        if self.agreement != nil, self.raises(transition, of: change.name) { throw Self.runsAlone }
        let phase = self.state.plans[change.name]?.state.phase
        if !change.isForced, self.raises(transition, of: change.name) {
            let objections = await self.objections(to: transition)
            var words = objections.map(\.problem.message)
            // A plan that tried again with each tick would fill the journal with what failed.
            if change.event == .tick, let trouble = self.ledger?.trouble {
                words.append("the journal cannot be written, and a rise must be: \(trouble)")
            }
            if !words.isEmpty {
                change.facts.objection = words.joined(separator: "; ")
                do throws(ChangeRefused) {
                    (next, transition) = try self.applying(.plan(change))
                } catch {
                    if !dryRun { self.count(objections) }
                    throw error
                }
                // Told once, not with each tick.
                if !dryRun, next.plans[change.name]?.state.phase != phase { self.count(objections) }
            }
        }
        let isRise = self.raises(transition, of: change.name)
        if !dryRun {
            if self.agreement != nil {
                // By this word the next process knows what is still to be proposed to the others.
                for index in transition.notes.indices where transition.notes[index].before?.weights != nil {
                    transition.notes[index].evidence = "detached"
                }
            }
            let entries = try await self.intend(
                transition, to: next, origin, forced: change.isForced,
                mayBeLate: !isRise || change.isForced)
            if self.agreement != nil { self.detach(transition, &next, origin) }
            await self.putInForce(next, transition)
            await self.confirm(entries)
        }
        guard let standing = next.plans[change.name] else { throw .notFound("no migration \"\(change.name)\"") }
        return PlanOutcome(
            standing: standing, etag: self.state.tag, changed: !transition.notes.isEmpty,
            words: transition.notes.map { note in
                note.subject == change.name ? note.detail : "\(note.subject): \(note.detail)"
            }, warnings: self.warnings(transition) + self.unjudged(standing, change) + self.ledgerWarnings,
            tellings: transition.tellings)
    }

    /// Who starts at 100 % without a stage before it has nothing that the new side could be worse than.
    private func unjudged(_ standing: PlanStanding, _ change: PlanChange) -> [String] {
        let (plan, stage) = (standing.plan, standing.state.stage)
        guard case .start = change.event, plan.stages[stage].kind == .share(PlanSpec.fullWeight),
            plan.mirror(stage) == 0, standing.baseline?.routes.values.allSatisfy({ $0.samples == 0 }) ?? true
        else { return [] }
        return [
            "nothing was counted of \(plan.from) before: \(plan.to) is compared with nobody, and goes back by itself only "
                + "when it is gone"
        ]
    }

    /// What a plan takes back here goes to the others as what was done alone does: at once in force, and proposed when they can be
    /// asked. Otherwise the next document that they agree on would give it to the new side again.
    private func detach(_ transition: Transition, _ next: inout RoutingState, _ origin: ChangeOrigin) {
        for reweighting in transition.reweightings where reweighting.before != reweighting.after {
            let route = reweighting.route
            guard var note = transition.notes.first(where: { $0.subject == route }) else { continue }
            // Of all of them it is a change of weights: the others have no such plan under way.
            note.what = .weights
            var edit = SharedEdit()
            edit.routes[route] = .some(
                next.live[route].map { LiveDocument.Split(weights: $0.weights, fileWeights: $0.fileWeights) })
            self.agreed.detached[route] = AgreedStanding.Detached(
                base: self.agreed.detached[route]?.base ?? self.state.shared?.weights[route],
                change: AgreedStanding.WeightChangeNote(edit: edit, note: note, origin: origin))
            next.detached.insert(route)
        }
    }

    /// Writes how long plans have been held, so that a process that is killed has lost little of it.
    func keepStandings() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard let ledger = self.ledger, ledger.trouble == nil, ledger.store.isOpen, !self.state.isHandingOver else {
            return
        }
        let running = self.state.plans.values.filter { $0.state.phase == .running || $0.state.phase == .retreating }
        let changes = self.planChanges.filter { change in running.contains { $0.plan.name == change.key } }
        guard !changes.isEmpty else { return }
        do throws(LedgerFailure) {
            try await ledger.store.write([], live: LedgerRows.standings(self.state, by: changes))
        } catch {
            self.fail(error)
        }
    }

    /// Writes who needed a side; false if that cannot be now.
    func keepNeeds(_ rows: [NeedRow]) async -> Bool {
        guard let store = self.ledger?.store, self.ledger?.trouble == nil, store.isOpen else { return false }
        return (try? await store.read { file throws(LedgerFailure) in try file.putNeeds(rows) }) != nil
    }

    /// Who has needed sides, as far as that was written.
    func keptNeeds() async -> [NeedRow] {
        guard let store = self.ledger?.store, store.isOpen else { return [] }
        return (try? await store.read { file throws(LedgerFailure) in try file.needs() }) ?? []
    }

    /// Which changes set where plans stand.
    func rememberPlans(_ entries: [JournalEntry]) {
        for entry in entries where self.state.plans[entry.subject] != nil { self.planChanges[entry.subject] = entry.id }
    }

    /// Whether the new side gets more anywhere.
    private func raises(_ transition: Transition, of name: String) -> Bool {
        guard let standing = self.state.plans[name] else { return false }
        return transition.reweightings.contains { standing.share(of: $0.after) > standing.share(of: $0.before) }
    }

    private func objections(to transition: Transition) async -> [Objection] {
        let window = await self.traffic()
        let routes = transition.reweightings.filter { $0.before != $0.after }
        let after = Dictionary(
            routes.map { ($0.route, self.shares($0.after, $0)) }, uniquingKeysWith: { first, _ in first })
        return routes.flatMap { reweighting in
            self.objections(
                route: reweighting.route, from: self.shares(reweighting.before, reweighting),
                to: after[reweighting.route] ?? [], window, beside: after)
        }
    }

    private func count(_ objections: [Objection]) {
        for reason in Set(objections.map(\.reason)) { self.guardRefusals[reason, default: 0] += 1 }
    }

    private func warnings(_ transition: Transition) -> [String] {
        transition.reweightings.filter { $0.before != $0.after }.flatMap { reweighting in
            WeightChange.warnings(
                before: self.shares(reweighting.before, reweighting),
                after: self.shares(reweighting.after, reweighting), failover: reweighting.failover
            ).map { "\(reweighting.route): \($0)" }
        }
    }
}

extension PlanChange {
    /// It is meant in spite of objections.
    var isForced: Bool {
        switch self.event {
        case .start(_, _, let force, let reason), .advance(_, let force, let reason),
            .weighed(_, _, _, let force, let reason):
            force && !reason.isEmpty
        default: false
        }
    }
}
