import Ledger
import Logging
import Migration
import RoutesFile
import Traffic

/// The journal, and the ledger that keeps it and the live state beyond the process. What an operator changes is written,
/// with the live state that it leads to, before it is in force; what the file or a source of endpoints changes is written
/// when it is.
///
/// A ledger that cannot be written stops nothing but rises: what is not written is kept and written when it can be.
extension TablePublisher {
    /// Milliseconds between two tries to write to a ledger that failed.
    private static let retry: UInt64 = 1_000
    /// Milliseconds that the start waits for another process to give the ledger up.
    private static let startPatience: UInt64 = 5_000

    // MARK: start to stop

    /// Opens the ledger and, unless a predecessor has handed over what was live, takes on what it kept. Call before the
    /// first `load`. Whatever is wrong with it, the process starts: with the file's weights, if need be.
    package func openLedger(isSuccessor: Bool) async {
        guard self.ledger != nil else { return }
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        self.ledger?.isSuccessor = isSuccessor
        var waited: UInt64 = 0
        while true {
            do throws(LedgerFailure) {
                guard let store = self.ledger?.store else { return }
                try await self.take(try await store.open(), restoring: !isSuccessor)
                return
            } catch {
                guard error.cause == .inUse, waited < Self.startPatience else { return self.fail(error) }
                waited += 50
                try? await self.clock.sleep(50)
            }
        }
    }

