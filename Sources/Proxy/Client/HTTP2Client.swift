import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// A client that speaks HTTP/2: an exchange for each stream. `Session` decides about frames, streams and windows; this holds the
/// bytes and the exchanges, as `HTTP2Carrier` says.
///
///     serving ──over, or a fault──▶ closing ──flushed──▶ lingering ──▶ closed
final class HTTP2Client: ClientConnection, HTTP2Carrier {
    enum State { case serving, closing, lingering, closed }

    var state = State.serving
    var session: Session
    var tables: HPACKTables
    var streams: ContiguousArray<HTTP2Stream> = []
    private var hasPreface = false
    var inbound = ByteQueue()
    var outbox = ByteQueue()
    var pace = HTTP2Pace()
    let unsentLimit: Int
    /// The client was told that it may open WebSockets.
    let opensWebSockets: Bool

    /// Bytes that stand in front of whatever the connection sends next, an acknowledgement or another stream.
    private static let unsentInKernel: Int32 = 65_536

    init(core: WorkerCore, channel: consuming Channel, origin: ClientOrigin, tables: consuming HPACKTables) {
        let spec = core.plan.table.spec
        self.tables = tables
        let lifetime = UInt64(spec.timeouts.connectionLifetime)
        self.session = Session(
            limits: SessionLimits(spec.limits), timeouts: SessionTimeouts(spec.timeouts),
            lifetime: lifetime - lifetime / 10 + UInt64(core.random.below(Int(lifetime / 5) + 1)), now: core.now)
        self.unsentLimit = Int(spec.limits.http2.unsentControl)
        self.opensWebSockets = core.plan.shared.opensWebSockets
        super.init(core: core, channel: channel, origin: origin)
        self.core.counts.http2.connections += 1
    }

    override func takePlace(of handshake: ClientHandshake) {
        super.takePlace(of: handshake)
        self.core.prepareHTTP2()
        self.channel.limitUnsent(Self.unsentInKernel)
        var out = FrameWriter(self.core.http2.control)
        self.session.begin(into: &out, extendedConnect: self.opensWebSockets)
        self.keep(out)
        self.rearm()
        // It went while the handshake took its time.
        if self.listener.isLeaving { self.warn() }
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        self.channel.note(readiness)
        if readiness.contains(.error) || readiness.contains(.hangUp) { return self.lost(.clientClosed) }
        if readiness.contains(.output), !self.channel.isClear { self.drainChannel() }
        self.advance()
    }

    override func resume() {
        self.pace.isResuming = true
        self.advance()
        if self.state == .serving {
            self.passHeld()
            if self.session.isOver, self.state == .serving { self.endOutput() }
        }
        self.flush()
        self.pace.isResuming = false
        if self.hasWork { self.core.makeRunnable(self) }
    }

    private func advance() {
        switch self.state {
        case .serving:
            self.readFrames()
            if self.state == .serving { self.rearm() }
            if self.hasWork { self.wantTurn() }
        case .lingering: if !self.discardInput() { self.close() }
        case .closing, .closed: break
        }
    }

    private var hasWork: Bool {
        switch self.state {
        case .serving:
            self.hasWaitingWork || self.session.isOver
        case .closing: self.channel.isClear || self.channel.isBroken
        case .lingering: self.channel.isReadable
        case .closed: false
        }
    }

    func rearm() { self.arm(at: self.nextDeadline) }

    override func expired() {
        switch self.state {
        case .serving:
            var out = FrameWriter(self.core.http2.control)
            self.notePeer()
            do throws(ConnectionFault) {
                try self.session.tick(now: self.core.now, into: &out)
                self.keep(out)
                self.streamsAreDue()
                self.rearm()
            } catch {
                self.keep(out)
                self.fail(error)
            }
            self.wantTurn()
        case .closing:
            self.channel.cut(pool: &self.core.buffers)
            self.close()
        case .lingering: self.close()
        case .closed: break
        }
    }

