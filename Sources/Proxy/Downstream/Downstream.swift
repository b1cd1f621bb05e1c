import CEpoll
import Glibc
import HTTPWire
import Reactor
import Traffic

/// One client connection.
///
///     idle ──first byte──▶ head ──complete head──▶ exchange ──response done──▶ idle
///       │                   │                        │ 101            │ must close
///       │                   └──bad──▶ lingering ◀────┼────────────────┘
///       └─────────closed ◀──────────── │ ◀───── tunnel
///
/// One exchange at a time: pipelined requests wait unparsed in `inbound`, and nothing more is read meanwhile, so answers
/// keep their order and a client cannot make us hold more than one read's worth.
///
/// Races written down:
/// - Upstream answers before the request's body has ended: the answer is passed on with `Connection: close`, the rest of
///   the body is read and thrown away for a moment (`lingering`), or closing would reset the answer out of the client's
///   receive queue.
/// - The client's FIN while its answer is awaited is a half-close, which is legal: the answer is still sent. Only an
///   error or a hang-up in both directions gives the exchange up.
/// - A retry, a queued request, or the next pipelined one never starts from inside another connection's event: it is
///   made runnable and runs later in the turn, so the worker's scratch buffer has one user at a time.
final class Downstream: Handle {
    enum State { case idle, head, exchange, tunnel, lingering, closed }

    /// The core outlives every handle: it owns the table that holds them.
    unowned(unsafe) let core: WorkerCore
    @exclusivity(unchecked) var socket: Socket
    let peer: IPAddress
    let peerText: [UInt8]
    let isCountedPerClient: Bool

    @exclusivity(unchecked) var state = State.idle
    /// Input not consumed yet: a partial head, or what came behind the present request.
    @exclusivity(unchecked) var inbound = ByteQueue()
    /// Output the kernel would not take yet.
    @exclusivity(unchecked) var outbound = ByteQueue()
    @exclusivity(unchecked) var readable = false
    /// The client sent FIN (EPOLLRDHUP); a short read proves nothing any more.
    @exclusivity(unchecked) var peerClosing = false
    /// Its FIN has been read.
    var inputEnded = false
    /// Nothing can be written any more.
    @exclusivity(unchecked) var broken = false
    /// Close once the present response has left.
    @exclusivity(unchecked) var closeAfter = false
    /// The response was cut: the client must see a reset, not an end.
    var resetOnClose = false
    /// The present exchange must be dispatched (again) when run.
    @exclusivity(unchecked) var needsDispatch = false
    /// A read that did not drain into the client: read less at a time from now on.
    @exclusivity(unchecked) var isSlow = false
    var tunnelInputEnded = false
    var tunnelOutputEnded = false
    var requestStartedAt: UInt64 = 0

    @exclusivity(unchecked) var exchange = Exchange()
    @exclusivity(unchecked) var upstream: UpstreamConnection?

    /// Bytes thrown away, and milliseconds waited, for a client to see our last answer before we close.
    private static let lingerBytes = 1 << 20
    private static let lingerMilliseconds: UInt64 = 2_000
    private var lingered = 0

    init(core: WorkerCore, socket: consuming Socket, client: IPAddress, isCountedPerClient: Bool) {
        self.core = core
        self.socket = socket
        self.peer = client
        self.peerText = Array(client.description.utf8)
        self.isCountedPerClient = isCountedPerClient
        super.init()
    }

    func start() {
        self.core.connections += 1
        self.core.register(self)
        do throws(SystemError) {
            try self.socket.register(with: self.core.loop, token: self.token)
        } catch {
            self.close()
            return
        }
        // A client that connects and says nothing is held to the deadline of a head, not to that of an idle
        // connection that has proved itself.
        self.arm(at: self.core.now + UInt64(self.core.runtime.table.spec.timeouts.requestHeader))
    }

    // MARK: events

