import Glibc
import HTTP2
import HTTPWire
import Reactor
import Traffic

/// A connection for copies: one at a time, by HTTP/1.1, or by HTTP/2 where the upstream speaks nothing else. It reads an
/// answer up to its end, or up to where it cannot be that of the live side any more, and no longer than the plan's `timeout`.
final class MirrorConnection: Handle {
    private enum State { case dialling, leased, idle, closed }

    /// Reads an event, as of a worker's endpoints.
    private static let readsPerEvent = 4

    private let core: MirrorCore
    private let pool: MirrorPool
    private var channel: Channel
    private var state = State.dialling
    private var job: MirrorJob?
    private var began: UInt64 = 0
    private var isReused = false
    private var mustAnnounce: Bool

    /// nil: it speaks HTTP/1.1.
    private var http2: MirrorHTTP2?
    private var inbound = ByteQueue()
    private var reader = BodyReader(.none, extensionLimit: 0, trailerLimit: 0)
    private var isInBody = false
    private var mayBeKept = false
    private var answer = MirroredAnswer(status: 0, fields: [], body: CapturedBody(limit: 0))
    private var lease: MirrorLease?
    /// What the copy's `traceparent` names.
    private var span: UInt64 = 0

    init(core: MirrorCore, socket: consuming Socket, pool: MirrorPool) {
        self.core = core
        self.channel = Channel(socket)
        self.pool = pool
        self.mustAnnounce = pool.spec.sendProxyProtocol != 0
        super.init()
        core.open += 1
    }

    /// Registers and waits for the connect.
    func begin(_ job: MirrorJob) throws(SystemError) {
        self.job = job
        self.began = self.core.nowMicroseconds
        self.core.handles.insert(self)
        do throws(SystemError) {
            try self.channel.register(with: self.core.loop, token: self.token)
        } catch {
            self.job = nil
            self.close()
            throw error
        }
        let timeouts = job.request.route.timeouts
        self.schedule(UInt64(min(timeouts.connect, job.request.mirror.spec.mirror.timeout)))
    }

    /// Takes an idle connection for another copy; false, and closed, if it is not quiet any more.
    func wake(_ job: MirrorJob) -> Bool {
        let isFit =
            self.http2.map { $0.takesCopies && self.channel.isClear && !self.channel.isBroken }
            ?? (self.channel.isQuiet() || self.channel.settle(pool: &self.core.buffers))
        guard isFit else {
            self.close()
            return false
        }
        self.core.handles.setUrgent(self, false)
        self.state = .leased
        self.isReused = true
        self.job = job
        self.began = self.core.nowMicroseconds
        self.write()
        return true
    }

    private func schedule(_ milliseconds: UInt64) {
        self.core.wheel.schedule(self.slot, at: self.core.now &+ milliseconds)
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        switch self.state {
        case .idle:
            guard readiness != .output else { return }
            self.channel.note(readiness)
            // Between copies there are SETTINGS, PING and windows.
            if self.http2 != nil { return self.read() }
            if self.channel.isTLS, self.channel.settle(pool: &self.core.buffers) { return }
            self.pool.remove(self)
            self.close()
        case .dialling where self.channel.isTLS:
            self.channel.note(readiness)
            if readiness.contains(.output), !self.channel.isClear { _ = self.channel.flush(pool: &self.core.buffers) }
            self.shake()
        case .dialling:
            guard !readiness.isDisjoint(with: [.output, .error, .hangUp]) else { return }
            self.channel.note(readiness)
            guard self.channel.takeError() == 0 else { return self.fail(.unavailable) }
            if let tls = self.pool.tls { self.beginHandshake(tls) } else { self.connected(nil) }
        case .leased:
            self.channel.note(readiness)
            if readiness.contains(.output), !self.channel.isClear {
                _ = self.channel.flush(pool: &self.core.buffers)
            }
            self.read()
        case .closed: break
        }
    }

    override func resume() {
        switch self.state {
        case .dialling: self.shake()
        case .leased: self.read()
        case .idle: if self.http2 != nil { self.read() }
        case .closed: break
        }
    }

    override func expired() {
        switch self.state {
        case .idle:
            self.pool.remove(self)
            self.close()
        case .dialling, .leased: self.fail(.timeout)
        case .closed: break
        }
    }

