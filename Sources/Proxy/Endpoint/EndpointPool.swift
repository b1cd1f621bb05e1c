import HTTPWire
import Reactor
import Synchronization
import Traffic

/// One worker's connections to one endpoint that are waiting for work, newest on top: the last used is the likeliest to
/// be alive and to have a warm congestion window, and the rest can age out.
final class EndpointPool {
    let endpoint: Endpoint
    /// The endpoint's address as an authority, for routes that rewrite Host.
    let authority: UnsafeRawBufferPointer
    /// From the newest table.
    private var capacity: Int
    private var maximumConnections: Int
    /// The version of the PROXY protocol by which new connections tell whom they are for.
    private(set) var announcement: ProxyHeader.Version?
    /// nil: plain.
    private(set) var tls: EndpointTLS?
    private var state: UpstreamState
    /// Since when no table has named the endpoint, in monotonic milliseconds; nil: one does. Kept for a while, so that its
    /// counters go on if it returns.
    private(set) var retiredAt: UInt64?
    /// The worker's table owns them.
    private var idle: ContiguousArray<Reference<EndpointConnection>> = []
    /// Connections that carry several exchanges, and may take more of them; the oldest first.
    private var shared: ContiguousArray<Reference<EndpointConnection>> = []
    private var spoken: EndpointProtocol
    /// What the last connection to an endpoint that may choose has come to; nil: there was none.
    private var speaksHTTP2: Bool?
    /// When it was last asked, in milliseconds.
    private var askedAt: UInt64 = 0
    /// Exchanges share connections.
    private(set) var isShared: Bool
    var requests: UInt64 = 0
    var connectFailures: UInt64 = 0
    var malformedAnswers: UInt64 = 0
    /// Handshakes of TLS that came to no session.
    private var handshakes = HandshakeCounts()
    private var lastHandshakeFailure: HandshakeFailure?
    var connectionsOpened: UInt64 = 0

