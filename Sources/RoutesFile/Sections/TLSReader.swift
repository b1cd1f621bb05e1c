import JSONText
import Traffic

/// Reads how listeners and upstreams speak TLS. The files that are named here are read later, by whoever may block.
enum TLSReader {
    private static let pathLimit = 4_095

    // MARK: listeners

    static func listener(_ node: Node) -> ListenerTLS? {
        guard let section = node.section(.listenerTLS) else { return nil }
        guard
            let nodes = section.required("certificates")?.elements(
                "a list of certificates", minimum: 1, maximum: 1_024)
        else { return nil }
        var tls = ListenerTLS(certificates: nodes.compactMap { Self.certificate($0) })
        section.read("minimumVersion", into: &tls.minimumVersion) { Self.version($0) }
        section.read("groups", into: &tls.groups) { Self.list($0, "a list of groups such as [\"X25519\", \"P-256\"]") }
        section.read("cipherSuites", into: &tls.cipherSuites) {
            Self.list($0, "a list of cipher suites such as [\"TLS_AES_128_GCM_SHA256\"]")
        }
        section.read("ciphers", into: &tls.ciphers) {
            Self.list($0, "a list of TLS 1.2 ciphers such as [\"ECDHE-ECDSA-AES128-GCM-SHA256\"]")
        }
        section.read("unknownName", into: &tls.unknownName) { $0.word([("default", .first), ("reject", .refused)]) }
        if let node = section["tickets"] { tls.tickets = Self.unlessFalse(node, tls.tickets) { Self.tickets($0) } }
        if let node = section["clientCertificates"] {
            tls.clientCertificates = Self.clientCertificates(node)
            tls.isHostStrict = true
        }
        section.read("strictHost", into: &tls.isHostStrict) { $0.bool() }
        if let node = section["hsts"] {
            tls.strictTransport = Self.unlessFalse(node, nil) { Self.strictTransport($0) }
        }
        return tls
    }

    /// Seconds, up to a hundred years, which is more than 32 bits of milliseconds.
    private static func strictTransport(_ node: Node) -> UInt32? {
        guard case .string(let text) = node.value.content, let milliseconds = Quantity.milliseconds(text) else {
            node.failExpecting("false or a duration such as \"8760h\"")
            return nil
        }
        guard (1_000...3_155_760_000_000).contains(milliseconds) else {
            node.fail("expected a duration from 1s to 876600h, found \(text.quoted)")
            return nil
        }
        return UInt32(clamping: milliseconds / 1_000)
    }

    private static func certificate(_ node: Node) -> ListenerTLS.Certificate? {
        guard let section = node.section(.certificate) else { return nil }
        let chain = Self.file(section.required("certificate"))
        let key = Self.file(section.required("key"))
        let ocsp = Self.file(section["ocsp"])
        guard let chain, let key else { return nil }
        return ListenerTLS.Certificate(chain: chain, key: key, ocsp: ocsp)
    }

    private static func tickets(_ node: Node) -> ListenerTLS.Tickets? {
        guard let section = node.section(.tickets, "false or an object") else { return nil }
        var tickets = ListenerTLS.Tickets()
        section.read("rotate", into: &tickets.rotation) { $0.duration(60_000...604_800_000).map { $0 / 1_000 } }
        section.read("keyFiles", into: &tickets.keys) { node in
            node.elements("a list of 1 to 4 paths", minimum: 1, maximum: 4)?.compactMap { Self.file($0) }
        }
        return tickets
    }

    private static func clientCertificates(_ node: Node) -> ListenerTLS.ClientCertificates? {
        guard let section = node.section(.clientCertificates) else { return nil }
        let ca = Self.file(section.required("ca"))
        let isRequired = section.required("mode")?.word([("required", true), ("optional", false)])
        guard let ca, let isRequired else { return nil }
        var clients = ListenerTLS.ClientCertificates(authorities: ca, isRequired: isRequired)
        section.read("depth", into: &clients.depth) { $0.integer(0...16) }
        clients.revoked = Self.file(section["crl"])
        return clients
    }

    // MARK: the admin API

    static func admin(_ node: Node) -> AdminTLS? {
        guard let section = node.section(.adminTLS) else { return nil }
        let chain = Self.file(section.required("certificate"))
        let key = Self.file(section.required("key"))
        guard let chain, let key else { return nil }
        return AdminTLS(chain: chain, key: key)
    }

    // MARK: upstreams

    static func upstream(_ node: Node) -> UpstreamTLS? {
        guard let section = node.section(.upstreamTLS) else { return nil }
        var tls = UpstreamTLS()
        if let node = section["ca"] {
            // A file may be called so too: then it is written with its directory.
            if case .string("system") = node.value.content {} else { tls.authorities = Self.file(node) }
        }
        section.read("serverName", into: &tls.serverName) { node in
            node.parsed("a host name such as \"core.example\"") { text in
                Syntax.isAuthority(text) && !text.contains(":") && !text.hasSuffix(".")
                    && IPAddress(parsing: text) == nil ? text.lowercased() : nil
            }
        }
        section.read("verify", into: &tls.isVerified) { $0.bool() }
        section.read("minimumVersion", into: &tls.minimumVersion) { Self.version($0) }
        tls.chain = Self.file(section["certificate"])
        tls.key = Self.file(section["key"])
        if section.has("certificate") != section.has("key") {
            section.fail("expected \"certificate\" and \"key\" together")
        }
        if !tls.isVerified { section["ca"]?.fail("has no meaning with \"verify\": false") }
        return tls
    }

    // MARK: forms

    private static func version(_ node: Node) -> TLSVersion? { node.word([("1.2", .v12), ("1.3", .v13)]) }

    private static func file(_ node: Node?) -> NamedFile? {
        node?.filePath(limit: Self.pathLimit).map { NamedFile(path: $0) }
    }

    /// As the library takes it. What it does not know is a fault when the contexts are made.
    private static func list(_ node: Node, _ expected: String) -> String? {
        guard let nodes = node.elements(expected, minimum: 1, maximum: 32) else { return nil }
        let words = nodes.compactMap { node in
            node.parsed("a name of A-Z a-z 0-9 _ -") { text in
                !text.isEmpty
                    && text.utf8.allSatisfy {
                        switch $0 {
                        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                        default: false
                        }
                    } ? text : nil
            }
        }
        return words.count == nodes.count ? words.joined(separator: ":") : nil
    }

    private static func unlessFalse<Value>(_ node: Node, _ fallback: Value?, _ form: (Node) -> Value?) -> Value? {
        if case .bool(false) = node.value.content { return nil }
        return form(node) ?? fallback
    }
}
