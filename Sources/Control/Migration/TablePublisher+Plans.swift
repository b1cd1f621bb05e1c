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
    /// Of the replicas that are there, how many have it in force; nil: there are no others.
    package var replicas: ReplicaCount?
}

/// Plans take their steps here, in the same turn and in the same way as every other change.
extension TablePublisher {
    /// What happened to a plan. Where replicas share what is live it is agreed on before it is in force: a look's step under the
    /// term of whoever leads, an operator's word on any replica. `detached`: the others cannot be asked, and it goes back here.
    package func step(
        _ change: PlanChange, origin: ChangeOrigin, dryRun: Bool = false, detached: Bool = false
    ) async throws(ChangeRefused) -> PlanOutcome {
        var (outcome, agreed) = try await self.take(change, origin: origin, dryRun: dryRun, detached: detached)
        if change.event != .tick { outcome.replicas = await self.replicas(applied: agreed) }
        return outcome
    }

    private func take(
        _ change: PlanChange, origin: ChangeOrigin, dryRun: Bool, detached: Bool
    ) async throws(ChangeRefused) -> (PlanOutcome, agreed: UInt64?) {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        if change.event != .tick { await self.mendLedger() }
        if detached, !dryRun { try await self.checkDetached(change) }
        var tries = 0
        while true {
            let (next, transition) = try await self.decide(change, dryRun: dryRun)
            var agreed: UInt64?
            if !dryRun {
                let made = try await self.make(
                    next, transition, change, origin, detached: detached, tries: &tries)
                guard case .made(let sequence) = made else { continue }
                agreed = sequence
            }
            guard let standing = (dryRun ? next : self.state).plans[change.name] else {
                throw .notFound("no migration \"\(change.name)\"")
            }
            let outcome = PlanOutcome(
                standing: standing, etag: self.state.tag, changed: !transition.notes.isEmpty,
                words: transition.notes.map { note in
                    note.subject == change.name ? note.detail : "\(note.subject): \(note.detail)"
                }, warnings: self.warnings(transition) + self.unjudged(standing, change) + self.ledgerWarnings,
                tellings: transition.tellings)
            return (outcome, agreed)
        }
    }

    /// What comes of it, once the guard has been asked about a rise.
    private func decide(
        _ change: PlanChange, dryRun: Bool
    ) async throws(ChangeRefused) -> (RoutingState, Transition) {
        var change = change
        let (next, transition) = try self.applying(.plan(change))
        guard !change.isForced, self.raises(transition, of: change.name) else { return (next, transition) }
        let phase = self.state.plans[change.name]?.state.phase
        let minimum = UInt64(self.state.configuration?.guardSpec?.minimum ?? 0)
        let objections = await self.objections(to: transition).filter { objection in
            // This replica may see few of the requests by which all of them know the new side.
            self.agreement == nil || objection.reason != .minimum || change.sampled < minimum
        }
        var words = objections.map(\.problem.message)
        // A plan that tried again with each tick would fill the journal with what failed.
        if change.event == .tick, let trouble = self.ledger?.trouble {
            words.append("the journal cannot be written, and a rise must be: \(trouble)")
        }
        guard !words.isEmpty else { return (next, transition) }
        change.facts.objection = words.joined(separator: "; ")
        do throws(ChangeRefused) {
            let (next, transition) = try self.applying(.plan(change))
            // Told once, not with each tick.
            if !dryRun, next.plans[change.name]?.state.phase != phase { self.count(objections) }
            return (next, transition)
        } catch {
            if !dryRun { self.count(objections) }
            throw error
        }
    }

    /// Puts a step in force, when it is written down: with the others, or alone.
    private func make(
        _ next: RoutingState, _ transition: Transition, _ change: PlanChange, _ origin: ChangeOrigin, detached: Bool,
        tries: inout Int
    ) async throws(ChangeRefused) -> Made {
        if let agreement, !detached {
            return try await self.agree(on: next, transition, change, origin, agreement, tries: &tries)
        }
        if detached, self.raises(transition, of: change.name) { throw .plan(.owned, migration: change.name) }
        var (next, transition) = (next, transition)
        if detached {
            // By this word the next process knows what is still to be proposed to the others.
            for index in transition.notes.indices { transition.notes[index].evidence = "detached" }
            self.detach(transition, change.name, &next, origin)
        }
        let isRise = self.raises(transition, of: change.name)
        let entries = try await self.intend(
            transition, to: next, origin, forced: change.isForced, mayBeLate: !isRise || change.isForced)
        await self.putInForce(next, transition)
        await self.confirm(entries)
        return .made(agreed: nil)
    }

