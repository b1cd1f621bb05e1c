import CEpoll
import Glibc
import Traffic

/// A socket address as the kernel wants it, built from the pure form.
package struct IPEndpoint: Sendable {
    package let address: SocketAddress

    package init(_ address: SocketAddress) {
        self.address = address
    }

    package var family: Int32 { self.address.ip.isV4 ? AF_INET : AF_INET6 }

    package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        if self.address.ip.isV4 {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = self.address.port.bigEndian
            name.sin_addr.s_addr = self.address.ip.v4.bigEndian
            return withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = self.address.port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { bytes in
            bytes.storeBytes(of: self.address.ip.high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: self.address.ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }

    /// Reads what accept or getsockname filled in. nil for families that are not IP.
    package static func read(_ storage: sockaddr_storage) -> SocketAddress? {
        withUnsafeBytes(of: storage) { bytes -> SocketAddress? in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let name = bytes.load(as: sockaddr_in.self)
                return SocketAddress(
                    ip: IPAddress(v4: UInt32(bigEndian: name.sin_addr.s_addr)), port: UInt16(bigEndian: name.sin_port))
            case AF_INET6:
                let port = UInt16(bigEndian: bytes.load(as: sockaddr_in6.self).sin6_port)
                let offset = 8  // family, port and flow information stand before the address
                let high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
                return SocketAddress(ip: IPAddress(high: high, low: low), port: port)
            default: return nil
            }
        }
    }
}
