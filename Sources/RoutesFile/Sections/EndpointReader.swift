import JSONText
import Traffic

/// Reads the endpoints of an upstream.
struct EndpointReader {
    let listeners: [ListenerSpec]

    /// Addresses and names as they are given, each once; one that is given twice is reported, because the operator may
    /// count on twice the share.
    func read(_ node: Node) -> (addresses: [SocketAddress], names: [EndpointName])? {
        guard let nodes = node.elements("a list of endpoints", minimum: 1, maximum: 1_024) else { return nil }
        var owners: [String: String] = [:]
        var addresses: [SocketAddress] = []
        var names: [EndpointName] = []
        for (position, node) in nodes.enumerated() {
            guard let text = node.string("an address such as \"10.0.0.1:3300\" or \"core:3300\"") else { continue }
            let key: String
            if let address = SocketAddress(parsing: text) {
                guard self.isUsable(address, node) else { continue }
                key = "\(address)"
                if owners[key] == nil { addresses.append(address) }
            } else if let (host, port) = self.name(text) {
                key = "\(host.lowercased()):\(port)"
                if owners[key] == nil { names.append(EndpointName(host: host, port: port, position: position)) }
            } else {
                node.failExpecting("an address such as \"10.0.0.1:3300\", \"[::1]:3300\" or \"core:3300\"")
                continue
            }
            if let owner = owners[key] {
                node.fail(
                    owner == text
                        ? "the endpoint \(text.quoted) was already given"
                        : "the endpoint \(text.quoted) was already given as \(owner.quoted)")
            }
            owners[key] = owners[key] ?? text
        }
        return (addresses, names)
    }

    private func name(_ text: String) -> (host: String, port: UInt16)? {
        guard let (host, port) = Syntax.hostAndPort(text), Syntax.isHost(host), !host.hasPrefix("["),
            // What looks like an IPv4 address and is none would be looked up as a name, with surprising answers.
            host.contains(where: { !$0.isNumber && $0 != "." })
        else { return nil }
        return (host, port)
    }

    /// Reports an endpoint without a port, and one that is this balancer: each request would come back until something
    /// runs out.
    private func isUsable(_ address: SocketAddress, _ node: Node) -> Bool {
        guard address.port != 0 else {
            node.fail("an endpoint needs a port from 1 to 65535")
            return false
        }
        guard let listener = self.listeners.first(where: { address.reaches($0.address) }) else { return true }
        node.fail("is the listener \(listener.name.quoted) of this balancer itself")
        return false
    }
}
