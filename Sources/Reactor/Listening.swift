import CEpoll
import Glibc
import Traffic

extension Socket {
    /// Connections the kernel queues before it refuses; the system's own maximum (somaxconn) caps it.
    private static let backlog: Int32 = 4096

    /// Seconds of silence after which the kernel asks a connection's peer whether it is still there, and between two such
    /// questions; after nine without an answer it ends the connection. Without them a peer that vanished would hold a
    /// tunnel's two descriptors until `timeouts.tunnelIdle`.
    private static let keepAliveIdle: Int32 = 60
    private static let keepAliveInterval: Int32 = 10

    package enum Sharing: Sendable {
        /// Nobody else may listen where this socket would: the kernel refuses all but one of those who try, at any moment.
        /// Once it listens, `shared` ones may join it.
        case exclusive
        /// Several sockets of one user share one address (SO_REUSEPORT), and the kernel spreads connections over them. Asks
        /// nobody whose the others are.
        case shared
    }

    /// Binds and listens.
    package static func listen(on address: SocketAddress, _ sharing: Sharing = .shared) throws(SystemError) -> Socket {
        let endpoint = IPEndpoint(address)
        let descriptor = socket(
            endpoint.family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket") }
        let socket = Socket(owning: descriptor)
        // Connections of an earlier process that still end must not keep this one from starting.
        socket.set(SOL_SOCKET, SO_REUSEADDR, 1)
        if sharing == .shared { socket.set(SOL_SOCKET, SO_REUSEPORT, 1) }
        // Accepted sockets inherit it, which saves a system call for each.
        socket.set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        socket.keepAlive()
        // `[::]` serves IPv4 clients too, as people expect of "all interfaces".
        if endpoint.family == AF_INET6 { socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        guard endpoint.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else { throw SystemError(operation: "bind") }
        // The kernel decides here: sockets that are bound and do not listen yet may be many (SO_REUSEADDR).
        guard Glibc.listen(descriptor, Self.backlog) == 0 else { throw SystemError(operation: "listen") }
        if sharing == .exclusive { socket.set(SOL_SOCKET, SO_REUSEPORT, 1) }
        return socket
    }

    /// Makes the kernel ask a silent peer whether it is still there. Connections that a listener accepts inherit it.
    package borrowing func keepAlive() {
        self.set(SOL_SOCKET, SO_KEEPALIVE, 1)
        self.set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, Self.keepAliveIdle)
        self.set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, Self.keepAliveInterval)
    }

    /// Hides a listener from connections to come, which then go to whoever else listens there, or are refused. Those whose
    /// handshake has begun still arrive in its queue. It cannot be undone, and it holds for every process that has the
    /// socket. False: the system does not know how.
    package borrowing func hideListener() -> Bool {
        // Bound to an interface that does not exist: no look-up finds it any more.
        self.set(SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */, .max)
    }

    @discardableResult
    borrowing func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(self.descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// The address the kernel bound, with the port it chose if 0 was asked for.
    package borrowing func boundAddress() -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = self.descriptor
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return result == 0 ? IPEndpoint.read(storage) : nil
    }

    package enum AcceptResult: ~Copyable {
        case connection(Socket, from: IPAddress)
        case empty
        /// One that was gone, or could not be had, before it was taken: others may wait behind it.
        case aborted
        /// An errno value, such as EMFILE where descriptors ran out: nothing was taken.
        case failed(Int32)
    }

    /// Takes one connection from the queue.
    package borrowing func accept() -> AcceptResult {
        var storage = sockaddr_storage()
        let descriptor = cepoll_accept(self.descriptor, &storage)
        if descriptor >= 0 {
            let peer = IPEndpoint.read(storage)?.ip ?? IPAddress(high: 0, low: 0)
            return .connection(Socket(owning: descriptor), from: peer)
        }
        let code = errno
        switch code {
        case EAGAIN: return .empty
        // Linux hands on what befell the new connection (accept(2)); a firewall's no is EPERM.
        case EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH, ENOPROTOOPT, ETIMEDOUT,
            ENONET:
            return .aborted
        default: return .failed(code)
        }
    }
}
