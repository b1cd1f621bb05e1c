import Ledger
import Logging
import Migration
import RoutesFile
import Traffic

/// How far a replica is with what all have agreed on.
struct AgreedStanding: Sendable {
    /// What a route's retreat on this replica alone goes back on, and who asked for it.
    struct Detached: Sendable {
        /// What all had agreed on for the route; nil: nothing.
        var base: LiveState.Weights?
        var change: WeightChangeNote
    }

    /// A plan's way back on this replica alone.
    struct DetachedPlan: Sendable {
        /// The run that it went back in.
        var epoch: UInt64
        var notes: [Transition.Note]
        var origin: ChangeOrigin
    }

    struct WeightChangeNote: Sendable {
        var edit: SharedEdit
        var note: Transition.Note
        var origin: ChangeOrigin
    }

    /// What is in force; nil: nothing has been seen.
    var document: LiveDocument?
    /// The change that is in force; empty: none, or it is to be put in force anew.
    var change = ""
    var sequence: UInt64 = 0
    /// The last change that is in the journal.
    var journalled: UInt64 = 0
    var detached: [String: Detached] = [:]
    var detachedPlans: [String: DetachedPlan] = [:]
    /// Of these routes and plans that was proposed to the others, and agreed on, before the process that proposed it heard so: by the
    /// changes that this one has read since.
    var toldRoutes: Set<String> = []
    var toldPlans: Set<String> = []

    /// Takes note of what all have agreed on that this replica once did alone.
    mutating func note(_ changes: [SharedChange], by replica: String) {
        for change in changes where change.replica == replica && change.evidence == "detached" {
            if change.before?.weights != nil {
                if self.detached[change.subject] != nil { self.toldRoutes.insert(change.subject) }
            } else if self.detachedPlans[change.subject] != nil {
                self.toldPlans.insert(change.subject)
            }
        }
    }
}

extension AgreedStanding.Detached {
    /// What `note` tells of a route's weights, as another process has kept it; nil: it tells of something else.
    fileprivate init?(base: LiveState.Weights?, _ note: Transition.Note, _ origin: ChangeOrigin) {
        guard let weights = note.after?.weights, let file = note.after?.fileWeights else { return nil }
        var edit = SharedEdit()
        edit.routes[note.subject] =
            .some(weights == file ? nil : LiveDocument.Split(weights: weights, fileWeights: file))
        self.init(base: base, change: AgreedStanding.WeightChangeNote(edit: edit, note: note, origin: origin))
    }
}

/// Changes that all replicas make, and none without the others. The store has a change before it is in force anywhere: whoever
/// was first decides, and the others decide anew on what came of it.
extension TablePublisher {
    enum Made {
        /// It is in force here. The number by which all know it; nil: it is this process's own.
        case made(agreed: UInt64?)
        /// Another replica's change was first, and is in force now.
        case overtaken
    }

    /// Times that a change is decided anew because others were first.
    static let tries = 100

    var agreementPublisher: Agreement.Publisher {
        Agreement.Publisher(
            adopt: { await self.adopt() }, seed: { await self.state.seed }, stale: { await self.stale })
    }

    private var stale: (edit: SharedEdit, sequence: UInt64) { (self.state.stale, self.agreed.sequence) }

    /// Follows the other replicas, if there are any, until the task is cancelled.
    package func runCluster() async { await self.agreement?.run(publishing: self.agreementPublisher) }

    /// Waits for what all have agreed on, but not for ever. Call before the first `load`, behind `openLedger`.
    package func joinCluster() async {
        guard let agreement else { return }
        await self.recallDetached()
        await agreement.firstContact()
        await self.adopt()
    }

    // MARK: making changes

    /// Writes a change down, with the others or alone, and puts it in force. Only at one's turn. `tries`: how often others have
    /// been first since it was asked for.
    func make(
        _ next: RoutingState, _ transition: Transition, _ origin: ChangeOrigin, forced: Bool, undoes: String? = nil,
        mayBeLate: Bool, detaching route: String? = nil, tries: inout Int
    ) async throws(ChangeRefused) -> Made {
        guard let agreement, route == nil else {
            var next = next
            if let route { self.detach(route, &next, transition, origin) }
            let entries = try await self.intend(
                transition, to: next, origin, forced: forced, undoes: undoes, mayBeLate: mayBeLate,
                evidence: route == nil ? nil : "detached")
            await self.putInForce(next, transition)
            await self.confirm(entries)
            return .made(agreed: nil)
        }
        // What changes nothing needs nobody.
        guard !transition.notes.isEmpty else {
            // How many have what is so already is told all the same, if they can be asked.
            let isReachable = await agreement.obstacle() == nil
            return .made(agreed: isReachable ? self.agreed.sequence : nil)
        }
        let changes = transition.notes.map { note in
            SharedChange(note, at: self.clock.wall(), agreement.replica, origin, forced: forced, undoes: undoes)
        }
        let edit = SharedEdit(from: self.state, to: next)
        let proposal = try await agreement.propose(edit, changes, decidedOn: self.agreed.sequence)
        await self.adoptInTurn()
        if case .agreed = proposal { return .made(agreed: self.agreed.sequence) }
        tries += 1
        guard tries < Self.tries else {
            throw .unreachable(since: nil, reason: "\(tries) times another replica was first")
        }
        return .overtaken
    }

