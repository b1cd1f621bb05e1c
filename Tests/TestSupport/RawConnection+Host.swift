import Glibc

extension RawConnection {
    /// Connects to an IPv4 address, from another if that is named: tests have the whole of 127.0.0.0/8 for hosts of their own.
    package convenience init(host: String, port: UInt16, from source: String? = nil) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("socket: errno \(errno)") }
        let isBound = source.map { Self.with($0, 0) { bind(descriptor, $0, $1) } == 0 } ?? true
        guard isBound, Self.with(host, port, { connect(descriptor, $0, $1) }) == 0 else {
            let code = errno
            close(descriptor)
            throw TestFailure("connect to \(host):\(port): errno \(code)")
        }
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        self.init(adopting: descriptor)
    }

    /// Calls `body` with the address in the kernel's form; -1 if it is none.
    private static func with(
        _ host: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return -1 }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
