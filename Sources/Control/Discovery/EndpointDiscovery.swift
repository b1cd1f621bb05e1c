import Logging
import Reactor
import Traffic

/// Keeps the endpoints of upstreams that name none up to date: one source per upstream, each told of by its own task.
///
/// What a source finds replaces what it found before, nothing included: a source that says so is sure. What it fails to find
/// changes nothing but the record, so the last good set stays in force, for as long as `staleFor` allows. Sources live on
/// across reloads that leave their section as it is.
package actor EndpointDiscovery {
    /// Milliseconds that a load waits for the first answers of new sources.
    package static let patience: UInt64 = 2_000
    /// Endpoints of one upstream; the same bound as in the file.
    static let endpointLimit = 1_024
    /// Milliseconds that endpoints which are gone are kept for because none of the new ones takes requests yet.
    private static let bridge: UInt64 = 3_000
    private static let bridgeGlance: UInt64 = 20

    private struct Target {
        /// Distinguishes this source from a predecessor of the same key.
        var serial: UInt64
        var source: any EndpointSource
        var record: DiscoveryRecord
        /// When it last found something, or began, in monotonic milliseconds.
        var goodAt: UInt64
        /// Finished to end the source.
        var life: AsyncStream<Never>.Continuation
        /// Whether it has found last that there is none.
        var isEmpty = false
        /// Failures of endpoints seen so far, by the endpoints' ids.
        var failures: [Int: UInt64] = [:]
    }

    private let makeSource: @Sendable (DiscoverySpec) -> any EndpointSource
    private let clock: ControlClock
    private let logger: Logger
    private var publisher: TablePublisher?
    private var targets: [DiscoveryKey: Target] = [:]
    /// Of the table in force.
    private var endpoints: [DiscoveryKey: [Endpoint]] = [:]
    private var nextSerial: UInt64 = 1
    private var awaited = FirstAnswers<DiscoveryKey>()

    private typealias Start = (key: DiscoveryKey, serial: UInt64, life: AsyncStream<Never>)
    /// Holds what routes.json names at the most: one element a source and reload.
    private let starts = StartQueue<Start>()

    /// `environment` is the process's: in a pod it says where the API server is.
    package init(
        dialer: Dialer, environment: [String: String], clock: ControlClock = .system, logger: Logger
    ) {
        self.init(clock: clock, logger: logger) { spec in
            switch spec {
            case .dns(let lookup, let port):
                NameSource(addressesOf: lookup, port: port, dialer: dialer, clock: clock)
            case .srv(let lookup): NameSource(servicesOf: lookup, dialer: dialer, clock: clock)
            case .endpointSlices(let lookup):
                EndpointSliceSource(
                    lookup, access: ClusterAccess(lookup, environment: environment), clock: clock)
            }
        }
    }

    init(
        clock: ControlClock = .system, logger: Logger,
        makeSource: @escaping @Sendable (DiscoverySpec) -> any EndpointSource
    ) {
        self.makeSource = makeSource
        self.clock = clock
        self.logger = logger
    }

    /// Runs the sources and hands what they find to `publisher`, until the task is cancelled.
    package func run(publishing publisher: TablePublisher) async {
        self.publisher = publisher
        await self.starts.run { start in await self.serve(start) }
    }

    /// How each upstream's discovery is doing.
    package var records: [DiscoveryKey: DiscoveryRecord] { self.targets.mapValues(\.record) }

    // MARK: following the configuration

    /// Starts the sources that `table` names and that do not run yet, and waits until each of them has found something,
    /// but no longer than `patience`.
    package func prepare(_ table: TableSpec) async {
        let fresh = Self.keys(table).filter { self.targets[$0] == nil }
        guard !fresh.isEmpty else { return }
        for key in fresh { self.start(key) }
        let answers = self.awaited.expect(fresh)
        await FirstAnswers<DiscoveryKey>.wait(for: answers, atMost: Self.patience, self.clock)
        for key in self.awaited.missing {
            self.logger.warning(
                "no endpoints found yet, going on without",
                metadata: [
                    "upstream": "\(key.upstream)", "source": "\(key.spec)",
                    "cause": "\(self.targets[key]?.record.failure ?? "")",
                ])
        }
        self.awaited.end()
    }

    /// Ends the sources that `table`, the one in force, does not name.
    package func retain(only table: TableSpec) {
        let wanted = Self.keys(table)
        for (key, target) in self.targets where !wanted.contains(key) {
            target.life.finish()
            self.targets[key] = nil
        }
    }

    /// Takes note of a table that was published.
    package func follow(_ table: RoutingTable) {
        self.endpoints = [:]
        for upstream in table.upstreams {
            guard let spec = upstream.spec.discovery else { continue }
            self.endpoints[DiscoveryKey(upstream: upstream.name, spec: spec)] = upstream.endpoints
        }
    }

    private static func keys(_ table: TableSpec) -> Set<DiscoveryKey> {
        Set(
            table.upstreams.compactMap { upstream in
                upstream.discovery.map { DiscoveryKey(upstream: upstream.name, spec: $0) }
            })
    }

    private func start(_ key: DiscoveryKey) {
        let (life, continuation) = AsyncStream<Never>.makeStream()
        let serial = self.nextSerial
        self.nextSerial += 1
        self.targets[key] = Target(
            serial: serial, source: self.makeSource(key.spec), record: DiscoveryRecord(spec: key.spec),
            goodAt: self.clock.monotonic(), life: continuation)
        self.starts.start((key, serial, life))
    }

    private func serve(_ start: Start) async {
        guard let target = self.targets[start.key], target.serial == start.serial else { return }
        let listener = SourceListener(
            found: { await self.found($0, start.key, start.serial) },
            failed: { await self.failed($0, start.key, start.serial) },
            isTroubled: { await self.isTroubled(start.key, start.serial) })
        let source = target.source
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await source.run(listener) }
            group.addTask { for await _ in start.life {} }
            if let limit = start.key.spec.staleFor { group.addTask { await self.expire(start, after: limit) } }
            await group.next()
            group.cancelAll()
        }
    }

    // MARK: what sources tell

    private func found(_ endpoints: [SocketAddress], _ key: DiscoveryKey, _ serial: UInt64) async {
        // In one order, whatever the order of the answer, so that a rotated answer makes no new table.
        let distinct = Set(endpoints).sorted { one, other in
            (one.ip.high, one.ip.low, one.port) < (other.ip.high, other.ip.low, other.port)
        }
        guard self.targets[key]?.serial == serial else { return }
        self.targets[key]?.goodAt = self.clock.monotonic()
        if distinct.count > Self.endpointLimit {
            self.logger.warning(
                "too many endpoints, the rest is left out",
                metadata: ["upstream": "\(key.upstream)", "found": "\(distinct.count)"])
        }
        await self.put(Array(distinct.prefix(Self.endpointLimit)), key)
        guard var target = self.targets[key], target.serial == serial else { return }
        if !target.record.failure.isEmpty {
            self.logger.notice("endpoints are found again", metadata: ["upstream": "\(key.upstream)"])
        }
        if distinct.isEmpty, !target.isEmpty {
            self.logger.warning(
                "there is no endpoint that takes requests", metadata: ["upstream": "\(key.upstream)"])
        }
        target.isEmpty = distinct.isEmpty
        target.goodAt = self.clock.monotonic()
        target.record.lastSuccess = self.clock.wall()
        target.record.failure = ""
        self.targets[key] = target
        self.awaited.answered(key)
    }

    private func failed(_ failure: DiscoveryFailure, _ key: DiscoveryKey, _ serial: UInt64) {
        guard var target = self.targets[key], target.serial == serial else { return }
        if target.record.failure != failure.description {
            self.logger.warning(
                "endpoints cannot be found, the last ones stay in use",
                metadata: [
                    "upstream": "\(key.upstream)", "source": "\(key.spec)", "cause": "\(failure)",
                ])
        }
        target.record.failures += 1
        target.record.failure = failure.description
        self.targets[key] = target
    }

    private func isTroubled(_ key: DiscoveryKey, _ serial: UInt64) -> Bool {
        guard var target = self.targets[key], target.serial == serial else { return false }
        let present = Dictionary(
            (self.endpoints[key] ?? []).map { ($0.id, $0.failures) }, uniquingKeysWith: { first, _ in first })
        let isTroubled = present.contains { id, failures in failures > target.failures[id] ?? 0 }
        target.failures = present
        self.targets[key] = target
        return isTroubled
    }

    /// Takes endpoints out that were found longer ago than `limit` milliseconds, and never again since: who is at their
    /// addresses now nobody knows.
    private func expire(_ start: Start, after limit: UInt32) async {
        while !Task.isCancelled, let target = self.targets[start.key], target.serial == start.serial {
            let end = target.goodAt + UInt64(limit)
            let now = self.clock.monotonic()
            if now >= end, !(self.endpoints[start.key] ?? []).isEmpty {
                self.logger.error(
                    "endpoints were found too long ago and are no longer used",
                    metadata: ["upstream": "\(start.key.upstream)", "cause": "\(target.record.failure)"])
                await self.publisher?.discovered([], by: start.key)
            }
            // What is found meanwhile moves the end.
            do { try await self.clock.sleep(now < end ? end - now : UInt64(limit)) } catch { return }
        }
    }

    /// Puts what was found in force. If none of it takes requests yet, but something that is gone still does, that stays
    /// beside it until a new one has come up, or for a while: there is nobody else who could answer.
    private func put(_ found: [SocketAddress], _ key: DiscoveryKey) async {
        guard let publisher = self.publisher else { return }
        let wanted = Set(found)
        let present = self.endpoints[key] ?? []
        let serving = present.filter { $0.isSelectable(now: self.clock.monotonic()) }
        if !found.isEmpty, !serving.isEmpty, !serving.contains(where: { wanted.contains($0.address) }) {
            await publisher.discovered(found + serving.map(\.address), by: key)
            let end = self.clock.monotonic() + Self.bridge
            while self.clock.monotonic() < end, !Task.isCancelled {
                let now = self.clock.monotonic()
                let isReady = (self.endpoints[key] ?? []).contains { endpoint in
                    wanted.contains(endpoint.address) && endpoint.isSelectable(now: now)
                }
                if isReady { break }
                try? await self.clock.sleep(Self.bridgeGlance)
            }
        }
        await publisher.discovered(found, by: key)
    }
}
