import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// An endpoint that speaks HTTP/2: an exchange for each stream. `Session` decides about frames, streams and windows; this holds the
/// bytes and the exchanges, as `HTTP2Carrier` says.
///
///     leased ──no stream left──▶ idle ──a stream──▶ leased
///       │                         │
///       └──retired, and no stream left: GOAWAY──▶ closed ◀── ended, broke, a fault: each exchange hears of it once
///                                                  ▲
///       over ──the last whole answer was taken─────┘ ◀── the same, while whole answers wait here for slow clients
///
/// Retired: too old, going away, drained, or of another configuration. It takes no further exchange and ends behind those that
/// it carries.
final class HTTP2Endpoint: EndpointConnection, HTTP2Carrier {
    var session: Session
    var tables: HPACKTables
    var streams: ContiguousArray<HTTP2Stream> = []
    var inbound = ByteQueue()
    var outbox = ByteQueue()
    var pace = HTTP2Pace()
    let unsentLimit: Int
    /// Bytes that stand in front of whatever the connection sends next, an acknowledgement or another stream.
    private static let unsentInKernel: Int32 = 65_536
    /// Milliseconds without a frame after which a stream that is given up speaks against the whole connection.
    private static let silence: UInt64 = 5_000
    /// It stands in its pool's list.
    private var isListed = false
    private var isRetired = false
    /// An exchange has counted that the connection came to nothing.
    private var hasBlamed = false
    /// The connection itself has ended. What is left are answers that came whole, and whose clients still take them.
    private var isOver = false
    /// Exchanges that have no stream yet, by the number that they were given; those that were let go leave a gap.
    private var held: ContiguousArray<Reference<Exchange>?> = []
    /// How long it may be idle, as the last exchange's route says.
    private var idleMilliseconds: UInt32 = 60_000
    /// When it has been idle for so long; 0: it is not.
    private var idleUntil: UInt64 = 0

    init(inPlaceOf opening: EndpointConnection, tables: consuming HPACKTables) {
        let core = opening.core
        let limits = core.plan.table.spec.limits
        self.tables = tables
        var timeouts = SessionTimeouts()
        if opening.connectDeadline > 0 {
            // Connected is who has said what a connection begins with.
            timeouts.preface = max(opening.connectDeadline, core.now + 1) - core.now
        }
        self.session = Session(
            role: .client, limits: SessionLimits(upstream: limits), timeouts: timeouts, lifetime: .max, now: core.now)
        self.unsentLimit = 10 * Int(limits.http2.unsentControl)
        super.init(inPlaceOf: opening)
    }

    override func begin() {
        self.core.prepareHTTP2()
        self.isListed = true
        self.pool.list(self)
        self.core.counts.http2Endpoints += 1
        self.channel.limitUnsent(Self.unsentInKernel)
        var out = FrameWriter(self.core.http2.control)
        self.session.begin(into: &out)
        self.keep(out)
        self.rearm()
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        guard self.state != .closed, !self.isOver else { return }
        self.channel.note(readiness)
        if readiness.contains(.output), !self.channel.isClear { self.drainChannel() }
        self.advance()
    }

    override func resume() {
        guard self.state != .closed else { return }
        guard !self.isOver else { return self.passRest() }
        self.pace.isResuming = true
        self.advance()
        if self.isServing {
            self.passHeld()
            self.letHeldGo()
            self.settle()
        }
        self.flush()
        self.pace.isResuming = false
        guard self.state != .closed else { return }
        if self.isOver ? self.pace.canSend : self.hasWaitingWork { self.core.makeRunnable(self) }
    }

    private func advance() {
        guard self.isServing else { return }
        self.readFrames()
        guard self.isServing else { return }
        self.rearm()
        if self.hasWaitingWork { self.wantTurn() }
    }

    private func flush() {
        guard self.state != .closed else { return }
        if self.channel.isBroken { return self.lost(isClean: false) }
        self.sendOutbox()
    }

    func rearm() {
        guard self.state != .closed else { return }
        self.core.wheel.schedule(
            self.slot, at: min(self.nextDeadline, self.idleUntil > 0 ? self.idleUntil : .max))
    }

