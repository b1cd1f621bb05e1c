import CEpoll
import Glibc
import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Everything one worker owns: connections, pools, buffers, timers, counters. Not Sendable; lives inside the `Worker`
/// actor and is touched on its loop's thread only. No lock, and once warm no allocation, on the path of a request.
///
/// `@exclusivity(unchecked)` on what every request touches: one thread reaches it, and no method keeps an access open while
/// it calls out, which the debug build, where the attribute stands too but bounds and isolation checks are the same,
/// cannot show; the scenario suite under ThreadSanitizer does.
final class WorkerCore {
    let index: Int
    let loop: EventLoop
    let shared: SharedState
    private let pacing: TurnPacing
    /// Milliseconds and microseconds of the monotonic clock at the start of this turn.
    @exclusivity(unchecked) private(set) var now: UInt64
    @exclusivity(unchecked) private(set) var nowMicroseconds: UInt64

    @exclusivity(unchecked) var handles = HandleTable()
    @exclusivity(unchecked) var wheel: TimerWheel
    @exclusivity(unchecked) var buffers = BufferPool()
    /// Where every read lands. One for all connections: it stays in the cache, and idle connections own nothing.
    @exclusivity(unchecked) private(set) var scratch: UnsafeMutableRawBufferPointer
    /// Where rewritten heads and local replies are built.
    @exclusivity(unchecked) private(set) var headScratch: UnsafeMutableRawBufferPointer
    /// Chunk sizes (first 32 bytes) and what ends a chunk, trailers included (the rest).
    let frameScratch: UnsafeMutableRawBufferPointer
    let pieces: UnsafeMutableBufferPointer<iovec>
    /// The fields of the head parsed last.
    @exclusivity(unchecked) var fields = FieldTable(capacity: 256)
    @exclusivity(unchecked) var fieldReferences: ContiguousArray<FieldReference> = []
    @exclusivity(unchecked) var random: SplitMix64

    @exclusivity(unchecked) var runtime: TableRuntime
    private var pools: ContiguousArray<EndpointPool?> = []
    private var upstreamStates: [String: UpstreamState] = [:]
    private var metrics: [MetricsKey: RouteMetrics] = [:]
    private var rejected: [UInt16: UInt64] = [:]
    var listeners: [ListenerHandle] = []
    var acceptFailures: UInt64 = 0

    @exclusivity(unchecked) private var runnable: ContiguousArray<UInt64> = []
    @exclusivity(unchecked) private var expired: ContiguousArray<Int32> = []
    /// Upstreams with requests waiting for a slot.
    @exclusivity(unchecked) private var queues: ContiguousArray<UpstreamState> = []

    @exclusivity(unchecked) private var roomGiven: UInt64 = 0
    @exclusivity(unchecked) private(set) var draining = false
    /// Client connections open in this worker.
    var connections = 0
    var connectionsAccepted: UInt64 = 0
    var connectionsRefused: UInt64 = 0
    var tunnels = 0
    @exclusivity(unchecked) var exchanges = 0
    let log: AccessLogBuffer?

    private struct MetricsKey: Hashable {
        var route: String
        var upstream: String
    }

    /// One read takes at most this: large enough that a megabyte needs few system calls, small enough to stay in the
    /// second-level cache until it is written out.
    static let scratchSize = 262_144

    init(
        index: Int, loop: EventLoop, shared: SharedState, table: RoutingTable, pacing: TurnPacing, seed: UInt64
    ) {
        self.index = index
        self.loop = loop
        self.shared = shared
        self.pacing = pacing
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
        self.wheel = TimerWheel(now: self.nowMicroseconds / 1_000)
        self.scratch = .allocate(byteCount: Self.scratchSize, alignment: 64)
        self.headScratch = .allocate(byteCount: 131_072, alignment: 64)
        self.frameScratch = .allocate(byteCount: 32_768, alignment: 64)
        self.pieces = .allocate(capacity: 8)
        self.pieces.initialize(repeating: iovec())
        self.random = SplitMix64(seed: seed)
        self.runtime = TableRuntime(
            table: table, routes: [], upstreams: [], unrouted: RouteMetrics(route: "", upstream: ""))
        self.log = shared.accessLog.map { AccessLogBuffer(sink: $0) }
        self.runnable.reserveCapacity(256)
        self.expired.reserveCapacity(256)
        self.fieldReferences.reserveCapacity(128)
        self.adopt(table)
        shared.join(loop)
    }

    deinit {
        self.scratch.deallocate()
        self.headScratch.deallocate()
        self.frameScratch.deallocate()
        self.pieces.deallocate()
    }

    // MARK: the turn

