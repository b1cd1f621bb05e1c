import Glibc
import Reactor
import Traffic

/// Looks host names up. A value with a closure, so that tests need no name service; it runs a few times per load, never
/// for a request.
package struct HostResolver: Sendable {
    private let lookUp: @Sendable (String) -> Result<[IPAddress], LookUpFailure>

    package init(_ lookUp: @escaping @Sendable (String) -> Result<[IPAddress], LookUpFailure>) {
        self.lookUp = lookUp
    }

    /// All IPv4 and IPv6 addresses of a name, in the order of the name service, each once. Blocks the calling thread
    /// for as long as the name service takes.
    package func addresses(of name: String) throws(LookUpFailure) -> [IPAddress] {
        var seen: Set<IPAddress> = []
        return try self.lookUp(name).get().filter { seen.insert($0).inserted }
    }

    /// The system's: hosts file, then DNS.
    package static let system = HostResolver { name in
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else { return .failure(LookUpFailure(reason: String(cString: gai_strerror(code)))) }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = entry.ai_addr.flatMap({ Self.address($0, length: Int(entry.ai_addrlen)) }) {
                addresses.append(address)
            }
            next = entry.ai_next
        }
        return addresses.isEmpty ? .failure(LookUpFailure(reason: "it has no address")) : .success(addresses)
    }

    private static func address(_ name: UnsafeRawPointer, length: Int) -> IPAddress? {
        var storage = sockaddr_storage()
        let scope = withUnsafeMutableBytes(of: &storage) { bytes in
            let count = min(bytes.count, length)
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: name, count: count))
            // The last member of sockaddr_in6: family, port, flow information and address stand before it.
            return bytes.load(fromByteOffset: 24, as: UInt32.self)
        }
        // A link-local address means nothing without its interface, which an endpoint cannot name.
        if Int32(storage.ss_family) == AF_INET6, scope != 0 { return nil }
        return IPEndpoint.read(storage)?.ip
    }
}

/// Why a host name has no addresses.
package struct LookUpFailure: Error, Sendable, Equatable {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}
