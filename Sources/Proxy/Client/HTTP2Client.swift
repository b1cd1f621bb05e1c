import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// A client that speaks HTTP/2: an exchange for each stream. `Session` decides about frames, streams and windows; this holds the
/// bytes and the exchanges. HTTP2/LIFECYCLE.md states the machines and the races.
///
///     serving ──over, or a fault──▶ closing ──flushed──▶ lingering ──▶ closed
///
/// Input is read inside the connection's event and answers are only collected; `resume`, later in the same turn, passes held
/// bytes on and sends everything with one write. While frames lie in the worker's memory no exchange is told that the
/// client takes bytes again: an endpoint would read into that memory.
final class HTTP2Client: ClientConnection {
    enum State { case serving, closing, lingering, closed }

    var state = State.serving
    var session: Session
    var tables: HPACKTables
    /// By the session's slots.
    var streams: ContiguousArray<HTTP2Stream> = []
    var hasPreface = false
    /// Input that is no whole frame, or that nothing has looked at.
    var inbound = ByteQueue()
    var hasUntried = false
    /// `inbound`'s bytes are being used in place: its memory must stay.
    var isParsing = false
    /// Frames of this turn.
    var outbox = ByteQueue()
    /// A window or the socket has opened: streams that were held back may go on.
    var canSend = false
    /// The socket has: every exchange may.
    var hasCleared = false
    private var isResuming = false
    /// The stream that is served first in the next pass.
    var nextSlot = 0
    /// The one that hears first that the socket is clear.
    var nextTold = 0
    /// Acknowledgements and resets: of this turn, and those that the kernel has not taken.
    private var answers = 0
    private var unsentAnswers = 0
    private let unsentLimit: Int
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
        self.isResuming = true
        self.advance()
        if self.state == .serving {
            self.passHeld()
            if self.session.isOver, self.state == .serving { self.endOutput() }
        }
        self.flush()
        self.isResuming = false
        if self.hasWork { self.core.makeRunnable(self) }
    }

    /// Has `resume` called later in the turn; within it, what is wanted is done or found at its end.
    func wantTurn() {
        if !self.isResuming { self.core.makeRunnable(self) }
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
            !self.outbox.isEmpty || self.canSend || self.hasCleared || self.channel.isBroken || self.session.isOver
                || (self.hasRoom && (self.channel.isReadable || self.hasUntried))
        case .closing: self.channel.isClear || self.channel.isBroken
        case .lingering: self.channel.isReadable
        case .closed: false
        }
    }

    /// The client reads what it causes: more of its frames may be taken.
    var hasRoom: Bool { self.channel.unsent.count + self.outbox.count < Self.outputLimit }
    private static let outputLimit = 131_072

    func rearm() { self.arm(at: min(self.session.deadline, self.core.now + Self.longestWait)) }

    /// Milliseconds, far beyond any deadline that a session has.
    private static let longestWait: UInt64 = 86_400_000

    override func expired() {
        switch self.state {
        case .serving:
            var out = FrameWriter(self.core.http2.control)
            self.session.moved(at: self.lastProgress)
            do throws(ConnectionFault) {
                try self.session.tick(now: self.core.now, into: &out)
                self.keep(out)
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

    /// Nothing of the stream is held any more, and its slot is free.
    func forget(_ slot: Int) {
        guard self.streams[slot].identifier != 0 else { return }
        self.streams[slot].clear(pool: &self.core.buffers)
        self.core.counts.http2.streams -= 1
        var out = FrameWriter(self.core.http2.control)
        // One that is not done is left by a connection that ends as a whole.
        _ = self.session.detach(slot, now: self.core.now, into: &out)
        self.keep(out)
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
        if !self.isParsing { self.inbound.clear(pool: &self.core.buffers) }
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
        if !self.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.outbox.clear(pool: &self.core.buffers)
        self.core.counts.http2.connections -= 1
        self.leave()
    }

    // MARK: output

    /// Keeps control frames for the end of the turn.
    func keep(_ frames: borrowing FrameWriter) {
        guard frames.count > 0 else { return }
        if let code = frames.resetCode { self.core.counts.http2.resetsSent[code.index] &+= 1 }
        if let code = frames.goAwayCode { self.core.counts.http2.goAwaysSent[code.index] &+= 1 }
        guard self.state != .closed else { return }
        self.outbox.append(frames.bytes, pool: &self.core.buffers)
        self.answers += frames.answers
        self.wantTurn()
    }

    /// Sends what this turn has collected.
    func flush() {
        guard self.state != .closed else { return }
        if self.channel.isBroken { return self.lost(.clientClosed) }
        if !self.outbox.isEmpty {
            let bytes = self.outbox.mutableBytes
            self.core.http2.pieces[0] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            self.wrote(
                self.channel.write(
                    UnsafeMutableBufferPointer(rebasing: self.core.http2.pieces[0..<1]), pool: &self.core.buffers))
            if self.state == .closed { return }
        }
        if self.state == .closing, self.channel.isClear { self.finishOutput() }
    }

    /// The outbox has gone, with whatever stood behind it.
    func wrote(_ flow: Channel.Flow) {
        self.outbox.clear(pool: &self.core.buffers)
        switch flow {
        case .clear:
            self.lastProgress = self.core.now
            self.unsentAnswers = 0
        case .waits:
            self.unsentAnswers += self.answers
            if self.unsentAnswers > self.unsentLimit {
                // It does not read what it causes; it would not read GOAWAY either.
                self.core.counts.http2.floods[Int(Flood.unsentControl.rawValue)] &+= 1
                self.wantTurn()
                self.channel.cut(pool: &self.core.buffers)
            }
        case .gone: self.wantTurn()
        }
        self.answers = 0
    }

    private func drainChannel() {
        let (flow, moved) = self.channel.flush(pool: &self.core.buffers)
        if moved > 0 { self.lastProgress = self.core.now }
        switch flow {
        case .waits: break
        case .gone: self.wantTurn()
        case .clear:
            self.unsentAnswers = 0
            self.canSend = true
            self.hasCleared = true
            self.wantTurn()
        }
    }

    override var heldOutput: Int {
        // Bodies that the upstream does not take count too: a client can make us hold as much by them.
        // So do those that a route takes in before it asks anybody.
        self.streams.reduce(self.channel.unsent.held + self.outbox.held) { sum, stream in
            sum + stream.outbound.held + stream.inbound.held + (stream.exchange?.with { $0.held.held } ?? 0)
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