    /// One batch of events. Answers how long to wait for the next.
    func turn(_ batch: EventBatch) -> NextTurn {
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
        // Idle upstream connections first: see UpstreamConnection.
        for position in 0..<batch.count where self.handles.isUrgent(batch.token(position)) {
            self.handles.find(batch.token(position))?._withUnsafeGuaranteedRef { $0.ready(batch.flags(position)) }
        }
        for position in 0..<batch.count {
            self.handles.find(batch.token(position))?._withUnsafeGuaranteedRef { $0.ready(batch.flags(position)) }
        }
        self.wheel.advance(to: self.now, expired: &self.expired)
        if !self.expired.isEmpty { self.fireTimers() }
        let roomWanted = self.shared.roomWanted.load(ordering: .relaxed)
        if roomWanted != self.roomGiven { self.giveRoom(roomWanted) }
        if !self.queues.isEmpty { self.serveQueues() }
        // What asked to go on does so once a turn: a connection with endless input takes turns with the others.
        let rounds = self.runnable.count
        if rounds > 0 { self.runPending(rounds) }
        if self.handles.hasRemoved { self.handles.releaseRemoved() }
        self.log?.offer()
        var next = NextTurn(timeout: self.nextWait())
        if next.timeout != 0, self.pacing.spacing > 0 {
            let elapsed = MonotonicClock.microseconds() &- self.nowMicroseconds
            next.pause = self.pacing.pause(events: batch.count, inFlight: self.exchanges, elapsed: elapsed)
        }
        return next
    }

    /// Somebody waits for a connection that an idle one of ours may keep from being made.
    private func giveRoom(_ wanted: UInt64) {
        self.roomGiven = wanted
        for case let pool? in self.pools where pool.isFull { pool.closeIdle() }
    }

    private func nextWait() -> Int32 {
        if !self.runnable.isEmpty { return 0 }
        var wait = Int32(-1)
        if let next = self.wheel.nextVisit(after: self.now) { wait = Int32(clamping: next + 1) }
        // Slots that another worker frees are noticed by looking.
        if !self.queues.isEmpty { wait = wait < 0 ? 5 : min(wait, 5) }
        if let log, log.hasPending { wait = wait < 0 ? 20 : min(wait, 20) }
        return wait
    }

    private func fireTimers() {
        var position = 0
        while position < self.expired.count {
            self.handles.at(slot: Int(self.expired[position]))?.expired()
            position += 1
        }
        self.expired.removeAll(keepingCapacity: true)
    }

    private func runPending(_ rounds: Int) {
        for position in 0..<rounds {
            guard let handle = self.handles.find(self.runnable[position])?.takeUnretainedValue() else { continue }
            handle.isRunnable = false
            handle.run()
        }
        self.runnable.removeFirst(rounds)
    }

    /// Calls `handle.run` later in this turn, or in the next one.
    func makeRunnable(_ handle: Handle) {
        guard !handle.isRunnable, handle.slot >= 0 else { return }
        handle.isRunnable = true
        self.runnable.append(handle.token)
    }

    // MARK: handles

    func register(_ handle: Handle) {
        self.handles.insert(handle)
    }

    func forget(_ handle: Handle) {
        guard handle.slot >= 0 else { return }
        self.wheel.cancel(handle.slot)
        self.handles.remove(handle)
    }