    private func beginHandshake(_ tls: EndpointTLS) {
        if self.mustAnnounce {
            var writer = ByteWriter(self.core.memory.head)
            self.announce(into: &writer)
            _ = self.channel.write(
                self.core.memory.gather(head: writer.count, BodyPiece(), nil, as: .none), pool: &self.core.buffers)
        }
        let offers: ProtocolOffer =
            switch self.pool.spec.speaks {
            case .http1: .nothing
            case .http2: .http2
            case .negotiated: .http1
            }
        guard let memory = self.core.tlsMemory(), tls.begin(&self.channel, memory, offers: offers) else {
            return self.fail(.unavailable)
        }
        self.shake()
    }

    private func shake() {
        switch self.channel.shake(pool: &self.core.buffers) {
        case .waits: if self.channel.isReadable { self.core.makeRunnable(self) }
        case .done(let facts): self.connected(facts)
        case .failed: self.fail(.unavailable)
        }
    }

    /// `facts`: what TLS has agreed on; nil: there is none.
    private func connected(_ facts: TLSFacts?) {
        if self.pool.spec.speaks == .http2, let job {
            guard facts?.isHTTP2 ?? true, let http2 = MirrorHTTP2(self.core, limits: job.request.plan.table.spec.limits)
            else { return self.fail(.unavailable) }
            self.http2 = http2
        }
        self.write()
    }

    // MARK: the request

    private func announce(into writer: inout ByteWriter) {
        self.mustAnnounce = false
        guard let version = ProxyHeader.Version(rawValue: self.pool.spec.sendProxyProtocol) else { return }
        guard let ends = self.job?.request.ends else { return ProxyHeaderWriter.writeLocal(version, into: &writer) }
        ProxyHeaderWriter.write(
            version, from: ProxyHeader.Address(ends.source), to: ProxyHeader.Address(ends.destination),
            texts: (AddressText(ends.source.ip.description.utf8), AddressText(ends.destination.ip.description.utf8)),
            into: &writer)
    }

    /// The head, rewritten as the route says, and the body: one write.
    private func write() {
        guard let job else { return self.close() }
        let request = job.request
        self.state = .leased
        self.isInBody = false
        self.mayBeKept = false
        self.lease = job.lease
        let timeout = UInt64(request.mirror.spec.mirror.timeout)
        let passed = (self.core.nowMicroseconds &- self.began) / 1_000
        self.schedule(timeout > passed ? timeout - passed : 1)
        self.core.memory.grow(headRoom: request.plan.headRoom, frameRoom: request.plan.frameRoom)
        var writer = ByteWriter(self.core.memory.head)
        if self.mustAnnounce { self.announce(into: &writer) }
        var head = request.head.head
        head.expectContinue = false
        self.rewrite(request, head, into: &writer)
        guard !writer.overflowed else { return self.fail(.memory) }
        if self.http2 != nil { return self.writeFrames(request, head: writer.count) }
        let hasBody = head.framing != .none && head.framing != .length(0)
        let flow = request.body.withUnsafeBytes { body in
            self.channel.write(
                self.core.memory.gather(
                    head: writer.count, BodyPiece(data: body.count, isEnd: hasBody), body.baseAddress,
                    as: head.framing), pool: &self.core.buffers)
        }
        if flow == .gone { return self.fail(.unavailable) }
        self.core.makeRunnable(self)
    }

    private func writeFrames(_ request: CopiedRequest, head count: Int) {
        self.core.prepareHTTP2(request)
        let head = UnsafeMutableRawBufferPointer(rebasing: self.core.memory.head[0..<count])
        guard self.http2?.send(head, body: request.body, isSecure: self.pool.tls != nil) == true, self.flush() else {
            return self.fail(.unavailable)
        }
        self.core.makeRunnable(self)
    }

    /// False: nothing can be written any more.
    private func flush() -> Bool {
        guard var bytes = self.http2?.takeOutbox(), !bytes.isEmpty else { return true }
        return bytes.withUnsafeMutableBytes { bytes in
            self.core.http2.pieces[0] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            return self.channel.write(
                UnsafeMutableBufferPointer(rebasing: self.core.http2.pieces[0..<1]), pool: &self.core.buffers) != .gone
        }
    }

    private func rewrite(_ request: CopiedRequest, _ head: RequestHead, into writer: inout ByteWriter) {
        var context = RequestContext(
            peer: request.peer, scheme: request.scheme, isPeerTrusted: request.isTrusted,
            requestID: request.requestID, upgrades: false)
        var copy = request.head
        var added = request.addedLines
        self.span = self.core.newSpan()
        if let trace = request.trace {
            added += request.traceLine(trace, span: self.span, of: &copy)
        } else {
            copy.setTraceParent(self.span)
        }
        let authority = Array(self.pool.endpoint.address.description.utf8)
        authority.withUnsafeBytes { authority in
            if request.route.rewritesHostToEndpoint { context.endpointHost = authority }
            added.withUnsafeBytes { lines in
                context.addedLines = lines
                copy.withFields { fields, source in
                    _ = RequestRewriter.write(
                        head, fields: fields, source: source.bindMemory(to: UInt8.self).span,
                        policy: request.mirror.policy, context: context, into: &writer)
                }
            }
        }
    }

