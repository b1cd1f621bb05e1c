import Traffic

/// Reads the endpoints of an upstream, looking host names up. A class only to remember answers: a name that several
/// upstreams use is asked for once per load, so that one load sees one answer.
final class EndpointReader {
    private let resolver: HostResolver
    private let listeners: [ListenerSpec]
    private var answers: [String: Result<[IPAddress], LookUpFailure>] = [:]

    init(resolver: HostResolver, listeners: [ListenerSpec]) {
        self.resolver = resolver
        self.listeners = listeners
    }

    /// Every address once; one that is given twice is reported, because the operator may count on twice the share.
    func read(_ node: Node) -> [SocketAddress]? {
        guard let nodes = node.elements("a list of endpoints", minimum: 1, maximum: 1_024) else { return nil }
        var owners: [SocketAddress: String] = [:]
        var endpoints: [SocketAddress] = []
        for node in nodes {
            guard let text = node.string("an address such as \"10.0.0.1:3300\" or \"core:3300\"") else { continue }
            for address in self.addresses(text, node) {
                if let owner = owners[address] {
                    node.fail(
                        owner == text
                            ? "the endpoint \(text.quoted) was already given"
                            : "the endpoint \(address) was already given as \(owner.quoted)")
                    continue
                }
                owners[address] = text
                endpoints.append(address)
            }
        }
        return endpoints
    }

    private func addresses(_ text: String, _ node: Node) -> [SocketAddress] {
        let expected = "an address such as \"10.0.0.1:3300\", \"[::1]:3300\" or \"core:3300\""
        if let address = SocketAddress(parsing: text) {
            guard address.port != 0 else {
                node.fail("an endpoint needs a port from 1 to 65535")
                return []
            }
            return self.isOurs(address, node) ? [] : [address]
        }
        guard let (host, port) = Syntax.hostAndPort(text), Syntax.isHost(host), !host.hasPrefix("["),
            // What looks like an IPv4 address and is none would be looked up as a name, with surprising answers.
            host.contains(where: { !$0.isNumber && $0 != "." })
        else {
            node.failExpecting(expected)
            return []
        }
        switch self.answer(host) {
        case .success(let addresses):
            let found = addresses.map { SocketAddress(ip: $0, port: port) }
            return found.contains { self.isOurs($0, node) } ? [] : found
        case .failure(let failure):
            node.fail("cannot look up the host \(host.quoted): \(failure.reason)")
            return []
        }
    }

    /// Reports an endpoint that is this balancer: each request would come back until something runs out.
    private func isOurs(_ address: SocketAddress, _ node: Node) -> Bool {
        guard let listener = self.listeners.first(where: { address.reaches($0.address) }) else { return false }
        node.fail("is the listener \(listener.name.quoted) of this balancer itself")
        return true
    }

    private func answer(_ host: String) -> Result<[IPAddress], LookUpFailure> {
        if let known = self.answers[host] { return known }
        let resolver = self.resolver
        let answer = Result { () throws(LookUpFailure) in try resolver.addresses(of: host) }
        self.answers[host] = answer
        return answer
    }
}
