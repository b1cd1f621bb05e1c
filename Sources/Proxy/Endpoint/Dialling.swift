import Reactor
import Traffic

/// New connections to endpoints: the one place that knows which protocol an endpoint speaks, or may.
extension WorkerCore {
    /// Begins to connect, for a place that `admitConnection` has counted in. Throws, with the place given back, if no socket
    /// can be had or the kernel refuses at once. `isExclusive`: it carries one exchange, so over HTTP/1.
    func dial(_ pool: EndpointPool, isExclusive: Bool = false) throws(SystemError) -> Reference<EndpointConnection> {
        let socket: Socket
        do throws(SystemError) {
            socket = try Socket.dial(IPEndpoint(pool.endpoint.address))
        } catch {
            pool.connectionClosed(self)
            throw error
        }
        let lifetime = self.plan.table.spec.timeouts.upstreamLifetime
        let connection =
            pool.dialsHTTP1 || isExclusive
            ? HTTP1Endpoint(core: self, socket: socket, pool: pool, lifetime: lifetime)
            : EndpointOpening(core: self, socket: socket, pool: pool, lifetime: lifetime)
        try connection.enter()
        if pool.isShared, !isExclusive { pool.list(connection) }
        return Reference(to: connection)
    }
}

extension EndpointConnection {
    /// Events up to the moment at which it is connected.
    final func readyDialling(_ readiness: Readiness) {
        guard !self.channel.isTLS else {
            self.channel.note(readiness)
            if readiness.contains(.output), !self.channel.isClear {
                _ = self.channel.flush(pool: &self.core.buffers)
            }
            return self.shake()
        }
        guard !readiness.isDisjoint(with: [.output, .error, .hangUp]) else { return }
        self.channel.note(readiness)
        let code = self.channel.takeError()
        guard self.isAwaited else { return self.close() }
        guard code == 0 else { return self.dialFailed(code) }
        guard let tls else {
            self.state = .leased
            return self.connected(nil)
        }
        // Before TLS: whoever reads it stands in front of that.
        self.introduce()
        guard let memory = self.core.tlsMemory(), tls.begin(&self.channel, memory, offers: self.protocolOffer) else {
            return self.failed(TLSFailure(.limit, "no session can be made"))
        }
        self.shake()
    }

    final func shake() {
        guard self.isAwaited else { return self.close() }
        // As with clients: key exchanges take turns with everything else.
        guard self.core.endpointHandshakesInTurn < Int(self.core.tlsLimits.handshakesPerTurn) else {
            return self.core.makeRunnable(self)
        }
        self.core.endpointHandshakesInTurn += 1
        switch self.channel.shake(pool: &self.core.buffers) {
        case .waits:
            if self.channel.isReadable { self.core.makeRunnable(self) }
        case .done(let facts):
            self.state = .leased
            self.connected(facts)
        case .failed(let failure): self.failed(failure)
        }
    }

    final func failed(_ failure: TLSFailure) {
        self.pool.handshakeFailed(failure)
        self.handshakeFailed(failure)
    }
}
