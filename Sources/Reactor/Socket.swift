import CEpoll
import Glibc
import Traffic

/// What a read or a write on a non-blocking socket came to.
package enum IOResult {
    case bytes(Int)
    case wouldBlock
    /// The peer has finished sending (reads only).
    case end
    /// An errno value.
    case failed(Int32)
}

/// The only owner of a socket descriptor: dropping it closes the descriptor, and nothing else can.
package struct Socket: ~Copyable {
    /// -1 once closed.
    package private(set) var descriptor: Int32

    package init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        if self.descriptor >= 0 { Glibc.close(self.descriptor) }
    }

    package var isOpen: Bool { self.descriptor >= 0 }

    package mutating func close() {
        guard self.descriptor >= 0 else { return }
        Glibc.close(self.descriptor)
        self.descriptor = -1
    }

    /// Closes so that the peer sees a reset, never a clean end: for a message that was cut.
    package mutating func reset() {
        guard self.descriptor >= 0 else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        self.close()
    }

    /// Gives the descriptor away; this owner no longer closes it.
    package mutating func release() -> Int32 {
        let descriptor = self.descriptor
        self.descriptor = -1
        return descriptor
    }

    @inline(__always)
    package borrowing func receive(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        while true {
            let count = recv(self.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            let code = errno
            if code == EAGAIN { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }

    /// Reads what there is and leaves it there.
    package borrowing func peek(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        while true {
            let count = recv(self.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_PEEK))
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            let code = errno
            if code == EAGAIN { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }

    /// `waits`: the kernel may keep it for what is sent next, 200 ms at most.
    @inline(__always)
    package borrowing func send(_ bytes: UnsafeRawBufferPointer, waits: Bool = false) -> IOResult {
        while true {
            let count = Glibc.send(self.descriptor, bytes.baseAddress, bytes.count, Self.flags(waits))
            if count >= 0 { return .bytes(count) }
            let code = errno
            if code == EAGAIN { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }

    /// Sends several pieces in one call.
    @inline(__always)
    package borrowing func send(pieces: UnsafeMutableBufferPointer<iovec>, waits: Bool = false) -> IOResult {
        var message = msghdr()
        message.msg_iov = pieces.baseAddress
        message.msg_iovlen = pieces.count
        while true {
            let count = sendmsg(self.descriptor, &message, Self.flags(waits))
            if count >= 0 { return .bytes(count) }
            let code = errno
            if code == EAGAIN { return .wouldBlock }
            if code != EINTR { return .failed(code) }
        }
    }

    @inline(__always)
    private static func flags(_ waits: Bool) -> Int32 { Int32(waits ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL) }

    /// Whether the connection, idle until now, still looks untouched: nothing to read and not ended.
    package borrowing func isQuiet() -> Bool {
        var byte: UInt8 = 0
        let count = recv(self.descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count < 0 && errno == EAGAIN
    }

    /// Bytes sent that the peer's kernel has not acknowledged yet.
    package borrowing func unacknowledged() -> Int {
        Int(cepoll_unacknowledged(self.descriptor))
    }

    /// Ends our sending direction; the peer reads an end of stream.
    package borrowing func shutdownWrite() {
        _ = shutdown(self.descriptor, Int32(SHUT_WR))
    }

    /// The pending error of the socket (SO_ERROR), 0 if none. Reading it clears it.
    package borrowing func takeError() -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return errno }
        return code
    }

    /// The other end's address; nil once it is gone.
    package borrowing func peerAddress() -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = self.descriptor
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        return result == 0 ? IPEndpoint.read(storage) : nil
    }

    /// Begins a non-blocking TCP connect; it has ended when the socket turns writable (`takeError` says how).
    package static func dial(_ address: IPEndpoint) throws(SystemError) -> Socket {
        let descriptor = socket(
            address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket") }
        let socket = Socket(owning: descriptor)
        socket.setNoDelay()
        socket.keepAlive()
        let result = address.withSockaddr { pointer, length in connect(descriptor, pointer, length) }
        if result == 0 { return socket }
        let code = errno
        if code == EINPROGRESS || code == EINTR { return socket }
        throw SystemError(operation: "connect", code: code)
    }

    /// The kernel takes so many bytes more than it has sent, no more: what stands there cannot be put in another order.
    package borrowing func limitUnsent(_ bytes: Int32) {
        self.set(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, bytes)
    }

    /// Small writes leave at once: a proxy's writes are already whole messages or as much as there is.
    package borrowing func setNoDelay() {
        self.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }
}

extension Socket {
    /// Registers with a loop, edge-triggered for both directions at once: one system call in a connection's life.
    package borrowing func register(with loop: EventLoop, token: UInt64) throws(SystemError) {
        var event = epoll_event(
            events: EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue,
            data: epoll_data_t(u64: token))
        guard epoll_ctl(loop.descriptor, EPOLL_CTL_ADD, self.descriptor, &event) == 0 else {
            throw SystemError(operation: "epoll_ctl")
        }
    }

    /// Registers a listener, level-triggered: a connection left in the queue is told again.
    package borrowing func registerListener(with loop: EventLoop, token: UInt64) throws(SystemError) {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: token))
        guard epoll_ctl(loop.descriptor, EPOLL_CTL_ADD, self.descriptor, &event) == 0 else {
            throw SystemError(operation: "epoll_ctl")
        }
    }

    package borrowing func deregister(from loop: EventLoop) {
        var event = epoll_event()
        _ = epoll_ctl(loop.descriptor, EPOLL_CTL_DEL, self.descriptor, &event)
    }
}