    override func expired() {
        guard self.state != .closed, !self.isOver else { return }
        // An exchange that waits here without a stream has come a moment ago.
        if self.idleUntil > 0, self.core.now >= self.idleUntil, !self.isAwaited { return self.leave() }
        var out = FrameWriter(self.core.http2.control)
        do throws(ConnectionFault) {
            try self.session.tick(now: self.core.now, into: &out)
            self.keep(out)
            self.streamsAreDue()
            self.rearm()
        } catch {
            self.keep(out)
            // It has not said what it had to say in time: that is no answer, so another may be asked. Who has said nothing at all
            // was never connected, and that counts once.
            if self.session.hasPeerSettings {
                self.fail(error) { $0.endpointBroke() }
            } else {
                self.fail(error) { $0.dialFailed(ETIMEDOUT, isCounted: self.takesBlame()) }
            }
        }
    }

    // MARK: who may come, and what is left when all have gone

    override func hasRoom(checking: Bool) -> Bool {
        guard self.isServing, !self.isRetired, !self.channel.isBroken, self.session.hasRoomForStream else {
            return false
        }
        guard !self.isOld else {
            self.wantTurn()
            return false
        }
        // What stands unread may be its end.
        return !checking || self.state != .idle || self.channel.isQuiet()
    }

    override var carriesSeveral: Bool { true }

    override func takesBlame() -> Bool {
        defer { self.hasBlamed = true }
        return !self.hasBlamed
    }

    /// An exchange waits without a stream.
    override var isAwaited: Bool { self.held.contains { $0 != nil } }

    override var streamCount: Int { self.session.streams.count }

    override func retire() {
        self.isRetired = true
        self.unlist()
        self.wantTurn()
    }

    private func unlist() {
        guard self.isListed else { return }
        self.isListed = false
        self.pool.unlist(self)
    }

    /// Without a stream: rests, or leaves.
    private func settle() {
        if self.isOld || !self.session.takesStreams || self.core.isDraining || self.tls !== self.pool.tls
            || self.pool.dialsHTTP1
        {
            self.isRetired = true
            self.unlist()
        }
        guard self.session.streams.isEmpty, self.state != .closed, !self.isAwaited else { return }
        // One that takes no stream at all would only wait for its time, and each request would open another beside it.
        let isOfUse = !self.isRetired && self.session.hasRoomForStream
        guard isOfUse, self.state == .idle || self.pool.keeps(self) else { return self.leave() }
        if self.state == .leased { self.rest() }
    }

    private func rest() {
        if let tls { tls.keepTicket(of: self.channel) }
        self.state = .idle
        self.core.handles.setUrgent(self, true)
        self.idleUntil = self.core.now + UInt64(self.idleMilliseconds)
        self.rearm()
    }

    /// Says that it goes, and goes: nothing is under way.
    private func leave() {
        var out = FrameWriter(self.core.http2.control)
        self.session.warn(now: self.core.now, into: &out)
        self.keep(out)
        self.sendOutbox()
        self.close()
    }

    override func drain(grace: UInt64) { self.retire() }

    override func close() {
        guard self.state != .closed else { return }
        self.unlist()
        if !self.pace.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.outbox.clear(pool: &self.core.buffers)
        self.core.counts.http2Endpoints -= 1
        super.close()
    }

    // MARK: what goes wrong

    /// The connection has ended: its exchanges hear of it, once each.
    private func lost(isClean: Bool) {
        guard self.state != .closed, !self.isOver else { return }
        self.end { exchange in
            if isClean { exchange.endpointEnded(hasPart: false) } else { exchange.endpointBroke() }
        }
    }

    private func end(_ tell: (Exchange) -> Void) {
        guard !self.isOver else { return }
        let whole = self.streams.indices.filter { self.holdsWholeAnswer($0) }
        let exchanges =
            self.held.compactMap { $0 }
            + self.streams.indices.filter { !whole.contains($0) }.compactMap { self.streams[$0].exchange }
        self.held = []
        if whole.isEmpty { self.close() } else { self.endBefore(whole) }
        // What is known of each stream is asked for still.
        for exchange in exchanges { tell(exchange.object) }
        guard self.state == .closed else { return }
        for slot in self.streams.indices { self.streams[slot].clear(pool: &self.core.buffers) }
    }

    /// The answer's last byte has come, and waits for a client that is slow: nothing that happens to the stream or the connection
    /// from here on takes anything of it away.
    func holdsWholeAnswer(_ slot: Int) -> Bool {
        let stream = self.streams[slot]
        return stream.exchange != nil && stream.hasEnd && !stream.hasGivenEnd && !stream.isTunnel
    }

