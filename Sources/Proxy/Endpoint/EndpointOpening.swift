import HTTP2
import Reactor

/// A connection to an endpoint whose protocol is known only once it is connected, or that will carry several exchanges: they wait
/// for it here. Then the connection of the protocol that was found takes its place, with its channel, slot and token.
///
///     dialling ──connected──▶ HTTP/2: all that wait go on
///         │                   HTTP/1: the first goes on, the others are dispatched anew
///         └──failed, nobody waits──▶ closed
final class EndpointOpening: EndpointConnection {
    /// In the order in which they came; released ones leave a gap.
    private var waiting: ContiguousArray<Reference<Exchange>?> = []
    private var count = 0
    private var hasBlamed = false
    private var isRetired = false

    /// What a connection takes before its endpoint says how much that may be.
    private static let limit = 8

    override func ready(_ readiness: Readiness) {
        if self.state == .dialling { self.readyDialling(readiness) }
    }

    override func resume() {
        if self.state == .dialling { self.shake() }
    }

    // MARK: who waits

    override var isAwaited: Bool { self.count > 0 }

    override func hasRoom(checking: Bool) -> Bool {
        self.state == .dialling && !self.isRetired && self.waiting.count < Self.limit
    }

    override func open(for exchange: Exchange) -> StreamID {
        self.waiting.append(Reference(to: exchange))
        self.count += 1
        return StreamID(self.waiting.count - 1)
    }

    override func retire() {
        self.isRetired = true
        self.pool.unlist(self)
    }

    override func takesBlame() -> Bool {
        defer { self.hasBlamed = true }
        return !self.hasBlamed
    }

    override func isWritable(_ stream: StreamID) -> Bool { false }

    override func release(_ stream: StreamID, _ end: EndpointEnd, idleMilliseconds: UInt32) {
        guard self.state != .closed, Int(stream) < self.waiting.count, self.waiting[Int(stream)] != nil else { return }
        self.waiting[Int(stream)] = nil
        self.count -= 1
        if self.count == 0 { self.close() }
    }

    override func close() {
        self.pool.unlist(self)
        super.close()
    }

    // MARK: what comes of it

    override var protocolOffer: ProtocolOffer { self.pool.offer }

    override func connected(_ facts: TLSFacts?) {
        let speaksHTTP2 = facts?.isHTTP2 ?? true
        guard speaksHTTP2 || self.pool.carriesUpgrades else {
            self.state = .dialling
            return self.failed(TLSFailure(.alpn, "the endpoint does not agree on HTTP/2"))
        }
        self.pool.note(speaksHTTP2: speaksHTTP2, now: self.core.now)
        let waiting = Array(self.waiting.compactMap { $0 })
        self.waiting = []
        self.count = 0
        guard speaksHTTP2 else {
            self.goOn(HTTP1Endpoint(inPlaceOf: self), waiting.prefix(1))
            for exchange in waiting.dropFirst() { exchange.with { $0.dialAgain() } }
            return
        }
        guard let tables = HPACKTables() else {
            self.close()
            for exchange in waiting { exchange.with { $0.dialAgain() } }
            return
        }
        self.goOn(HTTP2Endpoint(inPlaceOf: self, tables: tables), waiting[...])
    }

    private func goOn(_ connection: EndpointConnection, _ waiting: ArraySlice<Reference<Exchange>>) {
        self.pool.unlist(self)
        self.state = .closed
        self.core.handles.replace(self, with: connection)
        connection.begin()
        for exchange in waiting { exchange.with { $0.connected(over: connection) } }
    }

    override func dialFailed(_ code: Int32) {
        self.tell { $0.dialFailed(code, isCounted: $1) }
    }

    override func handshakeFailed(_ failure: TLSFailure) {
        self.tell { $0.handshakeFailed(failure.reason, isCounted: $1) }
    }

    /// One failure, whoever waits for the connection: it counts once.
    private func tell(_ body: (Exchange, Bool) -> Void) {
        self.pool.unlist(self)
        for position in self.waiting.indices {
            guard let exchange = self.waiting[position] else { continue }
            exchange.with { body($0, self.takesBlame()) }
        }
        self.close()
    }
}

extension TLSFailure {
    /// What clients are told.
    var reason: LocalReason {
        switch self.kind {
        case .certificate: .certificateInvalid
        case .alpn: .notNegotiated
        default: .handshakeFailed
        }
    }
}