    private func agree(
        on next: RoutingState, _ transition: Transition, _ change: PlanChange, _ origin: ChangeOrigin,
        _ agreement: Agreement, tries: inout Int
    ) async throws(ChangeRefused) -> Made {
        guard let standing = next.plans[change.name] else { return .made(agreed: nil) }
        var edit = SharedEdit(from: self.state, to: next)
        let isNews = next.isNews(standing)
        // Most looks change nothing but the time that was held, which whoever leads tells beside the document.
        guard isNews || !edit.isEmpty else {
            await self.putInForce(next, transition)
            return .made(agreed: nil)
        }
        // Also where this replica's file alone has changed where it stands: whoever leads tells all.
        edit.put(standing, of: next)
        var changes = transition.notes.map { note in
            SharedChange(
                note, at: self.clock.wall(), agreement.replica, origin, forced: note.forced || change.isForced,
                evidence: note.evidence)
        }
        if changes.isEmpty {
            let note = Transition.Note(
                what: .migration, subject: change.name,
                detail: PlanWords.stands(standing), reason: standing.state.pause?.rawValue ?? "")
            changes = [SharedChange(note, at: self.clock.wall(), agreement.replica, origin)]
        }
        let proposal: Agreement.Proposal
        do throws(ChangeRefused) {
            proposal = try await agreement.propose(
                edit, changes, decidedOn: self.agreed.sequence, asLeader: change.event == .tick)
        } catch {
            guard case .retreat = change.event, case .unreachable(let since, let reason) = error else { throw error }
            throw .unreachable(
                since: since, reason: reason + "; with \"local\": true it goes back on this replica alone")
        }
        await self.adoptInTurn()
        switch proposal {
        case .agreed: return .made(agreed: self.agreed.sequence)
        case .deposed: throw .unreachable(since: nil, reason: "another replica leads")
        case .overtaken:
            tries += 1
            guard tries < Self.tries else {
                throw .unreachable(since: nil, reason: "\(tries) times another replica was first")
            }
            return .overtaken
        }
    }

