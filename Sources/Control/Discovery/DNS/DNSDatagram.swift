import Glibc
import Reactor
import Traffic

/// One question and its answer over UDP.
enum DNSDatagram {
    /// Waits on a thread of its own until a datagram from `server` is accepted or time is up. The socket is connected, so
    /// the kernel passes only what comes from that address and port, and picks a port of ours that nobody can foresee.
    static func exchange(
        _ query: [UInt8], with server: SocketAddress, milliseconds: UInt32,
        accept: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> Result<[UInt8], DiscoveryFailure> {
        await withCheckedContinuation { continuation in
            EventLoop.startThread(named: "dns") {
                continuation.resume(
                    returning: self.blocking(query, with: server, milliseconds: milliseconds, accept: accept))
            }
        }
    }

    private static func blocking(
        _ query: [UInt8], with server: SocketAddress, milliseconds: UInt32, accept: ([UInt8]) -> Bool
    ) -> Result<[UInt8], DiscoveryFailure> {
        let endpoint = IPEndpoint(server)
        let descriptor = socket(
            endpoint.family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            0)
        guard descriptor >= 0 else { return .failure(self.failure(server, errno)) }
        defer { close(descriptor) }
        guard endpoint.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
            return .failure(self.failure(server, errno))
        }
        guard send(descriptor, query, query.count, Int32(MSG_NOSIGNAL)) == query.count else {
            return .failure(self.failure(server, errno))
        }
        var buffer = [UInt8](repeating: 0, count: Int(UInt16.max))
        let end = MonotonicClock.milliseconds() + UInt64(milliseconds)
        while true {
            let now = MonotonicClock.milliseconds()
            guard now < end else { return .failure(DiscoveryFailure("\(server) does not answer")) }
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, Int32(clamping: end - now)) > 0 else { continue }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 {
                let code = errno
                if code == EAGAIN || code == EINTR { continue }
                return .failure(self.failure(server, code))
            }
            let bytes = Array(buffer.prefix(count))
            if accept(bytes) { return .success(bytes) }
        }
    }

    private static func failure(_ server: SocketAddress, _ code: Int32) -> DiscoveryFailure {
        DiscoveryFailure("\(server) cannot be asked: \(String(cString: strerror(code)))")
    }
}
