import Glibc
import HTTPWire
import Reactor
import Traffic

/// The request on its way up.
extension Downstream {
    /// Sends the head, rewritten, with as much of the body as is there. Answers how many body bytes were used.
    func send(
        _ head: RequestHead, source: UnsafeRawBufferPointer, body: UnsafeMutableRawBufferPointer,
        over connection: UpstreamConnection
    ) -> Int {
        guard let route = self.exchange.route, let upstream = self.exchange.upstream else { return 0 }
        upstream.state.budget.deposit(now: self.core.now)
        connection.pool.requests &+= 1
        // From here: what it waited in our own queue is not the client's delay.
        if !self.exchange.requestComplete { self.exchange.bodyDeadline = self.core.now + self.requestBodyIdle }
        var writer = ByteWriter(self.core.headScratch)
        let context = RequestContext(
            peer: self.peerText, isPeerTrusted: self.exchange.isTrusted, requestID: self.exchange.requestID,
            upgrades: self.exchange.upgrades,
            endpointHost: route.rewritesHostToEndpoint ? connection.pool.authority : nil)
        let span = source.bindMemory(to: UInt8.self).span
        RequestRewriter.write(
            head, fields: self.core.fields, source: span, policy: route.policy, context: context, into: &writer)
        guard !writer.overflowed else {
            // Routes may add fields without end; a head that outgrows its room is refused, never cut.
            self.detachUpstream(reusable: false)
            self.reportOutcome(.cancelled)
            self.reply(.overLimit)
            return 0
        }
        self.exchange.sent = true
        let built = writer.count
        guard !self.exchange.requestComplete else {
            self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: built)
            connection.write(pieces: 1)
            self.requestSent()
            return 0
        }
        return self.forwardBody(body, prefix: built)
    }

    /// Sends from what was kept: a further attempt, or the first one after a connection had to be made.
    func sendKept(over connection: UpstreamConnection) {
        guard let runtime = self.exchange.runtime else { return }
        let kept = self.exchange.kept.bytes
        let span = kept.bindMemory(to: UInt8.self).span
        guard let head = try? HeadParser.request(span, limits: runtime.headLimits, fields: &self.core.fields) else {
            // It parsed before, and limits are those of the pinned table.
            return self.attemptFailed(.unreachable)
        }
        let scratch = self.core.scratch
        if self.exchange.bodyKept {
            let body = UnsafeRawBufferPointer(rebasing: kept[head.length...])
            scratch.copyMemory(from: body)
            let first = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<body.count])
            // On the first attempt the same bytes also wait in `inbound`; they are used here.
            if !self.exchange.bodyTaken {
                self.inbound.consume(min(body.count, self.inbound.count), pool: &self.core.buffers)
            }
            _ = self.send(head, source: kept, body: first, over: connection)
            return
        }
        let count = self.exchange.requestComplete ? 0 : self.inbound.count
        if count > 0 { scratch.copyMemory(from: self.inbound.bytes) }
        let body = UnsafeMutableRawBufferPointer(rebasing: scratch[0..<count])
        let used = self.send(head, source: kept, body: body, over: connection)
        if used > 0 { self.inbound.consume(used, pool: &self.core.buffers) }
    }

    /// Passes body bytes on, re-framed, behind `prefix` bytes of the worker's head scratch. Answers how many were used.
    func forwardBody(_ bytes: UnsafeMutableRawBufferPointer, prefix: Int) -> Int {
        guard let connection = self.upstream else { return 0 }
        var count = 0
        if prefix > 0 {
            self.core.pieces[0] = iovec(iov_base: self.core.headScratch.baseAddress, iov_len: prefix)
            count = 1
        }
        if case .length = self.exchange.requestFraming {
            let take = Int(min(UInt64(bytes.count), self.exchange.requestRemaining))
            if take > 0 {
                self.core.pieces[count] = iovec(iov_base: bytes.baseAddress, iov_len: take)
                count += 1
                self.exchange.requestRemaining -= UInt64(take)
                self.exchange.requestBytes &+= UInt64(take)
                self.exchange.bodyTaken = true
            }
            if count > 0 { connection.write(pieces: count) }
            if self.exchange.requestRemaining == 0 { self.requestSent() } else { self.armExchange() }
            return take
        }
        return self.forwardChunks(bytes, over: connection, piecesUsed: count)
    }

    private func forwardChunks(
        _ bytes: UnsafeMutableRawBufferPointer, over connection: UpstreamConnection, piecesUsed: Int
    ) -> Int {
        guard let route = self.exchange.route else { return 0 }
        var count = piecesUsed
        let run: ChunkRun
        do throws(ChunkError) {
            run = try ChunkRun.decode(bytes, decoder: &self.exchange.requestDecoder, frames: self.core.frameScratch)
        } catch {
            // What the upstream has so far ends without a last chunk, so it cannot take it for whole.
            self.detachUpstream(reusable: false)
            self.reportOutcome(.cancelled)
            self.closeAfter = true
            self.exchange.responseStarted ? self.cutResponse(.badChunk) : self.reply(.badChunk)
            return bytes.count
        }
        self.exchange.requestBytes &+= UInt64(run.data)
        if run.consumed > 0 { self.exchange.bodyTaken = true }
        if self.exchange.requestBytes > route.limits.body {
            self.detachUpstream(reusable: false)
            self.reportOutcome(.cancelled)
            self.closeAfter = true
            self.exchange.responseStarted ? self.cutResponse(.bodyTooLarge) : self.reply(.bodyTooLarge)
            return bytes.count
        }
        if run.data > 0 {
            self.core.pieces[count] = run.sizeLine(in: self.core.frameScratch)
            self.core.pieces[count + 1] = iovec(iov_base: bytes.baseAddress, iov_len: run.data)
            count += 2
        }
        let tail = run.tail(in: self.core.frameScratch)
        if tail.iov_len > 0 {
            self.core.pieces[count] = tail
            count += 1
        }
        if count > 0 { connection.write(pieces: count) }
        if run.ended { self.requestSent() } else { self.armExchange() }
        return run.consumed
    }

    /// The upstream took bytes that waited for it: the body is not stalled.
    func uploadMoved() {
        guard self.state == .exchange, !self.exchange.requestComplete else { return }
        self.exchange.bodyDeadline = self.core.now + self.requestBodyIdle
        self.exchange.unacknowledged = .max
    }

    /// The request is whole; from here the response's deadline runs.
    private func requestSent() {
        self.exchange.requestComplete = true
        if !self.exchange.responseStarted {
            self.exchange.headAt = self.core.now
            self.exchange.deadline = self.core.now + UInt64(self.exchange.route?.timeouts.responseHeader ?? 60_000)
        }
        self.armExchange()
    }
}
