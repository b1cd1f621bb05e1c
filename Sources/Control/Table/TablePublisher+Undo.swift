import Ledger
import Traffic

extension TablePublisher {
    /// Takes one change back, or goes back to where live weights and administrative states stood when a generation was last in
    /// force. It is a change as any other: in one table, journalled, and to be undone itself.
    package func undo(_ request: UndoRequest, origin: ChangeOrigin) async throws(ChangeRefused) -> UndoOutcome {
        var (outcome, agreed) = try await self.decide(request, origin: origin)
        outcome.replicas = await self.replicas(applied: agreed)
        return outcome
    }

    private func decide(_ request: UndoRequest, origin: ChangeOrigin) async throws(ChangeRefused)
        -> (UndoOutcome, agreed: UInt64?)
    {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
        var tries = 0
        while true {
            if let done = try await self.tryUndo(request, origin: origin, &tries) { return done }
        }
    }

    /// nil: another replica's change was first, and is in force now.
    private func tryUndo(_ request: UndoRequest, origin: ChangeOrigin, _ tries: inout Int) async throws(ChangeRefused)
        -> (UndoOutcome, agreed: UInt64?)?
    {
        var agreed: UInt64?
        var restoration = try await self.restoration(request)
        restoration.reason = request.reason
        restoration.ifMatch = request.ifMatch
        restoration.who = origin.who
        restoration.force = request.force
        let before = self.state
        let (next, transition) = try self.applying(.restore(restoration))
        guard request.partial || transition.missing.isEmpty else { throw .gone(transition.missing) }
        let routes = transition.reweightings.filter { $0.before != $0.after }.map { reweighting in
            UndoOutcome.RouteChange(
                route: reweighting.route, before: self.shares(reweighting.before, reweighting),
                after: self.shares(reweighting.after, reweighting))
        }
        let endpoints = transition.settings.map { setting in
            UndoOutcome.EndpointChange(
                upstream: setting.endpoint.upstream, address: "\(setting.endpoint.address)",
                before: (before.administrative[setting.endpoint] ?? .ready).word, after: setting.state.word)
        }
        try self.object(to: transition, routes, force: request.force)
        let window = await self.traffic()
        let after = Dictionary(routes.map { ($0.route, $0.after) }, uniquingKeysWith: { first, _ in first })
        let objections = routes.flatMap { route in
            WeightChange.isRetreat(
                from: route.before, to: route.after, file: self.state.fileWeights(of: route.route) ?? [:])
                ? []
                : self.objections(
                    route: route.route, from: route.before, to: route.after, window, beside: after,
                    place: "$.routes.\(route.route).weights")
        }
        if !request.dryRun {
            try self.refuse(objections, transition, origin, isMeant: request.force)
            let isRetreat =
                transition.settings.allSatisfy { $0.state != .ready }
                && routes.allSatisfy {
                    WeightChange.isRetreat(
                        from: $0.before, to: $0.after, file: self.state.fileWeights(of: $0.route) ?? [:])
                }
            let made = try await self.make(
                next, transition, origin, forced: request.force, undoes: restoration.undoes,
                mayBeLate: isRetreat || request.force, tries: &tries)
            guard case .made(let sequence) = made else { return nil }
            agreed = sequence
        }
        let outcome = UndoOutcome(
            undoes: restoration.undoes, generation: self.state.generation, etag: self.state.tag, dryRun: request.dryRun,
            changed: !routes.isEmpty || !endpoints.isEmpty, routes: routes, endpoints: endpoints,
            leftOut: transition.missing, objections: objections.map(\.problem),
            warnings: self.warnings(transition, routes)
                + (request.dryRun ? [] : objections.map { "the guard objected: \($0.problem.message)" })
                + self.ledgerWarnings)
        return (outcome, agreed)
    }

    private func warnings(_ transition: Transition, _ routes: [UndoOutcome.RouteChange]) -> [String] {
        let failover = Dictionary(
            transition.reweightings.map { ($0.route, $0.failover) }, uniquingKeysWith: { first, _ in first })
        return routes.flatMap { route in
            WeightChange.warnings(before: route.before, after: route.after, failover: failover[route.route] ?? true)
                .map { "\(route.route): \($0)" }
        }
    }

    /// Refuses what is hardly ever meant.
    private func object(
        to transition: Transition, _ routes: [UndoOutcome.RouteChange], force: Bool
    ) throws(ChangeRefused) {
        guard !force else { return }
        let silenced = routes.filter { $0.after.allSatisfy { $0.weight == 0 } }
        guard silenced.isEmpty else {
            throw .needsForce(
                silenced.map {
                    ControlProblem(
                        path: "$.routes.\($0.route)",
                        message: "no upstream of it would have a weight: every request would be answered 503")
                })
        }
    }

