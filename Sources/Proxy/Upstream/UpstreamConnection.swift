import CEpoll
import Glibc
import Reactor
import Synchronization
import Traffic

/// One TCP connection to an endpoint.
///
///     connecting ──connected──▶ leased ──clean end──▶ idle ──lease──▶ leased
///         │                        │                    │
///         └──────────failed────────┴─unclean, surplus───┴─any readiness──▶ closed
///
/// Races worth knowing: an idle connection may become readable (closed, or bytes nobody asked for) in the same batch of
/// events in which a request wants to lease it. The worker looks at idle connections' events before all others, so the
/// lease never sees it.
final class UpstreamConnection: Handle {
    enum State { case connecting, leased, idle, closed }

    /// The core outlives every handle: it owns the table that holds them.
    unowned(unsafe) let core: WorkerCore
    @exclusivity(unchecked) var socket: Socket
    let pool: EndpointPool
    @exclusivity(unchecked) private(set) var state = State.connecting
    /// Whose exchange it serves while connecting or leased.
    unowned(unsafe) var downstream: Downstream?
    /// Request bytes the kernel would not take yet.
    @exclusivity(unchecked) var outbound = ByteQueue()
    /// A response head that is not complete.
    @exclusivity(unchecked) var inbound = ByteQueue()
    @exclusivity(unchecked) var readable = false
    /// The peer sent FIN: read on until the end shows, a short read proves nothing any more.
    @exclusivity(unchecked) var peerClosing = false
    /// A write failed; an answer may still be there to read.
    @exclusivity(unchecked) var writeBroken = false
    /// Exchanges served, the present one included.
    var uses = 1
    /// Bytes of a response have come in the present exchange.
    @exclusivity(unchecked) var heard = false
    private let born: UInt64
    private let lifetime: UInt64

    init(core: WorkerCore, socket: consuming Socket, pool: EndpointPool, downstream: Downstream, lifetime: UInt32) {
        self.core = core
        self.socket = socket
        self.pool = pool
        self.downstream = downstream
        self.born = core.now
        self.lifetime = UInt64(lifetime)
        super.init()
        pool.connectionsOpened &+= 1
    }

    override func ready(_ flags: UInt32) {
        switch self.state {
        case .idle:
            // Writability alone is no news. Anything else means closed, or bytes that belong to no request.
            if flags & ~EPOLLOUT.rawValue != 0 {
                self.pool.remove(self)
                self.close()
            }
        case .connecting:
            guard flags & (EPOLLOUT.rawValue | EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 else { return }
            self.noteReadable(flags)
            let code = self.socket.takeError()
            guard let downstream = self.downstream else { return self.close() }
            if code == 0 {
                self.state = .leased
                downstream.upstreamConnected(self)
            } else {
                downstream.upstreamDialFailed(code)
            }
        case .leased:
            self.noteReadable(flags)
            if flags & EPOLLOUT.rawValue != 0, !self.outbound.isEmpty { self.flush() }
            self.downstream?.upstreamReady(self)
        case .closed: break
        }
    }

    private func noteReadable(_ flags: UInt32) {
        if flags & (EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            self.readable = true
        }
        if flags & (EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 { self.peerClosing = true }
    }

    override func expired() {
        guard self.state == .idle else { return }
        self.pool.remove(self)
        self.close()
    }

    /// Takes over an idle connection for a new exchange. False if it must not be used: too old, or (looked at only if
    /// `checking`) no longer quiet.
    func reuse(for downstream: Downstream, checking: Bool) -> Bool {
        if self.core.now &- self.born >= self.lifetime || (checking && !self.socket.isQuiet()) {
            self.close()
            return false
        }
        self.core.wheel.cancel(self.slot)
        self.core.handles.setUrgent(self, false)
        self.state = .leased
        self.downstream = downstream
        self.uses += 1
        self.heard = false
        return true
    }

    /// Ends its exchange cleanly and waits for another; closes if there is no room.
    func park(idleMilliseconds: UInt32) {
        self.downstream = nil
        guard !self.peerClosing, !self.core.draining, self.core.now &- self.born < self.lifetime, self.pool.park(self)
        else { return self.close() }
        self.state = .idle
        self.core.handles.setUrgent(self, true)
        self.core.wheel.schedule(self.slot, at: self.core.now + UInt64(idleMilliseconds))
    }

    /// Sends `pieces[0..<count]` of the worker, keeping what the kernel does not take.
    func write(pieces count: Int) {
        guard !self.writeBroken else { return }
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
                self.writeBroken = true
                return
            }
            if sent == total { return }
        }
        self.core.spill(pieces, skipping: sent, into: &self.outbound)
    }

    func flush() {
        while !self.outbound.isEmpty {
            switch self.socket.send(self.outbound.bytes) {
            case .bytes(let count):
                self.outbound.consume(count, pool: &self.core.buffers)
                self.downstream?.uploadMoved()
            case .wouldBlock, .end: return
            case .failed:
                self.writeBroken = true
                self.outbound.clear(pool: &self.core.buffers)
                return
            }
        }
    }

    func close() {
        guard self.state != .closed else { return }
        self.state = .closed
        self.downstream = nil
        self.outbound.clear(pool: &self.core.buffers)
        self.inbound.clear(pool: &self.core.buffers)
        self.socket.close()
        self.pool.endpoint.connections.subtract(1, ordering: .relaxed)
        self.core.forget(self)
    }
}
