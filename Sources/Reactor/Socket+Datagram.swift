import CEpoll
import Glibc

extension Socket {
    /// A non-blocking UDP socket connected to `address`: the kernel passes only what comes from there, and picks a port
    /// of ours that nobody can foresee.
    package static func datagram(to address: IPEndpoint) throws(SystemError) -> Socket {
        let descriptor = socket(
            address.family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
            0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket") }
        let socket = Socket(owning: descriptor)
        guard address.withSockaddr({ connect(descriptor, $0, $1) }) == 0 else {
            throw SystemError(operation: "connect")
        }
        return socket
    }
}