    override func ready(_ flags: UInt32) {
        if flags & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            self.readable = true
        }
        if flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { self.peerClosing = true }
        if flags & EPOLLERR.rawValue != 0 || (flags & EPOLLHUP.rawValue != 0 && self.state != .tunnel) {
            // Gone in both directions: whatever runs for it runs for nobody. In a tunnel our own half-close makes a
            // hang-up of the client's ordinary end, in front of which bytes may still stand.
            self.clientGone()
            return
        }
        if flags & EPOLLOUT.rawValue != 0, !self.outbound.isEmpty {
            self.flush()
            if self.state == .closed { return }
        }
        self.proceed()
    }

    override func run() {
        if self.needsDispatch {
            self.needsDispatch = false
            self.dispatchAgain()
        }
        self.proceed()
    }

    /// Does whatever can be done now.
    func proceed() {
        if let upstream, upstream.readable || !upstream.inbound.isEmpty { self.upstreamReady(upstream) }
        while self.state != .closed {
            switch self.state {
            case .idle, .head:
                guard self.outbound.isEmpty, !self.needsDispatch else { return }
                if self.state == .idle, !self.inbound.isEmpty {
                    self.processInbound()
                    continue
                }
                guard self.readable else { return }
                self.readHead()
            case .exchange:
                guard self.readable, self.canTakeBody else { return }
                if !self.readBody() { return }
            case .tunnel:
                self.pumpTunnel()
                return
            case .lingering:
                guard self.readable else { return }
                self.discard()
            case .closed: return
            }
        }
    }

    override func expired() {
        switch self.state {
        case .idle:
            // A refusal that the client never read whole must not look whole.
            if !self.outbound.isEmpty { self.socket.reset() }
            self.close()
        case .head: self.reject(.headerTimeout)
        case .exchange: self.exchangeExpired()
        case .tunnel: self.tunnelExpired()
        case .lingering: self.close()
        case .closed: break
        }
    }

    func arm(at deadline: UInt64) {
        self.core.wheel.schedule(self.slot, at: deadline)
    }

    // MARK: output

    /// Sends `pieces[0..<count]` of the worker and keeps what the kernel does not take.
    func write(pieces count: Int) {
        guard !self.broken else { return }
        let pieces = UnsafeMutableBufferPointer(rebasing: self.core.pieces[0..<count])
        var total = 0
        for piece in pieces { total += piece.iov_len }
        guard total > 0 else { return }
        var sent = 0
        if self.outbound.isEmpty {
            let result =
                count == 1
                ? self.socket.send(UnsafeRawBufferPointer(start: pieces[0].iov_base, count: pieces[0].iov_len))
                : self.socket.send(pieces: pieces)
            switch result {
            case .bytes(let bytes): sent = bytes
            case .wouldBlock, .end: break
            case .failed:
                self.broken = true
                return
            }
            if sent == total { return }
            self.isSlow = true
        }
        self.core.spill(pieces, skipping: sent, into: &self.outbound)
    }

    private func flush() {
        while !self.outbound.isEmpty {
            switch self.socket.send(self.outbound.bytes) {
            case .bytes(let count):
                self.outbound.consume(count, pool: &self.core.buffers)
                if self.state == .exchange {
                    self.exchange.deadline = self.core.now + self.bodyIdle
                    self.exchange.unacknowledged = .max
                } else if self.state == .idle {
                    self.arm(at: self.core.now + self.bodyIdle)
                }
            case .wouldBlock, .end: return
            case .failed:
                self.broken = true
                self.clientGone()
                return
            }
        }
        self.drained()
    }

    /// Everything has left. Ends the connection if that was all it waited for.
    private func drained() {
        switch self.state {
        case .idle where self.closeAfter: self.finishClosing()
        case .exchange where self.exchange.attempt == .flushing: self.finishExchange()
        case .tunnel where self.tunnelOutputEnded: self.socket.shutdownWrite()
        default: break
        }
    }

    var bodyIdle: UInt64 {
        UInt64(self.exchange.route?.timeouts.responseBodyIdle ?? self.core.runtime.table.spec.timeouts.responseBodyIdle)
    }

    var requestBodyIdle: UInt64 {
        UInt64(self.exchange.route?.timeouts.requestBodyIdle ?? self.core.runtime.table.spec.timeouts.requestBodyIdle)
    }

    // MARK: ending

    /// After the last response: ends the connection so that the client still reads that response.
    func finishClosing() {
        guard self.state != .closed else { return }
        if self.resetOnClose {
            self.socket.reset()
            self.close()
            return
        }
        if !self.outbound.isEmpty {
            // Closes when flushed; the idle state with `closeAfter` waits for that.
            self.state = .idle
            self.arm(at: self.core.now + self.bodyIdle)
            return
        }
        self.inbound.clear(pool: &self.core.buffers)
        if self.inputEnded {
            self.close()
            return
        }
        self.socket.shutdownWrite()
        self.state = .lingering
        self.lingered = 0
        self.arm(at: self.core.now + Self.lingerMilliseconds)
        if self.readable { self.core.makeRunnable(self) }
    }

    /// Reads and forgets, until the client has seen our end.
    private func discard() {
        switch self.socket.receive(into: self.core.scratch) {
        case .bytes(let count):
            self.lingered += count
            if self.lingered > Self.lingerBytes { self.close() }
        case .wouldBlock: self.readable = false
        case .end, .failed: self.close()
        }
    }

    /// The client cannot be reached any more.
    func clientGone() {
        self.broken = true
        if self.state == .exchange { self.abandonExchange(.clientClosed) }
        if self.state == .tunnel {
            // Its reset is passed on as one: half of what was said must not look like all of it.
            self.upstream?.socket.reset()
            self.finishTunnel()
        }
        self.close()
    }

    /// The process ends: no time is left.
    func abandon() {
        let isCut = !self.outbound.isEmpty || (self.state == .exchange && self.exchange.responseStarted)
        if self.state == .exchange { self.abandonExchange(.shutdown) }
        if self.state == .tunnel { self.finishTunnel() }
        if isCut { self.socket.reset() }
        self.close()
    }

    func drain(grace: UInt64) {
        if self.state == .idle, self.outbound.isEmpty { self.arm(at: self.core.now + grace) }
    }

    func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        self.detachUpstream(reusable: false)
        self.inbound.clear(pool: &self.core.buffers)
        self.outbound.clear(pool: &self.core.buffers)
        self.exchange.kept.clear(pool: &self.core.buffers)
        self.socket.close()
        self.core.connections -= 1
        self.core.shared.leave(self.peer, counted: self.isCountedPerClient)
        self.core.forget(self)
    }
}
