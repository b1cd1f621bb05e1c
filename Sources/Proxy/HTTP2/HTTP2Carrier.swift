import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// A connection that carries exchanges as streams of HTTP/2, toward a client or an endpoint. What both share is in the extensions:
/// frames in (`+Input`), bodies in (`+Body`), frames out (`+Output`). HTTP2/LIFECYCLE.md states the machines and the races.
///
/// Input is read inside the connection's event and output is only collected; `resume`, later in the same turn, passes held bytes on
/// and sends everything with one write. While frames lie in the worker's memory no exchange is told that the peer takes bytes
/// again: the other side would read into that memory.
protocol HTTP2Carrier: Handle {
    var core: WorkerCore { get }
    var channel: Channel { get set }
    var session: Session { get set }
    var tables: HPACKTables { get set }
    /// By the session's slots.
    var streams: ContiguousArray<HTTP2Stream> { get set }
    /// Input that is no whole frame, or that nothing has looked at.
    var inbound: ByteQueue { get set }
    /// Frames of this turn.
    var outbox: ByteQueue { get set }
    var pace: HTTP2Pace { get set }

    /// Frames are taken and sent.
    var isServing: Bool { get }
    /// Nothing more is written.
    var isClosed: Bool { get }
    /// Acknowledgements and resets that the peer may leave unread.
    var unsentLimit: Int { get }
    /// The peer reads what it causes: more of its frames may be taken.
    var hasRoom: Bool { get }
    /// The peer's preface has not come.
    var awaitsPreface: Bool { get }

    // MARK: what differs

    /// Takes the preface, or says what is wrong. Answers how many bytes were used; 0: more must come.
    func takePreface(_ bytes: UnsafeRawBufferPointer) -> Int
    /// Does what a frame asks of this side alone. Answers how many bytes behind it were used with it.
    func follow(
        _ step: Session.Step, _ frame: Frame, _ bytes: UnsafeMutableRawBufferPointer, behind size: Int
    ) throws(ConnectionFault) -> Int
    /// The peer has sent its last byte, or the connection broke.
    func inputEnded(isClean: Bool)
    /// The peer broke a rule of the connection, or asked too much of it.
    func fail(_ fault: ConnectionFault)
    /// Its trailers are malformed or too long.
    func trailersBroke(_ slot: Int) throws(ConnectionFault)
    /// The peer broke a rule of a stream, which was reset.
    func streamBroke(_ slot: Int)

    /// Body bytes from the peer have somewhere to go.
    func takesBody(_ exchange: Exchange) -> Bool
    /// It may be passed on within the event that brings it, however much it is.
    func passesAtOnce(_ exchange: Exchange) -> Bool
    /// Has what is held for it passed on when it is its turn.
    func passLater(_ exchange: Exchange)
    /// A piece of the body from the peer.
    func pass(_ piece: BodyPiece, _ data: UnsafeRawPointer?, to exchange: Exchange)
    func trailerRules(_ exchange: Exchange) -> TrailerRules
    /// The peer took bytes that waited for it; and all that waited.
    func peerMoved(_ exchange: Exchange)
    func peerCleared(_ exchange: Exchange)
    /// The stream is over on this side: nothing of it is held any more.
    func forget(_ slot: Int)
    /// Output moved.
    func noteProgress()
    func rearm()
}

extension HTTP2Carrier {
    /// Has `resume` called later in the turn; within it, what is wanted is done or found at its end.
    func wantTurn() {
        if !self.pace.isResuming { self.core.makeRunnable(self) }
    }

    /// Something waits for `resume`.
    var hasWaitingWork: Bool {
        !self.outbox.isEmpty || self.pace.canSend || self.pace.hasCleared || self.channel.isBroken
            || (self.hasRoom && (self.channel.isReadable || self.pace.hasUntried))
    }

    /// Bytes that wait for the peer.
    var waitingOutput: Int { self.channel.unsent.count + self.outbox.count }

