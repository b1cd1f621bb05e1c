import JSONText
import Traffic

/// Reads where an upstream's endpoints are learned from.
enum DiscoveryReader {
    static func read(_ node: Node) -> DiscoverySpec? {
        guard let section = node.section(.discovery) else { return nil }
        let given = ["dns", "srv", "endpointSlices"].compactMap { key in section[key].map { (key, $0) } }
        guard let (key, node) = given.first, given.count == 1 else {
            section.fail(
                "expected \"dns\", \"srv\" or \"endpointSlices\"" + (given.isEmpty ? "" : ", not several of them"))
            return nil
        }
        switch key {
        case "dns": return self.dns(node)
        case "srv": return self.srv(node)
        default: return self.endpointSlices(node)
        }
    }

    private static func dns(_ node: Node) -> DiscoverySpec? {
        guard let section = node.section(.dnsDiscovery) else { return nil }
        let port: UInt16? = section.required("port")?.integer(1...65_535)
        guard let lookup = self.lookup(section, example: "gateway.default.svc.cluster.local"), let port else {
            return nil
        }
        return .dns(lookup, port: port)
    }

    private static func srv(_ node: Node) -> DiscoverySpec? {
        node.section(.srvDiscovery)
            .flatMap { self.lookup($0, example: "_http._tcp.gateway.default.svc.cluster.local") }.map { .srv($0) }
    }

    private static func lookup(_ section: Section, example: String) -> NameLookup? {
        var lookup = section.required("name")?.domainName(example).map { NameLookup(name: $0) }
        let plain = NameLookup(name: "")
        var interval = plain.interval
        var resolver = plain.resolver
        section.read("interval", into: &interval) { $0.duration(100...3_600_000) }
        section.read("resolver", into: &resolver) { $0.resolverAddress() }
        var staleFor: UInt32?
        section.read("staleFor", into: &staleFor) { $0.duration(1_000...Section.longest) }
        lookup?.interval = interval
        lookup?.resolver = resolver
        lookup?.staleFor = staleFor
        return lookup
    }

    private static func endpointSlices(_ node: Node) -> DiscoverySpec? {
        guard let section = node.section(.endpointSlices) else { return nil }
        let service = section.required("service")?.label("the name of a Service")
        let port = section.required("port").flatMap { self.port($0) }
        var namespace: String?
        var server: String?
        var tokenFile: String?
        var caFile: String?
        section.read("namespace", into: &namespace) { $0.label("the name of a namespace") }
        section.read("server", into: &server) { $0.serverURL() }
        section.read("tokenFile", into: &tokenFile) { $0.filePath(limit: 4_095) }
        section.read("caFile", into: &caFile) { $0.filePath(limit: 4_095) }
        guard let service, let port else { return nil }
        var lookup = EndpointSliceLookup(service: service, port: port)
        lookup.namespace = namespace
        lookup.server = server
        lookup.tokenFile = tokenFile
        lookup.caFile = caFile
        return .endpointSlices(lookup)
    }

    private static func port(_ node: Node) -> EndpointSliceLookup.Port? {
        if case .number = node.value.content {
            let number: UInt16? = node.integer(1...65_535)
            return number.map { .number($0) }
        }
        return node.parsed("the name or the number of a port, such as \"http\" or 3301") { text in
            Syntax.isLabel(text) && text.utf8.count <= 15 ? .name(text) : nil
        }
    }
}

extension Node {
    /// A domain name (RFC 1035 §2.3.4), perhaps with a final dot.
    fileprivate func domainName(_ example: String) -> String? {
        self.parsed("a domain name such as \(example.quoted)") { text in
            let name = text.hasSuffix(".") ? String(text.dropLast()) : text
            // An address is no name: it would be asked for as one, and answered by nobody.
            let isAddress = name.split(separator: ".").allSatisfy { label in label.allSatisfy(\.isNumber) }
            return Syntax.isHost(name) && !name.hasPrefix("[") && !isAddress ? text : nil
        }
    }

    fileprivate func resolverAddress() -> SocketAddress? {
        self.parsed("the address of a name server such as \"10.96.0.10:53\"") { text in
            SocketAddress(parsing: text).flatMap { $0.port == 0 ? nil : $0 }
        }
    }

    /// A name as Kubernetes has them (RFC 1123).
    func label(_ expected: String) -> String? {
        self.parsed(expected) { Syntax.isLabel($0) ? $0 : nil }
    }

    /// `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    func serverURL() -> String? {
        self.parsed("a URL such as \"https://10.96.0.1:443\", without a path") { text in
            for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
                let authority = String(text.dropFirst(scheme.count))
                if Syntax.isAuthority(authority) { return text }
            }
            return nil
        }
    }
}
