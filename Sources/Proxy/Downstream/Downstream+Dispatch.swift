import Glibc
import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Choosing where a request goes, and getting there.
extension Downstream {
    private enum Choice {
        case endpoint(UpstreamRuntime, index: Int, trial: Bool)
        case saturated(UpstreamRuntime)
        case none
    }

    /// The first attempt, straight from the scratch buffer. Answers how many body bytes behind the head were used.
    func dispatchFirst(_ head: RequestHead, bytes: UnsafeMutableRawBufferPointer) -> Int {
        guard self.chooseAndConnect() else { return 0 }
        guard let upstream, self.exchange.attempt == .awaiting else { return 0 }
        let body = UnsafeMutableRawBufferPointer(rebasing: bytes[head.length...])
        return self.send(head, source: UnsafeRawBufferPointer(bytes), body: body, over: upstream)
    }

    /// A further attempt, or one that had to wait.
    func dispatchAgain() {
        guard self.state == .exchange, self.chooseAndConnect(), let upstream else { return }
        if self.exchange.attempt == .awaiting { self.sendKept(over: upstream) }
    }

    /// A slot may have come free. False if there is still none.
    func retryFromQueue() -> Bool {
        guard self.state == .exchange, self.exchange.attempt == .queued else { return true }
        self.exchange.attempt = .none
        guard self.chooseAndConnect() else {
            return self.exchange.attempt != .queued
        }
        if let upstream, self.exchange.attempt == .awaiting {
            self.sendKept(over: upstream)
            // Its body may stand in the socket since before the slot came: no event will tell of it again.
            if self.state == .exchange, self.readable { self.core.makeRunnable(self) }
        }
        return true
    }

    /// Chooses an endpoint and gets a connection to it. True if one is attached (perhaps still connecting); otherwise the
    /// request was answered, queued, or will be dispatched again.
    private func chooseAndConnect() -> Bool {
        switch self.choose() {
        case .endpoint(let upstream, let index, let trial):
            self.exchange.upstream = upstream
            self.exchange.endpoint = upstream.upstream.endpoints[index]
            self.exchange.pool = upstream.pools[index]
            self.exchange.isTrial = trial
            self.exchange.tried.insert(index)
            return self.connect(upstream.pools[index], upstream: upstream)
        case .saturated(let upstream):
            self.waitForSlot(upstream)
            return false
        case .none:
            // After an attempt, what went wrong there says more than that nobody else is left.
            let lastFailure = self.exchange.attempts > 0 ? self.exchange.reason : nil
            self.reply(lastFailure ?? .noEndpoint)
            return false
        }
    }

    /// Design: override → cohort or smooth weights → fail over if that side has no available endpoint.
    private func choose() -> Choice {
        guard let runtime = self.exchange.runtime, let route = self.exchange.route, let split = route.route.split else {
            return .none
        }
        let now = self.core.now
        var mask: UInt64 = 0
        var weighted: UInt64 = 0
        for (index, member) in split.entries.enumerated() where index < 64 {
            let bit: UInt64 = 1 << UInt64(index)
            if member.weight == 0, self.exchange.forcedMember != index { continue }
            weighted |= bit
            guard self.exchange.failedMembers & bit == 0 else { continue }
            if runtime.upstreams[member.upstream].upstream.isAvailable(now: now) { mask |= bit }
        }
        if self.exchange.forcedMember >= 0 {
            mask &= 1 << UInt64(self.exchange.forcedMember)
        } else if self.exchange.attempts == 0, !self.exchange.hasStickyKey, self.exchange.attempt == .none,
            self.exchange.member < 0
        {
            self.exchange.position = route.route.nextPosition()
        }
        // A further attempt stays on its side while that side has another endpoint to offer.
        if self.exchange.member >= 0, mask & (1 << UInt64(self.exchange.member)) != 0 {
            let choice = self.select(self.exchange.member, in: split, runtime: runtime)
            if case .none = choice {} else { return choice }
            mask &= ~(1 << UInt64(self.exchange.member))
            if !route.failover { return .none }
        }
        while true {
            let candidates = route.failover || self.exchange.forcedMember >= 0 ? mask : weighted
            let picked =
                self.exchange.forcedMember >= 0
                ? (mask != 0 ? self.exchange.forcedMember : nil)
                : self.exchange.hasStickyKey
                    ? split.rendezvous(key: self.exchange.stickyKey, available: candidates)
                    : split.interleave(position: self.exchange.position, available: candidates)
            guard let member = picked else { return .none }
            self.exchange.member = member
            guard mask & (1 << UInt64(member)) != 0 else { return .none }
            let choice = self.select(member, in: split, runtime: runtime)
            if case .none = choice {} else { return choice }
            if !route.failover || self.exchange.forcedMember >= 0 { return .none }
            mask &= ~(1 << UInt64(member))
        }
    }

