import FoundationEssentials
import JSONText
import NIOHTTP1
import RoutesFile

/// Replicas meet at the Kubernetes API, in objects of one namespace that are labelled `balancer.w3f/cluster: NAME`:
///
/// - ConfigMap `NAME-live`, key `live.json`: the document; `resourceVersion` is what a write compares
/// - Lease `NAME-leader`: who leads
/// - Lease `NAME-r-REPLICA`: who is there, with what it tells in an annotation
/// - Lease `NAME-c-REPLICA` with the label `balancer.w3f/counters: NAME`: what a replica has counted of plans' stages, in an
///   annotation, by `MIGRATION.EPOCH.INSTANCE`; it goes with the pod. A ConfigMap of that name would take the right to read
///   every ConfigMap of the namespace
/// - ConfigMap `NAME-journal`, key `journal.json`: a change a line, written behind the document
///
/// A Lease says nothing by itself: whoever reads it judges by whether it has changed within its time, by the reader's own
/// clock. It does not keep a former leader from writing either; the document's version and term do.
package actor KubernetesStore: ClusterStore {
    private static let seconds: UInt64 = 15
    private static let journalLimit = 200
    private static let journalBytes = 512 << 10
    private static let journalTries = 5
    private static let watchSeconds: UInt64 = 300

    package nonisolated let place: String
    package nonisolated let lease = KubernetesStore.seconds * 1_000
    package nonisolated let interval: UInt64 = 5_000

    private let client: KubernetesClient
    private let cluster: String
    private let replica: String
    private let owner: Kubernetes.Owner?
    private let clock: ControlClock
    private let core: String
    private let coordination: String

    /// Versions of Leases, and when they were seen first: one that stays for its time is over.
    private var seen: [String: (version: UInt64, since: UInt64, replica: String)] = [:]
    private var isGone: Set<String> = []
    /// Of this replica's Lease; nil: not known.
    private var ownVersion: UInt64?
    /// Where the two watches go on.
    private var versions = (live: "", leases: "")

    package init(
        _ spec: KubernetesSpec, cluster: String, replica: String,
        environment: [String: String] = ProcessInfo.processInfo.environment, clock: ControlClock = .system
    ) {
        let access = ClusterAccess(spec, environment: environment)
        self.client = KubernetesClient(access)
        self.cluster = cluster
        self.replica = replica
        self.owner = Kubernetes.Owner(environment)
        self.clock = clock
        self.core = "/api/v1/namespaces/\(access.namespace)/configmaps"
        self.coordination = "/apis/coordination.k8s.io/v1/namespaces/\(access.namespace)/leases"
        self.place = "the Kubernetes API, namespace \(access.namespace)"
    }

    private var liveName: String { self.cluster + "-live" }
    private var journalName: String { self.cluster + "-journal" }
    private var leaderName: String { self.cluster + "-leader" }
    private var ownName: String { self.presencePrefix + Self.objectName(self.replica) }
    private var presencePrefix: String { self.cluster + "-r-" }
    private var leaseQuery: String { "labelSelector=balancer.w3f%2Fcluster%3D\(self.cluster)" }
    private var countersName: String { self.cluster + "-c-" + Self.objectName(self.replica) }
    private var countersQuery: String { "labelSelector=balancer.w3f%2Fcounters%3D\(self.cluster)" }
    private var liveQuery: String { "fieldSelector=metadata.name%3D\(self.liveName)" }

    /// What an object may be called.
    private static func objectName(_ replica: String) -> String {
        String(
            replica.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") ? $0 : "-" }
        )
    }

    private static func version(_ object: Kubernetes.Object?) throws(StoreFailure) -> UInt64 {
        guard let version = object?.version else {
            throw StoreFailure(.refused, "the API server gives no resource version that is a number")
        }
        return version
    }

    // MARK: the document

    package func read() async throws(StoreFailure) -> StoreSnapshot {
        let (_, maps) = try await self.client.call(.GET, "\(self.core)?\(self.liveQuery)", as: Kubernetes.List.self)
        let (_, leases) = try await self.client.call(
            .GET, "\(self.coordination)?\(self.leaseQuery)", as: Kubernetes.List.self)
        guard let maps, let leases else { throw StoreFailure(.refused, "the namespace has no such objects") }
        self.versions = (maps.metadata?.resourceVersion ?? "", leases.metadata?.resourceVersion ?? "")
        var snapshot = StoreSnapshot()
        snapshot.revision = UInt64(self.versions.leases) ?? 0
        if let map = maps.items?.first { snapshot.document = try Self.document(map) }
        self.isGone = []
        let names = Set((leases.items ?? []).map(\.name))
        self.seen = self.seen.filter { names.contains($0.key) }
        for lease in leases.items ?? [] {
            switch self.event(lease, isDeleted: false) {
            case .presence(let replica, let bytes, _)?: snapshot.presences[replica] = bytes
            case .leader(let claim, _)?: snapshot.leader = claim
            default: break
            }
        }
        return snapshot
    }

    private static func document(_ map: Kubernetes.Object) throws(StoreFailure) -> StoredDocument {
        StoredDocument(bytes: Array((map.data?["live.json"] ?? "").utf8), revision: try Self.version(map))
    }

    package func swap(_ write: StoreWrite) async throws(StoreFailure) -> SwapOutcome {
        if let fence = write.fence {
            let (_, lease) = try await self.client.call(
                .GET, "\(self.coordination)/\(self.leaderName)", as: Kubernetes.Object.self)
            guard lease?.spec?.holderIdentity == self.replica, lease?.spec?.leaseTransitions == fence.token else {
                return .deposed
            }
        }
        let metadata = Kubernetes.metadata(
            self.liveName, cluster: self.cluster, version: write.replacing == 0 ? nil : write.replacing)
        let body = Kubernetes.configMap(metadata, "live.json", write.document)
        let (_, made) =
            write.replacing == 0
            ? try await self.client.call(.POST, self.core, body, as: Kubernetes.Object.self)
            : try await self.client.call(.PUT, "\(self.core)/\(self.liveName)", body, as: Kubernetes.Object.self)
        guard let made else {
            let (_, found) = try await self.client.call(
                .GET, "\(self.core)/\(self.liveName)", as: Kubernetes.Object.self)
            return .overtaken(try found.map { (found) throws(StoreFailure) in try Self.document(found) })
        }
        let revision = try Self.version(made)
        // The document tells of the last changes in any case: whoever writes next catches up.
        try? await self.append(write)
        return .done(revision: revision)
    }

    /// Writes changes into the journal, with those before them that it lacks and the document still tells of: whoever was to
    /// write those may have been cut off, or may be about to.
    private func append(_ write: StoreWrite) async throws(StoreFailure) {
        for _ in 0..<Self.journalTries {
            let (_, found) = try await self.client.call(
                .GET, "\(self.core)/\(self.journalName)", as: Kubernetes.Object.self)
            var texts: [UInt64: [UInt8]] = [:]
            for line in (found?.data?["journal.json"] ?? "").utf8.split(separator: UInt8(ascii: "\n")) {
                let text = Array(line)
                if let change = SharedChange(text) { texts[change.sequence] = text }
            }
            let first = write.changes.first?.sequence ?? 0
            if first > 1, texts[first - 1] == nil, let document = try? LiveDocument(write.document) {
                for change in document.changes(after: 0).changes where texts[change.sequence] == nil {
                    texts[change.sequence] = change.text
                }
            }
            for change in write.changes { texts[change.sequence] = change.text }
            var lines = texts.sorted { $0.key < $1.key }.map(\.value).suffix(Self.journalLimit)
            var bytes = lines.reduce(0) { $0 + $1.count + 1 }
            while bytes > Self.journalBytes, let line = lines.popFirst() { bytes -= line.count + 1 }
            let metadata = Kubernetes.metadata(
                self.journalName, cluster: self.cluster, version: try found.map(Self.version))
            let body = Kubernetes.configMap(
                metadata, "journal.json", Array(lines.joined(separator: [UInt8(ascii: "\n")])))
            let (_, made) =
                found == nil
                ? try await self.client.call(.POST, self.core, body, as: Kubernetes.Object.self)
                : try await self.client.call(.PUT, "\(self.core)/\(self.journalName)", body, as: Kubernetes.Object.self)
            if made != nil { return }
        }
    }

    package func journal(after sequence: UInt64, limit: Int) async throws(StoreFailure) -> [[UInt8]] {
        let (_, found) = try await self.client.call(
            .GET, "\(self.core)/\(self.journalName)", as: Kubernetes.Object.self)
        let lines = (found?.data?["journal.json"] ?? "").utf8.split(separator: UInt8(ascii: "\n")).map { Array($0) }
        let changes = lines.compactMap { line in SharedChange(line).map { ($0.sequence, line) } }
        return changes.filter { $0.0 > sequence }.sorted { $0.0 < $1.0 }.prefix(limit).map(\.1)
    }

    // MARK: following

    package func follow(
        after revision: UInt64, _ event: @escaping @Sendable (StoreEvent) async -> Void
    ) async -> StoreFailure {
        let seconds = Self.watchSeconds * UInt64.random(in: 80...120) / 100
        let watch = "watch=1&allowWatchBookmarks=true&timeoutSeconds=\(seconds)&resourceVersion="
        let live = "\(self.core)?\(self.liveQuery)&\(watch)\(PercentCoding.encoded(self.versions.live))"
        let leases = "\(self.coordination)?\(self.leaseQuery)&\(watch)\(PercentCoding.encoded(self.versions.leases))"
        let client = self.client
        return await withTaskGroup(of: StoreFailure.self) { group in
            group.addTask {
                await client.watch(live) { change in
                    guard change.type != "BOOKMARK", let version = change.object.version else { return }
                    guard change.type != "DELETED", let document = try? Self.document(change.object) else {
                        return await event(.documentGone(revision: version))
                    }
                    await event(.document(document))
                }
            }
            group.addTask {
                await client.watch(leases) { change in
                    if change.type == "BOOKMARK" {
                        await event(.progress(revision: change.object.version ?? 0))
                    } else if let told = await self.event(change.object, isDeleted: change.type == "DELETED") {
                        await event(told)
                    }
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    do { try await self.clock.sleep(500) } catch { break }
                    for told in await self.overdue() { await event(told) }
                }
                return StoreFailure(.unreachable, "given up")
            }
            let failure = await group.next()
            group.cancelAll()
            return failure ?? StoreFailure(.unreachable, "the watch ended")
        }
    }

    private func event(_ lease: Kubernetes.Object, isDeleted: Bool) -> StoreEvent? {
        guard let version = lease.version else { return nil }
        let now = self.clock.monotonic()
        if isDeleted {
            self.seen[lease.name] = nil
        } else if self.seen[lease.name]?.version != version {
            self.seen[lease.name] = (version, now, lease.presence.flatMap { Presence($0)?.replica } ?? "")
            self.isGone.remove(lease.name)
        }
        let isOver = self.isOver(lease.name, at: now)
        if lease.name == self.leaderName {
            let isHeld = !isDeleted && !isOver && lease.spec?.holderIdentity?.isEmpty == false
            return .leader(isHeld ? lease.presence : nil, revision: version)
        }
        guard lease.name.hasPrefix(self.presencePrefix), let bytes = lease.presence, let presence = Presence(bytes)
        else { return nil }
        return isDeleted || isOver
            ? .gone(replica: presence.replica, revision: version)
            : .presence(replica: presence.replica, bytes: bytes, revision: version)
    }

    private func isOver(_ name: String, at now: UInt64) -> Bool {
        self.seen[name].map { now >= $0.since + self.lease } ?? false
    }

    /// Leases that have not changed for their time.
    private func overdue() -> [StoreEvent] {
        let now = self.clock.monotonic()
        return self.seen.keys.filter { self.isOver($0, at: now) && self.isGone.insert($0).inserted }.compactMap {
            name in
            if name == self.leaderName { return .leader(nil, revision: 0) }
            guard name.hasPrefix(self.presencePrefix), let replica = self.seen[name]?.replica else { return nil }
            return .gone(replica: replica, revision: 0)
        }
    }

    // MARK: presence and leadership

    package func attend(_ presence: [UInt8], renewing: Bool) async throws(StoreFailure) -> UInt64 {
        for _ in 0..<3 {
            let metadata = Kubernetes.metadata(
                self.ownName, cluster: self.cluster, version: self.ownVersion, presence: presence, owner: self.owner)
            let body = Kubernetes.lease(
                metadata, holder: self.replica, seconds: Self.seconds, transitions: 0, at: self.clock.wall())
            let (_, made) =
                self.ownVersion == nil
                ? try await self.client.call(.POST, self.coordination, body, as: Kubernetes.Object.self)
                : try await self.client.call(
                    .PUT, "\(self.coordination)/\(self.ownName)", body, as: Kubernetes.Object.self)
            if let made {
                let version = try Self.version(made)
                self.ownVersion = version
                return version
            }
            // It is there already, is gone, or has another version.
            let (_, found) = try await self.client.call(
                .GET, "\(self.coordination)/\(self.ownName)", as: Kubernetes.Object.self)
            self.ownVersion = try found.map(Self.version)
        }
        throw StoreFailure(.unreachable, "another process writes this replica's Lease")
    }

    package func leave(_ presence: [UInt8]) async {
        _ = try? await self.attend(presence, renewing: false)
        _ = try? await self.client.call(.DELETE, "\(self.coordination)/\(self.ownName)", as: Kubernetes.Object.self)
        self.ownVersion = nil
    }

    package func lead(_ claim: [UInt8]) async throws(StoreFailure) -> ClusterFence? {
        let path = "\(self.coordination)/\(self.leaderName)"
        let (_, found) = try await self.client.call(.GET, path, as: Kubernetes.Object.self)
        guard let found else {
            let made = try await self.hold(claim, transitions: 1, version: nil)
            return made ? ClusterFence(token: 1) : nil
        }
        _ = self.event(found, isDeleted: false)
        let transitions = found.spec?.leaseTransitions ?? 0
        let holder = found.spec?.holderIdentity ?? ""
        // A process of the same name that was here before is another one.
        let isOwn =
            holder == self.replica && found.presence.flatMap { Presence($0)?.instance } == Presence(claim)?.instance
        guard isOwn || holder.isEmpty || self.isOver(self.leaderName, at: self.clock.monotonic()) else { return nil }
        let term = isOwn ? transitions : transitions + 1
        return try await self.hold(claim, transitions: term, version: try Self.version(found))
            ? ClusterFence(token: term) : nil
    }

    private func hold(_ claim: [UInt8], transitions: UInt64, version: UInt64?) async throws(StoreFailure) -> Bool {
        let metadata = Kubernetes.metadata(
            self.leaderName, cluster: self.cluster, version: version, presence: claim)
        let body = Kubernetes.lease(
            metadata, holder: self.replica, seconds: Self.seconds, transitions: transitions, at: self.clock.wall())
        let (_, made) =
            version == nil
            ? try await self.client.call(.POST, self.coordination, body, as: Kubernetes.Object.self)
            : try await self.client.call(
                .PUT, "\(self.coordination)/\(self.leaderName)", body, as: Kubernetes.Object.self)
        return made != nil
    }

    package func resign() async {
        let path = "\(self.coordination)/\(self.leaderName)"
        guard let (_, found) = try? await self.client.call(.GET, path, as: Kubernetes.Object.self), let found,
            found.spec?.holderIdentity == self.replica, let version = found.version
        else { return }
        let metadata = Kubernetes.metadata(self.leaderName, cluster: self.cluster, version: version)
        let body = Kubernetes.lease(
            metadata, holder: "", seconds: Self.seconds, transitions: found.spec?.leaseTransitions ?? 0,
            at: self.clock.wall())
        _ = try? await self.client.call(.PUT, path, body, as: Kubernetes.Object.self)
    }

    // MARK: what was counted

    package nonisolated let countersInterval: UInt64 = 5_000

    private static func key(_ text: Substring) -> (migration: String, epoch: UInt64, instance: String)? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count >= 3, let instance = parts.last, let epoch = UInt64(parts[parts.count - 2]) else {
            return nil
        }
        return (parts.dropLast(2).joined(separator: "."), epoch, String(instance))
    }

    /// What an earlier process of this name has told of the same runs stays beside it, without its lists of who needed the old side.
    package func tell(counters: [CounterKey: [UInt8]]) async throws(StoreFailure) {
        let path = "\(self.coordination)/\(self.countersName)"
        let instances = Set(counters.keys.map(\.instance))
        let runs = Set(counters.keys.map { "\($0.migration).\($0.epoch)" })
        let told = counters.compactMap { key, text in
            (try? JSONReader.read(text)).map { ("\(key.migration).\(key.epoch).\(key.instance)", $0) }
        }
        for _ in 0..<Self.journalTries {
            let (_, found) = try await self.client.call(.GET, path, as: Kubernetes.Object.self)
            let earlier = (found?.counters ?? []).filter { member in
                guard let key = Self.key(member.name[...]), !instances.contains(key.instance) else { return false }
                return runs.contains("\(key.migration).\(key.epoch)")
            }
            let samples = CountersAnnotation.samples(told: told, earlier: earlier.map { ($0.name, $0.value) })
            let metadata = Kubernetes.metadata(
                self.countersName, label: Kubernetes.counters, cluster: self.cluster,
                version: try found.map(Self.version),
                annotation: (Kubernetes.counters, JSONValue.object(samples).bytes),
                owner: self.owner)
            let body = Kubernetes.lease(
                metadata, holder: self.replica, seconds: Self.seconds, transitions: 0, at: self.clock.wall())
            let (_, made) =
                found == nil
                ? try await self.client.call(.POST, self.coordination, body, as: Kubernetes.Object.self)
                : try await self.client.call(.PUT, path, body, as: Kubernetes.Object.self)
            if made != nil { return }
        }
        throw StoreFailure(.unreachable, "another process writes what this replica has counted")
    }

    package func counters() async throws(StoreFailure) -> [CounterKey: [UInt8]] {
        let (_, leases) = try await self.client.call(
            .GET, "\(self.coordination)?\(self.countersQuery)", as: Kubernetes.List.self)
        var found: [CounterKey: [UInt8]] = [:]
        for member in (leases?.items ?? []).flatMap(\.counters) {
            // The object's name is the replica's only nearly.
            guard let key = Self.key(member.name[...]), let replica = member.value["replica"]?.string else { continue }
            found[
                CounterKey(migration: key.migration, epoch: key.epoch, replica: replica, instance: key.instance)] =
                member.value.bytes
        }
        return found
    }

    /// Each replica's object has the runs that it counts now, and goes with its pod.
    package func forget(counters: [CounterKey]) async throws(StoreFailure) {}
}
