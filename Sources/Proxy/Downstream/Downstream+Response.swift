import Glibc
import HTTPWire
import Reactor
import Traffic

/// The response on its way down.
extension Downstream {
    /// Reads from the upstream per event: enough for a few hundred kilobytes, then others get their turn.
    private static let readsPerEvent = 4
    /// Once a client has shown itself slow, less is read at a time, so that less waits for it in memory.
    private static let slowRead = 65_536
    /// Two pages: below this a copy is cheaper than a second piece.
    private static let smallBody = 8_192

    func upstreamReady(_ connection: UpstreamConnection) {
        guard self.upstream === connection else { return connection.close() }
        if self.state == .tunnel { return self.pumpTunnel() }
        guard self.state == .exchange else { return }
        var reads = 0
        while connection.readable, self.upstream === connection, self.outbound.isEmpty, self.state == .exchange {
            if reads == Self.readsPerEvent {
                self.core.makeRunnable(self)
                return
            }
            reads += 1
            self.readResponse(connection)
        }
        if self.state == .exchange, self.upstream === connection, connection.outbound.isEmpty, self.readable,
            self.canTakeBody
        {
            // The upstream took what waited for it: the client may go on.
            self.core.makeRunnable(self)
        }
        if self.state == .tunnel { self.pumpTunnel() }
    }

    private func readResponse(_ connection: UpstreamConnection) {
        let scratch = self.core.scratch
        let held = connection.inbound.count
        if held > 0 { scratch.copyMemory(from: connection.inbound.bytes) }
        let limit = self.isSlow ? min(scratch.count, held + Self.slowRead) : scratch.count
        let room = UnsafeMutableRawBufferPointer(rebasing: scratch[held..<limit])
        switch connection.socket.receive(into: room) {
        case .bytes(let count):
            if count < room.count, !connection.peerClosing { connection.readable = false }
            connection.heard = true
            connection.inbound.clear(pool: &self.core.buffers)
            self.take(UnsafeMutableRawBufferPointer(rebasing: scratch[0..<held + count]), from: connection)
        case .wouldBlock: connection.readable = false
        case .end: self.upstreamEnded(connection)
        case .failed: self.upstreamBroke(connection)
        }
    }

