import CEpoll
import Glibc
import Traffic

extension Socket {
    /// Connections the kernel queues before it refuses; the system's own maximum (somaxconn) caps it.
    private static let backlog: Int32 = 4096

    /// Binds and listens. Several sockets may share one address (SO_REUSEPORT): one a worker, the kernel spreads
    /// connections over them.
    package static func listen(on address: SocketAddress) throws(SystemError) -> Socket {
        let endpoint = IPEndpoint(address)
        let descriptor = socket(
            endpoint.family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket") }
        let socket = Socket(owning: descriptor)
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, size)
        // Accepted sockets inherit it, which saves a system call for each.
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
        if endpoint.family == AF_INET6 {
            // `[::]` serves IPv4 clients too, as people expect of "all interfaces".
            var zero: Int32 = 0
            setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &zero, size)
        }
        guard endpoint.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else { throw SystemError(operation: "bind") }
        guard Glibc.listen(descriptor, Self.backlog) == 0 else { throw SystemError(operation: "listen") }
        return socket
    }

    /// Whether something listens on the address already. Binding with SO_REUSEPORT would share it silently with another
    /// program of the same user, so start-up asks first.
    package static func isTaken(_ address: SocketAddress) -> Bool {
        guard address.port != 0 else { return false }
        let endpoint = IPEndpoint(address)
        let descriptor = socket(endpoint.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        return endpoint.withSockaddr({ bind(descriptor, $0, $1) }) != 0 && errno == EADDRINUSE
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
        /// An errno value; EMFILE and ENFILE mean that descriptors ran out.
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
        case EAGAIN, EINTR, ECONNABORTED, EPROTO: return .empty
        default: return .failed(code)
        }
    }
}
