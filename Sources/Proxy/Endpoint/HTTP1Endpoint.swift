import Glibc
import HTTPWire
import Reactor
import Traffic

/// An endpoint that speaks HTTP/1: one exchange at a time.
final class HTTP1Endpoint: EndpointConnection {
    private var exchange: Reference<Exchange>?
    /// An answer's head that is not complete, or part of a chunk's frame.
    private var inbound = ByteQueue()
    private var scan = HeadScan()
    private var hasScanned = false
    private var reader = BodyReader(.none, extensionLimit: 0, trailerLimit: 0)
    private var requestFraming = BodyFraming.none
    /// The final head has been read: what follows is body.
    private var isInBody = false
    /// The answer's head allows another exchange, and nothing has come that belongs to none.
    private var mayBeKept = false
    /// `inbound`'s bytes are being parsed in place: its memory must stay.
    private var isParsing = false
    /// Bytes have come in the present exchange.
    private var hasHeard = false
    /// The endpoint has still to be told whom the connection is for.
    private var mustAnnounce: Bool
    /// In a tunnel: the client has ended, which the endpoint sees once all of it has left.
    private var finishesWhenClear = false

    /// Reads per event: enough for a few hundred kilobytes, then others get their turn.
    private static let readsPerEvent = 4
    /// Once a client has shown itself slow, less is read at a time, so that less waits for it in memory; and where it is coded.
    private static let slowRead = 65_536
    /// Room for the rest of a head.
    private static let headRoom = 4_096

    override init(core: WorkerCore, socket: consuming Socket, pool: EndpointPool, lifetime: UInt32) {
        self.mustAnnounce = pool.announcement != nil
        super.init(core: core, socket: socket, pool: pool, lifetime: lifetime)
    }

    override init(inPlaceOf opening: EndpointConnection) {
        self.mustAnnounce = false
        super.init(inPlaceOf: opening)
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        switch self.state {
        case .idle:
            // Writability alone is no news. Anything else means closed, or bytes that belong to no request.
            guard readiness != .output else { return }
            self.channel.note(readiness)
            // TLS has news of its own, such as tickets.
            if self.channel.isTLS, self.channel.settle(pool: &self.core.buffers) { return }
            self.pool.remove(self)
            self.close()
        case .dialling: self.readyDialling(readiness)
        case .leased:
            self.channel.note(readiness)
            if readiness.contains(.output), !self.channel.isClear { self.flush() }
            self.readAnswer(0)
        case .closed: break
        }
    }

    override func resume() {
        if self.state == .dialling { return self.shake() }
        self.readAnswers()
    }

    // MARK: while it is dialling

    override var isAwaited: Bool { self.exchange != nil }

    override func introduce() {
        guard self.mustAnnounce else { return }
        var writer = ByteWriter(self.core.memory.head)
        self.announce(into: &writer)
        _ = self.channel.write(
            self.core.memory.gather(head: writer.count, BodyPiece(), nil, as: .none), pool: &self.core.buffers)
    }

    override var protocolOffer: ProtocolOffer { self.pool.dialsHTTP1 ? .nothing : .http1 }

    override func connected(_ facts: TLSFacts?) { self.exchange?.with { $0.dialled() } }
    override func dialFailed(_ code: Int32) { self.exchange?.with { $0.dialFailed(code) } }

    override func handshakeFailed(_ failure: TLSFailure) {
        self.exchange?.with { $0.handshakeFailed(failure.reason) }
    }

    private func flush() {
        let (flow, moved) = self.channel.flush(pool: &self.core.buffers)
        if moved > 0 { self.exchange?.with { $0.endpointMoved() } }
        guard flow == .clear else { return }
        if self.finishesWhenClear {
            self.finishesWhenClear = false
            self.channel.finishWriting(pool: &self.core.buffers)
        }
        self.exchange?.with { $0.endpointClear() }
    }

    // MARK: the request

    override func open(for exchange: Exchange) -> StreamID {
        self.exchange = Reference(to: exchange)
        self.hasHeard = false
        self.mayBeKept = false
        self.isInBody = false
        self.hasScanned = false
        return 0
    }

    override func request(
        _ head: RequestHead, _ fields: FieldList, _ source: UnsafeRawBufferPointer, policy: RequestPolicy,
        context: UnsafePointer<RequestContext>,
        _ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID
    ) -> Flow {
        self.requestFraming = head.framing
        var writer = ByteWriter(self.core.memory.head)
        if self.mustAnnounce { self.announce(into: &writer) }
        RequestRewriter.write(
            head, fields: fields, source: source.bindMemory(to: UInt8.self).span, policy: policy,
            context: context.pointee, into: &writer)
        guard !writer.overflowed else { return .tooLarge }
        return self.write(head: writer.count, piece, data)
    }