    // MARK: the answer

    private var isReading: Bool { self.state == .leased || (self.state == .idle && self.http2 != nil) }

    private func read() {
        var reads = 0
        while self.isReading, self.channel.isReadable {
            if reads == Self.readsPerEvent { return self.core.makeRunnable(self) }
            reads += 1
            let input = self.core.memory.input
            let held = self.inbound.count
            guard held < input.count else { return self.fail(.decode) }
            input.copyMemory(from: self.inbound.bytes)
            let room = UnsafeMutableRawBufferPointer(rebasing: input[held...])
            switch self.channel.read(into: room, pool: &self.core.buffers) {
            case .bytes(let count):
                self.inbound.clear(pool: &self.core.buffers)
                let bytes = UnsafeMutableRawBufferPointer(rebasing: input[0..<held + count])
                let used = self.take(bytes)
                if used < bytes.count, self.isReading {
                    self.inbound.append(
                        UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[used...]),
                        pool: &self.core.buffers)
                }
            case .dry: break
            case .ended: self.ended()
            case .failed: self.fail(.unavailable)
            }
        }
    }

    /// Answers how many bytes were used; the rest is presented again with more behind it.
    private func take(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        if self.http2 != nil { return self.takeFrames(UnsafeRawBufferPointer(bytes)) }
        var offset = 0
        while offset < bytes.count, self.state == .leased, let job {
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
            if self.isInBody { return offset + self.takeBody(rest) }
            let source = UnsafeRawBufferPointer(rest)
            do throws(HeadError) {
                guard
                    let head = try HeadParser.response(
                        source.bindMemory(to: UInt8.self).span, to: job.request.head.head.method,
                        limits: job.request.route.responseHeadLimits, fields: &self.core.memory.fields)
                else { return offset }
                offset += head.length
                if head.status == 101 {
                    self.fail(.decode)
                } else if head.status >= 200 {
                    self.begin(head, source, job)
                }
            } catch {
                self.fail(.decode)
            }
        }
        return offset
    }

    private func takeFrames(_ bytes: UnsafeRawBufferPointer) -> Int {
        var offset = 0
        while offset < bytes.count, self.isReading, let http2 = self.http2 {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            do throws(ConnectionFault) {
                guard let (event, size) = try http2.next(rest, for: self.job?.request) else { break }
                offset += size
                self.follow(event, rest)
            } catch {
                self.fail(.decode)
            }
        }
        // Of a server that does not read what it is told between copies nothing is kept for it.
        if self.isReading, !self.flush() || (self.state == .idle && !self.channel.isClear) { self.fail(.unavailable) }
        if self.state == .idle, self.http2?.takesCopies == false { self.fail(.unavailable) }
        return offset
    }

    private func follow(_ event: MirrorHTTP2.Event, _ bytes: UnsafeRawBufferPointer) {
        guard let job, let lease else { return }
        switch event {
        case .nothing: break
        case .head(let head, let source, let isEnd):
            self.keep(head, source, job)
            if isEnd { self.finish(surplus: false) }
        case .data(let range, let isEnd):
            guard self.answer.body.append(UnsafeRawBufferPointer(rebasing: bytes[range]), lease) else {
                return self.fail(.memory)
            }
            if isEnd {
                self.finish(surplus: false)
            } else if case .compare(let live, _) = job.purpose, self.answer.body.outgrows(live.body) {
                self.finish(surplus: true)
            }
        case .end: self.finish(surplus: false)
        case .lost(let reason): self.fail(reason)
        }
    }

    private func keep(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ job: MirrorJob) {
        self.isInBody = true
        self.answer = MirroredAnswer(
            status: head.status, fields: job.request.mirror.kept(self.core.memory.fields.list, source),
            body: CapturedBody(limit: job.request.mirror.bodyLimit))
    }

    private func begin(_ head: ResponseHead, _ source: UnsafeRawBufferPointer, _ job: MirrorJob) {
        let request = job.request
        self.keep(head, source, job)
        self.mayBeKept = head.persistent && head.framing != .untilClose
        let limits = request.route.limits
        self.reader = BodyReader(
            head.framing, of: .response, extensionLimit: Int(limits.chunkExtensionBytes),
            trailerLimit: Int(limits.trailerBytes))
        if self.reader.isEnded { self.finish(surplus: source.count > head.length) }
    }

    private func takeBody(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        guard let job, let lease else { return bytes.count }
        do throws(ChunkError) {
            let piece = try self.reader.take(
                bytes, frames: self.core.memory.frames, trailers: job.request.route.answerTrailers)
            if piece.data > 0 {
                let data = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[0..<piece.data])
                guard self.answer.body.append(data, lease) else {
                    self.fail(.memory)
                    return bytes.count
                }
            }
            if self.reader.isEnded {
                self.finish(surplus: piece.consumed < bytes.count)
                return bytes.count
            }
            if case .compare(let live, _) = job.purpose, self.answer.body.outgrows(live.body) {
                // Whatever follows, it is another body.
                self.mayBeKept = false
                self.finish(surplus: true)
                return bytes.count
            }
            return piece.consumed
        } catch {
            self.fail(.decode)
            return bytes.count
        }
    }

    private func ended() {
        if self.http2 == nil, self.isInBody, self.reader.inputEnded() { return self.finish(surplus: true) }
        self.fail(self.isInBody || !self.inbound.isEmpty ? .decode : .unavailable)
    }

    // MARK: ends

    /// The answer is whole, as far as it is kept.
    private func finish(surplus: Bool) {
        guard let job else { return }
        self.job = nil
        self.pool.ended()
        self.pool.side.succeeded()
        let answer = self.answer
        if let trace = job.request.trace { self.record(trace, job, status: answer.status) }
        self.log(job, answer)
        self.answer = MirroredAnswer(status: 0, fields: [], body: CapturedBody(limit: 0))
        self.lease = nil
        if let http2 { self.mayBeKept = http2.finish() && self.flush() }
        let limit = Int(job.request.mirror.spec.mirror.connections)
        let idle = job.request.route.timeouts.upstreamIdle
        if !surplus, self.mayBeKept, self.channel.isClear, !self.channel.isBroken, !self.channel.isPeerClosing,
            !self.channel.hasPart, self.pool.park(self, limit: limit)
        {
            if let tls = self.pool.tls { tls.keepTicket(of: self.channel) }
            self.state = .idle
            self.core.handles.setUrgent(self, true)
            self.schedule(UInt64(idle))
        } else {
            self.close()
        }
        self.core.answered(
            job, answer, by: self.pool.spec.name, microseconds: MonotonicClock.microseconds() &- self.began)
    }

    private func fail(_ reason: MirrorDrop) {
        guard let job else {
            if self.state == .idle { self.pool.remove(self) }
            return self.close()
        }
        self.job = nil
        self.pool.ended()
        // A kept connection may have been closed before it was asked: that says nothing of the side.
        if reason != .memory, !(self.isReused && reason == .unavailable && !self.isInBody) {
            self.pool.side.failed(now: self.core.now)
        }
        if let trace = job.request.trace { self.record(trace, job, reason: reason.word) }
        self.log(job, self.answer, reason: reason)
        job.drop(reason)
        self.close()
    }

    /// `reason`: why the answer is none.
    private func log(_ job: MirrorJob, _ answer: MirroredAnswer, reason: MirrorDrop? = nil) {
        guard let log = self.core.log else { return }
        AccessRecord.write(
            job, to: self.pool.endpoint.address, status: reason == nil ? answer.status : 0,
            answerBytes: answer.body.length, microseconds: MonotonicClock.microseconds() &- self.began, reason: reason,
            in: self.core.memory.head, to: log)
    }

    /// Hands the span of a copy over. `reason`: why there is no answer.
    private func record(_ trace: CopiedTrace, _ job: MirrorJob, status: UInt16 = 0, reason: String = "") {
        // Of one that was not written nothing was traced.
        guard self.span != 0, let spans = self.core.spans else { return }
        var span = job.request.span(
            trace, span: self.span, member: job.member, from: self.began, to: MonotonicClock.microseconds())
        self.span = 0
        span.endpoint = self.pool.endpoint.address
        span.status = status
        span.isError = status >= 500 || !reason.isEmpty
        span.reason = reason
        spans.put(span)
    }

    func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        self.core.open -= 1
        self.lease = nil
        self.inbound.clear(pool: &self.core.buffers)
        self.channel.close(pool: &self.core.buffers)
        guard self.slot >= 0 else { return }
        self.core.wheel.cancel(self.slot)
        self.core.handles.remove(self)
    }
}
