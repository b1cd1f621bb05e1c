import Reactor
import Synchronization
import Traffic

/// The copies to one upstream: how many a second, at which endpoints, and when it is left alone.
final class MirrorSide {
    /// Copies that fail in a row before the side is left alone, and for how long (milliseconds).
    private static let patience = 5
    private static let pause: UInt64 = 30_000
    /// Of an endpoint's `maxOutstanding`, in percent: beyond it is left to live requests.
    private static let headroom = 80

    /// In thousandths; nil: none was taken yet.
    private var tokens: Int?
    private var tokensAt: UInt64
    private var failures = 0
    private var pausedUntil: UInt64 = 0
    /// Those for which no connection is free.
    private var waiting: [MirrorJob] = []
    /// By the endpoint's id.
    private var pools: [Int: MirrorPool] = [:]
    private var turn = 0

    init(now: UInt64) {
        self.tokensAt = now
    }

    /// Sends a job, lets it wait, or drops it.
    func admit(_ job: MirrorJob, _ core: MirrorCore) {
        guard let reason = self.refusal(of: job, core) else {
            self.waiting.append(job)
            return
        }
        core.leave(job, reason)
    }

    private func refusal(of job: MirrorJob, _ core: MirrorCore) -> MirrorDrop? {
        if core.now < self.pausedUntil { return .unavailable }
        // Questions have a budget of their own.
        if case .compare = job.purpose, !self.takeToken(Int(job.request.mirror.spec.mirror.perSecond), core.now) {
            return .rate
        }
        return nil
    }

    /// A full second's worth at once, and so many a second afterwards.
    private func takeToken(_ perSecond: Int, _ now: UInt64) -> Bool {
        let full = perSecond * 1_000
        // A second fills it.
        let elapsed = Int(min(now - min(now, self.tokensAt), 1_000))
        let tokens = min((self.tokens ?? full) + elapsed * perSecond, full)
        self.tokensAt = now
        guard tokens >= 1_000 else {
            self.tokens = tokens
            return false
        }
        self.tokens = tokens - 1_000
        return true
    }

    /// Sends what waits, as far as there are connections for it.
    func serve(_ core: MirrorCore) {
        guard !self.waiting.isEmpty else { return }
        var kept: [MirrorJob] = []
        // Plans whose connections are all in use: each of thousands that wait need not find that out for itself.
        var full: Set<ObjectIdentifier> = []
        for job in self.waiting {
            let plan = ObjectIdentifier(job.request.mirror.record)
            switch full.contains(plan) ? .full : self.place(job, core) {
            case .sent: break
            case .full:
                full.insert(plan)
                // Behind it may stand one of another plan, with more connections.
                if core.now >= job.offered &+ UInt64(job.request.mirror.spec.mirror.timeout) {
                    core.leave(job, .busy)
                } else {
                    kept.append(job)
                }
            case .refused(let reason): core.leave(job, reason)
            }
        }
        self.waiting = kept
    }

    private enum Placing { case sent, full, refused(MirrorDrop) }

    private func place(_ job: MirrorJob, _ core: MirrorCore) -> Placing {
        guard core.now >= self.pausedUntil, let (upstream, tls) = job.request.side(job.member) else {
            return .refused(.unavailable)
        }
        guard upstream.record.waitingWorkers.load(ordering: .relaxed) == 0 else { return .refused(.busy) }
        let endpoints = upstream.endpoints.filter { $0.takesCopies(now: core.now) }
        guard !endpoints.isEmpty else { return .refused(.unavailable) }
        let cap = Int(upstream.spec.maxOutstanding)
        let connections = Int(upstream.spec.maxConnections)
        let calm = endpoints.filter {
            (cap == 0 || $0.outstanding.load(ordering: .relaxed) * 100 <= cap * Self.headroom)
                && (connections == 0 || $0.connections.load(ordering: .relaxed) * 100 <= connections * Self.headroom)
        }
        guard !calm.isEmpty else { return .refused(.busy) }
        let limit = Int(job.request.mirror.spec.mirror.connections)
        if self.pools.count > upstream.endpoints.count { self.forgetPools(but: upstream) }
        self.turn &+= 1
        let pools = calm.indices.map { self.pool(calm[($0 + self.turn) % calm.count], upstream, tls) }
        guard let pool = pools.min(by: { $0.inUse < $1.inUse }), pool.inUse < limit,
            pool.hasIdle || core.makeRoom()
        else { return .full }
        core.sent(job)
        pool.send(job, limit: limit, core)
        return .sent
    }

