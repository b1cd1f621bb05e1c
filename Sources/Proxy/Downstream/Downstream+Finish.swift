import Glibc
import HTTPWire
import Reactor
import Traffic

/// Ends and deadlines of an exchange.
extension Downstream {
    /// While an answer is awaited the endpoint's verdict is looked at this often (milliseconds).
    private static let downCheck: UInt64 = 1_000

    /// Sets the timer to the next moment at which something must be decided.
    func armExchange() {
        guard self.state == .exchange else { return }
        if self.exchange.attempt == .responding || self.exchange.attempt == .flushing, !self.outbound.isEmpty {
            // Half-way the peer's progress is looked at, to be compared at the end.
            self.arm(at: min(self.exchange.deadline, self.core.now + self.bodyIdle / 2 + 1))
            return
        }
        var deadline = self.exchange.deadline
        if !self.exchange.requestComplete, !self.exchange.responseStarted { deadline = self.exchange.bodyDeadline }
        if self.exchange.responseStarted {
            deadline = self.exchange.deadline
        } else if let upstream, !upstream.outbound.isEmpty {
            deadline = min(deadline, self.core.now + self.requestBodyIdle / 2 + 1)
        } else if self.exchange.requestComplete, self.exchange.attempt == .awaiting {
            deadline = min(deadline, self.core.now + Self.downCheck)
        }
        self.arm(at: deadline)
    }

    func exchangeExpired() {
        let now = self.core.now
        switch self.exchange.attempt {
        case .none: break
        case .queued:
            if let upstream = self.exchange.upstream { self.core.leaveQueue(self, upstream.state) }
            self.reply(.queueTimeout)
        case .connecting: self.attemptFailed(.connectTimeout)
        case .awaiting:
            if !self.exchange.requestComplete {
                let stalled = !(self.upstream?.outbound.isEmpty ?? true)
                if stalled, let upstream, self.tookBytes(upstream.socket.unacknowledged()) {
                    self.exchange.bodyDeadline = now + self.requestBodyIdle
                }
                guard now >= self.exchange.bodyDeadline else { return self.armExchange() }
                self.detachUpstream(reusable: false)
                self.reportOutcome(stalled ? .failure : .cancelled)
                self.closeAfter = true
                self.reply(stalled ? .uploadStalled : .bodyTimeout)
            } else if now >= self.exchange.deadline {
                self.failAwaited(.responseTimeout)
            } else if self.exchange.endpoint?.operational == .down, self.exchange.method.isIdempotent {
                // Probes have given the endpoint up while we wait for it: go elsewhere, as if it had closed.
                self.attemptFailed(.endpointDown)
            } else {
                self.armExchange()
            }
        case .responding, .flushing:
            let stalled = !self.outbound.isEmpty
            if stalled, self.tookBytes(self.socket.unacknowledged()) { self.exchange.deadline = now + self.bodyIdle }
            guard now >= self.exchange.deadline else { return self.armExchange() }
            stalled ? self.giveClientUp() : self.cutResponse(.truncated)
        }
    }

    /// Whether the peer acknowledged anything since the last look.
    private func tookBytes(_ unacknowledged: Int) -> Bool {
        defer { self.exchange.unacknowledged = unacknowledged }
        // The first look has nothing to compare with.
        return self.exchange.unacknowledged != .max && unacknowledged < self.exchange.unacknowledged
    }

    /// The client takes nothing any more. It is shown that its answer was cut: what the kernel still holds for it must
    /// not be followed by a clean end.
    private func giveClientUp() {
        self.detachUpstream(reusable: false)
        self.reportOutcome(.cancelled)
        if self.exchange.reason == nil { self.exchange.reason = .truncated }
        self.recordExchange()
        self.socket.reset()
        self.close()
    }

    /// The endpoint took the whole deadline: it is not asked again, and neither is another, for the client has waited
    /// long enough.
    private func failAwaited(_ reason: LocalReason) {
        self.detachUpstream(reusable: false)
        self.reportOutcome(.failure)
        self.reply(reason)
    }

    /// Gives the exchange up without an answer.
    func abandonExchange(_ reason: LocalReason) {
        if self.exchange.attempt == .queued, let upstream = self.exchange.upstream {
            self.core.leaveQueue(self, upstream.state)
        }
        self.detachUpstream(reusable: false)
        self.reportOutcome(.cancelled)
        self.exchange.reason = reason
        if !self.exchange.responseStarted { self.exchange.status = reason.status }
        self.closeAfter = true
        self.recordExchange()
    }

    /// The response is complete (or cut): once the client has been given all of it, records it and makes ready for the
    /// next request.
    func finishExchange() {
        guard self.state == .exchange else { return }
        if !self.outbound.isEmpty, !self.broken {
            self.exchange.attempt = .flushing
            self.exchange.deadline = self.core.now + self.bodyIdle
            self.exchange.unacknowledged = .max
            self.armExchange()
            return
        }
        let requestIncomplete = !self.exchange.requestComplete
        self.recordExchange()
        if self.broken {
            self.close()
            return
        }
        if requestIncomplete { self.closeAfter = true }
        self.state = .idle
        if self.closeAfter {
            self.finishClosing()
            return
        }
        let timeouts = self.core.runtime.table.spec.timeouts
        if self.core.draining {
            // Its answer had already left without `Connection: close`.
            self.arm(at: self.core.now + 1_000)
        } else {
            self.arm(at: self.core.now + UInt64(timeouts.keepAlive))
        }
        if !self.inbound.isEmpty || self.readable { self.core.makeRunnable(self) }
    }

    /// Counters and access log, exactly once for each request.
    private func recordExchange() {
        let micros = self.core.nowMicroseconds &- self.exchange.began
        // A tunnel's life says nothing about how fast anybody answers; the way to its 101 does.
        let measured = self.exchange.tunnelledAt > 0 ? self.exchange.tunnelledAt &- self.exchange.began : micros
        let metrics: RouteMetrics
        if let route = self.exchange.route {
            let member = self.exchange.member
            let proxied = self.exchange.responseStarted && member >= 0 && member < route.metrics.count
            metrics = proxied ? route.metrics[member] : route.local
        } else {
            metrics = self.core.runtime.unrouted
        }
        if self.exchange.reason == .clientClosed {
            metrics.cancelled &+= 1
        } else {
            metrics.record(status: self.exchange.status, microseconds: measured)
        }
        if let log = self.core.log { AccessRecord.write(self, microseconds: micros, to: log) }
        self.core.exchanges -= 1
        self.exchange.kept.clear(pool: &self.core.buffers)
        // What pins tables and endpoints goes; the rest is overwritten by the next request.
        self.exchange.runtime = nil
        self.exchange.route = nil
        self.exchange.upstream = nil
        self.exchange.endpoint = nil
        self.exchange.pool = nil
    }
}
