@testable import Control
import Synchronization

/// A store in memory, as etcd behaves: replicas' views of it are `MemoryStore`s.
final class MemoryCluster: Sendable {
    fileprivate struct State {
        var revision: UInt64 = 0
        var document: StoredDocument?
        var presences: [String: [UInt8]] = [:]
        var leader: (name: String, claim: [UInt8], token: UInt64)?
        var journal: [(sequence: UInt64, text: [UInt8])] = []
        var watchers: [Int: AsyncStream<StoreEvent>.Continuation] = [:]
        var nextWatcher = 0
        var swaps = 0
        var counters: [CounterKey: [UInt8]] = [:]
    }

    fileprivate let state = Mutex(State())

    fileprivate func change(_ body: (inout State) -> StoreEvent?) {
        self.state.withLock { state in
            state.revision += 1
            guard let event = body(&state) else { return }
            for watcher in state.watchers.values { watcher.yield(event) }
        }
    }

    var document: StoredDocument? { self.state.withLock { $0.document } }
    var journal: [UInt64] { self.state.withLock { $0.journal.map(\.sequence) } }
    var swaps: Int { self.state.withLock { $0.swaps } }
    var counters: [CounterKey: [UInt8]] {
        get { self.state.withLock { $0.counters } }
        set { self.state.withLock { $0.counters = newValue } }
    }
    var leader: String? { self.state.withLock { $0.leader?.name } }
    func presence(_ replica: String) -> Presence? {
        self.state.withLock { $0.presences[replica] }.flatMap { Presence($0) }
    }

    /// As an operator's own tool writes it.
    func write(_ text: String) {
        self.change { state in
            let document = StoredDocument(bytes: Array(text.utf8), revision: state.revision)
            state.document = document
            return .document(document)
        }
    }

    func wipe() {
        self.change { state in
            state.document = nil
            state.journal = []
            return .documentGone(revision: state.revision)
        }
    }

    /// A replica's lease has run out.
    func lose(_ replica: String) {
        self.change { state in
            state.presences[replica] = nil
            return .gone(replica: replica, revision: state.revision)
        }
    }

    func depose() {
        self.change { state in
            state.leader = nil
            return .leader(nil, revision: state.revision)
        }
    }
}

final class MemoryStore: ClusterStore {
    let cluster: MemoryCluster
    let replica: String
    let place = "memory"
    let lease: UInt64
    let interval: UInt64
    private let down = Mutex(false)
    /// The next swap is done and not answered.
    private let forgetful = Mutex(false)
    private let deaf = Mutex(false)
    private let unwritten = Mutex(false)
    private let told = Mutex(0)
    /// What happens within each call that tells of this replica, before it is in the store and behind it.
    let beforeTelling: Mutex<(@Sendable () async -> Void)?> = Mutex(nil)
    let behindTelling: Mutex<(@Sendable () async -> Void)?> = Mutex(nil)

    init(_ cluster: MemoryCluster, replica: String, lease: UInt64 = 3_000, interval: UInt64 = 150) {
        self.cluster = cluster
        self.replica = replica
        self.lease = lease
        self.interval = interval
    }

    /// Cuts this replica off: calls fail, and its watch ends with the first event that it does not bring.
    var isDown: Bool {
        get { self.down.withLock { $0 } }
        set { self.down.withLock { $0 = newValue } }
    }

    /// Documents come to this replica no more by themselves: of two watches one hangs.
    var isDeaf: Bool {
        get { self.deaf.withLock { $0 } }
        set { self.deaf.withLock { $0 = newValue } }
    }

    /// Its changes reach the document, and not the journal.
    var losesJournal: Bool {
        get { self.unwritten.withLock { $0 } }
        set { self.unwritten.withLock { $0 = newValue } }
    }

    /// Times that it was told of this replica.
    var tellings: Int { self.told.withLock { $0 } }

    func forgetNextAnswer() { self.forgetful.withLock { $0 = true } }

    private func check() throws(StoreFailure) {
        if self.isDown { throw StoreFailure(.unreachable, "cut off") }
    }

