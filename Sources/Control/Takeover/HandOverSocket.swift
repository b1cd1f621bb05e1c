import CEpoll
import Glibc
import Reactor

/// One end of the local connection over which a running balancer gives its listening sockets to its successor.
/// SOCK_SEQPACKET keeps packets apart, so descriptors stay with the bytes that name them. Calls block, with a deadline:
/// use from a thread of its own.
final class HandOverSocket: Sendable {
    /// Descriptors in one packet; the shim takes up to 64.
    static let descriptorsPerPacket = 32
    /// Bytes of one packet, far below the kernel's default buffer.
    static let packetSize = 32_768

    let descriptor: Int32

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(self.descriptor) }

    /// Bounds each later read and write.
    func setDeadline(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(self.descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    func send(_ packet: [UInt8], descriptors: [Int32] = []) throws(SystemError) {
        let count = packet.withUnsafeBytes {
            cepoll_send_descriptors(self.descriptor, $0.baseAddress, $0.count, descriptors, descriptors.count)
        }
        guard count == packet.count else { throw SystemError(operation: "sendmsg") }
    }

    /// The next packet; empty when the peer has gone. Received descriptors are the caller's.
    func receive() throws(SystemError) -> (packet: [UInt8], descriptors: [Int32]) {
        var bytes = [UInt8](repeating: 0, count: Self.packetSize)
        var descriptors = [Int32](repeating: -1, count: 64)
        var held = 0
        let socket = self.descriptor
        let count = bytes.withUnsafeMutableBytes { buffer in
            cepoll_receive_descriptors(socket, buffer.baseAddress, buffer.count, &descriptors, 64, &held)
        }
        guard count >= 0 else { throw SystemError(operation: "recvmsg") }
        return (Array(bytes.prefix(count)), Array(descriptors.prefix(held)))
    }

    // MARK: opening

    /// Calls `body` with the address of a path, or throws ENAMETOOLONG.
    private static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) throws(SystemError) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(operation: "takeover path", code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func open(extra: Int32 = 0) throws(SystemError) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | extra, 0)
        guard descriptor >= 0 else { throw SystemError(operation: "socket") }
        return descriptor
    }

    /// nil: nobody listens there.
    static func connect(to path: String) throws(SystemError) -> HandOverSocket? {
        let descriptor = try Self.open()
        let socket = HandOverSocket(owning: descriptor)
        let result = try Self.withAddress(path) { Glibc.connect(descriptor, $0, $1) }
        if result == 0 { return socket }
        if errno == ENOENT || errno == ECONNREFUSED { return nil }
        throw SystemError(operation: "connect \(path)")
    }

    /// Listens on the path, readable and writable by the owner only. Call only when nobody answers there: what is left
    /// of an earlier process is replaced.
    static func listen(on path: String) throws(SystemError) -> HandOverSocket {
        let descriptor = try Self.open(extra: Int32(SOCK_NONBLOCK.rawValue))
        let socket = HandOverSocket(owning: descriptor)
        // Bound beside and renamed into place: at no moment is the path missing or open to others.
        let temporary = "\(path).\(getpid())"
        unlink(temporary)
        let previous = umask(0o177)
        let result = try Self.withAddress(temporary) { bind(descriptor, $0, $1) }
        let bindError = errno
        umask(previous)
        guard result == 0 else { throw SystemError(operation: "bind \(temporary)", code: bindError) }
        guard Glibc.listen(descriptor, 4) == 0 else { throw SystemError(operation: "listen") }
        guard rename(temporary, path) == 0 else {
            let error = SystemError(operation: "rename \(temporary)")
            unlink(temporary)
            throw error
        }
        return socket
    }

    /// Waits until somebody connects; nil when `stopDescriptor` becomes readable.
    func accept(unless stopDescriptor: Int32) -> HandOverSocket? {
        while true {
            var descriptors = [
                pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&descriptors, 2, -1) < 0, errno != EINTR { return nil }
            if descriptors[1].revents != 0 { return nil }
            let accepted = Glibc.accept(self.descriptor, nil, nil)
            if accepted >= 0 {
                _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
                return HandOverSocket(owning: accepted)
            }
            // A full descriptor table would turn this into a busy loop.
            if errno == EMFILE || errno == ENFILE { usleep(100_000) }
        }
    }
}