    private func select(_ member: Int, in split: Split, runtime: TableRuntime) -> Choice {
        let upstream = runtime.upstreams[split.entries[member].upstream]
        let key: UInt64
        if case .consistentHash = upstream.upstream.spec.balance {
            key =
                self.exchange.hasStickyKey
                ? self.exchange.stickyKey : self.consistentKey(upstream.upstream.spec.balance)
        } else {
            key = 0
        }
        // A tried endpoint of another member must not shadow this one's: the mask is kept per side.
        if self.exchange.upstream !== upstream { self.exchange.tried = TriedEndpoints() }
        switch upstream.upstream.select(
            tried: self.exchange.tried, key: key, random: &self.core.random, now: self.core.now)
        {
        case .endpoint(let index, let trial): return .endpoint(upstream, index: index, trial: trial)
        case .saturated: return .saturated(upstream)
        case .unavailable: return .none
        }
    }

    private func consistentKey(_ balance: Balance) -> UInt64 {
        guard case .consistentHash(let key) = balance else { return 0 }
        switch key {
        case .clientAddress: return KeyHash.hash(self.exchange.client)
        case .header(let name):
            return self.keptField(named: Array(name.utf8), cookie: nil) ?? self.core.random.next()
        case .cookie(let name):
            return self.keptField(named: nil, cookie: Array(name.utf8)) ?? self.core.random.next()
        }
    }

    /// Looks a field up in the kept head; only for `consistentHash`, which is why it may parse again.
    private func keptField(named name: [UInt8]?, cookie: [UInt8]?) -> UInt64? {
        let kept = self.exchange.kept.bytes.bindMemory(to: UInt8.self)
        let span = kept.span
        guard let runtime = self.exchange.runtime,
            (try? HeadParser.request(span, limits: runtime.headLimits, fields: &self.core.fields)) != nil
        else { return nil }
        for index in 0..<self.core.fields.count {
            let field = self.core.fields[index]
            if let name, ASCII.equalsIgnoringCase(span, field.name, lowercase: name) {
                return KeyHash.hash(span.extracting(field.value.bounds))
            }
            if let cookie, field.id == .cookie, let value = Cookie.value(of: cookie, in: span, field.value) {
                return KeyHash.hash(span.extracting(value.bounds))
            }
        }
        return nil
    }

    private func waitForSlot(_ upstream: UpstreamRuntime) {
        guard let route = self.exchange.route else { return self.reply(.noEndpoint) }
        let resuming = self.exchange.attempt == .queued
        self.exchange.upstream = upstream
        if !resuming, !upstream.state.waiting.contains(self.token) {
            guard self.core.enqueue(self, on: upstream.state, limit: Int(upstream.upstream.spec.queueLength)) else {
                return self.reply(.queueFull)
            }
            self.exchange.deadline = self.core.now + UInt64(route.timeouts.queue)
        }
        self.exchange.attempt = .queued
        self.arm(at: self.exchange.deadline)
    }

    // MARK: connecting

    private func connect(_ pool: EndpointPool, upstream: UpstreamRuntime) -> Bool {
        self.exchange.sent = false
        if !self.exchange.freshConnectionOnly {
            // A request that must not be sent twice gets only a connection that was looked at just now.
            let checking = !self.exchange.method.isIdempotent
            while let connection = pool.lease() {
                guard connection.reuse(for: self, checking: checking) else { continue }
                self.upstream = connection
                self.exchange.reusedConnection = true
                self.exchange.attempt = .awaiting
                return true
            }
        }
        self.exchange.reusedConnection = false
        let held = pool.endpoint.connections.add(1, ordering: .relaxed).newValue
        if pool.maximumConnections > 0, held > pool.maximumConnections {
            pool.endpoint.connections.subtract(1, ordering: .relaxed)
            self.reportOutcome(.cancelled)
            // What is idle here or with another worker holds the place: it makes room before the next try.
            pool.closeIdle()
            self.core.shared.askForRoom()
            self.waitForSlot(upstream)
            return false
        }
        let lifetime = self.core.runtime.table.spec.timeouts.upstreamLifetime
        do throws(SystemError) {
            let socket = try Socket.dial(IPEndpoint(pool.endpoint.address))
            let connection = UpstreamConnection(
                core: self.core, socket: socket, pool: pool, downstream: self, lifetime: lifetime)
            self.core.register(connection)
            self.upstream = connection
            try connection.socket.register(with: self.core.loop, token: connection.token)
        } catch {
            if let upstream = self.upstream {
                upstream.close()
            } else {
                pool.endpoint.connections.subtract(1, ordering: .relaxed)
            }
            self.upstream = nil
            if error.isLocalShortage {
                // Ours, not the endpoint's: it must not count against it, and elsewhere there is no more.
                self.reportOutcome(.cancelled)
                self.reply(.overLimit)
            } else {
                self.attemptFailed(error.code == ECONNREFUSED ? .refused : .unreachable)
            }
            return false
        }
        self.exchange.attempt = .connecting
        self.exchange.deadline =
            self.core.now + UInt64(self.exchange.route?.timeouts.connect ?? 1_000)
        self.arm(at: self.exchange.deadline)
        return true
    }

