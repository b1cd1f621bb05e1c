import CEpoll
import Glibc
import Traffic

/// The addresses of this machine's interfaces.
package enum LocalAddresses {
    /// Empty if the system does not say.
    package static func read() -> Set<IPAddress> {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var addresses: Set<IPAddress> = []
        var next = first
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let name = entry.pointee.ifa_addr else { continue }
            var storage = sockaddr_storage()
            let length =
                switch Int32(name.pointee.sa_family) {
                case AF_INET: MemoryLayout<sockaddr_in>.size
                case AF_INET6: MemoryLayout<sockaddr_in6>.size
                default: 0
                }
            guard length > 0 else { continue }
            memcpy(&storage, name, length)
            if let address = IPEndpoint.read(storage) { addresses.insert(address.ip) }
        }
        return addresses
    }
}
