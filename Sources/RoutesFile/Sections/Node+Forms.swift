import JSONText
import Traffic

/// Forms of values that several sections share.
extension Node {
    static let nameRule = "a name has 1 to 64 of A-Z a-z 0-9 . _ -"

    func name() -> String? {
        guard let text = self.string("a name") else { return nil }
        guard Syntax.isName(text) else {
            self.fail("\(text.quoted) is not a name; " + Self.nameRule)
            return nil
        }
        return text
    }

    /// An IP address and port to listen on; port 0 takes any free one.
    func listenAddress() -> SocketAddress? {
        self.parsed("an address such as \"127.0.0.1:8080\" or \"[::1]:8080\"", SocketAddress.init(parsing:))
    }

    func addressBlocks(minimum: Int = 0) -> [AddressBlock]? {
        self.elements("a list of addresses and blocks", minimum: minimum, maximum: 4_096)?.compactMap { node in
            node.parsed("an address or block such as \"10.0.0.0/8\"", AddressBlock.init(parsing:))
        }
    }

    /// `limit` in bytes.
    func filePath(limit: Int) -> String? {
        guard let text = self.string("a path") else { return nil }
        guard !text.isEmpty, text.utf8.count <= limit, !text.utf8.contains(0) else {
            self.fail("expected a path of 1 to \(limit) bytes")
            return nil
        }
        return text
    }

    func token(_ expected: String) -> String? {
        self.parsed(expected) { Syntax.isToken($0) ? $0 : nil }
    }

    /// A request's path, to be compared or written byte by byte.
    func requestPath() -> String? {
        guard let text = self.string("a path such as \"/api\"") else { return nil }
        guard Syntax.isPath(text) else {
            self.fail(
                text.hasPrefix("/")
                    ? "\(text.quoted) is no path of a request: other than visible ASCII is written with %, "
                        + "and a query is not matched"
                    : "expected a path that begins with \"/\", found \(text.quoted)")
            return nil
        }
        return text
    }

    /// `HOST` or `HOST:PORT`.
    func authority() -> String? {
        self.parsed("a host such as \"example.org\" or \"example.org:8080\"") { Syntax.isAuthority($0) ? $0 : nil }
    }

    /// What a sticky or consistent choice hangs on.
    func hashKey() -> HashKey? {
        guard let section = self.section(.key),
            let by = section.required("by")?.word([
                ("client-address", KeyKind.clientAddress), ("header", .header), ("cookie", .cookie),
            ])
        else { return nil }
        switch by {
        case .clientAddress:
            section["name"]?.fail("has no meaning with \"by\": \"client-address\"")
            return .clientAddress
        case .header:
            return section.required("name")?.token("a header name").map { .header($0.lowercased()) }
        case .cookie:
            return section.required("name")?.token("a cookie name").map { .cookie($0) }
        }
    }

    private enum KeyKind { case clientAddress, header, cookie }
}
