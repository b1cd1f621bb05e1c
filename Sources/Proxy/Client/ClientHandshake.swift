import HTTP2
import HTTPWire
import Reactor
import Traffic

/// A client's connection up to the moment at which its requests may begin: what has to be said first is said here, in this
/// order, each step with a deadline of its own that nothing moves. Then the connection of the protocol that was found takes
/// its place, with its channel, slot and token.
///
///     proxyHeader ──whole header──▶ tls ──agreed──▶ over (a `ClientConnection` goes on)
///          │                         preface ──24 bytes, or one that differs──▶ over
///          ├──malformed, ended, late────┼──ended, late──▶ closed
///          │                            └──refused──▶ leaving ──peer has read why, or 1 s──▶ closed
///
/// Only connections that have such a step get one of these; all others are clients from accept on. Bytes behind a step are
/// left in the kernel for the next one: nothing is read beyond what belongs here.
final class ClientHandshake: Handle {
    private enum Step {
        /// The peer is a proxy that says whom it connects for (PROXY protocol).
        case proxyHeader
        case tls(TLSServer)
        /// Refused: what says so has been written, and a close over bytes that still come would reset it away.
        case leaving
        /// The first bytes tell HTTP/2 from HTTP/1.
        case preface
        case over
    }

    /// Milliseconds that a peer which was refused gets to read why.
    private static let farewell: UInt64 = 1_000

    private let core: WorkerCore
    private var channel: Channel
    private let plan: ListenerPlan
    /// The address is the peer's until a proxy names another.
    private var origin: ClientOrigin
    private var step: Step
    private var isDraining = false
    private var isAdmitted = false
    /// Its handshake is counted for its client.
    private var isCountedPerClient = false
    /// When the TLS handshake began, in microseconds of the monotonic clock.
    private var began: UInt64 = 0

    init(core: WorkerCore, socket: consuming Socket, origin: ClientOrigin) {
        self.core = core
        self.channel = Channel(socket)
        self.plan = origin.listener.plan
        self.origin = origin
        self.step = .proxyHeader
        super.init()
    }