    /// How many replicas have a change in force, when all have or it is time to answer.
    func replicas(applied sequence: UInt64?) async -> ReplicaCount? {
        guard let agreement, let sequence else { return nil }
        return await agreement.count(applied: sequence)
    }

    /// Writes into every replica's journal what one of them has seen. False: it could not be, or there are no others.
    func tellAll(
        _ what: JournalEntry.What, _ detail: String, of subject: String, _ origin: ChangeOrigin
    ) async -> Bool {
        guard let agreement else { return false }
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let now = self.clock.wall()
        let change = SharedChange(
            id: ChangeID.make(at: now), at: now, replica: agreement.replica, origin: origin, what: what,
            subject: subject, detail: detail)
        for _ in 0..<Self.tries {
            let proposal = try? await agreement.propose(SharedEdit(), [change], decidedOn: self.agreed.sequence)
            await self.adoptInTurn()
            guard case .overtaken? = proposal else {
                if case .agreed? = proposal { return true }
                return false
            }
        }
        return false
    }

    // MARK: alone

    func checkReach(_ change: WeightChange) async throws(ChangeRefused) {
        guard change.local, !change.dryRun else { return }
        guard let agreement else {
            throw .invalid([ControlProblem(path: "$.local", message: "this balancer is alone in any case")])
        }
        guard await agreement.obstacle() != nil else {
            throw .invalid([
                ControlProblem(path: "$.local", message: "the other replicas can be asked: it takes no \"local\"")
            ])
        }
        guard !change.reason.isEmpty else {
            throw .invalid([ControlProblem(path: "$.reason", message: "is missing: what is done alone needs one")])
        }
    }

    static func noRetreat(_ change: WeightChange) -> ChangeRefused {
        .invalid([
            ControlProblem(
                path: "$.local",
                message:
                    "alone a replica only goes back: to what the file says, or away from a side that is not available")
        ])
    }

    private func detach(
        _ route: String, _ next: inout RoutingState, _ transition: Transition, _ origin: ChangeOrigin
    ) {
        guard let note = transition.notes.first else { return }
        // What was known before this process may be all that is known of the others.
        let base =
            self.agreed.detached[route].map(\.base)
            ?? (self.state.shared.map { $0.weights[route] } ?? self.state.live[route])
        self.agreed.detached[route] = AgreedStanding.Detached(
            base: base,
            change: AgreedStanding.WeightChangeNote(
                edit: SharedEdit(from: self.state, to: next), note: note, origin: origin))
        next.detached.insert(route)
        // A plan that pauses by it pauses for all, when the others can be asked.
        for (name, standing) in next.plans where standing.ownsWeights {
            guard let present = self.state.plans[name], !PlanRecord(present).isSameStep(as: PlanRecord(standing)) else {
                continue
            }
            self.detach(standing, transition, &next, origin)
        }
    }