    /// Nothing more is sent on the stream.
    func stopSending(_ slot: Int) {
        self.streams[slot].outbound.clear(pool: &self.core.buffers)
        self.streams[slot].outboundTrailers.clear(pool: &self.core.buffers)
        self.streams[slot].endsOutput = false
        self.pace.canSend = true
        self.wantTurn()
    }

    /// The connection ends, and the answers of these streams are still to be taken.
    private func endBefore(_ whole: [Int]) {
        self.isOver = true
        self.isRetired = true
        self.unlist()
        if !self.pace.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.outbox.clear(pool: &self.core.buffers)
        self.channel.close(pool: &self.core.buffers)
        self.givePlaceBack()
        for slot in whole { self.stopSending(slot) }
    }

    /// What is left of a connection that has ended, as its clients take it.
    private func passRest() {
        self.pace.isResuming = true
        self.passHeld()
        self.pace.isResuming = false
        if self.session.streams.isEmpty {
            self.close()
        } else if self.pace.canSend {
            self.core.makeRunnable(self)
        }
    }

    func fail(_ fault: ConnectionFault) { self.fail(fault) { $0.answerIsNone() } }

    private func fail(_ fault: ConnectionFault, _ tell: (Exchange) -> Void) {
        guard self.isServing else { return }
        var out = FrameWriter(self.core.http2.control)
        self.session.fail(fault, into: &out)
        self.keep(out)
        self.sendOutbox()
        self.end(tell)
    }

    func inputEnded(isClean: Bool) { self.lost(isClean: isClean) }

    /// The server broke a rule of the stream, which is reset.
    func streamBroke(_ slot: Int) { self.tell(slot) { $0.answerIsNone() } }

    func trailersBroke(_ slot: Int) throws(ConnectionFault) {
        self.reset(slot, .protocolError)
        self.streamBroke(slot)
    }

    /// The exchange of a stream that is over hears why; its slot is free then.
    func tell(_ slot: Int, _ body: (Exchange) -> Void) {
        let exchange = self.streams[slot].exchange
        self.streams[slot].exchange = nil
        if let exchange { body(exchange.object) }
        if self.streams[slot].identifier != 0 { self.forget(slot) }
    }

    // MARK: as a carrier

    var isServing: Bool { (self.state == .leased || self.state == .idle) && !self.isOver }
    var isClosed: Bool { self.state == .closed || self.isOver }
    var awaitsPreface: Bool { false }
    /// More than toward a client: a server that has to be read before it reads would wait for ever.
    var hasRoom: Bool { self.waitingOutput < Self.outputLimit }
    private static let outputLimit = 4 << 20
    func takePreface(_ bytes: UnsafeRawBufferPointer) -> Int { 0 }
    func takesBody(_ exchange: Exchange) -> Bool { exchange.takesAnswer }
    /// Answers that are coded take turns with one another, a read's worth each.
    func passesAtOnce(_ exchange: Exchange) -> Bool { !exchange.mayCode }
    func passLater(_ exchange: Exchange) {
        if exchange.mayCode { self.core.makeRunnable(coding: exchange) }
    }
    func pass(_ piece: BodyPiece, _ data: UnsafeRawPointer?, to exchange: Exchange) { exchange.answerBody(piece, data) }
    func trailerRules(_ exchange: Exchange) -> TrailerRules { exchange.answerTrailers }
    func peerMoved(_ exchange: Exchange) { exchange.endpointMoved() }
    func peerCleared(_ exchange: Exchange) { exchange.endpointClear() }
    func noteProgress() {}

    func forget(_ slot: Int) {
        guard self.streams[slot].identifier != 0 else { return }
        self.drop(slot)
        self.wantTurn()
    }

    // MARK: what an exchange asks

    override func isReady(_ stream: StreamID) -> Bool { stream > 0 }

    override func open(for exchange: Exchange) -> StreamID {
        guard !exchange.grantsUpgrade || self.opens(exchange), let slot = self.session.open() else {
            return self.hold(exchange)
        }
        let identifier = self.session.streams[slot].identifier
        self.prepare(slot, identifier)
        self.streams[slot].exchange = Reference(to: exchange)
        self.streams[slot].hasBody = true
        self.streams[slot].framesBefore = self.pace.frames
        self.streams[slot].openedAt = self.core.now
        if self.state == .idle {
            self.core.handles.setUrgent(self, false)
            self.state = .leased
            self.idleUntil = 0
        }
        return StreamID(bitPattern: identifier)
    }

