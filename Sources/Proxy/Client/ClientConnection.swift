import HTTPWire
import Reactor
import Traffic

/// A client's connection, whatever protocol it speaks: what an exchange asks of it, and what all of them share.
///
/// Subclasses are leaves: they turn bytes into requests, open an exchange for each, and turn answers into bytes. A
/// connection that ends tells its exchanges before it leaves the worker's table.
class ClientConnection: Handle {
    /// A strong `let`: reading it costs no count, which reading an unowned one does. Neither is ever freed before the other.
    final let core: WorkerCore
    final var channel: Channel
    /// Where it came in.
    final let listener: ListenerState
    /// Who connected, or the one whom the proxy in front names.
    final let peer: IPAddress
    /// What the proxy in front said; nil: none stands in front.
    final let relay: RelayedConnection?
    /// What its TLS has agreed on; nil: plain.
    final let tls: ClientTLS?
    /// What its requests are forwarded with; most of it is the connection's, the rest is set for each request.
    final var context: RequestContext
    // The small ones stand together: an idle connection's memory is these objects.
    /// Only requests for hosts that the certificate in use names are served.
    final let isHostStrict: Bool
    /// Answers carry `Strict-Transport-Security`. A copy of what `tls` says: reading that costs two counts a request.
    final let addsStrictTransport: Bool
    private final let isCountedPerClient: Bool
    /// Connections to endpoints that tell of it may be kept for it.
    final var ownsEndpointConnections = false
    /// When output last moved, in milliseconds.
    final var lastProgress: UInt64
    /// When a lingering connection closes, whatever still comes.
    private final var lingerEnd: UInt64 = 0

    /// Milliseconds without a byte after which a lingering connection closes although `timeouts.linger` is not over.
    private static let lingerIdle: UInt64 = 5_000
    /// Milliseconds that a graceful stop leaves to a connection that only lingers.
    private static let drainLinger: UInt64 = 1_000
    /// Reads thrown away per event.
    private static let readsPerEvent = 4

    init(core: WorkerCore, channel: consuming Channel, origin: ClientOrigin) {
        self.core = core
        self.channel = channel
        self.listener = origin.listener
        self.peer = origin.address
        self.relay = origin.relay
        self.tls = origin.tls
        self.isHostStrict = origin.tls?.isHostStrict ?? false
        self.addsStrictTransport = origin.tls.map { !$0.strictTransport.isEmpty } ?? false
        self.context = RequestContext(
            peer: AddressText(origin.address.description.utf8), scheme: origin.tls == nil ? .http : .https,
            isPeerTrusted: false, requestID: (0, 0),
            upgrades: false)
        self.isCountedPerClient = origin.isCountedPerClient
        self.lastProgress = core.now
        super.init()
    }

    /// Counts itself in and registers; false if the kernel has no room, and then it is closed.
    final func enter() -> Bool {
        self.core.counts.connections += 1
        self.core.register(self)
        do throws(SystemError) {
            try self.channel.register(with: self.core.loop, token: self.token)
            return true
        } catch {
            self.leave()
            return false
        }
    }

    /// Goes on in the place of a handshake that is over: counted and watched already.
    func takePlace(of handshake: ClientHandshake) {
        self.core.handles.replace(handshake, with: self)
    }

    /// Closes the channel and leaves the worker's table.
    final func leave() {
        if self.ownsEndpointConnections { self.core.closeIdle(of: self.token) }
        if self.tls != nil, self.channel.hasTooManyKeyUpdates {
            self.listener.counts.tls.fail(TLSFailure.Kind.keyUpdates.rawValue)
        }
        self.channel.close(pool: &self.core.buffers)
        self.core.counts.connections -= 1
        if self.isCountedPerClient { self.core.admission.leave(self.peer) } else { self.core.admission.leave() }
        self.core.forget(self)
    }

    final func arm(at deadline: UInt64) {
        self.core.wheel.schedule(self.slot, at: deadline)
    }