    private func take(_ bytes: UnsafeMutableRawBufferPointer, from connection: UpstreamConnection) {
        if self.exchange.responseStarted {
            self.forwardResponse(bytes, prefix: 0, from: connection)
            return
        }
        guard let route = self.exchange.route else { return }
        var offset = 0
        while offset < bytes.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            let span = UnsafeRawBufferPointer(rest).bindMemory(to: UInt8.self).span
            do throws(HeadError) {
                guard
                    let head = try HeadParser.response(
                        span, to: self.exchange.method, limits: route.responseHeadLimits, fields: &self.core.fields)
                else {
                    connection.inbound.append(UnsafeRawBufferPointer(rest), pool: &self.core.buffers)
                    return
                }
                if head.status == 101 {
                    self.switchProtocols(head, in: rest, over: connection)
                    return
                }
                if head.status < 200 {
                    guard self.passInterim(head, span: span, route: route) else { return }
                    offset += head.length
                    continue
                }
                self.startResponse(head, in: rest, from: connection, route: route)
                return
            } catch {
                self.badGateway(.badResponse)
                return
            }
        }
    }

    /// The upstream's message cannot be trusted. Never sent again: what was received was an answer of some kind.
    func badGateway(_ reason: LocalReason) {
        self.detachUpstream(reusable: false)
        self.reportOutcome(.failure)
        self.reply(reason)
    }

    private func passInterim(_ head: ResponseHead, span: borrowing Span<UInt8>, route: RouteRuntime) -> Bool {
        self.exchange.interims += 1
        guard self.exchange.interims <= route.limits.interimResponses else {
            self.badGateway(.tooManyInterims)
            return false
        }
        // HTTP/1.0 knows no interim responses (RFC 9110 15.2).
        guard self.exchange.minorVersion > 0 else { return true }
        var writer = ByteWriter(self.core.headScratch)
        ResponseRewriter.write(
            head, fields: self.core.fields, source: span, framing: .none, persistence: .implicit, upgrade: false,
            edits: .none, into: &writer)
        self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: writer.count)
        self.write(pieces: 1)
        return true
    }

    private func startResponse(
        _ head: ResponseHead, in bytes: UnsafeMutableRawBufferPointer, from connection: UpstreamConnection,
        route: RouteRuntime
    ) {
        self.exchange.responseStarted = true
        self.exchange.attempt = .responding
        self.exchange.status = head.status
        self.exchange.responseFraming = head.framing
        self.exchange.upstreamReusable = head.persistent && head.framing != .untilClose
        if case .length(let length) = head.framing { self.exchange.responseRemaining = length }
        if head.framing == .chunked {
            self.exchange.responseDecoder = ChunkedDecoder(
                extensionLimit: Int(route.limits.chunkExtensionBytes), trailerLimit: Int(route.limits.trailerBytes))
        }
        self.exchange.clientFraming = head.framing
        if head.framing == .chunked, self.exchange.minorVersion == 0 { self.exchange.clientFraming = .untilClose }
        if self.exchange.clientFraming == .untilClose { self.closeAfter = true }
        // The rest of the body will not be waited for once the answer is out; and bytes that may be a tunnel's early
        // data must not be read as a request.
        if !self.exchange.requestComplete || self.core.draining { self.closeAfter = true }
        if self.exchange.wantsUpgrade, !self.inbound.isEmpty { self.closeAfter = true }

        let persistence: ResponseRewriter.Persistence =
            self.closeAfter ? .close : (self.exchange.minorVersion == 0 ? .keepAlive : .implicit)
        var writer = ByteWriter(self.core.headScratch)
        let span = UnsafeRawBufferPointer(bytes).bindMemory(to: UInt8.self).span
        ResponseRewriter.write(
            head, fields: self.core.fields, source: span, framing: self.exchange.clientFraming,
            persistence: persistence, upgrade: false, edits: route.responseEdits, into: &writer)
        guard !writer.overflowed else {
            self.exchange.responseStarted = false
            self.badGateway(.badResponse)
            return
        }
        self.forwardResponse(
            UnsafeMutableRawBufferPointer(rebasing: bytes[head.length...]), prefix: writer.count, from: connection)
    }

    /// Passes body bytes on behind `prefix` bytes of the head scratch.
    private func forwardResponse(
        _ bytes: UnsafeMutableRawBufferPointer, prefix: Int, from connection: UpstreamConnection
    ) {
        var count = 0
        if prefix > 0 {
            self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: prefix)
            count = 1
        }
        var ended = false
        var surplus = false
        switch self.exchange.responseFraming {
        case .none:
            ended = true
            surplus = bytes.count > 0
        case .length:
            let take = Int(min(UInt64(bytes.count), self.exchange.responseRemaining))
            if take > 0 {
                self.core.pieces[count] = iovec(iov_base: bytes.baseAddress, iov_len: take)
                count += 1
            }
            self.exchange.responseRemaining -= UInt64(take)
            self.exchange.responseBytes &+= UInt64(take)
            ended = self.exchange.responseRemaining == 0
            surplus = bytes.count > take
        case .untilClose:
            if bytes.count > 0 {
                self.core.pieces[count] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                count += 1
            }
            self.exchange.responseBytes &+= UInt64(bytes.count)
        case .chunked:
            let run: ChunkRun
            do throws(ChunkError) {
                run = try ChunkRun.decode(
                    bytes, decoder: &self.exchange.responseDecoder, frames: self.core.frameScratch)
            } catch {
                if count > 0 { self.write(pieces: count) }
                self.cutResponse(.badResponse)
                return
            }
            count = self.frame(run, bytes: bytes, after: count)
            self.exchange.responseBytes &+= UInt64(run.data)
            ended = run.ended
            surplus = run.ended && run.consumed < bytes.count
            if !run.ended, run.consumed < bytes.count {
                connection.inbound.append(
                    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[run.consumed...]),
                    pool: &self.core.buffers)
            }
        }
        if surplus { self.exchange.upstreamReusable = false }
        if count == 2, prefix > 0, self.core.pieces[1].iov_len <= Self.smallBody { count = self.joinPieces(prefix) }
        if count > 0 { self.write(pieces: count) }
        if ended {
            self.responseComplete()
        } else if self.broken {
            self.clientGone()
        } else {
            self.exchange.deadline = self.core.now + self.bodyIdle
            self.armExchange()
        }
    }

    /// Moves a small body behind the head: copying it costs less than handing the kernel two pieces.
    private func joinPieces(_ prefix: Int) -> Int {
        let body = UnsafeRawBufferPointer(start: self.core.pieces[1].iov_base, count: self.core.pieces[1].iov_len)
        guard prefix + body.count <= self.core.headScratch.count else { return 2 }
        UnsafeMutableRawBufferPointer(rebasing: self.core.headScratch[prefix...]).copyMemory(from: body)
        self.core.pieces[0].iov_len = prefix + body.count
        return 1
    }

    private func frame(_ run: ChunkRun, bytes: UnsafeMutableRawBufferPointer, after pieces: Int) -> Int {
        var count = pieces
        let framed = self.exchange.clientFraming == .chunked
        if run.data > 0 {
            if framed {
                self.core.pieces[count] = run.sizeLine(in: self.core.frameScratch)
                count += 1
            }
            self.core.pieces[count] = iovec(iov_base: bytes.baseAddress, iov_len: run.data)
            count += 1
        }
        let tail = run.tail(in: self.core.frameScratch)
        if framed, tail.iov_len > 0 {
            self.core.pieces[count] = tail
            count += 1
        }
        return count
    }

    private func responseComplete() {
        guard let connection = self.upstream else { return }
        let requestComplete = self.exchange.requestComplete
        let clean =
            self.exchange.upstreamReusable && requestComplete && connection.outbound.isEmpty
            && connection.inbound.isEmpty && !connection.writeBroken && !connection.readable
        self.detachUpstream(reusable: clean)
        self.reportOutcome(Self.outcome(of: self.exchange.status))
        self.finishExchange()
    }

    /// Only what a proxy in front of the endpoint would itself have to call a failure counts against it. A 500 may be
    /// provoked by a client at will (the legacy API answers one to a malformed number), and must not let that client
    /// take endpoints out.
    private static func outcome(of status: UInt16) -> Outcome {
        switch status {
        case 502, 504: .failure
        case 429, 503: .overload
        case 400..<500: .clientFault
        default: .success
        }
    }

    // MARK: ends that are no end

    private func upstreamEnded(_ connection: UpstreamConnection) {
        connection.readable = false
        guard self.exchange.responseStarted else {
            let partial = !connection.inbound.isEmpty
            self.attemptFailed(partial ? .badResponse : .closedEarly)
            return
        }
        if self.exchange.responseFraming == .untilClose {
            self.responseComplete()
        } else {
            self.cutResponse(.truncated)
        }
    }

    private func upstreamBroke(_ connection: UpstreamConnection) {
        connection.readable = false
        if self.exchange.responseStarted {
            self.cutResponse(.truncated)
        } else {
            self.attemptFailed(.reset)
        }
    }

    /// The response had begun and will not be whole: the client is shown that. No last chunk is invented, and a body
    /// that only the close would end is ended by a reset.
    func cutResponse(_ reason: LocalReason) {
        self.detachUpstream(reusable: false)
        self.reportOutcome(reason == .truncated || reason == .badResponse ? .failure : .cancelled)
        self.exchange.reason = reason
        self.closeAfter = true
        if self.exchange.clientFraming == .untilClose { self.resetOnClose = true }
        self.inputEnded = true
        self.finishExchange()
    }
}
