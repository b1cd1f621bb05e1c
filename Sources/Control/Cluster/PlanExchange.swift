import Traffic

/// Which run of which plan a process has counted.
package struct CounterKey: Sendable, Hashable {
    package var migration: String
    package var epoch: UInt64
    package var replica: String
    /// A process of that name.
    package var instance: String

    package init(migration: String, epoch: UInt64, replica: String, instance: String) {
        self.migration = migration
        self.epoch = epoch
        self.replica = replica
        self.instance = instance
    }
}

/// Tells the other replicas what this one has counted, and hears what they have. It asks the store by itself: whoever looks at a
/// plan never waits for it.
package actor PlanExchange: PlanPeers {
    /// Milliseconds for which what was counted stays in the store when its run is over.
    private static let keeping: UInt64 = 3_600_000
    private static let turn: UInt64 = 1_000
    private static let rest: UInt64 = 600_000

    private let agreement: Agreement
    private let store: any ClusterStore
    private let clock: ControlClock
    private var own: [CounterKey: PlanSample] = [:]
    private var books: [CounterKey: SampleBook] = [:]
    private var began: [CounterKey: UInt64] = [:]
    private var sequence: UInt64 = 0
    private var told: (at: UInt64, bad: UInt64)?
    /// When the store was asked last what others had counted.
    private var heardAt: UInt64?
    /// The term since which the store was asked what others had counted.
    private var readTerm: UInt64?
    /// Runs that are over, and since when that is known.
    private var over: [CounterKey: UInt64] = [:]

    package init(agreement: Agreement, clock: ControlClock = .system) {
        self.agreement = agreement
        self.store = agreement.store
        self.clock = clock
    }

    /// A run, whoever counts.
    private func run(_ migration: String, _ epoch: UInt64) -> CounterKey {
        CounterKey(migration: migration, epoch: epoch, replica: "", instance: "")
    }

    // MARK: the store

    /// Until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.turn) } catch { return }
            await self.exchange()
        }
    }

    /// Tells and hears once.
    package func exchange() async {
        let term = await self.agreement.leadingTerm
        let now = self.clock.monotonic()
        // Where nothing is counted whoever leads looks now and then for what is over.
        guard !self.own.isEmpty || (term != nil && now >= (self.heardAt ?? 0) + Self.rest) else { return }
        let bad = self.own.values.reduce(0) { $0 &+ $1.bad }
        let isDue = self.told.map { now >= $0.at + self.store.countersInterval || bad > $0.bad } ?? true
        do throws(StoreFailure) {
            if isDue, !self.own.isEmpty, await !self.agreement.isPaused {
                self.sequence += 1
                var texts: [CounterKey: [UInt8]] = [:]
                for (key, sample) in self.own {
                    var sample = sample
                    sample.sequence = self.sequence
                    texts[key] = sample.text
                }
                try await self.store.tell(counters: texts)
                self.told = (now, bad)
            }
            let isNew = self.readTerm != term
            guard isNew || self.heardAt.map({ now >= $0 + self.store.countersInterval / 2 }) ?? true else { return }
            self.hear(try await self.store.counters())
            self.heardAt = now
            self.readTerm = term
            if term != nil { try await self.forget() }
        } catch {
            // The agreement says that the store is away; what was heard stands.
        }
    }

    private func hear(_ texts: [CounterKey: [UInt8]]) {
        let now = self.clock.monotonic()
        let runs = Set(self.own.keys.map { self.run($0.migration, $0.epoch) })
        for (key, text) in texts {
            let run = self.run(key.migration, key.epoch)
            guard runs.contains(run) else {
                self.over[key] = self.over[key] ?? now
                continue
            }
            self.over[key] = nil
            guard let sample = PlanSample(text), (sample.replica, sample.instance) == (key.replica, key.instance) else {
                continue
            }
            self.books[run, default: SampleBook()].heard(sample, at: now)
        }
        self.over = self.over.filter { texts[$0.key] != nil }
        self.books = self.books.filter { runs.contains($0.key) }
    }

    private func forget() async throws(StoreFailure) {
        let now = self.clock.monotonic()
        let due = self.over.filter { now >= $0.value + Self.keeping }.map(\.key)
        guard !due.isEmpty else { return }
        try await self.store.forget(counters: due)
        for key in due { self.over[key] = nil }
    }

    // MARK: plans

    package func standing() async -> PeerStanding {
        let term = await self.agreement.leadingTerm
        let isAlone = await self.agreement.obstacle() != nil
        let replicas = await self.agreement.present
        // Whoever comes to lead first hears what all have counted.
        let isReady = self.own.isEmpty || self.readTerm == term
        return PeerStanding(
            term: isReady ? term : nil, holds: await self.agreement.holds, isAlone: isAlone,
            leader: await self.agreement.leader, present: replicas.present, known: replicas.known)
    }

    package func exchange(_ part: PlanPart) async -> PeerSums {
        let key = CounterKey(
            migration: part.migration, epoch: part.epoch, replica: self.agreement.replica,
            instance: self.agreement.instance)
        let run = self.run(part.migration, part.epoch)
        let now = self.clock.monotonic()
        for other in self.own.keys where other.migration == part.migration && other.epoch != part.epoch {
            self.own[other] = nil
            self.began[self.run(other.migration, other.epoch)] = nil
        }
        if self.own[key] == nil {
            self.began[run] = now
            // Told at once, so that nobody misses it.
            self.told = nil
        }
        var sample = PlanSample(
            replica: key.replica, instance: key.instance, fingerprint: part.fingerprint)
        sample.set(part.counts, part.mirror)
        // Of a plan that is complete.
        if part.counts.isEmpty, let before = self.own[key], before.fingerprint == part.fingerprint {
            sample.keepCounts(of: before)
        }
        sample.lead = part.lead
        sample.needs = part.needs
        sample.lastNeed = part.lastNeed
        sample.retirement = part.retirement
        self.own[key] = sample
        let book = self.books[run] ?? SampleBook()
        let others = book.others(than: (key.replica, key.instance), fingerprint: part.fingerprint)
        let replicas = await self.agreement.picture.replicas(at: now).filter(\.isPresent).map(\.presence)
        let present = Dictionary(
            replicas.filter { $0.replica != key.replica }.map { ($0.replica, $0.instance) },
            uniquingKeysWith: { first, _ in first })
        let (began, later) = (self.began[run] ?? now, self.clock.monotonic())
        return PeerSums(
            others: others,
            remarks: book.remarks(present: Array(present.keys), fingerprint: part.fingerprint, began: began, at: later),
            ages: book.ages(at: later), lead: book.lead, needed: book.needed, lastNeed: book.lastNeed,
            replica: key.replica, epoch: part.epoch, present: present)
    }

    package func forget(_ migration: String) {
        for key in self.own.keys where key.migration == migration { self.own[key] = nil }
    }
}