    init(endpoint: Endpoint, spec: UpstreamSpec, state: UpstreamState, tls: UpstreamTLSPlan? = nil) {
        self.endpoint = endpoint
        self.state = state
        let authority = Array(endpoint.address.description.utf8)
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: authority.count, alignment: 1)
        bytes.copyBytes(from: authority)
        self.authority = UnsafeRawBufferPointer(bytes)
        self.capacity = Int(spec.idleConnections)
        self.maximumConnections = Int(spec.maxConnections)
        self.announcement = ProxyHeader.Version(rawValue: spec.sendProxyProtocol)
        self.spoken = spec.speaks
        self.isShared = spec.speaks != .http1
        self.tls = tls.map { EndpointTLS($0, upstream: spec, address: endpoint.address) }
        self.idle.reserveCapacity(min(self.capacity, 128))
    }

    deinit { self.authority.deallocate() }

    /// Bounds of another table; what is over the new one goes.
    func adopt(_ spec: UpstreamSpec, state: UpstreamState, tls: UpstreamTLSPlan? = nil) {
        self.retiredAt = nil
        self.state = state
        self.capacity = Int(spec.idleConnections)
        self.maximumConnections = Int(spec.maxConnections)
        let announcement = ProxyHeader.Version(rawValue: spec.sendProxyProtocol)
        if announcement != self.announcement {
            self.announcement = announcement
            self.closeIdle()
        }
        let isSame = tls.map { self.tls?.suits($0, spec) ?? false } ?? (self.tls == nil)
        if !isSame {
            self.tls = tls.map { EndpointTLS($0, upstream: spec, address: self.endpoint.address) }
            self.closeIdle()
            self.retireShared()
        }
        if spec.speaks != self.spoken {
            self.spoken = spec.speaks
            self.speaksHTTP2 = nil
            self.isShared = spec.speaks != .http1
            self.closeIdle()
            self.retireShared()
        }
        while self.idle.count > self.capacity { self.idle.removeFirst().object.close() }
    }

    /// A handshake of TLS came to no session.
    func handshakeFailed(_ failure: TLSFailure) {
        self.handshakes.fail(failure.kind.rawValue)
        self.lastHandshakeFailure = HandshakeFailure(at: MonotonicClock.milliseconds(), cause: failure.description)
    }

    /// No table names the endpoint any more.
    func retire(now: UInt64) {
        guard self.retiredAt == nil else { return }
        self.retiredAt = now
        self.capacity = 0
        self.closeIdle()
        self.retireShared()
    }

    /// Whether the endpoint has as many connections as it may, whoever holds them.
    var isFull: Bool {
        self.maximumConnections > 0
            && self.endpoint.connections.load(ordering: .relaxed) >= self.maximumConnections
    }

    /// Counts a new connection in, unless the endpoint has as many as it may.
    func admitConnection() -> Bool {
        self.endpoint.connections.add(1, upTo: self.maximumConnections > 0 ? self.maximumConnections : .max)
    }

    func connectionClosed(_ core: WorkerCore) {
        self.endpoint.connections.subtract(1, ordering: .relaxed)
        if self.maximumConnections > 0 { core.slotFreed(self.state) }
    }

    /// Takes the newest idle connection.
    @inline(__always)
    func lease() -> Reference<EndpointConnection>? {
        self.idle.popLast()
    }

    /// Takes the newest idle connection that was opened for this client.
    func lease(for client: UInt64) -> Reference<EndpointConnection>? {
        guard let index = self.idle.lastIndex(where: { $0.with { $0.owner == client } }) else { return nil }
        return self.idle.remove(at: index)
    }

    /// The client has gone: what was kept for it serves nobody.
    func closeIdle(of client: UInt64) {
        while let connection = self.lease(for: client) { connection.object.close() }
    }

    /// Keeps a connection for reuse; false if there is no room, or requests of other workers wait for the place that it
    /// takes: then it is theirs as often as they are among those that wait.
    func park(_ connection: EndpointConnection) -> Bool {
        guard self.idle.count < self.capacity, connection.announcement == self.announcement else { return false }
        if self.maximumConnections > 0, self.isFull {
            let wanted = self.state.record.connectionsWanted.load(ordering: .relaxed)
            let own = self.state.waiting.count
            if wanted > own, connection.core.random.below(wanted) >= own { return false }
        }
        self.idle.append(Reference(to: connection))
        return true
    }

    /// An idle connection ended by itself.
    func remove(_ connection: EndpointConnection) {
        // From the end: what was parked last is what most often ends here.
        if let index = self.idle.lastIndex(where: { $0.object === connection }) { self.idle.remove(at: index) }
    }

    /// Closes whatever is idle.
    func closeIdle() {
        while let connection = self.idle.popLast() { connection.object.close() }
        for connection in self.shared where connection.object.isIdle { connection.object.retire() }
    }

    // MARK: connections that carry several exchanges

    /// Nothing but HTTP/1 is spoken, and nobody is asked.
    var dialsHTTP1: Bool { self.spoken == .http1 }

    /// The endpoint may choose HTTP/1, or be asked for it: a switch of protocols is sure of a connection.
    var carriesUpgrades: Bool { self.spoken == .negotiated }

    /// What is offered to it within TLS.
    var offer: ProtocolOffer { self.spoken == .http2 ? .http2 : .either }

    /// What it has chosen.
    func note(speaksHTTP2: Bool, now: UInt64) {
        guard self.spoken == .negotiated else { return }
        self.speaksHTTP2 = speaksHTTP2
        self.isShared = speaksHTTP2
        self.askedAt = now
    }

    /// Milliseconds after which an endpoint that chose HTTP/1 is asked again for the sake of what cannot go over it.
    private static let choiceHolds: UInt64 = 1_000

    /// Whether one that chose HTTP/1 is asked again now: it may be another program since, and where nothing but gRPC comes nobody
    /// else would ask.
    func asksAgain(now: UInt64) -> Bool {
        guard self.carriesUpgrades, !self.isFull, now &- self.askedAt >= Self.choiceHolds else { return false }
        self.askedAt = now
        return true
    }

    /// The oldest connection that takes one more: the others become idle, and end.
    func share(checking: Bool) -> Reference<EndpointConnection>? {
        // One that is too old says no and leaves the list later.
        self.shared.first { $0.with { $0.hasRoom(checking: checking) } }
    }

    func list(_ connection: EndpointConnection) { self.shared.append(Reference(to: connection)) }

    func unlist(_ connection: EndpointConnection) { self.shared.removeAll { $0.object === connection } }

    /// Those that are open end behind what they carry.
    private func retireShared() {
        for connection in self.shared { connection.object.retire() }
    }

    /// Whether one that has become idle is kept: there is room, and nobody of another worker waits for the place that it takes.
    func keeps(_ connection: EndpointConnection) -> Bool {
        guard self.shared.count(where: { $0.object.isIdle }) < self.capacity else { return false }
        guard self.maximumConnections > 0, self.isFull else { return true }
        let wanted = self.state.record.connectionsWanted.load(ordering: .relaxed)
        let own = self.state.waiting.count
        return wanted <= own || connection.core.random.below(wanted) < own
    }

    var counters: EndpointCounters {
        var counters = EndpointCounters(
            upstream: self.endpoint.upstream, address: self.endpoint.address, requests: self.requests,
            connectFailures: self.connectFailures, connectionsOpened: self.connectionsOpened,
            connectionsIdle: UInt64(self.idle.count + self.shared.count { $0.object.isIdle }))
        counters.streamsActive = UInt64(self.shared.reduce(0) { $0 + $1.object.streamCount })
        counters.speaksHTTP2 = self.spoken == .http2 ? true : self.speaksHTTP2
        counters.malformedAnswers = self.malformedAnswers
        counters.handshakes = self.handshakes
        counters.lastHandshakeFailure = self.lastHandshakeFailure
        return counters
    }
}