    /// Bytes on their way that may keep our question from a client for as long as it has for its answer.
    private static let backlog = 16_384

    /// A client that takes what stands before our question lives. What the kernel has only taken from us says nothing of it.
    private func notePeer() {
        let unacknowledged = self.channel.unacknowledged()
        if self.pace.unacknowledged >= Self.backlog, unacknowledged < self.pace.unacknowledged {
            self.session.moved(at: self.core.now)
        }
        self.pace.unacknowledged = unacknowledged
    }

    // MARK: ends

    override func drain(grace: UInt64) {
        switch self.state {
        case .serving: self.warn()
        case .lingering: self.shortenLinger()
        case .closing, .closed: break
        }
    }

    /// Begins the graceful end: the streams that are open, and those on their way, are still served.
    func warn() {
        guard self.state == .serving, !self.session.isEnding else { return }
        var out = FrameWriter(self.core.http2.control)
        self.session.warn(now: self.core.now, into: &out)
        self.keep(out)
        self.rearm()
    }

    override func abandon() {
        guard self.state != .closed else { return }
        let isCut = !self.channel.isClear || self.streams.contains { $0.exchange != nil }
        self.giveUp(.shutdown)
        if isCut { self.channel.cut(pool: &self.core.buffers) }
        self.close()
    }

    override func relieve() {
        guard self.state != .closed else { return }
        self.giveUp(.heldTooMuch)
        self.channel.cut(pool: &self.core.buffers)
        self.close()
    }

    /// The client cannot be reached any more.
    func lost(_ reason: LocalReason) {
        guard self.state != .closed else { return }
        self.giveUp(reason)
        self.close()
    }

    /// Every exchange lets go.
    private func giveUp(_ reason: LocalReason) {
        for slot in self.streams.indices where self.streams[slot].identifier != 0 { self.giveUp(slot, reason) }
    }

    private func giveUp(_ slot: Int, _ reason: LocalReason) {
        if let exchange = self.streams[slot].exchange {
            self.streams[slot].exchange = nil
            exchange.with { $0.clientGone(reason) }
        }
        self.forget(slot)
    }

    /// The stream was reset.
    func cancelled(_ slot: Int, _ reason: LocalReason) {
        // Behind a whole answer it ends nothing but the rest of the request.
        if reason == .clientClosed, self.session.streams[slot].hasEnded,
            let exchange = self.streams[slot].exchange
        {
            _ = exchange.with { $0.requestCut() }
        }
        if self.streams[slot].identifier != 0 { self.giveUp(slot, reason) }
        self.wantTurn()
    }

    func forget(_ slot: Int) {
        guard self.streams[slot].identifier != 0 else { return }
        self.core.counts.http2.streams -= 1
        self.drop(slot)
        if self.state == .serving { self.rearm() }
    }

    /// The peer broke a rule of the connection, or asked too much of it.
    func fail(_ fault: ConnectionFault) {
        guard self.state == .serving else { return }
        if let flood = fault.flood { self.core.counts.http2.floods[Int(flood.rawValue)] &+= 1 }
        self.giveUp(.clientClosed)
        var out = FrameWriter(self.core.http2.control)
        self.session.fail(fault, into: &out)
        self.keep(out)
        self.endOutput()
    }

    /// Behind the last frame: ends so that the client still reads it.
    private func endOutput() {
        self.state = .closing
        if !self.pace.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.arm(at: self.core.now + UInt64(self.core.timeouts.responseBodyIdle))
        self.wantTurn()
    }

    private func finishOutput() {
        self.state = .lingering
        self.beginLinger()
    }

