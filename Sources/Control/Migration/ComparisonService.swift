import Comparison
import Ledger
import Migration
import Reactor
import RoutesFile
import Traffic

/// Compares live answers with those to their copies, off every loop and one after the other; asks the old side again where they
/// differ; and keeps what is known of the classes of differences, in the ledger if there is one.
package actor ComparisonService {
    /// Questions to old sides under way.
    private static let recheckLimit = 8
    /// Milliseconds between two writes to the ledger.
    private static let writeInterval: UInt64 = 10_000

    private let dataPlane: any DataPlane
    private let ledger: LedgerStore?
    /// Comparing takes processor time that live requests may want.
    private let thread: BlockingThreads
    private let clock: ControlClock
    private let key = UInt64.random(in: .min ... .max)
    private var plans: [String: ComparedPlan] = [:]
    private var rechecking = 0
    /// Plans that the file has no more, of which the ledger still knows.
    private var gone: Set<String> = []
    /// Of what earlier processes knew, under way.
    private var readings: [String: Task<Void, Never>] = [:]

    package init(
        dataPlane: any DataPlane, ledger: LedgerStore?, thread: BlockingThreads, clock: ControlClock = .system
    ) {
        self.dataPlane = dataPlane
        self.ledger = ledger
        self.thread = thread
        self.clock = clock
    }

    // MARK: plans

    /// Follows the file: what is known of plans that it has no more is forgotten.
    package func adopt(_ migrations: [MigrationSpec]) {
        let names = Set(migrations.map(\.plan.name))
        self.gone.formUnion(self.plans.keys.filter { !names.contains($0) })
        self.gone.subtract(names)
        self.plans = self.plans.filter { names.contains($0.key) }
        for migration in migrations {
            if self.plans[migration.plan.name] == nil {
                self.plans[migration.plan.name] = ComparedPlan(migration, key: self.key)
            } else {
                self.plans[migration.plan.name]?.adopt(migration, key: self.key)
            }
        }
    }

    /// The comparisons of a stage's run, for its gates.
    package func comparisons(of migration: String, epoch: UInt64) -> StageSums.Comparisons {
        guard let plan = self.plans[migration], plan.epoch == epoch else { return StageSums.Comparisons() }
        return StageSums.Comparisons(
            count: plan.book.stage.count, standing: plan.book.standing, real: plan.book.real)
    }

    /// Numbers of classes that are real, or open with something that stands.
    package func openClasses(migration: String) async -> [String] {
        await self.restore(migration)
        guard let book = self.plans[migration]?.book else { return [] }
        return book.records.filter { record in
            switch book.state(of: record) {
            case .real: true
            case .open: record.standing > 0
            case .noise, .accepted: false
            }
        }.map(\.key.number)
    }

    func plan(_ name: String) async -> ComparedPlan? {
        await self.restore(name)
        return self.plans[name]
    }

    /// By name, for metrics.
    var known: [ComparedPlan] { self.plans.values.sorted { $0.name < $1.name } }

    // MARK: comparing

    /// Until the task is cancelled.
    package func run() async {
        for await pair in self.dataPlane.mirroredPairs { await self.compare(pair) }
    }

    private func compare(_ pair: MirroredPair) async {
        // Once: a ledger that does not answer would hold every comparison up.
        if self.plans[pair.migration]?.wasAsked == false { await self.restore(pair.migration) }
        guard let comparison = self.plans[pair.migration]?.comparison else { return }
        let method = pair.request.method
        let found = await self.thread.run {
            comparison.differences(method: method, old: Answer(pair.old), new: Answer(pair.new))
        }
        guard self.plans[pair.migration]?.enter(epoch: pair.epoch) ?? false,
            let template = self.plans[pair.migration]?.template(pair.request.target, route: pair.route)
        else { return }
        let (live, copy) = pair.isCopyNew ? (pair.old, pair.new) : (pair.new, pair.old)
        self.plans[pair.migration]?.count(route: pair.route, live: live.status, copy: copy.status)
        let classes = found.map {
            ClassKey(route: pair.route, template: template, kind: $0.kind, path: $0.path)
        }
        // What may change something is not done again to learn about a difference.
        let isSafe = method == "GET" || method == "HEAD"
        guard isSafe, !classes.isEmpty, self.rechecking < Self.recheckLimit,
            self.plans[pair.migration]?.budget.take(classes, now: Int64(clamping: self.clock.monotonic())) ?? false
        else { return self.record(pair, template, found, recheck: nil) }
        self.rechecking += 1
        self.plans[pair.migration]?.rechecks += 1
        Task { await self.recheck(pair, template, found, comparison) }
    }

    /// A′, against both others.
    private func recheck(
        _ pair: MirroredPair, _ template: String, _ found: [Difference], _ comparison: AnswerComparison
    ) async {
        defer { self.rechecking -= 1 }
        guard let again = await self.dataPlane.askAgain(pair.request) else {
            return self.record(pair, template, found, recheck: nil)
        }
        let method = pair.request.method
        let differences = await self.thread.run { () -> (itself: [Difference], new: [Difference]) in
            let (old, repeated, new) = (Answer(pair.old), Answer(again), Answer(pair.new))
            let itself = comparison.differences(method: method, old: old, new: repeated)
            return (itself: itself, new: comparison.differences(method: method, old: repeated, new: new))
        }
        self.record(pair, template, found, recheck: differences)
    }

    private func record(
        _ pair: MirroredPair, _ template: String, _ found: [Difference],
        recheck: (itself: [Difference], new: [Difference])?
    ) {
        guard var plan = self.plans[pair.migration], plan.epoch == pair.epoch else { return }
        self.plans[pair.migration] = nil
        let target = found.isEmpty ? "" : plan.comparison.redaction.target(pair.request.target)
        plan.book.record(route: pair.route, template: template, found: found, recheck: recheck) { difference in
            Example(
                method: pair.request.method, target: target, difference: difference, oldStatus: pair.old.status,
                newStatus: pair.new.status)
        }
        let now = self.clock.wall()
        plan.kinds.compared(SeenKinds.Key(route: pair.route, template: template), at: now)
        for difference in found {
            // Those that are beyond the classes that are kept apart count together here, too: whoever answers names the paths.
            let number = plan.book.number(of: difference, route: pair.route, template: template)
            plan.times[number] = (plan.times[number]?.first ?? now, now)
            plan.changed.insert(number)
        }
        self.plans[pair.migration] = plan
    }

    // MARK: what operators say

    /// Lets a class stay, or (reason nil) takes that back. False: there is no such class.
    func accept(_ number: String, of migration: String, reason: String?) async -> Bool {
        await self.restore(migration)
        guard var plan = self.plans[migration] else { return false }
        let isKnown = reason.map { plan.book.accept(number, reason: $0) } ?? plan.book.reopen(number)
        guard isKnown else { return false }
        plan.changed.insert(number)
        self.plans[migration] = plan
        await self.write(migration)
        return true
    }

    /// Takes on what all replicas have agreed on of a plan's classes, by number: why one may stay; empty: it may not any more.
    package func agree(on said: [String: String], of migration: String) async {
        guard let present = self.plans[migration]?.book.agreed, present != said else { return }
        await self.restore(migration)
        guard let changed = self.plans[migration]?.book.agree(on: said) else { return }
        self.plans[migration]?.changed.formUnion(changed)
    }

    // MARK: the ledger

    /// What an earlier process knew, once. All who come meanwhile wait for it: what was accepted must not be found anew.
    private func restore(_ name: String) async {
        guard let ledger, let plan = self.plans[name], !plan.isRestored, ledger.isOpen else { return }
        let reading = self.readings[name] ?? Task { await self.readBack(name, ledger) }
        self.readings[name] = reading
        await reading.value
    }

    private func readBack(_ name: String, _ ledger: LedgerStore) async {
        defer { self.readings[name] = nil }
        self.plans[name]?.wasAsked = true
        // One that cannot be read is asked again before the next write, and nothing is written over what it has.
        let kept = try? await ledger.read { file throws(LedgerFailure) in
            (classes: try file.classes(of: name), kinds: try file.kinds(of: name))
        }
        guard let kept, var plan = self.plans[name], !plan.isRestored else { return }
        plan.isRestored = true
        let rows = kept.classes
        for row in kept.kinds {
            plan.kinds.restore(
                SeenKinds.Key(route: row.route, template: row.template),
                SeenKinds.Kind(last: row.last, answered: row.answered, compared: row.compared))
        }
        for row in rows where DifferenceLedger.restore(row, into: &plan.book) {
            let last = plan.times[row.number]?.last ?? row.last
            plan.times[row.number] = (min(row.first, last), max(row.last, last))
        }
        self.plans[name] = plan
    }

    /// Writes what has changed, now and then, until the task is cancelled.
    package func keep() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.writeInterval) } catch { return }
            await self.flush()
        }
    }

    /// Writes what is not written yet.
    package func flush() async {
        for name in self.plans.keys {
            await self.write(name)
            await self.writeKinds(name)
        }
        guard let ledger, ledger.isOpen, !self.gone.isEmpty else { return }
        let gone = self.gone
        do throws(LedgerFailure) {
            try await ledger.read { file throws(LedgerFailure) in try file.forget(migrations: gone.sorted()) }
            self.gone.subtract(gone)
        } catch {
            // The next time, then.
        }
    }

    private func writeKinds(_ name: String) async {
        guard let ledger, ledger.isOpen, self.plans[name]?.isRestored == true,
            let changed = self.plans[name]?.kinds.takeChanged(), !changed.isEmpty
        else { return }
        let rows = changed.compactMap { key in
            self.plans[name]?.kinds.all[key].map {
                KindRow(
                    migration: name, route: key.route, template: key.template, last: $0.last, answered: $0.answered,
                    compared: $0.compared)
            }
        }
        let wall = self.clock.wall()
        let since = wall > SeenKinds.memory ? wall - SeenKinds.memory : 0
        do throws(LedgerFailure) {
            try await ledger.read { file throws(LedgerFailure) in try file.putKinds(rows, since: since) }
        } catch {
            self.plans[name]?.kinds.putBack(changed)
        }
    }

    /// A ledger that cannot be written is written later.
    private func write(_ name: String) async {
        await self.restore(name)
        guard let ledger, ledger.isOpen, let plan = self.plans[name], plan.isRestored, !plan.changed.isEmpty else {
            return
        }
        let changed = plan.changed
        self.plans[name]?.changed = []
        var rows: [ClassRow] = []
        for (position, record) in plan.book.records.enumerated() where changed.contains(record.key.number) {
            let times = plan.times[record.key.number] ?? (self.clock.wall(), self.clock.wall())
            if let row = DifferenceLedger.row(record, plan.book, migration: name, position: position, times: times) {
                rows.append(row)
            }
        }
        do throws(LedgerFailure) {
            let written = rows
            try await ledger.read { file throws(LedgerFailure) in try file.write(written) }
        } catch {
            self.plans[name]?.changed.formUnion(changed)
        }
    }
}

extension ComparisonService: MirrorEvidence {
    package func sums(migration: String, epoch: UInt64) async -> MirrorSums? {
        guard let plan = self.plans[migration], plan.epoch == epoch else { return nil }
        var sums = MirrorSums()
        sums.routes = plan.arms.values.sorted { $0.name < $1.name }
        sums.comparisons = self.comparisons(of: migration, epoch: epoch)
        sums.classes = plan.book.tallies
        return sums
    }

    package func unproven(
        migration: String, asked: Set<SeenKinds.Key>
    ) async -> [SeenKinds.Key: SeenKinds.Kind] {
        await self.restore(migration)
        return self.plans[migration]?.unproven(at: self.clock.wall(), asked: asked) ?? [:]
    }

    package func note(seen: [SeenRequest], migration: String) {
        let wall = self.clock.wall()
        for request in seen { self.plans[migration]?.note(request, at: wall) }
    }
}
