import Compression
import Glibc
import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Everything one worker owns: connections, exchanges, pools, buffers, timers, counters. Not Sendable; lives inside the
/// `Worker` actor and is touched on its loop's thread only. No lock, and once warm no allocation, on the path of a request.
///
/// No method keeps a borrow of `memory`, `buffers` or `handles` open while it calls out. Debug builds check that.
final class WorkerCore {
    let index: Int
    let loop: EventLoop
    let admission: Admission
    private let pacing: TurnPacing
    /// Milliseconds and microseconds of the monotonic clock at the start of this turn.
    private(set) var now: UInt64
    private(set) var nowMicroseconds: UInt64

    var handles = HandleTable()
    var wheel: TimerWheel
    var buffers = BufferPool()
    var memory = WorkerMemory()
    var http2 = HTTP2Memory()
    var exchangePool = ExchangePool()
    var random: SplitMix64

    private(set) var plan: WorkerPlan
    /// `plan`, and of it what every head needs: read without a count.
    private(set) var current: Reference<WorkerPlan>
    private(set) var headLimits: HeadLimits
    private(set) var timeouts: Timeouts
    private(set) var tlsLimits = TLSLimits()
    /// Plans that exchanges still pin.
    private var retired: [WorkerPlan] = []
    private var pools: ContiguousArray<EndpointPool?> = []
    private var upstreamStates: [String: UpstreamState] = [:]
    /// By the numbers of the `CounterRegistry`.
    private var metrics: ContiguousArray<RouteMetrics?> = []
    /// By the numbers of the registry of stages.
    var stages: ContiguousArray<StageRecord?> = []
    /// Who needed a watched side.
    var needs = NeedLog()
    private var rejected: [UInt16: UInt64] = [:]
    var listeners: [ListenerHandle] = []
    /// Of all listeners that have a socket or a connection here.
    var listenerStates: [ListenerState] = []
    /// By name.
    var listenerCounts: [String: ListenerCounts] = [:]

    private var runnable: ContiguousArray<UInt64> = []
    private var expired: ContiguousArray<Int32> = []
    private var expiredTokens: ContiguousArray<UInt64> = []
    /// Upstreams with requests waiting for a slot.
    private var queues: ContiguousArray<UpstreamState> = []

    /// Slots came free for which requests of other workers wait.
    private var hasFreedSlots = false
    /// A queue has begun that was not served yet.
    private var hasNewQueue = false
    /// At least so often, in milliseconds, a worker with waiting requests looks for a slot.
    private static let slotLook: Int32 = 50
    /// Milliseconds between two looks at who holds most.
    private static let reliefSpacing: UInt64 = 10

    private var roomGiven: UInt64 = 0
    private(set) var isDraining = false
    /// Bytes of `buffers` lent out when the process was last told.
    private var reportedHeld = 0
    /// When the last turn began, on the worker's clock; the kernel was asked for this turn's events later.
    private var turnBegan: UInt64 = 0
    private var lastRelief: UInt64 = 0
    /// The process holds too much, and the last look at who holds most was a moment ago.
    private var isReliefDue = false
    var counts = WorkerCounts()
    /// Made when the first session of TLS needs it.
    private var tls: TLSMemory?
    /// Steps of handshakes taken in this turn, of clients' and of endpoints'.
    var handshakesInTurn = 0
    var endpointHandshakesInTurn = 0
    /// Words on credentials that were looked at for exchanges of this worker.
    let verdicts: VerdictInbox
    var remembered = RememberedCredentials()
    var coders = CoderPool()
    /// Bytes of bodies that were put into another form in this turn.
    var codedInTurn = 0
    /// Connections with answers that may have to be coded, in the order in which they asked to read on.
    private var coding: ContiguousArray<UInt64> = []
    /// Body bytes that are coded in one turn: a millisecond or so of work. What is beyond waits for the next turn, behind whatever
    /// has come meanwhile.
    static let codedPerTurn = 262_144
    /// A read's worth, as connections to endpoints read where it may have to be coded.
    static let codedAtOnce = 65_536
    private(set) var load = LoadMeter()
    /// Made with the first credentials.
    var hasher: KeyedHash?
    private var dateSecond: UInt64 = 0
    private var dateField = DateField(seconds: 0)
    let log: AccessLogBuffer?
    /// Spans of the present turn; made with the first.
    private var spans: SpanBuffer?

