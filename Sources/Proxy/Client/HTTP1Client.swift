import HTTPWire
import Reactor
import Traffic

/// A client that speaks HTTP/1: one exchange at a time.
///
///     idle ──first byte──▶ head ──complete head──▶ serving ──exchange over──▶ idle
///       │                   │                        │ must close
///       │                   └──bad──▶ closing ◀──────┘
///       └────────▶ closed ◀── lingering ◀──flushed──┘
///
/// Pipelined requests wait unparsed in `inbound`, and nothing more is read meanwhile, so answers keep their order and a
/// client cannot make us hold more than one read's worth.
///
/// Races written down:
/// - The last answer leaves while the client still sends: the connection reads on and forgets for a while (`lingering`), or
///   closing would reset the answer out of the client's receive queue.
/// - The client's FIN while its answer is awaited is a half-close, which is legal: the answer is still sent. Only an error
///   or a hang-up in both directions gives the exchange up.
/// - The next pipelined request never starts from inside another connection's event: this connection is made runnable and
///   goes on later in the turn, so that one user at a time has the worker's memory.
final class HTTP1Client: ClientConnection {
    enum State { case idle, head, serving, closing, lingering, closed }
    /// How the client finds the end of the present answer's body.
    private enum AnswerForm: UInt8 { case whole, chunked, untilClose }

    /// Input not consumed yet: a partial head, a part of a body's frame, or what came behind the present request.
    var inbound = ByteQueue()
    var scan = HeadScan()
    var reader = BodyReader(.none, extensionLimit: 0, trailerLimit: 0)
    var exchange: Reference<Exchange>?
    // The small ones stand together: an idle connection's memory is this object.
    private var answerForm = AnswerForm.whole
    var state = State.idle
    /// Bytes of `inbound` that nothing has looked at.
    var hasUntried = false
    /// `inbound`'s bytes are being parsed in place: its memory must stay.
    var isParsing = false
    var minorVersion: UInt8 = 1
    /// The connection ends behind the present answer.
    var isLast = false
    /// The answer was cut where only the close shows its end: the client must see a reset.
    private var cutsAtEnd = false
    /// No linger: the client has ended, or was cut off.
    var skipsLinger = false
    /// While an exchange is opened: bytes that were read behind its head, and that `inbound` does not have yet.
    var bytesBehind: UInt32?
    var wishesUpgrade = false
    var isTunnel = false
    /// The client sees an end once all of it has left, while its own bytes still go on: in a tunnel, or behind an early
    /// answer.
    private var finishesWhenClear = false

    /// A head is read at most this much at a time; what comes behind the request waits in memory, so this bounds it.
    static let headRead = 65_536
    /// Room for the rest of a head.
    static let headRoom = 4_096
    /// Requests begun per event: a client that floods takes turns with the others.
    private static let requestsPerEvent = 8

    func start() {
        guard self.enter() else {
            self.state = .closed
            return
        }
        self.awaitFirst()
    }

    override func takePlace(of handshake: ClientHandshake) {
        super.takePlace(of: handshake)
        self.awaitFirst()
        if self.channel.isReadable { self.core.makeRunnable(self) }
    }

    private func awaitFirst() {
        // A client that connects and says nothing is held to the deadline of a head, not to that of an idle
        // connection that has proved itself.
        self.arm(at: self.core.now + UInt64(self.timeouts.requestHeader))
    }