    /// The header of the PROXY protocol, in one write with the first head.
    private func announce(into writer: inout ByteWriter) {
        self.mustAnnounce = false
        guard let version = self.announcement else { return }
        guard let ends = self.exchange?.with({ $0.client?.object.announcedAddresses }) ?? nil else {
            // The client has gone meanwhile.
            return ProxyHeaderWriter.writeLocal(version, into: &writer)
        }
        ProxyHeaderWriter.write(
            version, from: ProxyHeader.Address(ends.source), to: ProxyHeader.Address(ends.destination),
            texts: (AddressText(ends.source.ip.description.utf8), AddressText(ends.destination.ip.description.utf8)),
            into: &writer)
    }

    override func requestBody(_ piece: BodyPiece, _ data: UnsafeRawPointer?, on stream: StreamID) -> Flow {
        let flow = self.write(head: 0, piece, data)
        if self.requestFraming == .untilClose, piece.isEnd {
            if flow == .clear {
                self.channel.finishWriting(pool: &self.core.buffers)
            } else {
                self.finishesWhenClear = true
            }
        }
        return flow
    }

    private func write(head: Int, _ piece: BodyPiece, _ data: UnsafeRawPointer?) -> Flow {
        let pieces = self.core.memory.gather(head: head, piece, data, as: self.requestFraming)
        switch self.channel.write(pieces, pool: &self.core.buffers) {
        case .clear: return .clear
        case .waits: return .waits
        case .gone: return .gone
        }
    }

    override func isClear(_ stream: StreamID) -> Bool { self.channel.isClear }
    override func isWritable(_ stream: StreamID) -> Bool { !self.channel.isBroken && self.state == .leased }

    // MARK: the answer

    override func hasAnswered(_ stream: StreamID) -> Bool { self.hasHeard }

    override func readAnswer(_ stream: StreamID) {
        // Answers that are coded take turns with one another, a read each.
        if let exchange, exchange.with({ $0.mayCode }) { return self.core.makeRunnable(coding: self) }
        self.readAnswers()
    }

    private func readAnswers() {
        var reads = 0
        while self.state == .leased, self.channel.isReadable, let exchange, exchange.with({ $0.takesAnswer }) {
            if reads > 0, exchange.with({ $0.mayCode }) { return self.core.makeRunnable(coding: self) }
            if reads == Self.readsPerEvent {
                self.core.makeRunnable(self)
                return
            }
            reads += 1
            exchange.with { !self.isInBody && !self.inbound.isEmpty ? self.readBehindPart($0) : self.read($0) }
        }
    }