    /// Whether it opens WebSockets is known with its SETTINGS.
    private func hold(_ exchange: Exchange) -> StreamID {
        self.held.append(Reference(to: exchange))
        self.wantTurn()
        return -StreamID(self.held.count)
    }

    /// It is known, or a stream has come free.
    private func letHeldGo() {
        guard !self.held.isEmpty, self.session.hasPeerSettings else { return }
        let held = self.held
        self.held = []
        for case let exchange? in held {
            exchange.with { exchange in
                if exchange.grantsUpgrade, !self.opens(exchange) {
                    exchange.handshakeFailed(.notNegotiated, isCounted: false)
                } else if self.session.hasRoomForStream {
                    exchange.connected(over: self)
                } else if !self.session.takesStreams {
                    exchange.endpointBroke(.leftBehind)
                } else if self.session.streams.isEmpty {
                    // It takes none at all; another connection would say the same, and so on without end.
                    exchange.endpointBroke(.streamRefused)
                } else {
                    exchange.dialAgain()
                }
            }
        }
    }

    override func request(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, policy: RequestPolicy,
        context: UnsafePointer<RequestContext>,
        _ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        self.writeRequest(head, fields, source, policy: policy, context: context, piece, data, on: stream)
    }

    override func requestBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        guard !self.isOver, let slot = self.slot(of: stream) else { return .gone }
        return self.send(slot, piece, data)
    }

    override func isClear(_ stream: StreamID) -> Bool { self.hasLeft(stream) }

    override func isWritable(_ stream: StreamID) -> Bool {
        guard self.isServing, !self.channel.isBroken, let slot = self.slot(of: stream) else { return false }
        return !self.session.streams[slot].hasEnded
    }

    override func unacknowledged(_ stream: StreamID) -> Int { self.heldBack(stream) }

    override func hasAnswered(_ stream: StreamID) -> Bool {
        guard let slot = self.slot(of: stream) else { return true }
        return self.pace.frames != self.streams[slot].framesBefore
    }

    override func readAnswer(_ stream: StreamID) { self.feedLater(stream) }

    override func passCoded(_ stream: StreamID) {
        guard self.state != .closed, let slot = self.session.streams.find(UInt32(bitPattern: stream)),
            let exchange = self.streams[slot].exchange, self.hasHeld(slot), exchange.with({ $0.takesAnswer })
        else { return }
        self.giveHeld(slot, atMost: WorkerCore.codedAtOnce)
        guard self.streams[slot].identifier == UInt32(bitPattern: stream), self.hasHeld(slot),
            exchange.with({ $0.takesAnswer })
        else { return }
        exchange.with { self.passLater($0) }
    }

    override func held(for stream: StreamID) -> Int {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)) else { return 0 }
        return self.streams[slot].inbound.held + self.streams[slot].outbound.held
    }

    override func release(_ stream: StreamID, _ end: EndpointEnd, idleMilliseconds: UInt32) {
        guard self.state != .closed else { return }
        guard stream > 0 else {
            let position = Int(-1 - stream)
            if self.held.indices.contains(position) { self.held[position] = nil }
            return
        }
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)) else { return }
        self.idleMilliseconds = idleMilliseconds
        if end != .clean, self.isSilent(slot) { self.retire() }
        self.streams[slot].exchange = nil
        // Unless both messages have ended it wants no more of it.
        self.reset(slot, .cancel)
        self.forget(slot)
    }
}

extension HTTP2Endpoint {
    /// Nothing at all has come since the stream was opened: nobody may be there any more, and the next request shall not wait for
    /// that, too. No PING asks: gRPC's servers count them.
    private func isSilent(_ slot: Int) -> Bool {
        self.pace.frames == self.streams[slot].framesBefore
            && self.core.now &- self.streams[slot].openedAt >= Self.silence
    }
}

extension SessionLimits {
    /// Toward endpoints: they are ours, and may send larger heads than clients.
    init(upstream limits: Limits) {
        self.init()
        self.concurrentStreams = 256
        self.resets = 10_000
        self.unsentControl = 10 * Int(limits.http2.unsentControl)
        self.streamWindow = Int(limits.http2.streamWindow)
        self.connectionWindow = Int(limits.http2.connectionWindow)
        self.headerBytes = max(65_536, Int(limits.headerBytes))
    }
}