    var timeouts: Timeouts { self.core.timeouts }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        self.channel.note(readiness)
        if readiness.contains(.error) || (readiness.contains(.hangUp) && !self.isTunnel) {
            // Both directions are gone: no one can receive the answer. In a tunnel our own half-close makes a hang-up of
            // the client's ordinary end, in front of which bytes may still stand.
            self.lost()
            return
        }
        if readiness.contains(.output), !self.channel.isClear {
            self.flush()
            if self.state == .closed { return }
        }
        self.advance()
    }

    override func resume() { self.advance() }

    /// Does whatever can be done now, within bounds.
    private func advance() {
        var budget = Self.requestsPerEvent
        while true {
            switch self.state {
            case .idle, .head:
                guard self.channel.isClear else { return }
                guard self.hasUntried || self.channel.isReadable else { return }
                guard budget > 0 else { return self.core.makeRunnable(self) }
                self.hasUntried ? self.parseHeld(&budget) : self.readHead(&budget)
            case .serving:
                guard let exchange, exchange.with({ $0.takesBody }) else { return }
                if self.hasUntried {
                    self.feedHeld()
                    continue
                }
                guard self.channel.isReadable else { return }
                self.readBody()
                if self.state == .serving, self.channel.isReadable || self.hasUntried {
                    self.core.makeRunnable(self)
                }
                return
            case .lingering:
                if !self.discardInput() { self.close() }
                return
            case .closing, .closed: return
            }
        }
    }

    override func expired() {
        switch self.state {
        case .idle: self.close()
        case .head: self.reject(status: LocalReason.headerTimeout.status, word: LocalReason.headerTimeout.word)
        case .closing:
            // An answer that the client never took whole must not look whole.
            self.channel.cut(pool: &self.core.buffers)
            self.close()
        case .lingering: self.close()
        case .serving, .closed: break
        }
    }

    override func drain(grace: UInt64) {
        switch self.state {
        case .idle: self.arm(at: self.core.now + grace)
        case .lingering: self.shortenLinger()
        default: break
        }
    }

    override func abandon() {
        guard self.state != .closed else { return }
        let isCut = !self.channel.isClear || self.exchange?.with { !$0.phase.isUnanswered } ?? false
        self.give(up: .shutdown)
        if isCut { self.channel.cut(pool: &self.core.buffers) }
        self.close()
    }

    /// What of its answer waits on its endpoint's side is held for it too.
    override var heldOutput: Int { self.channel.unsent.held + (self.exchange?.with { $0.heldBytes } ?? 0) }

    override func relieve() {
        guard self.state != .closed else { return }
        self.give(up: .heldTooMuch)
        self.channel.cut(pool: &self.core.buffers)
        self.close()
    }

    override func unreachable(_ stream: StreamID) {
        self.channel.cut(pool: &self.core.buffers)
        self.exchange = nil
        self.close()
    }

    /// The client cannot be reached any more.
    func lost() {
        self.give(up: .clientClosed)
        self.close()
    }

    private func give(up reason: LocalReason) {
        guard let exchange else { return }
        self.exchange = nil
        exchange.with { $0.clientGone(reason) }
    }

    func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        if !self.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        self.leave()
    }

    // MARK: answers

    override func wantBody(_ stream: StreamID) {
        if self.channel.isReadable || self.hasUntried { self.core.makeRunnable(self) }
    }

    override func answer(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, _ piece: BodyPiece,
        _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        var framing = head.framing
        if framing == .chunked, self.minorVersion == 0 { framing = .untilClose }
        self.answerForm = framing == .chunked ? .chunked : framing == .untilClose ? .untilClose : .whole
        // A body that still comes need not be waited for once the answer is out.
        if self.answerForm == .untilClose || !self.reader.isEnded || self.core.isDraining { self.isLast = true }
        if self.wishesUpgrade { self.refuseUpgrade() }
        let persistence: ResponseRewriter.Persistence =
            self.isLast ? .close : (self.minorVersion == 0 ? .keepAlive : .implicit)
        var writer = ByteWriter(self.core.memory.head)
        if self.addsStrictTransport {
            self.writeStrictHead(head, source, edits, framing, persistence, into: &writer)
        } else {
            ResponseRewriter.write(
                head, fields: self.core.memory.fields, source: source.bindMemory(to: UInt8.self).span,
                framing: framing, persistence: persistence, upgrade: false, edits: edits,
                date: self.core.date, into: &writer)
        }
        guard !writer.overflowed else { return .tooLarge }
        return self.write(head: writer.count, piece, data)
    }

    /// The head of an answer over a connection whose listener says `hsts`. Apart, so that the plain road stays as it is.
    @inline(never)
    private func writeStrictHead(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ edits: FieldEdits, _ framing: BodyFraming,
        _ persistence: ResponseRewriter.Persistence, into writer: inout ByteWriter
    ) {
        ResponseRewriter.write(
            head, fields: self.core.memory.fields, source: source.bindMemory(to: UInt8.self).span,
            framing: framing, persistence: persistence, edits: edits, date: self.core.date,
            strictTransport: self.tls?.strictTransport ?? [], into: &writer)
    }

    /// The answer is no switch of protocols. What the client has sent behind its wish may be meant for a tunnel, and must not
    /// be read as a request.
    private func refuseUpgrade() {
        // The kernel is asked: what has come need not have been reported yet.
        let hasBehind = self.bytesBehind.map { $0 > 0 } ?? !self.inbound.isEmpty
        if hasBehind || !self.channel.isQuiet() { self.isLast = true }
    }

    override func answerInterim(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, on stream: StreamID) -> Flow {
        // HTTP/1.0 knows no interim responses (RFC 9110 15.2).
        guard self.minorVersion > 0 else { return .clear }
        var writer = ByteWriter(self.core.memory.head)
        ResponseRewriter.write(
            head, fields: self.core.memory.fields, source: source.bindMemory(to: UInt8.self).span, framing: .none,
            persistence: .implicit, upgrade: false, edits: .none, into: &writer)
        guard !writer.overflowed else { return .tooLarge }
        return self.write(head: writer.count, BodyPiece(), nil)
    }

    override func answerSwitch(
        _ head: ResponseHead, _ source: UnsafeRawBufferPointer, edits: FieldEdits, early: UnsafeRawBufferPointer,
        on stream: StreamID
    ) -> Flow {
        var writer = ByteWriter(self.core.memory.head)
        ResponseRewriter.write(
            head, fields: self.core.memory.fields, source: source.bindMemory(to: UInt8.self).span, framing: .none,
            persistence: .implicit, upgrade: true, edits: edits, into: &writer)
        guard !writer.overflowed else { return .tooLarge }
        self.isTunnel = true
        self.isLast = true
        self.answerForm = .untilClose
        self.reader = BodyReader(.untilClose, extensionLimit: 0, trailerLimit: 0)
        // What the client sent behind its request, trusting in the upgrade.
        self.hasUntried = !self.inbound.isEmpty
        if self.hasUntried || self.channel.isReadable { self.core.makeRunnable(self) }
        return self.write(head: writer.count, BodyPiece(data: early.count), early.baseAddress)
    }

    override func answerBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        let flow = self.write(head: 0, piece, data)
        if self.isTunnel, piece.isEnd {
            if flow == .clear {
                self.channel.finishWriting(pool: &self.core.buffers)
            } else {
                self.finishesWhenClear = true
            }
        }
        return flow
    }

    override func reply(_ answer: LocalAnswer, on stream: StreamID) -> Flow {
        if !self.reader.isEnded || self.core.isDraining || answer.endsConnection { self.isLast = true }
        if self.wishesUpgrade { self.refuseUpgrade() }
        self.answerForm = .whole
        var writer = ByteWriter(self.core.memory.head)
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(answer.status))
        writer.append(0x20)
        writer.append(StatusText.phrase(answer.status))
        writer.append("\r\n")
        answer.writeFields(date: self.core.date, into: &writer)
        if let tls { writer.append(bytes: tls.strictTransport) }
        writer.append("Content-Length: ")
        writer.append(decimal: UInt64(answer.bodyLength))
        writer.append("\r\n")
        if self.isLast {
            writer.append("Connection: close\r\n")
        } else if self.minorVersion == 0 {
            writer.append("Connection: keep-alive\r\n")
        }
        writer.append("\r\n")
        if answer.hasBody { answer.writeBody(into: &writer) }
        return self.write(head: writer.count, BodyPiece(isEnd: true), nil)
    }

    override func sendContinue(on stream: StreamID) {
        guard self.minorVersion > 0 else { return }
        var writer = ByteWriter(self.core.memory.head)
        writer.append("HTTP/1.1 100 Continue\r\n\r\n")
        _ = self.write(head: writer.count, BodyPiece(), nil)
    }

    override func endAnswer(_ stream: StreamID) {
        guard self.isLast else { return }
        if self.channel.isClear {
            self.channel.finishWriting(pool: &self.core.buffers)
        } else {
            self.finishesWhenClear = true
        }
    }

    override func isClear(_ stream: StreamID) -> Bool { self.channel.isClear }

    override func protocolName(_ stream: StreamID) -> StaticString { self.minorVersion == 0 ? "HTTP/1.0" : "HTTP/1.1" }

    private func write(head: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?) -> Flow {
        let framing = self.answerForm == .chunked ? BodyFraming.chunked : .none
        let pieces = self.core.memory.gather(head: head, piece, data, as: framing)
        let isLast = self.isLast && piece.isEnd
        switch self.channel.write(pieces, isLast: isLast, pool: &self.core.buffers) {
        case .clear: return .clear
        case .waits: return .waits
        case .gone: return .gone
        }
    }

    private func flush() {
        let (flow, moved) = self.channel.flush(pool: &self.core.buffers)
        if moved > 0 {
            self.lastProgress = self.core.now
            if let exchange {
                exchange.with { $0.clientMoved() }
            } else if self.state == .closing {
                self.arm(at: self.core.now + UInt64(self.timeouts.responseBodyIdle))
            }
        }
        switch flow {
        case .waits: break
        case .gone: self.lost()
        case .clear:
            if self.finishesWhenClear {
                self.finishesWhenClear = false
                self.channel.finishWriting(pool: &self.core.buffers)
            }
            if self.state == .closing { self.finishOutput() } else { self.exchange?.with { $0.clientClear() } }
        }
    }

    // MARK: ends

    override func finish(_ stream: StreamID, _ end: AnswerEnd) {
        guard self.state == .serving else { return }
        self.exchange = nil
        switch end {
        case .whole: break
        case .requestAbandoned: self.isLast = true
        case .cut:
            self.isLast = true
            self.skipsLinger = true
            // Over TLS a close says that nothing is missing.
            if self.answerForm == .untilClose || self.tls != nil { self.cutsAtEnd = true }
        }
        if self.channel.isBroken {
            self.close()
        } else if self.isLast {
            self.endOutput()
        } else {
            self.state = .idle
            if !self.inbound.isEmpty { self.hasUntried = true }
            // In a drain its answer had left without `Connection: close`: a moment, then it ends.
            let idle = self.core.isDraining ? 1_000 : UInt64(self.timeouts.keepAlive)
            self.arm(at: self.core.now + idle)
            if self.hasUntried || self.channel.isReadable { self.core.makeRunnable(self) }
        }
    }

    /// Answers input that is no request. The connection ends.
    func reject(status: UInt16, word: StaticString, detail: String? = nil) {
        self.core.countRejected(status)
        self.isLast = true
        let requestID = (self.core.random.next(), self.core.random.next())
        let answer = LocalAnswer(
            status: status, word: word, detail: detail, requestID: requestID,
            explains: self.core.plan.table.spec.explainErrors, takesJSON: false)
        self.state = .serving
        _ = self.reply(answer, on: 0)
        if let log = self.core.log {
            AccessRecord.writeRejected(
                self, requestID: requestID, status: status, word: detail ?? "\(word)", to: log)
        }
        self.channel.isBroken ? self.close() : self.endOutput()
    }

    /// After the last answer: ends the connection so that the client still reads that answer.
    private func endOutput() {
        guard self.channel.isClear else {
            self.state = .closing
            self.arm(at: self.core.now + UInt64(self.timeouts.responseBodyIdle))
            return
        }
        self.finishOutput()
    }

    private func finishOutput() {
        if self.cutsAtEnd {
            self.channel.cut(pool: &self.core.buffers)
            self.close()
            return
        }
        if !self.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        if self.skipsLinger {
            self.close()
            return
        }
        self.state = .lingering
        self.beginLinger()
    }
}
