import JSONText

/// Reads tokens of the admin API, in routes.json or in a file of their own.
struct TokensReader {
    static let limit = 64

    func read(_ node: Node) -> [AdminToken]? {
        guard let nodes = node.elements("a list of tokens", maximum: Self.limit) else { return nil }
        var tokens: [AdminToken] = []
        for node in nodes {
            guard let section = node.section(.token) else { continue }
            let name = section.required("name")?.name()
            let role = section.required("role")?.word(AdminRole.allCases.map { ($0.rawValue, $0) })
            let sha256 = section.required("sha256").flatMap(Self.sha256)
            if let name, tokens.contains(where: { $0.name == name }) {
                section["name"]?.fail("the name \(name.quoted) is already taken by another token")
            }
            if let sha256, tokens.contains(where: { $0.sha256 == sha256 }) {
                section["sha256"]?.fail("is already that of another token")
            }
            if let name, let role, let sha256 { tokens.append(AdminToken(name: name, role: role, sha256: sha256)) }
        }
        return tokens
    }

    /// 32 bytes, as 64 hexadecimal digits. What stands there instead is not told: it may be the token itself.
    static func sha256(_ node: Node) -> [UInt8]? {
        guard let text = node.string("a SHA-256 of 64 hexadecimal digits") else { return nil }
        let digits = text.utf8.compactMap { digit -> UInt8? in
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x41...0x46: digit - 0x41 + 10
            case 0x61...0x66: digit - 0x61 + 10
            default: nil
            }
        }
        guard digits.count == 64, text.utf8.count == 64 else {
            node.fail("expected a SHA-256 of 64 hexadecimal digits; `balancer token create` prints it")
            return nil
        }
        return (0..<32).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] }
    }
}

extension RoutesFile {
    /// The tokens of `admin.tokensFile`: `{"tokens": […]}`, as in routes.json.
    package static func tokens(_ bytes: [UInt8]) throws(ConfigurationRejected) -> [AdminToken] {
        try self.document(bytes) { root in
            root.section(.tokensFile)?.required("tokens").flatMap { TokensReader().read($0) }
        }
    }
}
