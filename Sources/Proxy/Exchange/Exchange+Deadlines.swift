import HTTPWire
import Reactor
import Synchronization
import Traffic

/// Deadlines of an exchange: one timer, set to the next moment at which something must be decided.
extension Exchange {
    /// While an answer is awaited the endpoint's verdict is asked for this often (milliseconds).
    private static let downCheck: UInt64 = 1_000

    /// A stream of gRPC may be silent for as long as a tunnel.
    var answerBodyIdle: UInt64 {
        UInt64(self.route?.with { self.isGRPC ? $0.timeouts.tunnelIdle : $0.timeouts.responseBodyIdle } ?? 60_000)
    }
    var requestBodyIdle: UInt64 {
        UInt64(self.route?.with { self.isGRPC ? $0.timeouts.tunnelIdle : $0.timeouts.requestBodyIdle } ?? 30_000)
    }

    private var wait: Wait {
        let (clientStream, endpointStream) = (self.clientStream, self.endpointStream)
        return self.phase.wait(
            clientHolds: !(self.client?.with { $0.isClear(clientStream) } ?? true),
            endpointHolds: !(self.endpoint?.with { $0.isClear(endpointStream) } ?? true))
    }

    /// From here the client's body is waited for.
    func startBodyClock() {
        guard self.phase.isRequestArriving else { return }
        self.bodyDeadline = self.core.now + self.requestBodyIdle
        if self.phase.attempt == .collecting || self.held.isEmpty { self.bodyBegan = self.core.now }
    }

    /// When the body's average falls below `limits.requestBodyRate`, after a grace of `timeouts.requestBodyIdle`.
    private var rateDeadline: UInt64 {
        let rate = UInt64(self.limits.requestBodyRate)
        guard rate > 0, !self.isGRPC else { return .max }
        let (earned, overflow) = self.requestBytes.multipliedReportingOverflow(by: 1_000)
        guard !overflow else { return .max }
        return self.bodyBegan.addingReportingOverflow(self.requestBodyIdle + earned / rate).partialValue
    }

    /// The same behind an answer that is out: the rest holds a connection of the endpoint's. What the endpoint does not take
    /// is not the client's delay.
    private var restDeadline: UInt64 { self.blockedSince > 0 ? .max : self.rateDeadline }

    /// Sets the timer.
    func arm() {
        let now = self.core.now
        let at: UInt64
        switch self.wait {
        case .none: return
        case .requestBody: at = min(self.bodyDeadline, self.rateDeadline)
        // Half-way the peer's progress is noted, to be compared at the end.
        case .upload: at = min(self.bodyDeadline, now + self.requestBodyIdle / 2 + 1)
        case .flush: at = min(self.deadline, now + self.answerBodyIdle / 2 + 1)
        case .answerHead: at = min(self.deadline, now + Self.downCheck)
        case .restOfRequest: at = min(self.bodyDeadline, self.restDeadline)
        case .credentials, .queue, .dial, .answerBody, .bothBodies, .tunnel: at = self.deadline
        }
        self.core.wheel.schedule(self.slot, at: at)
    }

    func deadlinePassed() {
        guard let client = self.client?.object else { return }
        let now = self.core.now
        switch self.wait {
        case .none: break
        case .credentials:
            self.route?.object.route.record.authentication.busy.add(1, ordering: .relaxed)
            self.reply(.authBusy)
        case .queue:
            self.reply(.queueTimeout)
        case .dial:
            self.attemptFailed(.connectTimeout, isCounted: self.endpoint?.object.takesBlame() ?? true)
        case .requestBody:
            let isSlow = now >= self.rateDeadline
            guard isSlow || now >= self.bodyDeadline else { return self.arm() }
            self.requestBroke(isSlow ? .bodyTooSlow : .bodyTimeout)
        case .upload:
            if let endpoint = self.endpoint?.object, self.tookBytes(endpoint.unacknowledged(self.endpointStream)) {
                self.bodyDeadline = now + self.requestBodyIdle
            }
            guard now >= self.bodyDeadline else { return self.arm() }
            self.release(.closed)
            self.report(.failure)
            self.reply(.uploadStalled)
        case .answerHead:
            if now >= self.deadline {
                // The endpoint took the whole deadline: neither it nor another is asked again, for the client has
                // waited long enough.
                self.release(.closed)
                // One that the client has chosen says nothing of the endpoint: it could be a millisecond.
                self.report(self.isGRPC && self.deadline == self.grpcDeadline ? .cancelled : .failure)
                self.reply(.responseTimeout)
            } else if self.seat?.object.operational == .down, self.method.isIdempotent {
                // Probes have given the endpoint up while we wait for it: go elsewhere, as if it had closed.
                self.attemptFailed(.endpointDown)
            } else {
                self.arm()
            }
        case .answerBody:
            guard now >= self.deadline else { return self.arm() }
            self.answerBroke(.truncated, isMalformed: false)
        case .bothBodies:
            guard now >= self.deadline else { return self.arm() }
            // The endpoint has all that the client sent, and may well wait for the rest.
            self.release(.closed)
            self.report(.clientFault)
            self.cut(.bodyTimeout)
        case .restOfRequest:
            guard now >= self.bodyDeadline || now >= self.restDeadline else { return self.arm() }
            self.abandonRest()
        case .flush:
            if self.tookBytes(client.unacknowledged(self.clientStream)) { self.deadline = now + self.answerBodyIdle }
            guard now >= self.deadline else { return self.arm() }
            self.abandonClient()
        case .tunnel:
            guard now >= self.deadline else { return self.arm() }
            self.cutTunnel()
        }
    }

    /// Whether the peer acknowledged anything since the last check.
    private func tookBytes(_ unacknowledged: Int) -> Bool {
        defer { self.unacknowledged = unacknowledged }
        // The first check has nothing to compare with.
        return self.unacknowledged != .max && unacknowledged < self.unacknowledged
    }
}