    /// When something is due at the latest. Milliseconds, far beyond any deadline that a session has.
    var nextDeadline: UInt64 {
        min(self.session.deadline, self.pace.streamsDue, self.core.now + 86_400_000)
    }

    /// The stream's slot, unless it was reset.
    func slot(of stream: StreamID) -> Int? {
        guard let slot = self.session.streams.find(UInt32(bitPattern: stream)), !self.session.streams[slot].isCancelled
        else { return nil }
        return slot
    }

    /// Room for what a stream holds.
    func prepare(_ slot: Int, _ identifier: UInt32) {
        while self.streams.count <= slot { self.streams.append(HTTP2Stream()) }
        self.streams[slot].identifier = identifier
    }

    /// Nothing of the stream is held any more, and its slot is free.
    func drop(_ slot: Int) {
        self.streams[slot].clear(pool: &self.core.buffers)
        var out = FrameWriter(self.core.http2.control)
        // One that is not done is left by a connection that ends as a whole.
        _ = self.session.detach(slot, now: self.core.now, into: &out)
        self.keep(out)
    }

    /// Resets a stream that is not done.
    func reset(_ slot: Int, _ code: ErrorCode) {
        var out = FrameWriter(self.core.http2.control)
        try? self.session.reset(slot, code, isCharged: false, now: self.core.now, into: &out)
        self.keep(out)
    }

    func adoptPeerTable() {
        guard let (least, last) = self.session.takePeerTable() else { return }
        self.tables.deflater.adopt(tableSize: least)
        self.tables.deflater.adopt(tableSize: last)
    }

    // MARK: output

    /// Keeps control frames for the end of the turn.
    func keep(_ frames: borrowing FrameWriter) {
        guard frames.count > 0 else { return }
        if self.session.role == .server {
            if let code = frames.resetCode { self.core.counts.http2.resetsSent[code.index] &+= 1 }
            if let code = frames.goAwayCode { self.core.counts.http2.goAwaysSent[code.index] &+= 1 }
        }
        guard !self.isClosed else { return }
        self.outbox.append(frames.bytes, pool: &self.core.buffers)
        self.pace.answers += frames.answers
        self.wantTurn()
    }

    /// Sends what this turn has collected.
    func sendOutbox() {
        guard !self.outbox.isEmpty, !self.channel.isBroken else { return }
        let bytes = self.outbox.mutableBytes
        self.core.http2.pieces[0] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        self.wrote(
            self.channel.write(
                UnsafeMutableBufferPointer(rebasing: self.core.http2.pieces[0..<1]), pool: &self.core.buffers))
    }

    /// The outbox has gone, with whatever stood behind it.
    func wrote(_ flow: Channel.Flow) {
        self.outbox.clear(pool: &self.core.buffers)
        switch flow {
        case .clear:
            self.noteProgress()
            self.pace.unsentAnswers = 0
        case .waits:
            self.pace.unsentAnswers += self.pace.answers
            if self.pace.unsentAnswers > self.unsentLimit {
                // It does not read what it causes; it would not read GOAWAY either.
                if self.session.role == .server {
                    self.core.counts.http2.floods[Int(Flood.unsentControl.rawValue)] &+= 1
                }
                self.wantTurn()
                self.channel.cut(pool: &self.core.buffers)
            }
        case .gone: self.wantTurn()
        }
        self.pace.answers = 0
    }

    /// The kernel takes bytes again.
    func drainChannel() {
        let (flow, moved) = self.channel.flush(pool: &self.core.buffers)
        if moved > 0 {
            self.noteProgress()
            // It had no room before: the peer has taken what was in its way.
            self.session.moved(at: self.core.now)
        }
        switch flow {
        case .waits: break
        case .gone: self.wantTurn()
        case .clear:
            self.pace.unsentAnswers = 0
            self.pace.canSend = true
            self.pace.hasCleared = true
            self.wantTurn()
        }
    }
}