    func read() async throws(StoreFailure) -> StoreSnapshot {
        try self.check()
        return self.cluster.state.withLock { state in
            var snapshot = StoreSnapshot()
            snapshot.document = state.document
            snapshot.presences = state.presences
            snapshot.leader = state.leader?.claim
            snapshot.revision = state.revision
            return snapshot
        }
    }

    func swap(_ write: StoreWrite) async throws(StoreFailure) -> SwapOutcome {
        try self.check()
        await Task.yield()
        let outcome = self.cluster.state.withLock { state -> SwapOutcome in
            if let fence = write.fence, state.leader?.token != fence.token { return .deposed }
            guard state.document?.revision ?? 0 == write.replacing else { return .overtaken(state.document) }
            state.revision += 1
            state.swaps += 1
            let document = StoredDocument(bytes: write.document, revision: state.revision)
            state.document = document
            if !self.losesJournal { state.journal += write.changes }
            for watcher in state.watchers.values { watcher.yield(.document(document)) }
            return .done(revision: state.revision)
        }
        if self.forgetful.withLock({ forgets in
            defer { forgets = false }
            return forgets
        }) {
            // As a client does that gets no answer: it asks again, and finds another revision.
            return .overtaken(self.cluster.document)
        }
        return outcome
    }

    func follow(
        after revision: UInt64, _ event: @escaping @Sendable (StoreEvent) async -> Void
    ) async -> StoreFailure {
        let (events, continuation) = AsyncStream<StoreEvent>.makeStream()
        let number = self.cluster.state.withLock { state in
            // What came since the snapshot.
            if let document = state.document, document.revision > revision { continuation.yield(.document(document)) }
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = continuation
            return state.nextWatcher
        }
        defer { self.cluster.state.withLock { $0.watchers[number] = nil } }
        for await told in events {
            // A connection that is cut is no longer one when the line is whole again.
            if self.isDown { break }
            if self.isDeaf, case .document = told { continue }
            await event(told)
        }
        return StoreFailure(.unreachable, "given up")
    }

    func attend(_ presence: [UInt8], renewing: Bool) async throws(StoreFailure) -> UInt64 {
        try self.check()
        await self.beforeTelling.withLock { $0 }?()
        self.cluster.change { state in
            state.presences[self.replica] = presence
            return .presence(replica: self.replica, bytes: presence, revision: state.revision)
        }
        self.told.withLock { $0 += 1 }
        await self.behindTelling.withLock { $0 }?()
        return self.cluster.state.withLock { $0.revision }
    }

    func leave(_ presence: [UInt8]) async {
        self.cluster.change { state in
            state.presences[self.replica] = nil
            return .presence(replica: self.replica, bytes: presence, revision: state.revision)
        }
    }

    func lead(_ claim: [UInt8]) async throws(StoreFailure) -> ClusterFence? {
        try self.check()
        var fence: ClusterFence?
        self.cluster.change { state in
            if let leader = state.leader {
                fence = leader.name == self.replica ? ClusterFence(token: leader.token) : nil
                return nil
            }
            state.leader = (self.replica, claim, state.revision)
            fence = ClusterFence(token: state.revision)
            return .leader(claim, revision: state.revision)
        }
        return fence
    }

    func resign() async {
        self.cluster.change { state in
            guard state.leader?.name == self.replica else { return nil }
            state.leader = nil
            return .leader(nil, revision: state.revision)
        }
    }

    func journal(after sequence: UInt64, limit: Int) async throws(StoreFailure) -> [[UInt8]] {
        try self.check()
        return self.cluster.state.withLock { state in
            state.journal.filter { $0.sequence > sequence }.prefix(limit).map(\.text)
        }
    }

    let countersInterval: UInt64 = 50

    func tell(counters: [CounterKey: [UInt8]]) async throws(StoreFailure) {
        try self.check()
        self.cluster.state.withLock { $0.counters.merge(counters) { _, new in new } }
    }

    func counters() async throws(StoreFailure) -> [CounterKey: [UInt8]] {
        try self.check()
        return self.cluster.counters
    }

    func forget(counters: [CounterKey]) async throws(StoreFailure) {
        try self.check()
        self.cluster.state.withLock { state in for key in counters { state.counters[key] = nil } }
    }
}
