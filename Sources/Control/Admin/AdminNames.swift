import RoutesFile
import Traffic

/// The names by which the admin API may be called.
///
/// A page in an operator's browser may point its own name at this address (DNS rebinding) and then ask and change what it
/// likes; its name stays in `Host`. Addresses cannot be pointed elsewhere, and neither can `localhost` or a name that the
/// operator has listed.
package struct AdminNames: Sendable {
    enum Standing: Sendable, Equatable {
        /// One of our own names, or an address that is ours.
        case own
        /// Some other address: a service's, a node's or that of a machine in front.
        case address
        /// No `Host` at all, which no browser sends.
        case absent
        case foreign
    }

    private let bound: IPAddress
    private let hosts: Set<String>

    /// `hosts` without port.
    package init(bound: IPAddress, hosts: [String] = []) {
        self.bound = bound
        self.hosts = Set(hosts.map { $0.lowercased() })
    }

    /// `local` is the address that the client has connected to, empty if unknown.
    func standing(of authority: String, local: String) -> Standing {
        guard !authority.isEmpty else { return .absent }
        guard let host = Self.host(of: authority) else { return .foreign }
        if host == "localhost" || self.hosts.contains(host) { return .own }
        guard let address = IPAddress(parsing: host) else { return .foreign }
        let isOwn = address.isLoopback || address == self.bound || address == IPAddress(parsing: local)
        return isOwn ? .own : .address
    }

    /// Whether a page of that origin may ask for changes: it was loaded from where it asks, or from a listed name.
    func allows(origin: String, authority: String) -> Bool {
        let origin = origin.lowercased()
        guard let scheme = ["http://", "https://"].first(where: origin.hasPrefix) else { return false }
        return self.allows(host: String(origin.dropFirst(scheme.count)), authority: authority)
    }

    private func allows(host origin: String, authority: String) -> Bool {
        if origin == authority.lowercased() { return true }
        return Self.host(of: origin).map(self.hosts.contains) ?? false
    }

    /// Lower case, without port and brackets; nil if that is no host with perhaps a port.
    static func host(of authority: String) -> String? {
        var host = authority[...]
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]") else { return nil }
            let rest = host[host.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            host = host[host.index(after: host.startIndex)..<end]
        } else if let colon = host.lastIndex(of: ":") {
            host = host[..<colon]
        }
        return host.isEmpty ? nil : host.lowercased()
    }
}
