import JSONText
import Traffic

/// Reads what a listener says besides its name and address.
enum ListenerReader {
    static func read(_ section: Section, into listener: inout ListenerSpec) {
        section.readAccess(into: &listener.access)
        section.read("proxyProtocol", into: &listener.proxyProtocol) { Self.proxyProtocol($0) }
        section.read("tls", into: &listener.tls) { TLSReader.listener($0) }
        // By ALPN it costs nobody anything; without TLS every client's first bytes would have to be awaited.
        listener.http2 = section.has("tls")
        section.read("http2", into: &listener.http2) { $0.bool() }
    }

    private static func proxyProtocol(_ node: Node) -> ProxyProtocolSpec? {
        guard let section = node.section(.proxyProtocol) else { return nil }
        guard let from = section.required("from")?.addressBlocks(minimum: 1) else { return nil }
        var spec = ProxyProtocolSpec(from: from)
        section.read("versions", into: &spec.versions) { node in
            guard let nodes = node.elements("a list of versions such as [1, 2]", minimum: 1, maximum: 2) else {
                return nil
            }
            let versions = nodes.compactMap { node -> UInt8? in node.integer(1...2) }
            if versions.count == 2, versions[0] == versions[1] { nodes[1].fail("the version was already given") }
            return versions.sorted()
        }
        return spec
    }
}
