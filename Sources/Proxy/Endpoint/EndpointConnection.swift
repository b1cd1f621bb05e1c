import Glibc
import HTTPWire
import Reactor
import Traffic

/// A connection to an endpoint, whatever protocol it speaks: what an exchange asks of it, and what all of them share.
///
///     dialling ──connected──▶ leased ──clean end──▶ idle ──lease──▶ leased
///         │                     │                    │
///         └───────failed────────┴─unclean, surplus───┴─any readiness──▶ closed
///
/// Races worth knowing: an idle connection may become readable (closed, or bytes that answer no request) in the same batch
/// of events in which a request wants to lease it. The worker takes idle connections' events before all others, so the
/// lease never sees it.
class EndpointConnection: Handle {
    enum State { case dialling, leased, idle, closed }

    /// A strong `let`: reading it costs no count, which reading an unowned one does. Neither is ever freed before the other.
    final let core: WorkerCore
    final let pool: EndpointPool
    final var channel: Channel
    final var state = State.dialling
    /// How it tells the endpoint whom it is for, before anything else.
    final let announcement: ProxyHeader.Version?
    /// The token of the client that it was opened for, if it tells so: no other may use it.
    final var owner = UInt64.max
    /// Until when it must be of use, as the exchange that dialled says; 0: nobody says.
    final var connectDeadline: UInt64 = 0
    /// As the pool was when it was opened; nil: plain.
    final let tls: EndpointTLS?
    /// It counts among the connections that the endpoint may have.
    private final var hasPlace = true
    private final let born: UInt64
    private final let lifetime: UInt64

    init(core: WorkerCore, socket: consuming Socket, pool: EndpointPool, lifetime: UInt32) {
        self.core = core
        self.channel = Channel(socket)
        self.pool = pool
        self.announcement = pool.announcement
        self.tls = pool.tls
        self.born = core.now
        self.lifetime = UInt64(lifetime)
        super.init()
        pool.connectionsOpened &+= 1
    }

    /// Goes on in the place of one that was opened before its protocol was known, with its channel.
    init(inPlaceOf opening: EndpointConnection) {
        self.core = opening.core
        self.channel = opening.channel.take()
        self.pool = opening.pool
        self.announcement = nil
        self.tls = opening.tls
        self.born = opening.born
        self.lifetime = opening.lifetime
        self.connectDeadline = opening.connectDeadline
        self.state = .leased
        super.init()
    }

    /// Registers with the worker; throws, having closed itself, if the kernel has no room.
    final func enter() throws(SystemError) {
        self.core.register(self)
        do throws(SystemError) {
            try self.channel.register(with: self.core.loop, token: self.token)
        } catch {
            self.close()
            throw error
        }
    }

    /// It has lived as long as it may.
    final var isOld: Bool { self.core.now &- self.born >= self.lifetime }

    /// Takes an idle connection out of its rest. False, and closed, if it must not be used: too old, or (asked only if
    /// `checking`) no longer quiet.
    final func wake(checking: Bool) -> Bool {
        if self.isOld || (checking && !self.channel.isQuiet() && !self.channel.settle(pool: &self.core.buffers)) {
            self.close()
            return false
        }
        // Its timer runs on, and means nothing until it rests again: moving it later then costs a store.
        self.core.handles.setUrgent(self, false)
        self.state = .leased
        return true
    }

    /// Puts itself into the pool; false if it must not, or there is no room.
    final func rest(idleMilliseconds: UInt32) -> Bool {
        guard self.channel.isClear, !self.channel.isBroken, !self.channel.isReadable, !self.channel.isPeerClosing,
            !self.channel.hasPart,
            !self.core.isDraining, !self.isOld, self.tls === self.pool.tls, self.pool.park(self)
        else { return false }
        if let tls { tls.keepTicket(of: self.channel) }
        self.state = .idle
        self.core.handles.setUrgent(self, true)
        self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(idleMilliseconds))
        return true
    }

    override func expired() {
        guard self.state == .idle else { return }
        self.pool.remove(self)
        self.close()
    }

    /// Closes and leaves the worker's table. Its exchange, if any, has let go of it before.
    func close() {
        guard self.state != .closed else { return }
        if self.state == .dialling, self.channel.isTLS { self.tls?.forgetTicket() }
        self.state = .closed
        self.channel.close(pool: &self.core.buffers)
        self.givePlaceBack()
        self.core.forget(self)
    }

    /// Another connection may be opened in its place: this one's socket is closed.
    final func givePlaceBack() {
        guard self.hasPlace else { return }
        self.hasPlace = false
        self.pool.connectionClosed(self.core)
    }

    // MARK: while it is dialling

    /// Somebody still waits for it.
    var isAwaited: Bool { false }

    /// Sends what stands before TLS.
    func introduce() {}

    /// What is offered to be spoken within TLS.
    var protocolOffer: ProtocolOffer { .nothing }

    /// It is connected, within TLS where that is wanted.
    func connected(_ facts: TLSFacts?) {}

    /// It has taken the place of an opening.
    func begin() {}

    /// Whether the exchange that asks is to count a failure to connect: of those that waited for one connection, one does.
    func takesBlame() -> Bool { true }

    /// The dial came to no connection.
    func dialFailed(_ code: Int32) {}

    /// TLS came to no session.
    func handshakeFailed(_ failure: TLSFailure) {}

    // MARK: what an exchange asks

    /// The exchange that was attached may send its head; else it hears of it.
    func isReady(_ stream: StreamID) -> Bool { self.state != .dialling }

    /// A further exchange may be attached to one that carries several. `checking`: only if it was found quiet just now.
    func hasRoom(checking: Bool) -> Bool { false }

    /// Several exchanges at a time, trailers included.
    var carriesSeveral: Bool { false }

    /// Exchanges that one that carries several has now.
    var streamCount: Int { 0 }

    /// Nothing is under way on one that carries several.
    final var isIdle: Bool { self.state == .idle }

    /// No further exchange: it ends behind those that it carries.
    func retire() {}

    /// Attaches the exchange.
    func open(for exchange: Exchange) -> StreamID { 0 }

    /// Sends the head, rewritten as the route wants it, with the first piece of the body: one write.
    func request(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, policy: RequestPolicy,
        context: UnsafePointer<RequestContext>,
        _ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow { .gone }

    /// A further piece of the request's body.
    func requestBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow { .gone }

    /// Whether all that was given has left.
    func isClear(_ stream: StreamID) -> Bool { true }

    /// Whether bytes can still be given.
    func isWritable(_ stream: StreamID) -> Bool { true }

    /// Bytes given that the endpoint's kernel has not acknowledged.
    func unacknowledged(_ stream: StreamID) -> Int { self.channel.unacknowledged() }

    /// Whether the endpoint has said anything since the exchange was attached.
    func hasAnswered(_ stream: StreamID) -> Bool { false }

    /// The client takes the answer again.
    func readAnswer(_ stream: StreamID) {}

    /// Passes on a piece of an answer that has to be coded: it is its turn.
    func passCoded(_ stream: StreamID) {}

    /// Bytes of memory that wait here for either side of the exchange.
    func held(for stream: StreamID) -> Int { 0 }

    /// Lets the exchange go.
    func release(_ stream: StreamID, _ end: EndpointEnd, idleMilliseconds: UInt32) {}
}