    init(
        index: Int, loop: EventLoop, admission: Admission, plan: TablePlan, pacing: TurnPacing, seed: UInt64
    ) {
        self.index = index
        self.loop = loop
        self.admission = admission
        self.pacing = pacing
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
        self.wheel = TimerWheel(now: self.nowMicroseconds / 1_000)
        self.random = SplitMix64(seed: seed)
        let none = WorkerPlan(shared: plan, upstreams: [])
        self.plan = none
        self.current = Reference(to: none)
        self.headLimits = plan.headLimits
        self.timeouts = plan.table.spec.timeouts
        self.verdicts = VerdictInbox(loop: loop)
        self.log = admission.accessLog.map { AccessLogBuffer(sink: $0) }
        self.runnable.reserveCapacity(256)
        self.expired.reserveCapacity(256)
        self.expiredTokens.reserveCapacity(256)
        _ = self.adopt(plan)
        admission.join(loop)
    }

    // MARK: the turn

    /// One batch of events. Answers how long to wait for the next.
    func turn(_ batch: EventBatch) -> NextTurn {
        let askedAfter = self.turnBegan
        self.readClock()
        self.turnBegan = self.now
        if self.load.isOn { self.load.turnBegins(self.nowMicroseconds) }
        // Whatever the table in force says: answers that began under another one are coded to their end.
        if self.codedInTurn > 0 { self.codedInTurn = 0 }
        if let tls {
            tls.now = self.now
            self.handshakesInTurn = 0
            self.endpointHandshakesInTurn = 0
        }
        // Idle endpoint connections first: see EndpointConnection.
        for position in 0..<batch.count where self.handles.isUrgent(batch.token(position)) {
            self.handles.find(batch.token(position))?._withUnsafeGuaranteedRef { $0.ready(batch.readiness(position)) }
        }
        for position in 0..<batch.count {
            self.handles.find(batch.token(position))?._withUnsafeGuaranteedRef { $0.ready(batch.readiness(position)) }
        }
        // Of what the kernel was asked for after they had passed. A worker that did not run for a while, between the kernel's answer
        // and its look at the clock, does not know yet what came in time.
        self.wheel.advance(to: askedAfter, expired: &self.expired)
        if !self.expired.isEmpty { self.fireTimers() }
        let roomWanted = self.admission.roomWanted.load(ordering: .relaxed)
        if roomWanted != self.roomGiven { self.giveRoom(roomWanted) }
        if self.counts.checks > 0 { self.takeVerdicts() }
        // What asked to go on does so once a turn: a connection with endless input takes turns with the others.
        let rounds = self.runnable.count
        if rounds > 0 { self.runPending(rounds) }
        if !self.coding.isEmpty { self.runCoding() }
        // Behind all that may give a slot back.
        if !self.queues.isEmpty { self.serveQueues() }
        if self.hasFreedSlots { self.wakeWaiting() }
        if self.handles.hasRemoved { self.handles.releaseRemoved() }
        if self.buffers.lent != self.reportedHeld || self.isReliefDue { self.reportHeld() }
        self.log?.offer()
        if self.load.isOn { self.load.turnEnds(MonotonicClock.microseconds()) }
        var next = NextTurn(timeout: self.nextWait())
        if next.timeout != 0, self.pacing.spacing > 0 {
            let elapsed = MonotonicClock.microseconds() &- self.nowMicroseconds
            next.pause = self.pacing.pause(events: batch.count, inFlight: self.counts.exchanges, elapsed: elapsed)
        }
        return next
    }

