import Foundation

/// A MongoDB connection string: what of it may be told, and what must never be.
package struct ConnectionString: Sendable {
    /// Scheme, hosts and path: no user, no password, no option.
    package let description: String
    /// Parts that no message may repeat, as written and decoded, the longest first.
    let secrets: [String]

    private static let hint =
        "in a user name, a password or an option, write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25"

    /// What to say of a string that the driver does not accept. Its own message would repeat parts of the string.
    static let malformed = "the connection string is malformed; \(hint)"

    private static let secretOptions: Set<String> = [
        "authmechanismproperties", "tlscertificatekeyfilepassword", "sslclientcertificatekeypassword",
    ]

    /// - Throws: ``StoreError/unavailable(_:)`` when it cannot be told where the password ends and the hosts begin.
    package init(_ text: String) throws(StoreError) {
        guard let scheme = text.firstRange(of: "://") else { throw .unavailable(Self.malformed) }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = rest[authority.endIndex...]
        // An @ of a password and the one that ends it look alike. So do an option's, and that of a password with a slash.
        guard rest.count(where: { $0 == "@" }) == authority.count(where: { $0 == "@" }),
            authority.count(where: { $0 == "@" }) <= 1
        else { throw .unavailable(Self.malformed) }
        let at = authority.firstIndex(of: "@")
        let hosts = at.map { authority[authority.index(after: $0)...] } ?? authority
        guard hosts.utf8.allSatisfy(Self.isOfHost) else { throw .unavailable(Self.malformed) }
        let path = tail.prefix { $0 != "?" }
        description = String(text[..<scheme.upperBound] + hosts + path)

        var secrets: Set<String> = []
        if let at, let colon = authority[..<at].firstIndex(of: ":") {
            Self.add(authority[authority.index(after: colon)..<at], to: &secrets)
        }
        for option in tail[path.endIndex...].dropFirst().split(separator: "&") {
            let parts = option.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, Self.secretOptions.contains(parts[0].lowercased()) else { continue }
            Self.add(parts[1], to: &secrets)
            for property in parts[1].split(separator: ",") {
                let pair = property.split(separator: ":", maxSplits: 1)
                if pair.count == 2 { Self.add(pair[1], to: &secrets) }
            }
        }
        self.secrets = secrets.sorted { $0.utf8.count > $1.utf8.count }
    }

    private static func isOfHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        // Several hosts, ports, IPv6 addresses, and the escapes of a socket's path.
        default: ",:.-_[]%".utf8.contains(byte)
        }
    }

    private static func add(_ secret: Substring, to secrets: inout Set<String>) {
        // One or two letters would only make messages unreadable.
        guard secret.utf8.count > 2 else { return }
        secrets.insert(String(secret))
        if let decoded = secret.removingPercentEncoding, decoded.utf8.count > 2 { secrets.insert(decoded) }
    }
}
