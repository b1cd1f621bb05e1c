import JSONText
import Traffic

/// Reads where spans go.
enum TracingReader {
    static func read(_ node: Node) -> TracingSpec? {
        guard let section = node.section(.tracing) else { return nil }
        guard let endpoint = section.required("endpoint")?.collectorURL() else {
            // The others may be wrong, too.
            var rest = TracingSpec(endpoint: "")
            self.read(section, into: &rest)
            return nil
        }
        var spec = TracingSpec(endpoint: endpoint)
        self.read(section, into: &spec)
        if spec.caFile != nil, endpoint.hasPrefix("http://") {
            section["caFile"]?.fail("certificates are asked for by https only, and the endpoint is http")
        }
        return spec
    }

    private static func read(_ section: Section, into spec: inout TracingSpec) {
        section.read("sample", into: &spec.sample) { $0.share() }
        section.read("caFile", into: &spec.caFile) { $0.filePath(limit: 4_095) }
        section.read("service", into: &spec.service) { node in
            node.parsed("a name of 1 to 256 bytes") { text in
                // Control characters are none of a name's.
                let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
                return (1...256).contains(text.utf8.count) && isPlain ? text : nil
            }
        }
    }
}

extension Node {
    private static let urlLimit = 2_048

    /// A URL of HTTP or HTTPS with a path. It cannot carry credentials: the file is shown to whoever asks what is in force.
    fileprivate func collectorURL() -> String? {
        guard let text = self.string("a URL such as \"http://collector:4318/v1/traces\"") else { return nil }
        guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }),
            text.utf8.count <= Self.urlLimit
        else {
            // What stands there is never shown, whatever is wrong with it: it may hold a password or a token.
            self.fail("expected a URL such as \"http://collector:4318/v1/traces\"")
            return nil
        }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else {
            self.fail("expected a URL without user and password")
            return nil
        }
        let path = String(rest.dropFirst(authority.count))
        guard Syntax.isAuthority(String(authority)), Syntax.isPath(path) else {
            self.fail("expected a URL of host, port and path alone, such as \"http://collector:4318/v1/traces\"")
            return nil
        }
        return text
    }

    /// From 0 to 1.
    fileprivate func share() -> Double? {
        guard case .number(let digits) = self.value.content, let share = Double(digits), share >= 0, share <= 1 else {
            self.failExpecting("a number from 0 to 1")
            return nil
        }
        return share
    }
}
