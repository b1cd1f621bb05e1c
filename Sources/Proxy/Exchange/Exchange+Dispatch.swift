import Glibc
import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Choosing where a request goes, and getting there.
extension Exchange {
    /// How asking an endpoint for a connection went.
    private enum Approach {
        case attached, dialling
        /// It has as many connections as it may.
        case crowded
        /// The exchange was answered, or will be dispatched again.
        case settled
    }

    /// An attempt that did not begin inside the client's event: a further one, or one that had to wait.
    func dispatch() {
        if self.attach() { self.sendKept() }
    }

    /// Chooses an endpoint and gets a connection to it. True if one is attached and takes the head now; otherwise the
    /// request was answered, or waits for a look at its credentials, a slot or a dial, or will be dispatched again.
    func attach() -> Bool {
        guard let plan, let route, !self.phase.isChecking else { return false }
        while true {
            let choice = route.with {
                self.placement.choose($0.route, random: &self.core.random, now: self.core.now)
            }
            switch choice {
            case .endpoint(let member, let index, let trial):
                let upstream = route.with { route in plan.with { route.upstream(member, of: $0) } }
                let pool = upstream.with { $0.pools[index] }
                self.upstream = upstream
                self.seat = pool.with { Reference(to: $0.endpoint) }
                self.pool = pool
                self.isTrial = trial
                switch pool.with({ self.approach($0) }) {
                case .attached: return true
                case .dialling, .settled: return false
                case .crowded: self.placement.foundNoRoom()
                }
            case .needsKey(let member):
                let upstream = route.object.upstream(member, of: plan.object).object
                self.placement.provide(key: self.balanceKey(upstream.group.spec.balance))
            case .full(let member):
                self.waitForSlot(route.object.upstream(member, of: plan.object).object, route.object)
                return false
            case .none:
                // After an attempt, what went wrong there says more than that no one else is left.
                let lastFailure = self.retries > 0 ? self.reason : nil
                if self.retries == 0 { route.with { self.placement.foundNobody($0.route) } }
                self.reply(lastFailure ?? .noEndpoint)
                return false
            }
        }
    }

    /// The hash of what the side balances by; a request without it may go anywhere.
    private func balanceKey(_ balance: Balance) -> UInt64 {
        guard case .consistentHash(let key) = balance else { return 0 }
        switch key {
        case .clientAddress: return KeyHash.hash(self.clientAddress)
        case .header(let name): return self.keptKey(header: Array(name.utf8), cookie: nil)
        case .cookie(let name): return self.keptKey(header: nil, cookie: Array(name.utf8))
        }
    }

    private func keptKey(header: [UInt8]?, cookie: [UInt8]?) -> UInt64 {
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        return self.fieldKey(header: header, cookie: cookie, self.kept.fields, span) ?? self.core.random.next()
    }

    // MARK: waiting for a slot

    /// One place in one queue, and one deadline for the whole wait.
    private func waitForSlot(_ upstream: UpstreamPlan, _ route: RoutePlan) {
        guard self.queue?.object !== upstream.state else { return self.arm() }
        let hasWaited = self.phase.attempt == .queued
        self.leaveQueue()
        self.upstream = Reference(to: upstream)
        guard
            let place = self.core.enqueue(
                self.token, on: upstream.state, limit: Int(upstream.group.spec.queueLength))
        else { return self.reply(.queueFull) }
        self.queuePlace = place
        self.queue = Reference(to: upstream.state)
        if !hasWaited {
            self.phase.queued()
            self.deadline = self.core.now + UInt64(route.timeouts.queue)
        }
        self.arm()
        guard upstream.group.spec.maxConnections > 0 else { return }
        // What is idle here or with another worker may hold the place: once per waiter, it is asked to make room.
        self.wantsConnection = true
        upstream.state.record.connectionsWanted.add(1, ordering: .relaxed)
        self.core.admission.askForRoom()
    }

    /// A slot may have come free. False if there is still none for it: those behind it wait on.
    func takeSlot() -> Bool {
        guard self.phase.attempt == .queued else {
            self.leaveQueue()
            return true
        }
        if self.attach() { self.sendKept() }
        return self.queue == nil
    }

    func leaveQueue() {
        guard let queue = self.queue?.object, let place = self.queuePlace else { return }
        self.queue = nil
        self.queuePlace = nil
        queue.waiting.leave(place, self.token)
        if self.wantsConnection {
            self.wantsConnection = false
            queue.record.connectionsWanted.subtract(1, ordering: .relaxed)
        }
    }

    // MARK: connecting

