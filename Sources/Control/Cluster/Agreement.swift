import Logging

/// This replica's part in the cluster: the one caller between the publisher and the store. It proposes changes, learns of those
/// of others, tells how far this replica is, and leads if it is asked to.
///
/// What is decided about time and order is decided by `Leadership` and `ClusterPicture`; what is in force, by the publisher.
package actor Agreement {
    /// Milliseconds that a change waits for the other replicas.
    package static let patience: UInt64 = 2_000
    /// Milliseconds that the start waits for the store.
    package static let startPatience: UInt64 = 5_000
    private static let retry: UInt64 = 1_000
    private static let leavePatience: UInt64 = 1_000

    /// What the publisher is asked for.
    package struct Publisher: Sendable {
        /// Takes the present document on, and tells what was done while the store could not be asked.
        var adopt: @Sendable () async -> Void
        /// What this replica would begin a cluster with.
        var seed: @Sendable () async -> SharedEdit
        /// What stands nowhere any more, if all files are as this one's, of the document of that sequence.
        var stale: @Sendable () async -> (edit: SharedEdit, sequence: UInt64)
    }

    package enum Proposal: Sendable {
        /// It is in the store, and so in force wherever that is followed.
        case agreed
        /// Another change was first: the present document is a newer one than the change was decided on.
        case overtaken
        /// Another replica leads.
        case deposed
    }

    package nonisolated let replica: String
    /// Of the cluster.
    package nonisolated let name: String
    let instance: String
    let store: any ClusterStore
    let clock: ControlClock
    let logger: Logger?

    /// The last one that could be read.
    private(set) var document: LiveDocument?
    /// Of what is in the store, readable or not; 0: nothing is.
    private var revision: UInt64 = 0
    /// Why the document in the store is not taken on.
    private(set) var fault: DocumentFailure?
    private(set) var picture: ClusterPicture
    var leadership: Leadership
    private(set) var leader: String?
    private(set) var own: Presence
    /// When the store was asked last what it then answered; nil: never.
    private(set) var contact: UInt64?
    /// When it answered again after a silence of a lease; nil: there was none.
    private(set) var regained: UInt64?
    private(set) var failure: StoreFailure?
    private(set) var conflicts: UInt64 = 0
    private var wasReachable = false
    /// Another process takes over, or this one stops.
    private(set) var isPaused = false
    /// What stands nowhere, and since when.
    var stale: (edit: SharedEdit, since: UInt64)?

    private var waiters: [UInt64: (sequence: UInt64, continuation: CheckedContinuation<Void, Never>)] = [:]
    private var nextWaiter: UInt64 = 0
    private var firstWaiters: [CheckedContinuation<Void, Never>] = []
    private var isKnown = false
    /// What the follower has seen of the store, and what it should have seen by now.
    private var followed: UInt64 = 0
    private var expected: UInt64 = 0
    /// A change that another replica has in force and this one has not seen, and since when it is known of; and the last one
    /// that the store was read anew for.
    private var missed: (sequence: UInt64, since: UInt64)?
    private var chased: UInt64 = 0
    /// One at a time tells of this replica: of two that do, the one that began with the older news may end last.
    private let telling = Turnstile()
    private var isTelling = false
    private var restart: AsyncStream<Void>.Continuation?
    private let (newDocuments, newDocument) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    private let (newFacts, newFact) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    package init(
        store: any ClusterStore, name: String = "", replica: String, instance: String, clock: ControlClock = .system,
        logger: Logger? = nil
    ) {
        self.store = store
        self.name = name
        self.replica = replica
        self.instance = instance
        self.clock = clock
        self.logger = logger
        self.picture = ClusterPicture(own: replica)
        self.leadership = Leadership(lease: store.lease)
        self.own = Presence(
            replica: replica, instance: instance, version: BalancerVersion.current, format: LiveDocument.format)
    }

    // MARK: start to stop

    /// Follows the store and tells of this replica, until the task is cancelled.
    package func run(publishing publisher: Publisher) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow(publisher) }
            group.addTask { await self.attend(publisher) }
            group.addTask { [newDocuments] in
                for await _ in newDocuments { await publisher.adopt() }
            }
            group.addTask { [newFacts] in
                for await _ in newFacts { await self.tell() }
            }
        }
    }

    /// Returns when the store's state is known, or it is time to go on without.
    package func firstContact(within milliseconds: UInt64 = Agreement.startPatience) async {
        guard !self.isKnown else { return }
        let timer = Task {
            try? await self.clock.sleep(milliseconds)
            self.releaseFirst()
        }
        await withCheckedContinuation { self.firstWaiters.append($0) }
        timer.cancel()
        if !self.isKnown {
            self.logger?.warning(
                "the cluster's store does not answer: this replica starts with what it knows, and takes no changes",
                metadata: ["store": "\(self.store.place)", "cause": "\(self.failure?.reason ?? "no answer yet")"])
        }
    }

    private func releaseFirst() {
        for waiter in self.firstWaiters { waiter.resume() }
        self.firstWaiters = []
    }

    /// Another process of this name takes over, or has given it up.
    package func pause(_ pauses: Bool) {
        guard pauses != self.isPaused else { return }
        self.isPaused = pauses
        if pauses {
            self.leadership.lost()
            // Nobody waits for it: without it the lease ends by itself.
            Task { await self.store.resign() }
        } else {
            self.newDocument.yield()
            self.newFact.yield()
        }
    }

    /// This replica goes; the others need not wait for its lease to end.
    package func leave() async {
        guard !self.isPaused else { return }
        self.isPaused = true
        self.leadership.lost()
        var last = self.own
        last.leaving = true
        let (text, store, clock) = (last.text, self.store, self.clock)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // What is being told now would be told behind the last word, of one that nobody would see go.
                while await self.isTelling, !Task.isCancelled { try? await clock.sleep(10) }
                await store.resign()
                await store.leave(text)
            }
            group.addTask { try? await clock.sleep(Self.leavePatience) }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: following

    private func follow(_ publisher: Publisher) async {
        var backoff = Backoff(first: 100, limit: 2_000)
        while !Task.isCancelled {
            let began = self.clock.monotonic()
            do throws(StoreFailure) {
                let known = self.revision
                let snapshot = try await self.store.read()
                self.answered(asked: began)
                await self.take(snapshot, known: known, publisher)
                let failure = await self.follow(after: snapshot.revision, publisher)
                // Only what the store says is news: a watch that ends begins anew.
                if failure.cause == .refused { self.failed(failure) }
            } catch {
                self.failed(error)
            }
            if self.clock.monotonic() > began + Self.retry { backoff.reset() }
            try? await self.clock.sleep(backoff.next())
        }
    }

    private func follow(after revision: UInt64, _ publisher: Publisher) async -> StoreFailure {
        let (restarts, restart) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.restart = restart
        self.followed = revision
        self.expected = 0
        let store = self.store
        return await withTaskGroup(of: StoreFailure.self) { group in
            group.addTask { await store.follow(after: revision) { await self.take($0, publisher) } }
            group.addTask {
                for await _ in restarts { break }
                return StoreFailure(.unreachable, "the watch was silent")
            }
            let failure = await group.next()
            group.cancelAll()
            return failure ?? StoreFailure(.unreachable, "the watch ended")
        }
    }

    private func take(_ snapshot: StoreSnapshot, known: UInt64, _ publisher: Publisher) async {
        let now = self.clock.monotonic()
        for (name, bytes) in snapshot.presences { self.heard(name, bytes, at: now, isNews: false) }
        self.picture.present(Set(snapshot.presences.keys), at: now)
        self.leader = snapshot.leader.flatMap { Presence($0)?.replica }
        if let document = snapshot.document {
            // Behind what was known before it was read: it is another store, or an old copy of it.
            if document.revision < known { self.revision = 0 }
            self.take(document, at: now)
        } else if self.revision <= known {
            self.revision = 0
            await self.offer(publisher)
        }
        self.isKnown = true
        self.releaseFirst()
        self.wakeWaiters()
    }

    private func take(_ event: StoreEvent, _ publisher: Publisher) async {
        let now = self.clock.monotonic()
        switch event {
        // Where documents come by a watch of their own, they tell nothing of how the other one is.
        case .document, .documentGone: break
        default: self.followed = max(self.followed, event.revision)
        }
        switch event {
        case .document(let document): self.take(document, at: now)
        case .documentGone(let revision):
            guard revision > self.revision else { return }
            self.revision = 0
            await self.offer(publisher)
        case .presence(let name, let bytes, _): self.heard(name, bytes, at: now, isNews: true)
        case .gone(let name, _): self.picture.gone(name, at: now)
        case .leader(let claim, _): self.leader = claim.flatMap { Presence($0)?.replica }
        case .progress: return
        }
        self.wakeWaiters()
    }

    /// `isNews`: it is told now; else it is what was told last.
    private func heard(_ name: String, _ bytes: [UInt8], at now: UInt64, isNews: Bool) {
        guard let presence = Presence(bytes), presence.replica == name else { return }
        if name == self.replica, presence.instance != self.instance {
            // While one takes over from the other, and where one has just begun, this is as it should be.
            if isNews, !self.isPaused, presence.leaving != true {
                self.logger?.warning(
                    "another process goes by the name of this replica", metadata: ["replica": "\(name)"])
            }
            return
        }
        self.picture.heard(name == self.replica ? self.own : presence, at: now, wall: self.clock.wall())
        if presence.sequence > max(self.document?.sequence ?? 0, self.chased), self.missed == nil {
            self.missed = (presence.sequence, now)
        }
    }

    /// Whether another replica has had a change in force for an interval that never came here: the watch that should have
    /// brought it hangs. Once for each such change.
    private func hasMissed(at now: UInt64) -> Bool {
        guard let missed else { return false }
        guard missed.sequence > self.document?.sequence ?? 0 else {
            self.missed = nil
            return false
        }
        guard now >= missed.since + self.store.interval else { return false }
        self.missed = nil
        self.chased = missed.sequence
        return true
    }

    /// Takes on what is in the store, if it is newer than what was seen of it.
    private func take(_ stored: StoredDocument, at now: UInt64) {
        guard stored.revision > self.revision else { return }
        self.revision = stored.revision
        do throws(DocumentFailure) {
            let document = try LiveDocument(stored.bytes)
            if self.fault != nil { self.set(fault: nil) }
            self.document = document
            self.chased = min(self.chased, document.sequence)
            self.picture.stored(document.sequence, at: now)
            self.leadership.saw(term: document.term)
            self.newDocument.yield()
        } catch {
            if self.fault != error {
                self.logger?.error(
                    "the live state in the store is not taken on: what is in force stays, and changes are refused",
                    metadata: ["store": "\(self.store.place)", "cause": "\(error)"])
            }
            self.set(fault: error)
        }
    }

    private func set(fault: DocumentFailure?) {
        self.fault = fault
        self.own.trouble = fault?.reason
        self.newFact.yield()
    }

    /// There is no document: a cluster begins, or its store was lost. One of those who offer what they know is first.
    private func offer(_ publisher: Publisher) async {
        let known = self.document
        let edit = known == nil ? await publisher.seed() : SharedEdit()
        let detail =
            known.map { "the store had nothing: what was agreed on until change \($0.sequence) is in it again" }
            ?? "begun with \(edit.routes.count) live splits, \(edit.endpoints.count) endpoints not ready"
        let change = SharedChange(
            id: ChangeID.make(at: self.clock.wall()), at: self.clock.wall(), replica: self.replica,
            origin: ChangeOrigin(.start), what: .cluster, detail: detail)
        let base = known ?? LiveDocument()
        do throws(StoreFailure) {
            try await self.put(
                base.edited(by: edit, changes: [change]), replacing: 0, changes: base.numbered([change]))
        } catch {
            // Followed anew, it is offered again.
            self.failed(error)
        }
    }

    // MARK: proposing

    /// What a change waits for no longer; nil: the store can be asked.
    package func obstacle() -> ChangeRefused? {
        if let fault {
            return .unreachable(since: nil, reason: "the live state in the store is not taken on: \(fault)")
        }
        guard !self.isReachable else {
            return self.document == nil ? .unreachable(since: nil, reason: "there is no live state yet") : nil
        }
        return .unreachable(
            since: self.contact.map { self.clock.wall(ofMonotonic: $0) },
            reason: self.failure?.reason ?? "the store has not answered")
    }

    /// Writes a change that was decided on the document of that sequence.
    package func propose(
        _ edit: SharedEdit, _ changes: [SharedChange], decidedOn sequence: UInt64, asLeader: Bool = false
    ) async throws(ChangeRefused) -> Proposal {
        if let obstacle = self.obstacle() { throw obstacle }
        guard let base = self.document, base.sequence == sequence else { return .overtaken }
        var fence: ClusterFence?
        var term: UInt64?
        if asLeader {
            fence = self.leadership.fence(at: self.clock.monotonic())
            guard fence != nil else { return .deposed }
            if case .elected = self.leadership.standing(at: self.clock.monotonic()) { term = base.term + 1 }
        }
        let document = base.edited(by: edit, changes: changes, term: term)
        do throws(StoreFailure) {
            let proposal = try await self.put(
                document, replacing: self.revision, changes: base.numbered(changes), fence: fence)
            if case .agreed = proposal, let term, let fence { self.leadership.wrote(term: term, under: fence) }
            return proposal
        } catch {
            self.failed(error)
            throw .unreachable(
                since: self.contact.map { self.clock.wall(ofMonotonic: $0) },
                reason: error.cause == .unreachable
                    ? "\(error.reason). Should the store have taken the change, it is in force once the store answers"
                    : error.reason)
        }
    }

    @discardableResult
    private func put(
        _ document: LiveDocument, replacing revision: UInt64, changes: [SharedChange], fence: ClusterFence? = nil
    ) async throws(StoreFailure) -> Proposal {
        let text: [UInt8]
        do throws(DocumentFailure) {
            text = try document.text()
        } catch {
            throw StoreFailure(.refused, error.reason)
        }
        let write = StoreWrite(
            document: text, replacing: revision, changes: changes.map { ($0.sequence, $0.text) }, fence: fence)
        let asked = self.clock.monotonic()
        let outcome = try await self.store.swap(write)
        self.answered(asked: asked)
        switch outcome {
        case .done(let revision):
            self.take(StoredDocument(bytes: text, revision: revision), at: self.clock.monotonic())
            return .agreed
        case .deposed:
            self.leadership.lost()
            return .deposed
        case .overtaken(let found):
            self.conflicts += 1
            if let found {
                self.take(found, at: self.clock.monotonic())
            } else {
                self.restart?.yield()
            }
            // A call that was not answered may have been the one that was first.
            guard let last = changes.last, self.document?.tells(of: last.id) == true else { return .overtaken }
            return .agreed
        }
    }

    /// Texts of changes that the document tells of no more.
    package func history(after sequence: UInt64) async -> [SharedChange] {
        ((try? await self.store.journal(after: sequence, limit: 1_000)) ?? []).compactMap { SharedChange($0) }
            .filter { $0.sequence > sequence }
    }

    // MARK: telling

    /// What this replica has in force.
    package func applied(sequence: UInt64, generation: UInt64, fingerprint: String) {
        guard
            (self.own.sequence, self.own.generation, self.own.fingerprint) != (sequence, generation, fingerprint)
        else { return }
        self.own.sequence = sequence
        self.own.generation = generation
        self.own.fingerprint = fingerprint
        self.own.clock = self.clock.wall()
        self.picture.heard(self.own, at: self.clock.monotonic(), wall: self.own.clock)
        self.newFact.yield()
        self.wakeWaiters()
    }

    /// How many have a change in force, when all have or it is time to answer.
    package func count(applied sequence: UInt64, within milliseconds: UInt64 = Agreement.patience) async
        -> ReplicaCount
    {
        let count = self.picture.count(applied: sequence)
        guard count.applied < count.of else { return count }
        let number = self.nextWaiter
        self.nextWaiter += 1
        let timer = Task {
            try? await self.clock.sleep(milliseconds)
            self.wake(number)
        }
        await withCheckedContinuation { self.waiters[number] = (sequence, $0) }
        timer.cancel()
        return self.picture.count(applied: sequence)
    }

    private func wake(_ number: UInt64) { self.waiters.removeValue(forKey: number)?.continuation.resume() }

    private func wakeWaiters() {
        for (number, waiter) in self.waiters {
            let count = self.picture.count(applied: waiter.sequence)
            if count.applied >= count.of { self.wake(number) }
        }
    }

    private func tell() async {
        // What fails is told again by the next renewal.
        guard let told = try? await self.tell(renewing: false) else { return }
        self.answered(asked: told.asked)
        self.expected = max(self.expected, told.revision)
    }

    /// Tells how things are here when it is one's turn; nil: nothing is to be told any more.
    private func tell(renewing: Bool) async throws(StoreFailure) -> (revision: UInt64, asked: UInt64)? {
        await self.telling.enter()
        defer { self.telling.leave() }
        guard !self.isPaused else { return nil }
        self.isTelling = true
        defer { self.isTelling = false }
        self.own.clock = self.clock.wall()
        let asked = self.clock.monotonic()
        return (try await self.store.attend(self.own.text, renewing: renewing), asked)
    }

    private func attend(_ publisher: Publisher) async {
        while !Task.isCancelled {
            var pause = self.store.interval
            if !self.isPaused {
                let expected = self.expected
                do throws(StoreFailure) {
                    guard let told = try await self.tell(renewing: true) else { continue }
                    self.answered(asked: told.asked)
                    // A watch that does not bring what was told an interval ago hangs.
                    let isBehind = self.hasMissed(at: self.clock.monotonic())
                    if self.followed < expected || isBehind { self.restart?.yield() }
                    self.expected = max(self.expected, told.revision)
                    try await self.lead(asked: told.asked)
                    await self.prune(publisher)
                    // What was done alone waits for the store, and a short silence can lie between two of these turns: the
                    // publisher asks at every turn, not only where this loop saw the store lost and found.
                    self.newDocument.yield()
                } catch {
                    self.failed(error)
                    pause = min(pause, Self.retry)
                }
                self.noteReach()
            }
            do { try await self.clock.sleep(pause) } catch { return }
        }
    }

    // MARK: reach

    package var isReachable: Bool {
        self.contact.map { self.clock.monotonic() < $0 + self.store.lease } ?? false
    }

    private func answered(asked: UInt64) {
        // Others were last answered up to an interval earlier, and may have been alone where this one was not quite.
        if let contact, asked + self.store.interval >= contact + self.store.lease { self.regained = asked }
        self.contact = max(self.contact ?? 0, asked)
        self.failure = nil
    }

    private func failed(_ failure: StoreFailure) { self.failure = failure }

    /// Says when the store is lost and found.
    private func noteReach() {
        let reachable = self.isReachable
        guard reachable != self.wasReachable else { return }
        self.wasReachable = reachable
        if reachable {
            self.logger?.notice("the cluster's store answers", metadata: ["store": "\(self.store.place)"])
        } else {
            self.logger?.error(
                "the cluster's store does not answer: what is in force stays, and changes are refused",
                metadata: ["store": "\(self.store.place)", "cause": "\(self.failure?.reason ?? "")"])
        }
    }
}