    private func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        if !self.pace.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.outbox.clear(pool: &self.core.buffers)
        self.core.counts.http2.connections -= 1
        self.leave()
    }

    // MARK: output

    private func flush() {
        guard self.state != .closed else { return }
        if self.channel.isBroken { return self.lost(.clientClosed) }
        self.sendOutbox()
        if self.state == .closing, self.channel.isClear { self.finishOutput() }
    }

    func noteProgress() { self.lastProgress = self.core.now }

    // MARK: as a carrier

    var isServing: Bool { self.state == .serving }
    var isClosed: Bool { self.state == .closed }
    var hasRoom: Bool { self.waitingOutput < Self.outputLimit }
    private static let outputLimit = 131_072
    var awaitsPreface: Bool { !self.hasPreface }

    func takePreface(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch Preface.match(bytes) {
        case .whole:
            self.hasPreface = true
            return Preface.count
        case .part: break
        case .other: self.fail(ConnectionFault(.protocolError))
        }
        return 0
    }

    func inputEnded(isClean: Bool) { self.lost(.clientClosed) }
    func streamBroke(_ slot: Int) { self.cancelled(slot, .badRequest) }
    func takesBody(_ exchange: Exchange) -> Bool { exchange.takesBody }
    func passesAtOnce(_ exchange: Exchange) -> Bool { true }
    func passLater(_ exchange: Exchange) {}
    func pass(_ piece: BodyPiece, _ data: UnsafeRawPointer?, to exchange: Exchange) {
        exchange.requestBody(piece, data)
    }
    func trailerRules(_ exchange: Exchange) -> TrailerRules { exchange.requestTrailers }
    func peerMoved(_ exchange: Exchange) { exchange.clientMoved() }
    func peerCleared(_ exchange: Exchange) { exchange.clientClear() }

    override var heldOutput: Int {
        // Bodies that the upstream does not take count too: a client can make us hold as much by them.
        // So do those that a route takes in before it asks anybody.
        self.streams.reduce(self.channel.unsent.held + self.outbox.held) { sum, stream in
            sum + stream.outbound.held + stream.inbound.held + (stream.exchange?.with { $0.heldBytes } ?? 0)
        }
    }

    // MARK: what an exchange asks

    override func answer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow { self.writeAnswer(head, source, edits: edits, piece, data, on: stream) }

    override func answerInterim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, on stream: StreamID) -> Flow {
        self.writeInterim(head, source, on: stream)
    }

    override func answerSwitch(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, early: UnsafeRawBufferPointer,
        on stream: StreamID
    ) -> Flow { self.writeSwitch(head, source, edits: edits, early: early, on: stream) }

    override func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        self.writeBody(piece, data, on: stream)
    }

    override func reply(_ answer: LocalAnswer, on stream: StreamID) -> Flow { self.writeReply(answer, on: stream) }

    override func sendContinue(on stream: StreamID) { self.writeContinue(on: stream) }

    override func isClear(_ stream: StreamID) -> Bool { self.hasLeft(stream) }

    override func unacknowledged(_ stream: StreamID) -> Int { self.heldBack(stream) }

    override func wantBody(_ stream: StreamID) { self.feedLater(stream) }

    override func finish(_ stream: StreamID, _ end: AnswerEnd) { self.finishStream(stream, end) }

    override func unreachable(_ stream: StreamID) { self.cutStream(stream) }

    override func protocolName(_ stream: StreamID) -> StaticString { "HTTP/2" }
}

extension SessionLimits {
    init(_ limits: Limits) {
        self.init()
        self.concurrentStreams = Int(limits.http2.concurrentStreams)
        self.resets = Int(limits.http2.resets)
        self.unsentControl = Int(limits.http2.unsentControl)
        self.streamWindow = Int(limits.http2.streamWindow)
        self.connectionWindow = Int(limits.http2.connectionWindow)
        self.headerBytes = Int(limits.headerBytes)
    }
}

extension SessionTimeouts {
    init(_ timeouts: Timeouts) {
        self.init()
        self.preface = UInt64(timeouts.requestHeader)
        self.keepAlive = UInt64(timeouts.keepAlive)
        self.ping = UInt64(timeouts.http2Ping)
    }
}