    private func approach(_ pool: EndpointPool) -> Approach {
        if pool.isShared { return self.approachShared(pool) }
        guard !self.isGRPC else {
            if pool.asksAgain(now: self.core.now) { return self.dialIfAdmitted(pool) }
            // Its trailers and streams are beyond HTTP/1.
            self.report(.cancelled)
            self.reply(.unfitForGRPC)
            return .settled
        }
        if !self.wantsFreshConnection {
            // A request that must not be sent twice gets only a connection that was found quiet just now.
            let checking = !self.method.isIdempotent
            while let connection = pool.announcement == nil ? pool.lease() : self.ownConnection(pool) {
                guard connection.with({ $0.wake(checking: checking) }) else { continue }
                return self.attach(connection)
            }
        }
        return self.dialIfAdmitted(pool)
    }

    /// Goes on over a connection that was idle.
    @inline(__always)
    private func attach(_ connection: Reference<EndpointConnection>) -> Approach {
        if self.queue != nil { self.leaveQueue() }
        self.endpoint = connection
        self.endpointStream = connection.with { $0.open(for: self) }
        self.isReused = true
        self.phase.opened()
        return .attached
    }

    /// Opens a connection, unless the endpoint has as many as it may.
    private func dialIfAdmitted(_ pool: EndpointPool, isExclusive: Bool = false) -> Approach {
        guard pool.admitConnection() else {
            // Nothing has come free by that: who waits elsewhere is not woken, or two waiters would wake each other for ever.
            self.report(.cancelled, wakesWaiting: false)
            return .crowded
        }
        self.leaveQueue()
        return self.dial(pool, isExclusive: isExclusive)
    }

    /// An endpoint whose connections carry several exchanges: one of them, be it still dialling, or a further one.
    private func approachShared(_ pool: EndpointPool) -> Approach {
        if self.grantsUpgrade, pool.carriesUpgrades { return self.approachExclusively(pool) }
        // What was found stale may have ended with others that no event has told of yet.
        guard let connection = pool.share(checking: !self.method.isIdempotent || self.wantsFreshConnection) else {
            return self.dialIfAdmitted(pool)
        }
        if self.queue != nil { self.leaveQueue() }
        self.endpoint = connection
        self.endpointStream = connection.with { $0.open(for: self) }
        let stream = self.endpointStream
        self.isReused = connection.with { $0.isReady(stream) }
        guard self.isReused else {
            self.awaitDial()
            return .dialling
        }
        self.phase.opened()
        return .attached
    }

    /// For a switch of protocols where the endpoint may speak HTTP/1: over a connection of its own.
    private func approachExclusively(_ pool: EndpointPool) -> Approach {
        while !self.wantsFreshConnection, let connection = pool.lease() {
            guard connection.with({ $0.wake(checking: true) }) else { continue }
            return self.attach(connection)
        }
        return self.dialIfAdmitted(pool, isExclusive: true)
    }

    /// Where connections tell whom they are for, one that tells of this exchange's client.
    private func ownConnection(_ pool: EndpointPool) -> Reference<EndpointConnection>? {
        self.client.flatMap { client in pool.lease(for: client.with { $0.token }) }
    }

    private func dial(_ pool: EndpointPool, isExclusive: Bool) -> Approach {
        self.isReused = false
        do throws(SystemError) {
            let connection = try self.core.dial(pool, isExclusive: isExclusive)
            if pool.announcement != nil, let client = self.client?.object {
                connection.object.owner = client.token
                client.ownsEndpointConnections = true
            }
            connection.object.connectDeadline = self.core.now + self.connectTimeout
            self.endpoint = connection
            self.endpointStream = connection.with { $0.open(for: self) }
        } catch {
            if error.isLocalShortage {
                // Ours, not the endpoint's: it must not count against it, and elsewhere there is no more.
                self.report(.cancelled)
                self.reply(.shortage)
            } else {
                self.attemptFailed(error.code == ECONNREFUSED ? .refused : .unreachable)
            }
            return .settled
        }
        self.awaitDial()
        return .dialling
    }

    private func awaitDial() {
        self.phase.dialling()
        if self.trace != nil { self.openAttempt() }
        self.deadline = self.core.now + self.connectTimeout
        self.arm()
    }

    private var connectTimeout: UInt64 { UInt64(self.route?.object.timeouts.connect ?? 1_000) }

    func dialled() {
        guard self.phase.attempt == .dialling else { return self.release(.closed) }
        self.phase.opened()
        self.sendKept()
    }

    /// What it waited for is connected, and another object.
    func connected(over connection: EndpointConnection) {
        guard self.phase.attempt == .dialling else { return }
        self.endpoint = Reference(to: connection)
        guard !self.isGRPC || connection.carriesSeveral else {
            self.endpointStream = connection.open(for: self)
            // It says nothing against the endpoint that a client wants more than HTTP/1 of it.
            return self.attemptFailed(.unfitForGRPC, isCounted: false)
        }
        self.endpointStream = connection.open(for: self)
        if connection.isReady(self.endpointStream) { self.dialled() }
    }