    func upstreamConnected(_ connection: UpstreamConnection) {
        guard self.upstream === connection, self.exchange.attempt == .connecting else { return connection.close() }
        self.exchange.attempt = .awaiting
        self.sendKept(over: connection)
        self.proceed()
    }

    func upstreamDialFailed(_ code: Int32) {
        switch code {
        case ECONNREFUSED: self.attemptFailed(.refused)
        case ETIMEDOUT: self.attemptFailed(.connectTimeout)
        case ECONNRESET: self.attemptFailed(.reset)
        default: self.attemptFailed(.unreachable)
        }
    }

    // MARK: failing

    /// The attempt has failed and no response head was committed: tries again if that is safe, or answers.
    func attemptFailed(_ reason: LocalReason) {
        guard self.state == .exchange else { return }
        let wasStale =
            self.exchange.reusedConnection && !(self.upstream?.heard ?? true)
            && (reason == .reset || reason == .closedEarly)
        let endpoint = self.exchange.endpoint
        self.detachUpstream(reusable: false)
        // A pooled connection that the endpoint had already closed says nothing against the endpoint.
        self.reportOutcome(wasStale ? .cancelled : .failure)
        if reason == .refused || reason == .connectTimeout || reason == .unreachable {
            self.exchange.pool?.connectFailures &+= 1
        }
        self.exchange.attempt = .none
        guard let route = self.exchange.route, let upstream = self.exchange.upstream, !self.broken else {
            return self.reply(reason)
        }
        let replayable = !self.exchange.bodyTaken || self.exchange.bodyKept
        let safe = !self.exchange.sent || (self.exchange.method.isIdempotent && replayable)
        guard safe, replayable || !self.exchange.sent, !self.exchange.responseStarted else { return self.reply(reason) }
        if wasStale, !self.exchange.freshConnectionOnly {
            // Once, to the same endpoint over a new connection; it is no retry but the first real attempt.
            self.exchange.freshConnectionOnly = true
            if let index = upstream.upstream.endpoints.firstIndex(where: { $0 === endpoint }) {
                self.exchange.tried.remove(index)
            }
            self.scheduleDispatch()
            return
        }
        guard self.exchange.attempts < upstream.upstream.spec.retry.attempts else { return self.reply(reason) }
        // A refused dial cost the upstream nothing: the budget guards against load, and there was none.
        if reason != .refused, !upstream.state.budget.withdraw(now: self.core.now) {
            upstream.state.retriesDenied &+= 1
            return self.reply(reason)
        }
        upstream.state.retries &+= 1
        self.exchange.attempts += 1
        self.exchange.reason = reason
        if upstream.upstream.endpoints.count == 1, route.failover, self.exchange.member >= 0,
            self.exchange.forcedMember < 0, self.hasAnotherSide(route)
        {
            // Its only endpoint failed just now: the other side first.
            self.exchange.failedMembers |= 1 << UInt64(self.exchange.member)
            self.exchange.member = -1
        }
        self.scheduleDispatch()
    }

    private func hasAnotherSide(_ route: RouteRuntime) -> Bool {
        guard let runtime = self.exchange.runtime, let split = route.route.split else { return false }
        for (index, member) in split.entries.enumerated()
        where index != self.exchange.member && member.weight > 0
            && self.exchange.failedMembers & (1 << UInt64(index & 63)) == 0
        {
            if runtime.upstreams[member.upstream].upstream.isAvailable(now: self.core.now) { return true }
        }
        return false
    }

    private func scheduleDispatch() {
        self.needsDispatch = true
        self.rewindBody()
        self.core.makeRunnable(self)
    }

    /// Sets the body's progress back to its start for a replay.
    private func rewindBody() {
        guard let route = self.exchange.route else { return }
        switch self.exchange.requestFraming {
        case .none, .untilClose: break
        case .length(let length):
            self.exchange.requestRemaining = length
            self.exchange.requestComplete = length == 0
        case .chunked:
            guard !self.exchange.bodyTaken else { break }
            self.exchange.requestDecoder = ChunkedDecoder(
                extensionLimit: Int(route.limits.chunkExtensionBytes), trailerLimit: Int(route.limits.trailerBytes))
        }
        self.exchange.requestBytes = 0
    }

    /// Tells the endpoint how it did and gives its slot back. Once per attempt.
    func reportOutcome(_ outcome: Outcome) {
        guard let endpoint = self.exchange.endpoint, let upstream = self.exchange.upstream else { return }
        endpoint.report(
            outcome, trial: self.exchange.isTrial, policy: upstream.upstream.spec.passive,
            now: self.core.now)
        self.exchange.isTrial = false
        self.releaseEndpoint()
    }

    private func releaseEndpoint() {
        self.exchange.endpoint?.release()
        self.exchange.endpoint = nil
    }

    /// Lets go of the upstream connection.
    func detachUpstream(reusable: Bool) {
        guard let upstream = self.upstream else { return }
        self.upstream = nil
        if reusable {
            upstream.park(idleMilliseconds: self.exchange.route?.timeouts.upstreamIdle ?? 60_000)
        } else {
            upstream.close()
        }
    }
}