    /// Writes, as long as the process lives, what could not be written when it was to be.
    package func keepLedger() async {
        guard self.ledger != nil else { return }
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.retry) } catch { return }
            await self.turnstile.enter()
            await self.mendLedger()
            self.turnstile.leave()
        }
    }

    /// Writes what is not written yet, at the process's end.
    package func flushLedger() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
    }

    /// A successor gave up: the ledger is this process's again. What that one wrote of the live state is written over.
    func reopenLedger() async {
        guard let store = self.ledger?.store else { return }
        self.enter(.takeover, detail: "the successor gave up: changes are taken here again")
        do throws(LedgerFailure) {
            try await self.take(try await store.open(), restoring: false)
        } catch {
            self.fail(error)
        }
    }

    /// Writes what is due, if anything is. Only at one's turn.
    func mendLedger() async {
        guard let ledger = self.ledger, ledger.trouble != nil || !ledger.unwritten.isEmpty, !self.state.isHandingOver
        else { return }
        do throws(LedgerFailure) {
            if !ledger.store.isOpen {
                let contents = try await ledger.store.open()
                try await self.take(contents, restoring: !ledger.wasOpen && !ledger.isSuccessor)
            } else {
                try await self.writeAll()
            }
        } catch {
            self.fail(error)
        }
    }

    func fail(_ failure: LedgerFailure) {
        self.ledger?.errors += 1
        let isNews = self.ledger?.trouble != failure.reason
        self.ledger?.trouble = failure.reason
        guard isNews else { return }
        self.logger?.error(
            "the journal and the live state cannot be written: rises are refused, and what is changed now is lost if this process ends",
            metadata: ["path": "\(self.ledger?.path ?? "")", "cause": "\(failure)"])
    }

    /// The ledger has been opened: its numbers go on, and what it kept is taken on if wanted.
    private func take(_ contents: LedgerFile.Contents, restoring: Bool) async throws(LedgerFailure) {
        // It gets a number behind what the file has.
        self.ledger?.recovery = nil
        if var unwritten = self.ledger?.unwritten {
            self.journal.follow(contents.lastSequence, unwritten: &unwritten)
            self.ledger?.unwritten = unwritten
        }
        self.ledger?.wasOpen = true
        self.agreed.journalled = max(self.agreed.journalled, contents.lastRevision)
        if let damaged = contents.damaged {
            self.ledger?.errors += 1
            self.logger?.error(
                "the ledger was damaged: it was moved aside and a new one begun; weights are the file's",
                metadata: ["moved": "\(damaged)"])
            self.enter(.ledger, detail: "it was damaged, was moved to \(damaged), and begins anew")
        }
        for row in contents.live where row.key.hasPrefix("migration/") {
            self.planChanges[String(row.key.dropFirst("migration/".count))] = row.change
        }
        if restoring, contents.lastSequence > 0 { await self.restore(LedgerRows.liveState(contents)) }
        try await self.writeAll()
    }

    private func restore(_ live: LiveState) async {
        guard let configuration = self.state.configuration else {
            self.inherit(live, as: .restored, origin: ChangeOrigin(.start))
            return
        }
        // Late: the file is in force already, and is laid under what was live. What was changed by hand since then stands.
        let changed = (self.ledger?.unwritten ?? []).filter(\.isUndoable)
        var live = live
        live.weights.removeAll { weights in
            self.state.live[weights.route] != nil
                || changed.contains { $0.before?.weights != nil && $0.subject == weights.route }
        }
        live.administrative.removeAll { entry in
            changed.contains { $0.before?.upstream == entry.upstream && $0.before?.address == entry.address }
        }
        live.plans?.removeAll { record in self.state.plans[record.name].map { $0.state != PlanState() } ?? false }
        var next = self.state
        guard let inherited = try? next.apply(.inherit(live, as: .restored), at: self.clock.monotonic()),
            var transition = try? next.apply(
                .load(configuration), at: self.clock.monotonic(), wall: self.clock.wall())
        else { return }
        self.settle(inherited)
        await self.putInForce(next, transition)
        self.enter(inherited, ChangeOrigin(.start))
        // No load: only what it ended is news.
        transition.notes.removeAll { $0.what == .load }
        self.enter(transition, ChangeOrigin(.start))
        self.logger?.warning(
            "the ledger opened late: what was live before is in force again",
            metadata: ["splits": "\(live.weights.count)", "endpoints": "\(live.administrative.count)"])
    }

    /// What was not written, and the whole live state.
    private func writeAll() async throws(LedgerFailure) {
        guard let ledger = self.ledger else { return }
        // Told only if it is so.
        let recovery = ledger.trouble == nil ? nil : ledger.recovery ?? self.recovery(lost: ledger.lost)
        self.ledger?.recovery = recovery
        let due = ledger.unwritten + (recovery.map { [$0] } ?? [])
        guard let last = due.last else { return }
        try await ledger.store.write(ledger.rows(due), live: LedgerRows.all(self.state, by: last.id))
        let written = Set(due.map(\.id))
        // More may have come meanwhile.
        self.ledger?.unwritten.removeAll { written.contains($0.id) }
        guard let recovery else { return }
        self.ledger?.recovery = nil
        self.journal.insert(recovery)
        self.ledger?.trouble = nil
        self.ledger?.lost = 0
        self.logger?.notice("the journal and the live state are written again", metadata: ["path": "\(ledger.path)"])
    }

    private func recovery(lost: UInt64) -> JournalEntry {
        self.journal.entry(
            at: self.clock.wall(), origin: ChangeOrigin(.start), what: .ledger, subject: "",
            detail: lost == 0 ? "it can be written again" : "it can be written again; \(lost) entries are lost",
            generationBefore: self.state.generation, generationAfter: self.state.generation)
    }

    // MARK: changes that must be written first

    /// Writes what is about to be done, with the live state of `next`. Throws `.journal` where it cannot be written, unless
    /// it may be written later.
    func intend(
        _ transition: Transition, to next: RoutingState, _ origin: ChangeOrigin, forced: Bool, undoes: String? = nil,
        mayBeLate: Bool, evidence: String? = nil
    ) async throws(ChangeRefused) -> [JournalEntry] {
        var entries = self.entries(transition, origin).map { entry in
            var entry = entry
            entry.forced = forced || entry.forced
            entry.undoes = undoes
            entry.evidence = evidence ?? entry.evidence
            entry.state = .intended
            return entry
        }
        guard !entries.isEmpty else { return [] }
        self.rememberPlans(entries)
        guard let ledger = self.ledger else {
            for entry in entries { self.journal.append(entry) }
            return entries
        }
        do throws(LedgerFailure) {
            if let trouble = ledger.trouble { throw LedgerFailure(.unavailable, trouble) }
            try await ledger.store.write(
                ledger.rows(entries), live: LedgerRows.edit(from: self.state, to: next, by: entries))
            for entry in entries { self.journal.append(entry) }
        } catch {
            self.fail(error)
            for index in entries.indices { entries[index].state = mayBeLate ? .applied : .failed }
            for entry in entries { self.journal.append(entry) }
            self.ledger?.keep(entries)
            guard mayBeLate else {
                throw .journal(
                    error.cause == .unanswered
                        ? error.reason
                            + ". Should this process end before it does, the change may be in force at the next start"
                        : error.reason)
            }
        }
        return entries
    }

    /// What was intended is in force.
    func confirm(_ entries: [JournalEntry]) async {
        guard let first = entries.first, let last = entries.last, first.state == .intended else { return }
        self.journal.markApplied(from: first.sequence, through: last.sequence)
        guard let ledger = self.ledger else { return }
        // Marked or not, at the next start it counts as applied.
        do throws(LedgerFailure) {
            try await ledger.store.markApplied(from: first.sequence, through: last.sequence)
        } catch {
            self.fail(error)
        }
    }

    // MARK: changes that are written when they are in force

    /// Writes what was done, with what it did to the live state of `before`.
    func note(_ transition: Transition, from before: RoutingState, _ origin: ChangeOrigin) async {
        await self.write(self.enter(transition, origin), from: before)
    }

    /// Writes entries of the journal to the ledger, with what came of the live state of `before`.
    func write(_ entries: [JournalEntry], from before: RoutingState) async {
        self.rememberPlans(entries)
        guard let ledger = self.ledger, ledger.trouble == nil, ledger.store.isOpen, !entries.isEmpty else { return }
        do throws(LedgerFailure) {
            try await ledger.store.write(
                ledger.rows(entries), live: LedgerRows.edit(from: before, to: self.state, by: entries))
            let written = Set(entries.map(\.id))
            self.ledger?.unwritten.removeAll { written.contains($0.id) }
        } catch {
            self.fail(error)
        }
    }

    private func entries(_ transition: Transition, _ origin: ChangeOrigin) -> [JournalEntry] {
        let now = self.clock.wall()
        return transition.notes.map { note in
            var entry = self.journal.entry(
                at: now, origin: origin, what: note.what, subject: note.what == .load ? origin.who : note.subject,
                detail: note.detail, reason: note.reason, generationBefore: transition.generationBefore,
                generationAfter: transition.generationAfter)
            entry.before = note.before
            entry.after = note.after
            entry.evidence = note.evidence
            entry.forced = note.forced
            return entry
        }
    }

    /// Into the journal, and to be written to the ledger when that can be.
    @discardableResult
    func enter(_ transition: Transition, _ origin: ChangeOrigin) -> [JournalEntry] {
        let entries = self.entries(transition, origin)
        for entry in entries { self.journal.append(entry) }
        self.ledger?.keep(entries)
        return entries
    }

    @discardableResult
    func enter(
        _ what: JournalEntry.What, detail: String, origin: ChangeOrigin = ChangeOrigin(.start), subject: String = "",
        reason: String = ""
    ) -> JournalEntry {
        let entry = self.journal.entry(
            at: self.clock.wall(), origin: origin, what: what, subject: subject, detail: detail, reason: reason,
            generationBefore: self.state.generation, generationAfter: self.state.generation)
        self.journal.append(entry)
        self.ledger?.keep([entry])
        return entry
    }

    /// A call of the admin API was not let in.
    func noteDenied(_ what: String, from client: String) {
        self.enter(.denied, detail: what, origin: ChangeOrigin(.api, who: client))
    }

    /// A route's weights are in the file now.
    func noteSaved(_ route: String, in path: String, origin: ChangeOrigin, reason: String) {
        self.enter(.saved, detail: "saved to \(path)", origin: origin, subject: route, reason: reason)
    }

    // MARK: reading

    /// The newest entries before a number, by subject if one is given. A ledger that cannot be read leaves those in memory.
    package func page(before: UInt64 = .max, subject: String? = nil, limit: Int) async -> JournalPage {
        var found: [JournalEntry]
        do throws(LedgerFailure) {
            guard let ledger = self.ledger else { throw LedgerFailure(.unavailable, "") }
            let rows = try await ledger.store.read { file throws(LedgerFailure) in
                try file.page(before: before, subject: subject, limit: limit + 1)
            }
            found = rows.compactMap(LedgerRows.entry)
            let known = Set(found.map(\.id))
            found += ledger.unwritten.filter { !known.contains($0.id) }
        } catch {
            found = self.journal.entries
        }
        found = found.filter { $0.sequence < before && (subject == nil || $0.subject == subject) }
            .sorted { $0.sequence > $1.sequence }
        return JournalPage(entries: found.prefix(limit).reversed(), hasMore: found.count > limit)
    }
}