    /// What it waited for serves somebody else: it asks again. Nothing was tried by that.
    func dialAgain() {
        guard self.phase.attempt == .dialling else { return }
        self.endpoint = nil
        self.trace?.forgetAttempt()
        self.report(.cancelled)
        self.phase.attemptFailed()
        self.placement.foundStaleConnection()
        self.core.makeRunnable(self)
    }

    /// `isCounted`: of the exchanges that waited for the connection one counts its failure.
    func dialFailed(_ code: Int32, isCounted: Bool = true) {
        switch code {
        case ECONNREFUSED: self.attemptFailed(.refused, isCounted: isCounted)
        case ETIMEDOUT: self.attemptFailed(.connectTimeout, isCounted: isCounted)
        case ECONNRESET: self.attemptFailed(.reset, isCounted: isCounted)
        default: self.attemptFailed(.unreachable, isCounted: isCounted)
        }
    }

    /// The endpoint was reached, and no session came of it.
    func handshakeFailed(_ reason: LocalReason, isCounted: Bool = true) {
        self.attemptFailed(reason, isCounted: isCounted)
    }

    // MARK: failing

    /// The attempt has failed and no answer has begun: tries again if that is safe, or answers. `isCounted`: the failure is this
    /// exchange's own, and says something about the endpoint.
    func attemptFailed(_ reason: LocalReason, isCounted: Bool = true) {
        guard self.phase.isUnanswered, let upstream = self.upstream?.object else { return }
        if self.trace != nil { self.closeAttempt(reason) }
        let stream = self.endpointStream
        let rule = RetryRule(
            failure: reason.attemptFailure, sent: self.phase.isSent, isIdempotent: self.method.isIdempotent,
            // All of the body that came is kept.
            isReplayable: UInt64(self.held.count) == self.requestBytes, answerBegan: false,
            reused: self.isReused && !(self.endpoint?.object.hasAnswered(stream) ?? true),
            hadFresh: self.wantsFreshConnection,
            retries: self.retries, limit: upstream.group.spec.retry.attempts)
        self.release(.closed)
        self.report(rule.wasStale || rule.wasNotTaken || !isCounted ? .cancelled : .failure)
        if !rule.wasStale, !rule.wasNotTaken { self.countFailedAttempt() }
        if reason.attemptFailure.isOfConnect, isCounted { self.pool?.object.connectFailures &+= 1 }
        self.phase.attemptFailed()
        switch rule.verdict {
        case .answer: return self.reply(reason)
        case .freshConnection:
            self.placement.foundStaleConnection()
            self.wantsFreshConnection = true
        case .elsewhere(let budgeted):
            self.placement.failed()
            if budgeted, !upstream.state.budget.withdraw(now: self.core.now) {
                upstream.state.retriesDenied &+= 1
                return self.reply(reason)
            }
            upstream.state.retries &+= 1
            self.retries += 1
            self.reason = reason
        }
        self.core.makeRunnable(self)
    }

    // MARK: letting go

    /// Tells the endpoint how it did. Once per attempt; gives its slot back.
    func report(_ outcome: Outcome, wakesWaiting: Bool = true) {
        guard let seat, let upstream else { return }
        self.seat = nil
        var page: UInt64 = 0
        if case .malformed = outcome {
            page = self.page
            self.pool?.object.malformedAnswers &+= 1
        }
        let (trial, now) = (self.isTrial, self.core.now)
        self.isTrial = false
        seat.with { seat in
            _ = upstream.with {
                seat.report(outcome, trial: trial, page: page, policy: $0.passive, now: now)
            }
            seat.release()
        }
        if wakesWaiting { upstream.with { self.core.slotFreed($0.state) } }
    }

    /// A hash of route and path: malformed answers judge an endpoint only if they come from several.
    private var page: UInt64 {
        guard let head = self.kept.head, let route = self.route?.object else { return 0 }
        let span = self.kept.bytes.bindMemory(to: UInt8.self).span
        return KeyHash.hash(span.extracting(head.path.bounds)) &+ UInt64(route.route.index)
    }

    /// Lets go of the endpoint's connection.
    func release(_ end: EndpointEnd) {
        guard let endpoint else { return }
        self.endpoint = nil
        if let trace { trace.attemptEnded = self.core.nowMicroseconds }
        let idle = self.route?.with { $0.timeouts.upstreamIdle } ?? 60_000
        let stream = self.endpointStream
        endpoint.with { $0.release(stream, end, idleMilliseconds: idle) }
    }
}