    // MARK: lingering

    /// Behind the last byte: shows the client our end, and has what it still sends read and forgotten. To close at once would
    /// reset the answer out of its receive queue.
    final func beginLinger() {
        self.channel.finishWriting(pool: &self.core.buffers)
        let linger = UInt64(self.core.timeouts.linger)
        self.lingerEnd = self.core.now + (self.core.isDraining ? min(linger, Self.drainLinger) : linger)
        self.arm(at: min(self.lingerEnd, self.core.now + Self.lingerIdle))
        if self.channel.isReadable { self.core.makeRunnable(self) }
    }

    /// A graceful stop has begun while the connection lingers.
    final func shortenLinger() {
        self.lingerEnd = min(self.lingerEnd, self.core.now + Self.drainLinger)
        self.arm(at: self.lingerEnd)
    }

    /// Reads and forgets. False: the client has ended too, and nothing is left to wait for.
    final func discardInput() -> Bool {
        for _ in 0..<Self.readsPerEvent {
            guard self.channel.isReadable else { return true }
            switch self.channel.read(into: self.core.memory.input, pool: &self.core.buffers) {
            case .bytes: self.arm(at: min(self.lingerEnd, self.core.now + Self.lingerIdle))
            case .dry: return true
            case .ended, .failed: return false
            }
        }
        self.core.makeRunnable(self)
        return true
    }

    /// Both ends of its connection, or of the one that the proxy in front speaks of; nil: it is gone.
    final var announcedAddresses: (source: SocketAddress, destination: SocketAddress)? {
        if let relay { return (relay.source, relay.destination) }
        return self.channel.addresses().map { ($0.peer, $0.own) }
    }

    /// Lines that tell of the certificate that it has shown; nil: it has shown none.
    final var certificateLines: UnsafeRawBufferPointer? {
        guard let tls else { return nil }
        return tls.certificateLines(self.channel)
    }

    /// Bytes held because the client does not take them.
    var heldOutput: Int { self.channel.unsent.held }

    /// Nothing can be written to the client any more.
    final var isLost: Bool { self.channel.isBroken }

    // MARK: what an exchange asks

    /// Gives the answer's head with the first piece of its body: one write.
    func answer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow { .gone }

    /// An interim (1xx) answer.
    func answerInterim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, on stream: StreamID) -> Flow { .gone }

    /// A 101, with what the endpoint sent behind it. From here both directions carry bytes.
    func answerSwitch(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, early: UnsafeRawBufferPointer,
        on stream: StreamID
    ) -> Flow { .gone }

    /// A further piece of the answer's body.
    func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow { .gone }

    /// An answer of the balancer's own, whole.
    func reply(_ answer: LocalAnswer, on stream: StreamID) -> Flow { .gone }

    /// `100 Continue`: the balancer itself asks for the body.
    func sendContinue(on stream: StreamID) {}

    /// The answer is whole although the request still comes: a client that was told that the connection ends sees the end.
    func endAnswer(_ stream: StreamID) {}

    /// Whether all that was given has left.
    func isClear(_ stream: StreamID) -> Bool { true }

    /// Bytes given that the client's kernel has not acknowledged: how a slow client is told from a stalled one.
    func unacknowledged(_ stream: StreamID) -> Int { self.channel.unacknowledged() }

    /// The exchange takes body bytes again. They are read later in the turn, not within this call.
    func wantBody(_ stream: StreamID) {}

    /// The exchange is over and recorded.
    func finish(_ stream: StreamID, _ end: AnswerEnd) {}

    /// The endpoint's side of a tunnel was cut: this side ends alike. The exchange is recorded already.
    func unreachable(_ stream: StreamID) {}

    /// The process holds too much for slow clients, and this one is among those that hold most and move least.
    func relieve() {}

    /// HTTP version for the access log, such as `HTTP/1.1`.
    func protocolName(_ stream: StreamID) -> StaticString { "" }
}