    private func pool(_ endpoint: Traffic.Endpoint, _ upstream: Upstream, _ tls: UpstreamTLSPlan?) -> MirrorPool {
        if let pool = self.pools[endpoint.id], pool.suits(upstream, tls) { return pool }
        self.pools[endpoint.id]?.closeIdle()
        let pool = MirrorPool(endpoint: endpoint, upstream: upstream, tls: tls, side: self)
        self.pools[endpoint.id] = pool
        return pool
    }

    /// Whether it is the one that copies to its endpoint go to.
    func has(_ pool: MirrorPool) -> Bool { self.pools[pool.endpoint.id] === pool }

    /// Of endpoints that are gone.
    private func forgetPools(but upstream: Upstream) {
        let present = Set(upstream.endpoints.map(\.id))
        for (identifier, pool) in self.pools where !present.contains(identifier) {
            pool.closeIdle()
            if pool.inUse == 0 { self.pools[identifier] = nil }
        }
    }

    /// False: there is none.
    func closeOneIdle() -> Bool {
        for pool in self.pools.values where pool.closeOldest() { return true }
        return false
    }

    // MARK: what became of copies

    func succeeded() { self.failures = 0 }

    func failed(now: UInt64) {
        self.failures += 1
        guard self.failures >= Self.patience else { return }
        self.failures = 0
        self.pausedUntil = now &+ Self.pause
    }
}

/// The connections for copies to one endpoint.
final class MirrorPool {
    let endpoint: Traffic.Endpoint
    let spec: UpstreamSpec
    let tls: EndpointTLS?
    let side: MirrorSide
    /// The newest on top; the table of handles owns them.
    private var idle: [Reference<MirrorConnection>] = []
    private(set) var inUse = 0

    init(endpoint: Traffic.Endpoint, upstream: Upstream, tls: UpstreamTLSPlan?, side: MirrorSide) {
        self.endpoint = endpoint
        self.spec = upstream.spec
        self.tls = tls.map { EndpointTLS($0, upstream: upstream.spec, address: endpoint.address) }
        self.side = side
    }

    func suits(_ upstream: Upstream, _ tls: UpstreamTLSPlan?) -> Bool {
        guard self.spec.sendProxyProtocol == upstream.spec.sendProxyProtocol, self.spec.speaks == upstream.spec.speaks
        else { return false }
        return tls.map { self.tls?.suits($0, upstream.spec) ?? false } ?? (self.tls == nil)
    }

    func send(_ job: MirrorJob, limit: Int, _ core: MirrorCore) {
        self.inUse += 1
        while let connection = self.idle.popLast() {
            if connection.object.wake(job) { return }
        }
        do throws(SystemError) {
            let socket = try Socket.dial(IPEndpoint(self.endpoint.address))
            try MirrorConnection(core: core, socket: socket, pool: self).begin(job)
        } catch {
            self.ended()
            // What this process lacks is not the endpoint's fault.
            if !error.isLocalShortage { self.side.failed(now: core.now) }
            job.drop(.unavailable)
        }
    }

    /// A copy no longer takes a connection.
    func ended() { self.inUse -= 1 }

    /// Connections are kept for other copies, unless they tell for whom they are.
    func park(_ connection: MirrorConnection, limit: Int) -> Bool {
        // One whose place another has taken keeps none: nothing would ask for them, or make room by them.
        guard self.spec.sendProxyProtocol == 0, self.idle.count + self.inUse < limit, self.side.has(self)
        else { return false }
        self.idle.append(Reference(to: connection))
        return true
    }

    func remove(_ connection: MirrorConnection) {
        if let index = self.idle.lastIndex(where: { $0.object === connection }) { self.idle.remove(at: index) }
    }

    var hasIdle: Bool { !self.idle.isEmpty }

    func closeOldest() -> Bool {
        guard !self.idle.isEmpty else { return false }
        self.idle.removeFirst().object.close()
        return true
    }

    func closeIdle() {
        while let connection = self.idle.popLast() { connection.object.close() }
    }
}