    /// The worker's clock stands between two turns, for as long as nothing happens. What comes in there and counts from now
    /// reads it first.
    @inline(__always)
    func readClock() {
        self.nowMicroseconds = MonotonicClock.microseconds()
        self.now = self.nowMicroseconds / 1_000
    }

    private func nextWait() -> Int32 {
        if !self.runnable.isEmpty || !self.coding.isEmpty { return 0 }
        var wait = Int32(-1)
        if let next = self.wheel.nextVisit(after: self.now) { wait = Int32(clamping: next + 1) }
        if !self.queues.isEmpty {
            // Who frees a slot wakes the workers that wait for it (`slotFreed`). One that came free before this worker was
            // counted among them is found by another look; so is, later, what comes free without anybody's doing.
            if self.hasNewQueue { return 0 }
            wait = wait < 0 ? Self.slotLook : min(wait, Self.slotLook)
        }
        if let log, log.hasPending { wait = wait < 0 ? 20 : min(wait, 20) }
        if self.isReliefDue { wait = wait < 0 ? Int32(Self.reliefSpacing) : min(wait, Int32(Self.reliefSpacing)) }
        return wait
    }

    /// Tokens, not slots: what one deadline ends may free a slot that another handle takes within this very loop.
    private func fireTimers() {
        for slot in self.expired { self.expiredTokens.append(self.handles.token(at: Int(slot))) }
        self.expired.removeAll(keepingCapacity: true)
        var position = 0
        while position < self.expiredTokens.count {
            self.handles.find(self.expiredTokens[position])?.takeUnretainedValue().expired()
            position += 1
        }
        self.expiredTokens.removeAll(keepingCapacity: true)
    }

    private func runPending(_ rounds: Int) {
        for position in 0..<rounds {
            guard let handle = self.handles.find(self.runnable[position])?.takeUnretainedValue() else { continue }
            handle.isRunnable = false
            handle.resume()
        }
        self.runnable.removeFirst(rounds)
    }

    /// Calls `handle.resume` later in this turn, or in the next one.
    func makeRunnable(_ handle: Handle) {
        guard !handle.isRunnable, handle.slot >= 0 else { return }
        handle.isRunnable = true
        self.runnable.append(handle.token)
    }

    /// Another read's worth would be more than a turn codes.
    var hasCodedEnough: Bool { self.codedInTurn > Self.codedPerTurn - Self.codedAtOnce }

    /// Calls `handle.resume` once it is its turn among those whose answers may have to be coded: later in this turn, or in one of
    /// the next.
    func makeRunnable(coding handle: Handle) {
        guard !handle.isRunnable, handle.slot >= 0 else { return }
        handle.isRunnable = true
        self.coding.append(handle.token)
    }

    /// Who finds no room stays in front of those that have been served.
    private func runCoding() {
        let count = self.coding.count
        var position = 0
        while position < count, !self.hasCodedEnough {
            let token = self.coding[position]
            position += 1
            guard let handle = self.handles.find(token)?.takeUnretainedValue() else { continue }
            handle.isRunnable = false
            handle.resume()
        }
        self.coding.removeFirst(position)
    }