    /// Counts itself in and registers.
    func start() {
        self.core.counts.connections += 1
        self.core.register(self)
        do throws(SystemError) {
            try self.channel.register(with: self.core.loop, token: self.token)
        } catch {
            return self.close()
        }
        if self.plan.awaitsProxyHeader(from: self.origin.address) {
            self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(self.core.timeouts.proxyHeader))
        } else {
            self.goOn()
        }
    }

    // MARK: events

    override func ready(_ readiness: Readiness) {
        self.channel.note(readiness)
        if readiness.contains(.error) || readiness.contains(.hangUp) { return self.fail(.closed) }
        if readiness.contains(.output), !self.channel.isClear {
            guard self.channel.flush(pool: &self.core.buffers).flow != .gone else { return self.fail(.closed) }
        }
        // Steps of handshakes are taken in the order in which they were asked for, later in the turn: those of new
        // connections must not go before those that wait.
        if case .tls = self.step {
            if self.channel.isReadable { self.core.makeRunnable(self) }
        } else {
            self.advance()
        }
    }

    override func resume() { self.advance() }

    override func expired() { self.fail(.timeout) }

    override func drain(grace: UInt64) { self.isDraining = true }

    override func abandon() {
        if case .tls = self.step { self.endHandshake() }
        self.close()
    }

    private func advance() {
        guard self.channel.isReadable else { return }
        switch self.step {
        case .proxyHeader: self.readProxyHeader()
        case .tls(let server): self.shake(server)
        case .leaving: self.discard()
        case .preface: self.readPreface()
        case .over: break
        }
    }

    // MARK: PROXY protocol

    private func readProxyHeader() {
        let input = self.core.memory.input
        let room = UnsafeMutableRawBufferPointer(rebasing: input[0..<min(ProxyHeader.longest, input.count)])
        switch self.channel.peek(into: room) {
        case .bytes(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: room[0..<count]).bindMemory(to: UInt8.self).span
            do throws(ProxyHeaderError) {
                let header = try ProxyHeader.read(bytes, self.plan.proxyVersions) { text in
                    IPAddress(parsing: text.extracting(0..<text.count)).map { ($0.high, $0.low) }
                }
                guard let header else {
                    // All that will ever come is there.
                    if self.channel.isPeerClosing { self.fail(.closed) }
                    return
                }
                self.take(header)
            } catch {
                self.fail(.malformed)
            }
        case .dry: break
        case .ended, .failed: self.fail(.closed)
        }
    }

    private func take(_ header: ProxyHeader) {
        guard self.channel.skip(header.length, scratch: self.core.memory.input) else { return self.fail(.closed) }
        if let source = header.source, let destination = header.destination {
            self.origin.listener.counts.proxyHeaders.accepted &+= 1
            self.origin.relay = RelayedConnection(
                proxy: self.origin.address, source: SocketAddress(source), destination: SocketAddress(destination))
            self.origin.address = IPAddress(high: source.high, low: source.low)
        } else {
            self.origin.listener.counts.proxyHeaders.local &+= 1
        }
        self.goOn()
    }

    // MARK: TLS

    /// What has to be said behind the PROXY protocol.
    private func goOn() {
        guard self.plan.isTLS else {
            return self.plan.spec.http2 ? self.awaitPreface() : self.finish(isHTTP2: false)
        }
        // Before the handshake, or one client's would keep all others out.
        guard self.admit() else { return self.close() }
        guard self.core.counts.handshakes < Int(self.core.tlsLimits.handshakes), self.countPerClient(),
            let server = self.plan.server(ofWorker: self.core.index), let memory = self.core.tlsMemory(),
            self.channel.beginTLS(server, memory: memory)
        else {
            self.forgetPerClient()
            self.origin.listener.counts.tls.fail(TLSFailure.Kind.limit.rawValue)
            return self.close()
        }
        self.core.counts.handshakes += 1
        self.step = .tls(server)
        self.began = self.core.nowMicroseconds
        self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(self.core.timeouts.tlsHandshake))
        if self.channel.isReadable { self.core.makeRunnable(self) }
    }

    private func shake(_ server: TLSServer) {
        guard self.core.handshakesInTurn < Int(self.core.tlsLimits.handshakesPerTurn) else {
            return self.core.makeRunnable(self)
        }
        self.core.handshakesInTurn += 1
        switch self.channel.shake(pool: &self.core.buffers) {
        case .waits:
            if self.channel.isReadable { self.core.makeRunnable(self) }
        case .done(let facts):
            let counts = self.origin.listener.counts
            counts.tls.succeed(isNewest: facts.version == .v13, isResumed: facts.isResumed)
            counts.tlsDuration.record(microseconds: self.core.nowMicroseconds &- self.began)
            self.endHandshake()
            self.origin.tls = ClientTLS(self.channel, facts, server: server, plan: self.plan)
            self.finish(isHTTP2: facts.isHTTP2)
        case .failed(let failure):
            self.count(failure.kind)
            self.channel.endTLS()
            if failure.kind == .plainHTTP { self.answerPlain() }
            self.leave()
        }
    }

    /// A client that speaks plain HTTP to this port is told so in words that it reads.
    private func answerPlain() {
        var writer = ByteWriter(self.core.memory.head)
        let body: StaticString = "This port speaks TLS: use https.\n"
        writer.append("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ")
        writer.append(decimal: UInt64(body.utf8CodeUnitCount))
        writer.append("\r\n\r\n")
        writer.append(body)
        let pieces = self.core.memory.gather(head: writer.count, BodyPiece(), nil, as: .none)
        _ = self.channel.write(pieces, pool: &self.core.buffers)
    }

    /// Ends our side and reads on for a moment.
    private func leave() {
        guard self.channel.isClear, !self.channel.isBroken else { return self.close() }
        self.step = .leaving
        self.channel.finishWriting(pool: &self.core.buffers)
        self.core.wheel.schedule(self.slot, at: self.core.now + Self.farewell)
        self.channel.note(.input)
        self.discard()
    }

    private func discard() {
        for _ in 0..<4 {
            guard self.channel.isReadable else { return }
            switch self.channel.read(into: self.core.memory.input, pool: &self.core.buffers) {
            case .bytes: break
            case .dry: return
            case .ended, .failed: return self.close()
            }
        }
        self.core.makeRunnable(self)
    }

    // MARK: HTTP/2 by prior knowledge

    private func awaitPreface() {
        self.step = .preface
        self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(self.core.timeouts.requestHeader))
        self.advance()
    }

    private func readPreface() {
        let room = UnsafeMutableRawBufferPointer(rebasing: self.core.memory.input[0..<Preface.count])
        switch self.channel.peek(into: room) {
        case .bytes(let count):
            let match = Preface.match(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<count]))
            // What was looked at is still to be read, and no event will tell of it again.
            if match != .part { self.channel.note(.input) }
            switch match {
            case .whole: self.finish(isHTTP2: true)
            case .other: self.finish(isHTTP2: false)
            // All that will ever come is there.
            case .part: if self.channel.isPeerClosing { self.fail(.closed) }
            }
        case .dry: break
        case .ended, .failed: self.fail(.closed)
        }
    }

    // MARK: ends

    /// Nothing more has to be said first: who the client is, is known, and its protocol.
    private func finish(isHTTP2: Bool) {
        self.step = .over
        if isHTTP2 { return self.finishHTTP2() }
        guard self.admit() else { return self.close() }
        self.handOn(HTTP1Client(core: self.core, channel: self.channel.take(), origin: self.origin))
    }

    private func finishHTTP2() {
        guard let tables = HPACKTables(), self.admit() else { return self.close() }
        self.handOn(HTTP2Client(core: self.core, channel: self.channel.take(), origin: self.origin, tables: tables))
    }

    private func handOn(_ client: ClientConnection) {
        client.takePlace(of: self)
        if self.isDraining { client.drain(grace: ListenerHandle.settle) }
    }

    /// Counts the connection for its client, once; false: it has as many as it may.
    private func admit() -> Bool {
        if !self.isAdmitted { self.isAdmitted = self.core.admit(&self.origin) }
        return self.isAdmitted
    }

    private enum Failure { case malformed, timeout, closed }

    /// A handshake that was under way came to none.
    private func count(_ kind: TLSFailure.Kind) {
        self.origin.listener.counts.tls.fail(kind.rawValue)
        self.endHandshake()
    }

    private func endHandshake() {
        self.core.counts.handshakes -= 1
        self.forgetPerClient()
    }

    /// False: the client has as many under way as it may.
    private func countPerClient() -> Bool {
        let limit = Int(self.core.tlsLimits.handshakesPerClient)
        guard limit > 0 else { return true }
        self.isCountedPerClient = self.core.admission.beginHandshake(of: self.origin.address, limit: limit)
        return self.isCountedPerClient
    }

    private func forgetPerClient() {
        guard self.isCountedPerClient else { return }
        self.isCountedPerClient = false
        self.core.admission.endHandshake(of: self.origin.address)
    }

    private func fail(_ failure: Failure) {
        switch self.step {
        case .tls:
            self.count(failure == .timeout ? .timeout : .closed)
            return self.close()
        case .leaving, .preface: return self.close()
        case .proxyHeader, .over: break
        }
        let counts = self.origin.listener.counts
        switch failure {
        case .malformed: counts.proxyHeaders.malformed &+= 1
        case .timeout: counts.proxyHeaders.timeout &+= 1
        case .closed: counts.proxyHeaders.closed &+= 1
        }
        self.close()
    }

    private func close() {
        guard self.slot >= 0 else { return }
        self.step = .over
        self.channel.close(pool: &self.core.buffers)
        self.core.counts.connections -= 1
        if self.origin.isCountedPerClient {
            self.core.admission.leave(self.origin.address)
        } else {
            self.core.admission.leave()
        }
        self.core.forget(self)
    }
}