    /// Alone a plan only goes back, and only where the others cannot be asked.
    private func checkDetached(_ change: PlanChange) async throws(ChangeRefused) {
        guard let agreement else {
            throw .invalid([ControlProblem(path: "$.local", message: "this balancer is alone in any case")])
        }
        guard await agreement.obstacle() != nil else {
            throw .invalid([
                ControlProblem(path: "$.local", message: "the other replicas can be asked: it takes no \"local\"")
            ])
        }
        switch change.event {
        case .tick, .retreat: return
        default:
            throw .invalid([ControlProblem(path: "$.local", message: "alone a replica only goes back: \"retreat\"")])
        }
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
    private func detach(
        _ transition: Transition, _ name: String, _ next: inout RoutingState, _ origin: ChangeOrigin
    ) {
        guard let standing = next.plans[name], standing.state.retreat != nil else { return }
        for route in standing.plan.routes where next.live[route] != nil || self.state.live[route] != nil {
            let note =
                transition.notes.first { $0.subject == route }
                ?? Transition.Note(what: .migration, subject: route, detail: "goes back with migration \(name)")
            var edit = SharedEdit()
            edit.routes[route] = .some(
                next.live[route].map { LiveDocument.Split(weights: $0.weights, fileWeights: $0.fileWeights) })
            self.agreed.detached[route] = AgreedStanding.Detached(
                base: self.agreed.detached[route]?.base ?? self.state.shared?.weights[route],
                change: AgreedStanding.WeightChangeNote(edit: edit, note: note, origin: origin))
            next.detached.insert(route)
        }
        self.detach(standing, transition, &next, origin)
    }

    /// Where a plan stands is this replica's own for a while.
    func detach(
        _ standing: PlanStanding, _ transition: Transition, _ next: inout RoutingState, _ origin: ChangeOrigin
    ) {
        let name = standing.plan.name
        let before = self.agreed.detachedPlans[name]
        self.agreed.detachedPlans[name] = AgreedStanding.DetachedPlan(
            epoch: before?.epoch ?? standing.state.epoch,
            notes: (before?.notes ?? []) + transition.notes, origin: origin)
        next.detachedPlans.insert(name)
    }

    /// The others can be asked again: a way back that was gone alone is the whole plan's, unless it is in another run by now.
    func settleDetachedPlans(_ agreement: Agreement) async {
        for (name, detached) in self.agreed.detachedPlans.sorted(by: { $0.key < $1.key }) {
            guard let standing = self.state.plans[name] else {
                self.reattach(name, [])
                continue
            }
            switch self.sequel(of: standing, in: detached.epoch) {
            // A process that ended before it heard so had told all of it.
            case .told: break
            case .overtaken where self.agreed.toldPlans.contains(name): break
            case .overtaken:
                self.enter(
                    .cluster, detail: "what went back here alone gives way to what the others agreed on meanwhile",
                    subject: name)
            case .wentBack:
                self.enter(
                    .cluster, detail: "what went back here alone goes on with the others, who went back meanwhile, too",
                    subject: name)
            case .owed(let edit):
                let routes = standing.plan.routes.compactMap { self.agreed.detached[$0]?.change.note }
                let notes =
                    detached.notes + routes.filter { note in !detached.notes.contains { $0.subject == note.subject } }
                let changes = notes.map { note in
                    var note = note
                    note.detail += " (was in force on \(agreement.replica) alone)"
                    return SharedChange(
                        note, at: self.clock.wall(), agreement.replica, detached.origin, evidence: "detached")
                }
                let proposal = try? await agreement.propose(edit, changes, decidedOn: self.agreed.sequence)
                // Otherwise it is settled with the next document.
                guard case .agreed = proposal else { continue }
            }
            self.reattach(name, standing.plan.routes)
            self.agreed.change = ""
            await self.adoptInTurn()
        }
    }

    /// What becomes of a plan that took a step here alone.
    private enum Sequel {
        case told
        /// The others are in another run, or somebody has ended it.
        case overtaken
        /// They are as far back in the same run, by themselves.
        case wentBack
        case owed(SharedEdit)
    }

    private func sequel(of standing: PlanStanding, in epoch: UInt64) -> Sequel {
        let name = standing.plan.name
        guard let record = self.state.shared?.plans[name], record.epoch == epoch,
            let phase = PlanState.Phase(rawValue: record.phase)
        else { return .overtaken }
        guard !PlanRecord(standing).isSameStep(as: record) else { return .told }
        let isBack = standing.state.phase == .retreating || standing.state.phase == .retreated
        let isFurther = isBack && standing.state.share < record.share
        if self.agreed.toldPlans.contains(name), !isFurther { return .told }
        // A pause would end their way back, and less of it would give the new side more again.
        if phase == .retreating || phase == .retreated, !isFurther { return .wentBack }
        guard phase.isActive || phase == .retreating else { return .overtaken }
        var owed = standing
        owed.state.share = min(standing.state.share, record.share)
        var edit = SharedEdit()
        edit.put(owed, of: self.state)
        for (route, split) in edit.routes {
            guard let split, let file = self.state.fileWeights(of: route) else { continue }
            // An earlier version tells no weights that are its file's.
            let known = self.state.shared?.weights[route]?.weights ?? file
            // What the others have taken further back stays there.
            if standing.share(of: known) < standing.share(of: split.weights) { edit.routes[route] = nil }
        }
        return .owed(edit)
    }

    private func reattach(_ name: String, _ routes: [String]) {
        self.agreed.detachedPlans[name] = nil
        self.agreed.toldPlans.remove(name)
        for route in routes {
            self.agreed.detached[route] = nil
            self.agreed.toldRoutes.remove(route)
        }
        self.detach(Set(self.agreed.detached.keys), plans: Set(self.agreed.detachedPlans.keys))
    }

    // MARK: what only one replica measures

    func followHeld(_ held: Int64, of name: String, epoch: UInt64) async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        var next = self.state
        next.followHeld(held, of: name, epoch: epoch)
        await self.putInForce(next, next.unchanged)
    }

    func forgetTicks() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        var next = self.state
        next.forgetTicks()
        await self.putInForce(next, next.unchanged)
    }

    /// Writes how long plans have been held, so that a process that is killed has lost little of it.
    func keepStandings() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard let ledger = self.ledger, ledger.trouble == nil, ledger.store.isOpen, !self.state.isHandingOver else {
            return
        }
        // In the stage that retires the old side the hold begins anew also while it is paused.
        let running = self.state.plans.values.filter {
            $0.state.phase == .running || $0.state.phase == .retreating || ($0.state.phase == .paused && $0.isRetiring)
        }
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