    /// The present Date field, made once a second.
    var date: DateField {
        let second = MonotonicClock.wallMilliseconds() / 1_000
        if second != self.dateSecond {
            self.dateSecond = second
            self.dateField = DateField(seconds: second)
        }
        return self.dateField
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

    // MARK: TLS

    /// What this worker's sessions share; nil: there is no memory.
    func tlsMemory() -> TLSMemory? {
        if self.tls == nil {
            self.tls = TLSMemory()
            self.tls?.now = self.now
        }
        return self.tls
    }

    // MARK: memory for slow peers

    /// Adds what changed to the process's sum; over `limits.buffered`, frees some of it.
    private func reportHeld() {
        let change = self.buffers.lent - self.reportedHeld
        self.reportedHeld = self.buffers.lent
        let held = self.admission.addHeld(change)
        let excess = held - Int(clamping: self.plan.table.spec.limits.buffered)
        // A look at every connection costs; what it frees lasts a while. Where all stand still afterwards, the next look is due
        // by itself.
        self.isReliefDue = excess > 0 && self.now < self.lastRelief + Self.reliefSpacing
        guard excess > 0, !self.isReliefDue else { return }
        self.lastRelief = self.now
        self.relieve(excess)
        // At once: otherwise the other workers would free as much again.
        let freed = self.buffers.lent - self.reportedHeld
        self.reportedHeld = self.buffers.lent
        _ = self.admission.addHeld(freed)
    }

    /// Resets the connections that hold most and have moved least, until `excess` bytes are free.
    private func relieve(_ excess: Int) {
        var holders: [(score: UInt64, token: UInt64, held: Int)] = []
        for token in self.handles.tokens {
            guard let handle = self.handles.find(token)?.takeUnretainedValue() as? ClientConnection else { continue }
            let held = handle.heldOutput
            guard held > 0 else { continue }
            let still = self.now - min(self.now, handle.lastProgress) + 1
            holders.append((UInt64(held) &* still, token, held))
        }
        holders.sort { $0.score > $1.score }
        var freed = 0
        for holder in holders where freed < excess {
            guard let handle = self.handles.find(holder.token)?.takeUnretainedValue() as? ClientConnection
            else { continue }
            freed += holder.held
            self.counts.connectionsRelieved &+= 1
            handle.relieve()
        }
    }

    // MARK: waiting for a slot

    /// Puts an exchange at the end of the queue; nil if there is no room.
    func enqueue(_ token: UInt64, on state: UpstreamState, limit: Int) -> SlotQueue.Place? {
        guard let place = state.waiting.enter(token, limit: limit) else { return nil }
        if !state.isListed {
            state.isListed = true
            self.hasNewQueue = true
            self.queues.append(state)
            state.record.waitingWorkers.add(1, ordering: .sequentiallyConsistent)
        }
        return place
    }

    /// A slot or a connection's place of the upstream is free again. If other workers wait for one, they hear of it at the end
    /// of this turn, after this worker's own queue.
    @inline(__always)
    func slotFreed(_ state: UpstreamState) {
        if state.record.waitingWorkers.load(ordering: .relaxed) > (state.isListed ? 1 : 0) { self.hasFreedSlots = true }
    }

    private func wakeWaiting() {
        self.hasFreedSlots = false
        self.admission.wakeAll()
    }

    /// First come first served: each queue is served until its first finds no slot.
    private func serveQueues() {
        self.hasNewQueue = false
        for state in self.queues {
            while let token = state.waiting.first {
                guard let exchange = self.handles.find(token)?.takeUnretainedValue() as? Exchange else {
                    _ = state.waiting.removeFirst()
                    continue
                }
                guard exchange.takeSlot() else { break }
            }
            // It may stand in the list twice: a waiter of a later queue can have entered one that was empty already.
            if state.waiting.isEmpty, state.isListed {
                state.isListed = false
                state.record.waitingWorkers.subtract(1, ordering: .relaxed)
            }
        }
        self.queues.removeAll { !$0.isListed }
    }

    /// An endpoint's connections are used up, and idle ones, of this worker or another, may hold them.
    private func giveRoom(_ wanted: UInt64) {
        self.roomGiven = wanted
        for case let pool? in self.pools where pool.isFull { pool.closeIdle() }
    }

    // MARK: table

    /// Longer than the registry remembers an endpoint: one that returns later is another, with counters of its own.
    private static let poolGrace = EndpointRegistry.grace + 60_000

    /// Adopts a plan: looks up pools, budgets and queues, which are kept by identity. Answers the generations that
    /// exchanges of this worker still pin, its own included.
    func adopt(_ shared: TablePlan) -> Set<UInt64> {
        let table = shared.table
        let upstreams = ContiguousArray(
            table.upstreams.enumerated().map { index, upstream in
                UpstreamPlan(
                    group: upstream,
                    pools: ContiguousArray(
                        upstream.endpoints.map { self.pool(for: $0, upstream, tls: shared.upstreamTLS[index]) }),
                    state: self.upstreamState(upstream))
            })
        self.retired.append(self.plan)
        self.plan = WorkerPlan(shared: shared, upstreams: upstreams)
        self.current = Reference(to: self.plan)
        self.headLimits = shared.headLimits
        self.timeouts = table.spec.timeouts
        self.tlsLimits = table.spec.limits.tls
        self.load.isOn = shared.compresses
        for stage in shared.stages.values { self.prepare(stage) }
        self.memory.grow(headRoom: shared.headRoom, frameRoom: shared.frameRoom)
        if self.counts.http2.connections + self.counts.http2Endpoints > 0 { self.prepareHTTP2() }
        self.closeAbandonedPools(table)
        self.followListeners()
        return self.pinnedGenerations()
    }

    /// Drops plans that no exchange pins any more. Answers the generations of the others.
    func pinnedGenerations() -> Set<UInt64> {
        self.retired.removeAll { $0.exchanges == 0 }
        let now = MonotonicClock.milliseconds()
        for (identifier, pool) in self.pools.enumerated() {
            guard let since = pool?.retiredAt, now >= since + Self.poolGrace else { continue }
            self.pools[identifier] = nil
        }
        var pinned = Set(self.retired.map(\.table.generation))
        pinned.insert(self.plan.table.generation)
        return pinned
    }

    /// Closes what is kept for a client that has gone.
    func closeIdle(of client: UInt64) {
        for case let pool? in self.pools where pool.announcement != nil { pool.closeIdle(of: client) }
    }

    private func pool(for endpoint: Endpoint, _ upstream: Upstream, tls: UpstreamTLSPlan?) -> EndpointPool {
        while endpoint.id >= self.pools.count { self.pools.append(nil) }
        if let pool = self.pools[endpoint.id] {
            pool.adopt(upstream.spec, state: self.upstreamState(upstream), tls: tls)
            return pool
        }
        let pool = EndpointPool(
            endpoint: endpoint, spec: upstream.spec, state: self.upstreamState(upstream), tls: tls)
        self.pools[endpoint.id] = pool
        return pool
    }

    private func closeAbandonedPools(_ table: RoutingTable) {
        var named = Set<Int>()
        for upstream in table.upstreams { for endpoint in upstream.endpoints { named.insert(endpoint.id) } }
        // Between two turns the worker's own clock stands.
        let now = MonotonicClock.milliseconds()
        for (identifier, pool) in self.pools.enumerated() where !named.contains(identifier) {
            pool?.retire(now: now)
        }
        let names = Set(table.upstreams.map(\.name))
        for (name, state) in self.upstreamStates where !names.contains(name) && state.waiting.isEmpty {
            self.upstreamStates[name] = nil
        }
    }

    private func upstreamState(_ upstream: Upstream) -> UpstreamState {
        // A name that was forgotten and is back has a record of its own.
        if let state = self.upstreamStates[upstream.name], state.record === upstream.record {
            state.budget.adopt(upstream.spec.retry)
            return state
        }
        let state = UpstreamState(record: upstream.record, budget: RetryBudget(upstream.spec.retry))
        self.upstreamStates[upstream.name] = state
        return state
    }

    /// Makes room for the heads that HTTP/2 clients and endpoints may send under the table in force.
    func prepareHTTP2() {
        self.http2.grow(
            headLimit: self.headLimits.bytes, answerLimit: max(65_536, self.headLimits.bytes),
            headRoom: self.memory.head.count + self.memory.head.count / 4)
    }

    // MARK: spans

    /// Where spans are left in this turn; nil: nobody takes any.
    func spanBuffer() -> SpanBuffer? {
        if let spans = self.spans { return spans }
        guard let queue = self.admission.spans else { return nil }
        let spans = SpanBuffer(core: self, queue: queue)
        self.spans = spans
        return spans
    }

    // MARK: counters

    /// The counters of a series; made when the first request of this worker needs them.
    @inline(__always)
    func metrics(_ number: Int) -> Reference<RouteMetrics> {
        if number < self.metrics.count, let metrics = self.metrics[number] { return Reference(to: metrics) }
        return self.makeMetrics(number)
    }

    private func makeMetrics(_ number: Int) -> Reference<RouteMetrics> {
        while number >= self.metrics.count { self.metrics.append(nil) }
        let metrics = RouteMetrics()
        self.metrics[number] = metrics
        return Reference(to: metrics)
    }

    /// Forgets the counters of series that are gone.
    func forgetMetrics(_ numbers: [Int]) {
        for number in numbers where number < self.metrics.count { self.metrics[number] = nil }
    }

    func countRejected(_ status: UInt16) {
        self.rejected[status, default: 0] &+= 1
    }

    // MARK: stopping

    /// No new work: responses say `Connection: close`, idle connections end after a grace in which a request that is
    /// already on its way may still come.
    func beginDrain(idleGraceMilliseconds: UInt64) {
        self.readClock()
        self.isDraining = true
        for pool in self.pools { pool?.closeIdle() }
        for token in self.handles.tokens {
            self.handles.find(token)?.takeUnretainedValue().drain(grace: idleGraceMilliseconds)
        }
    }

    /// Ends whatever is still open.
    func closeAll() {
        self.readClock()
        for token in self.handles.tokens { self.handles.find(token)?.takeUnretainedValue().abandon() }
    }

    // MARK: reading out

    /// `names`: of the series of counters, by number.
    func snapshot(names: ContiguousArray<CounterRegistry.Series?>) -> WorkerSnapshot {
        var snapshot = WorkerSnapshot(worker: self.index, generation: self.plan.table.generation)
        snapshot.connectionsActive = UInt64(self.counts.connections)
        snapshot.connectionsAccepted = self.counts.connectionsAccepted
        snapshot.connectionsRefused = self.counts.connectionsRefused
        snapshot.connectionsRelieved = self.counts.connectionsRelieved
        snapshot.acceptFailures = self.counts.acceptFailures
        snapshot.tunnelsActive = UInt64(self.counts.tunnels)
        snapshot.exchangesActive = UInt64(self.counts.exchanges)
        snapshot.authenticationWaiting = UInt64(self.counts.checks)
        snapshot.handshakesActive = UInt64(self.counts.handshakes)
        snapshot.interimsDropped = self.counts.interimsDropped
        snapshot.http2 = self.counts.http2
        snapshot.rejected = self.rejected
        for (number, metrics) in self.metrics.enumerated() {
            guard let metrics, number < names.count, let series = names[number] else { continue }
            snapshot.routes.append(metrics.snapshot(route: series.route, upstream: series.upstream))
        }
        for case let pool? in self.pools where pool.retiredAt == nil { snapshot.endpoints.append(pool.counters) }
        for (name, state) in self.upstreamStates {
            snapshot.retries[name] = state.retries
            snapshot.retriesDenied[name] = state.retriesDenied
        }
        snapshot.listeners = self.listenerCounts.map { $1.snapshot(listener: $0) }
        snapshot.accessLogDropped = self.log?.dropped ?? 0
        return snapshot
    }
}

/// What a worker counts of itself.
struct WorkerCounts {
    /// Client connections open.
    var connections = 0
    var connectionsAccepted: UInt64 = 0
    var connectionsRefused: UInt64 = 0
    /// Times that a listener could not accept, or not be watched.
    var acceptFailures: UInt64 = 0
    /// Reset because the process held more than `limits.buffered`.
    var connectionsRelieved: UInt64 = 0
    var tunnels = 0
    var exchanges = 0
    /// TLS handshakes under way.
    var handshakes = 0
    /// Exchanges whose credentials are being looked at.
    var checks = 0
    /// Interim responses beyond `limits.interimResponses`.
    var interimsDropped: UInt64 = 0
    var http2 = HTTP2Counters()
    /// Connections to endpoints that speak HTTP/2.
    var http2Endpoints = 0
}
