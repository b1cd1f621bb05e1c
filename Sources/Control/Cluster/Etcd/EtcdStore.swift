import FoundationEssentials
import NIOCore
import RoutesFile

/// Replicas meet in etcd, under `/balancer/NAME/`:
///
/// - `live`: the document
/// - `leader`: who leads, as long as its lease lives
/// - `replicas/REPLICA`: who is there, likewise
/// - `counters/MIGRATION/EPOCH/REPLICA/INSTANCE`: what a process has counted of a stage's run, which outlives the process
/// - `journal/SEQUENCE`: changes up to that one, a line each, written with the document that they led to
package actor EtcdStore: ClusterStore {
    /// Seconds that presence and leadership live without renewal.
    private static let seconds: UInt64 = 10
    /// Changes kept in the journal.
    private static let journalLimit: UInt64 = 1_000
    /// Bytes of the changes of one write: etcd takes requests of 1.5 MiB, and the document may have a third of that.
    private static let journalBytes = 768 << 10
    private static let eventLimit = 4 << 20

    package nonisolated let place: String
    package nonisolated let lease = EtcdStore.seconds * 1_000
    package nonisolated let interval: UInt64 = 3_000

    private let client: EtcdClient
    private let prefix: String
    private let replica: String
    /// What etcd lends presence and leadership by; nil: nothing yet, or not any more.
    private var lent: String?

    package init(_ spec: EtcdSpec, cluster: String, replica: String) {
        self.client = EtcdClient(spec)
        self.prefix = "/balancer/\(cluster)/"
        self.replica = replica
        self.place = "etcd at \(spec.endpoints.joined(separator: ", "))"
    }

    private var live: String { self.prefix + "live" }
    private var leader: String { self.prefix + "leader" }
    private var replicas: String { self.prefix + "replicas/" }
    /// Behind all that is followed: 0 comes after /.
    private var end: String { self.prefix + "replicas0" }
    private func journalKey(_ sequence: UInt64) -> String {
        let digits = String(sequence)
        return self.prefix + "journal/" + String(repeating: "0", count: 20 - digits.count) + digits
    }

    package func close() async { await self.client.close() }

    // MARK: the document

    package func read() async throws(StoreFailure) -> StoreSnapshot {
        let answer = try await self.client.call(
            "/v3/kv/range", Etcd.range(self.leader, to: self.end), as: Etcd.Range.self)
        var snapshot = StoreSnapshot()
        snapshot.revision = answer.header?.number ?? 0
        for pair in answer.kvs ?? [] {
            switch pair.name {
            case self.live: snapshot.document = StoredDocument(bytes: pair.bytes, revision: pair.revision)
            case self.leader: snapshot.leader = pair.bytes
            case let name where name.hasPrefix(self.replicas):
                snapshot.presences[String(name.dropFirst(self.replicas.count))] = pair.bytes
            default: break
            }
        }
        return snapshot
    }

    package func swap(_ write: StoreWrite) async throws(StoreFailure) -> SwapOutcome {
        var conditions = [Etcd.isAt(self.live, revision: write.replacing)]
        if let fence = write.fence { conditions.append(Etcd.wasCreated(self.leader, at: fence.token)) }
        var steps = [Etcd.put(self.live, write.document)]
        // One key for all of them: etcd takes no more than 128 steps at once.
        if let last = write.changes.last?.sequence {
            steps.append(Etcd.put(self.journalKey(last), Self.lines(write.changes.map(\.text))))
            if last > Self.journalLimit {
                steps.append(Etcd.delete(self.journalKey(0), to: self.journalKey(last - Self.journalLimit + 1)))
            }
        }
        let look = [self.leader, self.live].map { "{\"request_range\":\(Etcd.range($0))}" }
        let answer = try await self.client.call(
            "/v3/kv/txn", Etcd.transaction(if: conditions, then: steps, else: look), as: Etcd.Transaction.self)
        if answer.succeeded == true { return .done(revision: answer.header?.number ?? 0) }
        let found = (answer.responses ?? []).map { $0.range?.kvs?.first }
        if let fence = write.fence, found.first.flatMap({ $0 })?.creation != fence.token { return .deposed }
        return .overtaken(found.last.flatMap { $0 }.map { StoredDocument(bytes: $0.bytes, revision: $0.revision) })
    }

    /// The last of them that there is room for.
    private static func lines(_ texts: [[UInt8]]) -> [UInt8] {
        var bytes = 0
        let kept = texts.reversed().prefix { text in
            bytes += text.count + 1
            return bytes <= Self.journalBytes
        }
        return Array(kept.reversed().joined(separator: [UInt8(ascii: "\n")]))
    }

    package func journal(after sequence: UInt64, limit: Int) async throws(StoreFailure) -> [[UInt8]] {
        let answer = try await self.client.call(
            "/v3/kv/range",
            Etcd.range(self.journalKey(sequence + 1), to: self.prefix + "journal0", limit: limit),
            as: Etcd.Range.self)
        return (answer.kvs ?? []).flatMap { $0.bytes.split(separator: UInt8(ascii: "\n")).map { Array($0) } }
    }

    package func follow(
        after revision: UInt64, _ event: @escaping @Sendable (StoreEvent) async -> Void
    ) async -> StoreFailure {
        let cutter = EventCutter(limit: Self.eventLimit)
        let (live, leader, replicas) = (self.live, self.leader, self.replicas)
        let range = Etcd.range(leader, to: self.end).dropLast()
        return await self.client.watch("{\"create_request\":\(range),\"start_revision\":\"\(revision + 1)\"}}") {
            buffer in
            let watched: [Etcd.Watched]
            do throws(StoreFailure) {
                watched = try await cutter.take(buffer)
            } catch {
                return error
            }
            for line in watched {
                if let failure = line.error { return StoreFailure(.unreachable, failure.message ?? "the watch ended") }
                guard let result = line.result else { continue }
                if result.canceled == true {
                    guard result.compactRevision == nil else {
                        return StoreFailure(.expired, "the history that was asked for has been compacted")
                    }
                    return StoreFailure(.refused, result.cancelReason ?? "the watch was refused")
                }
                for change in result.events ?? [] {
                    guard let pair = change.kv else { continue }
                    let isGone = change.type == "DELETE"
                    switch pair.name {
                    case live:
                        await event(
                            isGone
                                ? .documentGone(revision: pair.revision)
                                : .document(StoredDocument(bytes: pair.bytes, revision: pair.revision)))
                    case leader: await event(.leader(isGone ? nil : pair.bytes, revision: pair.revision))
                    case let name where name.hasPrefix(replicas):
                        let name = String(name.dropFirst(replicas.count))
                        await event(
                            isGone
                                ? .gone(replica: name, revision: pair.revision)
                                : .presence(replica: name, bytes: pair.bytes, revision: pair.revision))
                    default: break
                    }
                }
                await event(.progress(revision: result.header?.number ?? 0))
            }
            return nil
        }
    }

    /// Cuts what comes into lines; one at a time asks it.
    private actor EventCutter {
        private var cutter: LineCutter

        init(limit: Int) { self.cutter = LineCutter(limit: limit) }

        func take(_ buffer: ByteBuffer) throws(StoreFailure) -> [Etcd.Watched] {
            let lines: [[UInt8]]
            do throws(DiscoveryFailure) {
                lines = try self.cutter.lines(buffer.readableBytesView)
            } catch {
                throw StoreFailure(.refused, "an event of the watch is too long")
            }
            var watched: [Etcd.Watched] = []
            for line in lines {
                guard let value = try? JSONDecoder().decode(Etcd.Watched.self, from: Data(line)) else {
                    throw StoreFailure(.unreachable, "an event of the watch cannot be read")
                }
                watched.append(value)
            }
            return watched
        }
    }

    // MARK: presence and leadership

    package func attend(_ presence: [UInt8], renewing: Bool) async throws(StoreFailure) -> UInt64 {
        if renewing, let lent = self.lent {
            let answer = try await self.client.call(
                "/v3/lease/keepalive", "{\"ID\":\"\(lent)\"}", as: Etcd.KeptAlive.self)
            // All that hung on it is gone.
            if answer.result?.TTL == nil, self.lent == lent { self.lent = nil }
        }
        do throws(StoreFailure) {
            return try await self.put(presence, by: try await self.grant())
        } catch {
            guard error.cause == .expired else { throw error }
            self.lent = nil
            return try await self.put(presence, by: try await self.grant())
        }
    }

    private func grant() async throws(StoreFailure) -> String {
        if let lent = self.lent { return lent }
        let answer = try await self.client.call("/v3/lease/grant", "{\"TTL\":\"\(Self.seconds)\"}", as: Etcd.Lease.self)
        guard let lent = answer.ID else { throw StoreFailure(.refused, "etcd lends nothing") }
        // Another call may have been faster.
        if let other = self.lent { return other }
        self.lent = lent
        return lent
    }

    private func put(_ presence: [UInt8], by lent: String) async throws(StoreFailure) -> UInt64 {
        let answer = try await self.client.call(
            "/v3/kv/txn",
            Etcd.transaction(if: [], then: [Etcd.put(self.replicas + self.replica, presence, lease: lent)]),
            as: Etcd.Transaction.self)
        return answer.header?.number ?? 0
    }

    package func leave(_ presence: [UInt8]) async {
        guard let lent = self.lent else { return }
        // Those who watch see the last word before the key is gone.
        _ = try? await self.put(presence, by: lent)
        _ = try? await self.client.call("/v3/lease/revoke", "{\"ID\":\"\(lent)\"}", as: Etcd.Range.self)
        self.lent = nil
    }

    package func lead(_ claim: [UInt8]) async throws(StoreFailure) -> ClusterFence? {
        let lent = try await self.grant()
        let answer = try await self.client.call(
            "/v3/kv/txn",
            Etcd.transaction(
                if: [Etcd.wasCreated(self.leader, at: 0)], then: [Etcd.put(self.leader, claim, lease: lent)],
                else: ["{\"request_range\":\(Etcd.range(self.leader))}"]),
            as: Etcd.Transaction.self)
        if answer.succeeded == true { return ClusterFence(token: answer.header?.number ?? 0) }
        guard let holder = answer.responses?.first?.range?.kvs?.first, holder.lease == lent else { return nil }
        return ClusterFence(token: holder.creation)
    }

    package func resign() async {
        guard let lent = self.lent else { return }
        // Only if it is this replica's own.
        let condition = "{\"target\":\"LEASE\",\"key\":\"\(Etcd.bytes(self.leader))\",\"lease\":\"\(lent)\"}"
        _ = try? await self.client.call(
            "/v3/kv/txn", Etcd.transaction(if: [condition], then: [Etcd.delete(self.leader)]), as: Etcd.Transaction.self
        )
    }

    // MARK: what was counted

    /// Tellings that are read at once: 16 plans of 256 processes, some of which are over.
    private static let countersLimit = 8_192
    /// Steps of a transaction that etcd takes.
    private static let stepLimit = 100

    package nonisolated let countersInterval: UInt64 = 2_000
    private var counters: String { self.prefix + "counters/" }

    private func name(_ key: CounterKey) -> String {
        self.counters + "\(key.migration)/\(key.epoch)/\(key.replica)/\(key.instance)"
    }

    package func tell(counters: [CounterKey: [UInt8]]) async throws(StoreFailure) {
        let puts = counters.map { Etcd.put(self.name($0.key), $0.value) }
        _ = try await self.client.call("/v3/kv/txn", Etcd.transaction(if: [], then: puts), as: Etcd.Transaction.self)
    }

    package func counters() async throws(StoreFailure) -> [CounterKey: [UInt8]] {
        let answer = try await self.client.call(
            "/v3/kv/range", Etcd.range(self.counters, to: self.prefix + "counters0", limit: Self.countersLimit),
            as: Etcd.Range.self)
        var found: [CounterKey: [UInt8]] = [:]
        for pair in answer.kvs ?? [] {
            let parts = pair.name.dropFirst(self.counters.count).split(separator: "/").map(String.init)
            guard parts.count == 4, let epoch = UInt64(parts[1]) else { continue }
            found[CounterKey(migration: parts[0], epoch: epoch, replica: parts[2], instance: parts[3])] = pair.bytes
        }
        return found
    }

    package func forget(counters: [CounterKey]) async throws(StoreFailure) {
        let steps = counters.prefix(Self.stepLimit).map { Etcd.delete(self.name($0)) }
        _ = try await self.client.call("/v3/kv/txn", Etcd.transaction(if: [], then: steps), as: Etcd.Transaction.self)
    }
}