    private func read(_ exchange: Exchange) {
        let input = self.core.memory.input
        // Part of a chunk's frame may wait for the rest of it.
        let held = self.inbound.count
        if held > 0 { input.copyMemory(from: self.inbound.bytes) }
        let limit = exchange.readsLittle ? min(input.count, held + Self.slowRead) : input.count
        switch self.channel.read(
            into: UnsafeMutableRawBufferPointer(rebasing: input[held..<limit]), pool: &self.core.buffers)
        {
        case .bytes(let count):
            self.hasHeard = true
            self.inbound.clear(pool: &self.core.buffers)
            let bytes = UnsafeMutableRawBufferPointer(rebasing: input[0..<held + count])
            let used = self.take(bytes)
            if used < bytes.count, self.state == .leased {
                self.inbound.append(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...]), pool: &self.core.buffers)
            }
        case .dry: break
        case .ended: self.ended(exchange)
        case .failed: self.broke(exchange)
        }
    }

    /// A head that came in part: the rest is read behind it, so that bytes which come one at a time are moved once.
    private func readBehindPart(_ exchange: Exchange) {
        let room = self.inbound.room(atLeast: Self.headRoom, pool: &self.core.buffers)
        switch self.channel.read(into: room, pool: &self.core.buffers) {
        case .bytes(let count):
            self.inbound.commit(count)
            self.isParsing = true
            let used = self.take(self.inbound.mutableBytes)
            self.isParsing = false
            if self.state == .leased {
                if used > 0 { self.inbound.consume(used, pool: &self.core.buffers) }
            } else {
                self.inbound.clear(pool: &self.core.buffers)
            }
        case .dry: break
        case .ended: self.ended(exchange)
        case .failed: self.broke(exchange)
        }
    }

    /// Takes bytes of the answer. Answers how many were used; the rest is to be presented again with more behind it.
    private func take(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        if self.isInBody { return self.takeBody(bytes) }
        var offset = 0
        while offset < bytes.count, self.state == .leased, let exchange {
            let limits = exchange.with { $0.answerHeadLimits }
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let source = UnsafeRawBufferPointer(rest)
            let span = source.bindMemory(to: UInt8.self).span
            if self.hasScanned, offset == 0, !self.scan.mayBeComplete(span, limits: limits) { return offset }
            do throws(HeadError) {
                guard
                    let head = try HeadParser.response(
                        span, to: exchange.with { $0.method }, limits: limits, fields: &self.core.memory.fields)
                else {
                    self.scan = HeadScan()
                    self.hasScanned = true
                    _ = self.scan.mayBeComplete(span, limits: limits)
                    return offset
                }
                self.hasScanned = false
                offset += head.length
                if head.status == 101 {
                    exchange.with { self.beginTunnel(head, rest, $0) }
                    return bytes.count
                }
                if head.status < 200 {
                    exchange.with { $0.interim(head, source) }
                    continue
                }
                return offset + exchange.with { self.beginBody(head, rest, $0) }
            } catch {
                exchange.with { $0.malformedAnswer(.badResponse) }
                return bytes.count
            }
        }
        return offset
    }

    /// The final head, and as much of the body as came with it.
    private func beginBody(_ head: ResponseHead, _ bytes: UnsafeMutableRawBufferPointer, _ exchange: Exchange) -> Int {
        self.isInBody = true
        self.mayBeKept = head.persistent && head.framing != .untilClose
        let limits = head.framing == .chunked ? exchange.chunkLimits : (extension: 0, trailers: 0)
        self.reader = BodyReader(
            head.framing, of: .response, extensionLimit: limits.extension, trailerLimit: limits.trailers)
        let body = UnsafeMutableRawBufferPointer(rebasing: bytes[head.length...])
        var piece = BodyPiece(isEnd: self.reader.isEnded)
        do throws(ChunkError) {
            if !self.reader.isEnded, !self.reader.isChunked {
                piece = self.reader.takePlain(body.count)
            } else if !self.reader.isEnded, !body.isEmpty {
                piece = try self.reader.take(
                    body, frames: self.core.memory.frames, trailers: exchange.answerTrailers)
            }
        } catch {
            exchange.answerBegan(head, UnsafeRawBufferPointer(bytes), BodyPiece(), nil)
            if self.exchange?.with({ $0 === exchange }) ?? false {
                exchange.answerBroke(.badResponse, isMalformed: true)
            }
            return body.count
        }
        if self.reader.isEnded, piece.consumed < body.count { self.mayBeKept = false }
        exchange.answerBegan(head, UnsafeRawBufferPointer(bytes), piece, UnsafeRawPointer(body.baseAddress))
        return piece.consumed
    }

    private func takeBody(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        guard let exchange else { return bytes.count }
        guard !self.reader.isEnded else {
            // The answer is whole, the request still goes up: what comes now belongs to no answer.
            self.mayBeKept = false
            return bytes.count
        }
        do throws(ChunkError) {
            let piece = try self.reader.take(
                bytes, frames: self.core.memory.frames, trailers: exchange.with { $0.answerTrailers })
            if self.reader.isEnded, piece.consumed < bytes.count { self.mayBeKept = false }
            if piece.data > 0 || piece.isEnd {
                exchange.with { $0.answerBody(piece, UnsafeRawPointer(bytes.baseAddress)) }
            }
            // Surplus is nobody's: it goes with the connection.
            return self.reader.isEnded ? bytes.count : piece.consumed
        } catch {
            exchange.with { $0.answerBroke(.badResponse, isMalformed: true) }
            return bytes.count
        }
    }

    private func beginTunnel(
        _ head: ResponseHead, _ bytes: UnsafeMutableRawBufferPointer, _ exchange: Exchange
    ) {
        guard exchange.switched(head, UnsafeRawBufferPointer(bytes)) else { return }
        self.isInBody = true
        self.reader = BodyReader(.untilClose, extensionLimit: 0, trailerLimit: 0)
        self.requestFraming = .untilClose
    }

    /// The endpoint has finished sending.
    private func ended(_ exchange: Exchange) {
        self.mayBeKept = false
        if self.isInBody, !self.reader.isEnded, self.reader.inputEnded() {
            exchange.answerBody(BodyPiece(isEnd: true), nil)
        } else {
            exchange.endpointEnded(hasPart: !self.inbound.isEmpty)
        }
    }

    private func broke(_ exchange: Exchange) {
        self.mayBeKept = false
        exchange.endpointBroke()
    }

    // MARK: ends

    override func release(_ stream: StreamID, _ end: EndpointEnd, idleMilliseconds: UInt32) {
        guard self.state == .leased || self.state == .dialling else { return }
        self.exchange = nil
        switch end {
        case .clean:
            guard self.mayBeKept, self.reader.isEnded, self.inbound.isEmpty || self.isParsing,
                self.rest(idleMilliseconds: idleMilliseconds)
            else { return self.close() }
        case .closed: self.close()
        case .cut:
            self.channel.cut(pool: &self.core.buffers)
            self.close()
        }
    }

    override func close() {
        if !self.isParsing { self.inbound.clear(pool: &self.core.buffers) }
        super.close()
    }
}