    /// What was done alone before this process began, and has not been settled, is still to be proposed to the others: the ledger
    /// has it, or at least that the file's weights are in force because of it.
    private func recallDetached() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard let store = self.ledger?.store, store.isOpen,
            let rows = try? await store.read({ file throws(LedgerFailure) in
                (weights: try file.unsettledAlone(), plans: try file.unsettledPlans())
            })
        else { return }
        // The process before has handed over what it knew itself, with the run that it was: the ledger would tell it once more.
        let handedOver = Set(self.agreed.detachedPlans.keys)
        for entry in rows.plans.compactMap(LedgerRows.entry) where !handedOver.contains(entry.subject) {
            // The run that it went back in is that in which the ledger has it.
            guard let record = self.state.inheritedPlans[entry.subject] else { continue }
            let note = Transition.Note(
                what: entry.what, subject: entry.subject, detail: entry.detail, reason: entry.reason,
                forced: entry.forced)
            let before = self.agreed.detachedPlans[entry.subject]
            self.agreed.detachedPlans[entry.subject] = AgreedStanding.DetachedPlan(
                epoch: record.epoch, notes: (before?.notes ?? []) + [note],
                origin: ChangeOrigin(entry.origin, who: entry.who))
        }
        for entry in rows.weights.compactMap(LedgerRows.entry) {
            guard let before = entry.before, let was = before.weights, let fileWas = before.fileWeights else {
                continue
            }
            let route = entry.subject
            // Of several in a row the first tells what the others have.
            let base =
                self.agreed.detached[route].map(\.base)
                ?? (was == fileWas ? nil : LiveState.Weights(route: route, weights: was, fileWeights: fileWas))
            let note = Transition.Note(
                what: entry.what, subject: route, detail: entry.detail, reason: entry.reason, before: before,
                after: entry.after)
            guard
                let detached = AgreedStanding.Detached(
                    base: base, note, ChangeOrigin(entry.origin, who: entry.who))
            else { continue }
            self.agreed.detached[route] = detached
        }
        self.detach(Set(self.agreed.detached.keys), plans: Set(self.agreed.detachedPlans.keys))
    }

    /// What the next process must still propose to the others; nil: nothing.
    var detachedToHandOver: [LiveState.Detached]? {
        guard let agreement, !self.agreed.detached.isEmpty else { return nil }
        return self.agreed.detached.sorted { $0.key < $1.key }.map { _, detached in
            LiveState.Detached(
                base: detached.base,
                change: SharedChange(
                    detached.change.note, at: self.clock.wall(), agreement.replica, detached.change.origin,
                    evidence: "detached"))
        }
    }

    /// Likewise, of plans.
    var detachedPlansToHandOver: [LiveState.DetachedPlan]? {
        guard let agreement, !self.agreed.detachedPlans.isEmpty else { return nil }
        return self.agreed.detachedPlans.sorted { $0.key < $1.key }.map { name, detached in
            LiveState.DetachedPlan(
                name: name, epoch: detached.epoch,
                changes: detached.notes.map {
                    SharedChange(
                        $0, at: self.clock.wall(), agreement.replica, detached.origin, forced: $0.forced,
                        evidence: "detached")
                })
        }
    }

    /// Takes on what the process before did alone and could not propose. Call behind the inheritance of its live weights.
    func inheritDetached(_ live: LiveState) {
        // Who shares with nobody has nobody to propose it to: the weights are live as ever.
        guard self.agreement != nil else { return }
        for entry in live.detached ?? [] {
            let change = entry.change
            guard
                let detached = AgreedStanding.Detached(
                    base: entry.base, Transition.Note(change), ChangeOrigin(change.door, who: change.who))
            else { continue }
            self.agreed.detached[change.subject] = detached
        }
        for plan in live.detachedPlans ?? [] {
            guard let last = plan.changes.last else { continue }
            self.agreed.detachedPlans[plan.name] = AgreedStanding.DetachedPlan(
                epoch: plan.epoch, notes: plan.changes.map { Transition.Note($0) },
                origin: ChangeOrigin(last.door, who: last.who))
        }
        self.detach(Set(self.agreed.detached.keys), plans: Set(self.agreed.detachedPlans.keys))
    }

    /// The others can be asked again: what was done alone is proposed to them, unless they have changed it since.
    private func settleDetached() async {
        // Without a file it is not known yet which plan a route is of.
        guard let agreement, self.state.configuration != nil,
            !self.agreed.detached.isEmpty || !self.agreed.detachedPlans.isEmpty, await agreement.obstacle() == nil
        else { return }
        await self.settleDetachedPlans(agreement)
        let waiting = Set(self.agreed.detachedPlans.keys.flatMap { self.state.plans[$0]?.plan.routes ?? [] })
        for (route, detached) in self.agreed.detached.sorted(by: { $0.key < $1.key }) where !waiting.contains(route) {
            let present = self.state.shared?.weights[route]?.overFile
            let aim = detached.change.edit.routes[route].flatMap { $0 }
            let isThere = present?.weights == aim?.weights && present?.fileWeights == aim?.fileWeights
            // What is so already was proposed and not answered, or somebody else's thought as well.
            if !isThere, present == detached.base?.overFile {
                var note = detached.change.note
                note.detail += " (was in force on \(agreement.replica) alone)"
                let change = SharedChange(
                    note, at: self.clock.wall(), agreement.replica, detached.change.origin, evidence: "detached")
                let proposal = try? await agreement.propose(
                    detached.change.edit, [change], decidedOn: self.agreed.sequence)
                // Otherwise it is settled with the next document.
                guard case .agreed = proposal else { continue }
            } else if !isThere, !self.agreed.toldRoutes.contains(route) {
                self.enter(
                    .cluster, detail: "what was set here alone gives way to what the others agreed on meanwhile",
                    subject: route)
            }
            self.agreed.detached[route] = nil
            self.agreed.toldRoutes.remove(route)
            self.detach(Set(self.agreed.detached.keys), plans: self.state.detachedPlans)
            self.agreed.change = ""
            await self.adoptInTurn()
        }
    }

    // MARK: what others have changed

    /// Puts the present document in force.
    func adopt() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.adoptInTurn()
        await self.settleDetached()
    }

    /// Puts the present document in force; only at one's turn.
    func adoptInTurn() async {
        guard let agreement, let document = await agreement.document,
            document != self.agreed.document || self.agreed.change.isEmpty,
            let (next, transition) = try? self.applying(.agree(SharedLive(document)))
        else { return }
        let before = self.state
        await self.putInForce(next, transition)
        if let lost = self.agreed.document, !document.continues(lost) {
            self.enter(
                .cluster,
                detail: "the store went back: change \(document.sequence) of term \(document.term) is in force, and "
                    + "change \(lost.sequence) (\(lost.change)) was before")
            self.agreed.journalled = document.common(with: lost)
        }
        // Kept longer than the store was.
        self.agreed.journalled = min(self.agreed.journalled, document.sequence)
        self.agreed.document = document
        self.agreed.change = document.change
        self.agreed.sequence = document.sequence
        await self.tellCluster()
        await self.journal(document, transition, from: before)
    }

    private func journal(_ document: LiveDocument, _ transition: Transition, from before: RoutingState) async {
        guard let agreement else { return }
        var (changes, areAll) = document.changes(after: self.agreed.journalled)
        if !areAll, self.agreed.journalled > 0 {
            let first = changes.first?.sequence ?? document.sequence + 1
            let earlier = await agreement.history(after: self.agreed.journalled).filter { $0.sequence < first }
            let wanted = first - self.agreed.journalled - 1
            let missing = wanted - min(UInt64(earlier.count), wanted)
            if missing > 0 {
                self.enter(
                    .cluster,
                    detail:
                        "\(missing) of the cluster's changes \(self.agreed.journalled + 1) to \(first - 1) could not be "
                        + "read: what they led to is in force, and this journal does not tell of them")
            }
            changes = earlier + changes
        }
        // Without a journal to go on from they may be of another time.
        if self.agreed.journalled > 0 { self.agreed.note(changes, by: agreement.replica) }
        self.agreed.journalled = max(self.agreed.journalled, document.sequence)
        var entries = changes.map { change in
            var entry = self.journal.entry(
                at: change.at, origin: ChangeOrigin(change.door, who: change.who), what: change.what,
                subject: change.subject, detail: change.detail, reason: change.reason,
                generationBefore: transition.generationBefore, generationAfter: transition.generationAfter)
            entry.id = change.id
            entry.before = change.before
            entry.after = change.after
            entry.forced = change.forced
            entry.undoes = change.undoes
            entry.evidence = change.evidence
            entry.replica = change.replica
            entry.revision = change.sequence
            return entry
        }
        for entry in entries { self.journal.append(entry) }
        self.ledger?.keep(entries)
        let moves = transition.publishes || !transition.settings.isEmpty
        if entries.isEmpty, moves || self.state.live != before.live {
            entries = [
                self.enter(
                    .cluster,
                    detail:
                        "change \(document.sequence) of the cluster is in force: \(document.routes.count) live splits, "
                        + "\(document.endpoints.count) endpoints not ready")
            ]
        }
        await self.write(entries, from: before)
    }

    /// Tells the others what is in force here.
    func tellCluster() async {
        await self.agreement?.applied(
            sequence: self.agreed.sequence, generation: self.state.generation,
            fingerprint: self.state.configuration?.fingerprint ?? "")
    }
}

extension LiveState.Weights {
    /// nil: they are the file's own.
    fileprivate var overFile: LiveState.Weights? { self.weights == self.fileWeights ? nil : self }
}

extension Transition.Note {
    fileprivate init(_ change: SharedChange) {
        self.init(
            what: change.what, subject: change.subject, detail: change.detail, reason: change.reason,
            before: change.before, after: change.after, forced: change.forced)
    }
}

extension SharedChange {
    init(
        _ note: Transition.Note, at now: UInt64, _ replica: String, _ origin: ChangeOrigin, forced: Bool = false,
        undoes: String? = nil, evidence: String? = nil
    ) {
        self.init(
            id: ChangeID.make(at: now), at: now, replica: replica, origin: origin, what: note.what,
            subject: note.subject, detail: note.detail, reason: note.reason, before: note.before, after: note.after,
            forced: forced, undoes: undoes, evidence: evidence)
    }
}