    /// Keeps the unsent rest of `pieces` in `queue`.
    func spill(_ pieces: UnsafeMutableBufferPointer<iovec>, skipping sent: Int, into queue: inout ByteQueue) {
        var skip = sent
        for piece in pieces {
            if skip >= piece.iov_len {
                skip -= piece.iov_len
                continue
            }
            let rest = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len).dropFirst(skip)
            queue.append(UnsafeRawBufferPointer(rebasing: rest), pool: &self.buffers)
            skip = 0
        }
    }

    // MARK: waiting for a slot

    func enqueue(_ downstream: Downstream, on state: UpstreamState, limit: Int) -> Bool {
        guard state.waiting.count < limit else { return false }
        if state.waiting.isEmpty { self.queues.append(state) }
        state.waiting.append(downstream.token)
        return true
    }

    func leaveQueue(_ downstream: Downstream, _ state: UpstreamState) {
        state.waiting.removeAll { $0 == downstream.token }
        if state.waiting.isEmpty { self.queues.removeAll { $0 === state } }
    }

    private func serveQueues() {
        for state in self.queues {
            // First come first served: stop at the first that still finds no slot.
            while let token = state.waiting.first {
                guard let downstream = self.handles.find(token)?.takeUnretainedValue() as? Downstream else {
                    state.waiting.removeFirst()
                    continue
                }
                guard downstream.retryFromQueue() else { break }
                state.waiting.removeAll { $0 == token }
            }
        }
        self.queues.removeAll { $0.waiting.isEmpty }
    }

    // MARK: table

    /// Makes the worker's view of a table. Pools, budgets and counters are kept by identity.
    func adopt(_ table: RoutingTable) {
        let upstreams = ContiguousArray(
            table.upstreams.map { upstream in
                UpstreamRuntime(
                    upstream: upstream,
                    pools: ContiguousArray(upstream.endpoints.map { self.pool(for: $0, spec: upstream.spec) }),
                    state: self.upstreamState(upstream))
            })
        let routes = ContiguousArray(
            table.routes.map { route in
                let names = route.split?.entries.map { table.upstreams[$0.upstream].name } ?? []
                return RouteRuntime(
                    route: route, forwarding: table.spec.forwarding,
                    metrics: ContiguousArray(names.map { self.metrics(route: route.name, upstream: $0) }),
                    local: self.metrics(route: route.name, upstream: ""))
            })
        self.runtime = TableRuntime(
            table: table, routes: routes, upstreams: upstreams, unrouted: self.metrics(route: "", upstream: ""))
        self.growScratch(for: table)
        self.closeAbandonedPools(table)
    }

    private func growScratch(for table: RoutingTable) {
        // A head, and its rewriting with what routes add, must always fit.
        let needed = Int(table.spec.limits.headerBytes) * 2 + 65_536
        if self.headScratch.count < needed {
            self.headScratch.deallocate()
            self.headScratch = .allocate(byteCount: needed, alignment: 64)
        }
        if self.scratch.count < needed {
            self.scratch.deallocate()
            self.scratch = .allocate(byteCount: needed, alignment: 64)
        }
    }

    private func pool(for endpoint: Endpoint, spec: UpstreamSpec) -> EndpointPool {
        while endpoint.id >= self.pools.count { self.pools.append(nil) }
        if let pool = self.pools[endpoint.id] {
            pool.capacity = Int(spec.idleConnections)
            pool.maximumConnections = Int(spec.maxConnections)
            return pool
        }
        let pool = EndpointPool(endpoint: endpoint, spec: spec)
        self.pools[endpoint.id] = pool
        return pool
    }

    private func closeAbandonedPools(_ table: RoutingTable) {
        var named = Set<Int>()
        for upstream in table.upstreams { for endpoint in upstream.endpoints { named.insert(endpoint.id) } }
        for (identifier, pool) in self.pools.enumerated() {
            guard let pool, !named.contains(identifier) else { continue }
            pool.capacity = 0
            pool.closeIdle()
            self.pools[identifier] = nil
        }
    }

    private func upstreamState(_ upstream: Upstream) -> UpstreamState {
        if let state = self.upstreamStates[upstream.name] {
            state.budget.adopt(upstream.spec.retry)
            return state
        }
        let state = UpstreamState(name: upstream.name, budget: RetryBudget(upstream.spec.retry))
        self.upstreamStates[upstream.name] = state
        return state
    }

    private func metrics(route: String, upstream: String) -> RouteMetrics {
        let key = MetricsKey(route: route, upstream: upstream)
        if let metrics = self.metrics[key] { return metrics }
        let metrics = RouteMetrics(route: route, upstream: upstream)
        self.metrics[key] = metrics
        return metrics
    }

    func countRejected(_ status: UInt16) {
        self.rejected[status, default: 0] &+= 1
    }

    // MARK: stopping

    /// No new work: responses say `Connection: close`, idle connections end after a grace in which a request that is
    /// already on its way may still come.
    func beginDrain(idleGraceMilliseconds: UInt64) {
        self.draining = true
        for pool in self.pools { pool?.closeIdle() }
        self.handles.forEach { ($0 as? Downstream)?.drain(grace: idleGraceMilliseconds) }
    }

    /// Ends whatever is still open.
    func closeAll() {
        self.handles.forEach { ($0 as? Downstream)?.abandon() }
    }

    // MARK: reading out

    func snapshot() -> WorkerSnapshot {
        var snapshot = WorkerSnapshot(worker: self.index, generation: self.runtime.table.generation)
        snapshot.connectionsActive = UInt64(self.connections)
        snapshot.connectionsAccepted = self.connectionsAccepted
        snapshot.connectionsRefused = self.connectionsRefused
        snapshot.acceptFailures = self.acceptFailures
        snapshot.tunnelsActive = UInt64(self.tunnels)
        snapshot.exchangesActive = UInt64(self.exchanges)
        snapshot.rejected = self.rejected
        snapshot.routes = self.metrics.values.map(\.snapshot)
        for case let pool? in self.pools {
            snapshot.endpoints.append(
                EndpointCounters(
                    upstream: pool.endpoint.upstream, address: pool.endpoint.address, requests: pool.requests,
                    connectFailures: pool.connectFailures, connectionsOpened: pool.connectionsOpened,
                    connectionsIdle: UInt64(pool.idleCount)))
        }
        for (name, state) in self.upstreamStates {
            snapshot.retries[name] = state.retries
            snapshot.retriesDenied[name] = state.retriesDenied
        }
        snapshot.accessLogDropped = self.log?.dropped ?? 0
        return snapshot
    }
}