    // MARK: what to go back to

    private func restoration(_ request: UndoRequest) async throws(ChangeRefused) -> Restoration {
        switch request.target {
        case .change(let sequence): try await self.restoration(of: sequence, force: request.force)
        case .generation(let generation): try await self.restoration(to: generation)
        }
    }

    private func restoration(of sequence: UInt64, force: Bool) async throws(ChangeRefused) -> Restoration {
        guard let entry = await self.entry(sequence) else { throw .notFound("the journal has no entry \(sequence)") }
        guard entry.isUndoable else {
            throw .invalid([
                ControlProblem(
                    path: "$.sequence",
                    message:
                        "entry \(sequence) (\(entry.what.rawValue), \(entry.state.rawValue)) is no change of weights or of "
                        + "an administrative state that is in force")
            ])
        }
        let later = await self.changes(of: entry).filter { $0.isUndoable && $0.concerns(entry) }
        if let last = later.last, !force {
            throw .needsForce([
                ControlProblem(
                    path: "$.sequence",
                    message:
                        "\(entry.subject) was changed again since, last by entry \(last.sequence) (\(last.detail)): undo "
                        + "that first, or go back to a generation")
            ])
        }
        if !force, let after = entry.after, let present = self.position(as: after, of: entry.subject), present != after
        {
            throw .needsForce([
                ControlProblem(
                    path: "$.sequence",
                    message:
                        "\(entry.subject) does not stand where entry \(sequence) left it: \(present.words), and the entry led to "
                        + after.words)
            ])
        }
        return .before([entry], undoes: entry.id)
    }

    private func restoration(to generation: UInt64) async throws(ChangeRefused) -> Restoration {
        guard generation <= self.state.generation else {
            throw .invalid([
                ControlProblem(
                    path: "$.toGeneration",
                    message: "there was no generation \(generation) yet: \(self.state.generation) is in force")
            ])
        }
        let (entries, first) = await self.changes(after: generation)
        guard let first, first <= generation else {
            throw .invalid([
                ControlProblem(
                    path: "$.toGeneration",
                    message: "the journal goes back to generation \(first ?? self.state.generation) only")
            ])
        }
        return .before(entries, undoes: "generation \(generation)")
    }

    /// Where a route or an endpoint stands now; nil: there is no such thing any more, which is told elsewhere.
    private func position(as position: Position, of subject: String) -> Position? {
        if let key = position.endpoint { return Position(key, self.state.administrative[key] ?? .ready) }
        guard let split = self.state.spec.routes.first(where: { $0.name == subject })?.split else { return nil }
        return Position(weights: split.weights, fileWeights: self.state.fileWeights(of: subject) ?? [:])
    }

    // MARK: the journal, wherever it is

    private func entry(_ sequence: UInt64) async -> JournalEntry? {
        if let entry = self.journal.entries.first(where: { $0.sequence == sequence }) { return entry }
        let row = await self.read { file throws(LedgerFailure) in try file.row(sequence) }
        return row.flatMap { $0 }.flatMap(LedgerRows.entry)
    }

    /// Later ones of the same subject, oldest first.
    private func changes(of entry: JournalEntry) async -> [JournalEntry] {
        let (sequence, subject) = (entry.sequence, entry.subject)
        let recent = self.journal.entries.filter { $0.sequence > sequence && $0.subject == subject }
        let rows = await self.read { file throws(LedgerFailure) in try file.changes(of: subject, after: sequence) }
        return Self.joined(rows ?? [], recent)
    }

    /// Those that led away from a generation, the first of each subject at least, oldest first; and the first generation that
    /// is told of.
    private func changes(after generation: UInt64) async -> ([JournalEntry], UInt64?) {
        let recent = self.journal.entries.filter { $0.generationAfter > generation }
        let rows = await self.read { file throws(LedgerFailure) in try file.firstChanges(afterGeneration: generation) }
        let first = await self.read { file throws(LedgerFailure) in try file.firstGeneration() }
        guard let rows, let first else {
            return (recent, self.journal.hasForgotten ? self.journal.entries.first?.generationBefore : 0)
        }
        return (Self.joined(rows, recent), first)
    }

    private static func joined(_ rows: [ChangeRow], _ recent: [JournalEntry]) -> [JournalEntry] {
        let entries = rows.compactMap(LedgerRows.entry)
        let known = Set(entries.map(\.id))
        return (entries + recent.filter { !known.contains($0.id) }).sorted { $0.sequence < $1.sequence }
    }

    /// nil: there is no ledger, or it does not answer. What is in memory must do.
    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (LedgerFile) throws(LedgerFailure) -> Value
    ) async -> Value? {
        guard let store = self.ledger?.store else { return nil }
        return try? await store.read(body)
    }
}
