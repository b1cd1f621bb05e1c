/// A MongoDB connection string: what of it may be told, and what must never be.
package struct ConnectionString: Sendable {
    /// Scheme, hosts and path: no user, no password, no option.
    package let description: String
    /// Parts that no message may repeat, as written and decoded, the longest first.
    let secrets: [String]

    private static let hint =
        "in a user name, a password or an option, write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25"

    private static let secretOptions: Set<String> = [
        "authmechanismproperties", "tlscertificatekeyfilepassword", "sslclientcertificatekeypassword",
    ]

    /// - Throws: ``StoreError/unavailable(_:)`` with what is wrong, which repeats nothing that may be a secret.
    package init(_ text: String) throws(StoreError) {
        if let place = text.unicodeScalars.firstIndex(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            let offset = text.unicodeScalars.distance(from: text.unicodeScalars.startIndex, to: place)
            throw .unavailable("a control character after \(offset) characters")
        }
        guard let scheme = text.firstRange(of: "://") else { throw .unavailable("no mongodb:// at the beginning") }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = rest[authority.endIndex...]
        let path = tail.prefix { $0 != "?" }
        // An @ of a password and the one that ends it look alike. So do an option's, and that of a password with a slash.
        guard rest.count(where: { $0 == "@" }) == authority.count(where: { $0 == "@" }),
            authority.count(where: { $0 == "@" }) <= 1
        else { throw .unavailable("an @ that is not the one before the hosts; \(Self.hint)") }
        let at = authority.firstIndex(of: "@")
        let hosts = at.map { authority[authority.index(after: $0)...] } ?? authority
        if let at { try Self.checkUser(authority[..<at]) }
        try Self.checkHosts(hosts, areListed: text.hasPrefix("mongodb://"))
        guard Self.escapesAreWhole(path), Self.escapesAreWhole(tail[path.endIndex...]) else {
            throw .unavailable("a % without two hexadecimal digits; \(Self.hint)")
        }
        if let name = Self.decoded(path.dropFirst()),
            name.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7F })
        {
            throw .unavailable("a blank or control character in the database's name")
        }
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

    private static func checkUser(_ user: Substring) throws(StoreError) {
        if user.isEmpty || user.first == ":" { throw .unavailable("no user name before the @") }
        if user.count(where: { $0 == ":" }) > 1 {
            throw .unavailable("more than one : before the @; \(hint)")
        }
        guard escapesAreWhole(user) else { throw .unavailable("a % without two hexadecimal digits; \(hint)") }
    }

    private static func checkHosts(_ hosts: Substring, areListed: Bool) throws(StoreError) {
        if hosts.isEmpty { throw .unavailable("no host") }
        guard hosts.utf8.allSatisfy(isOfHost) else {
            throw .unavailable("a character among the hosts that no host has; \(hint)")
        }
        for (index, host) in hosts.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            if host.isEmpty { throw .unavailable("nothing between two commas of the hosts") }
            // The colons of an IPv6 address stand in brackets.
            let end = host.firstIndex(of: "]").map { host[$0...] } ?? host
            guard let colon = end.firstIndex(of: ":") else { continue }
            let port = end[end.index(after: colon)...]
            guard areListed else { throw .unavailable("a port, which a mongodb+srv string cannot have; \(hint)") }
            guard let number = UInt16(port), number > 0, port.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
            else {
                throw .unavailable(
                    "the port of host \(index + 1) is none; if it belongs to a password, escape it: \(hint)")
            }
        }
    }

    private static func escapesAreWhole(_ text: Substring) -> Bool {
        var rest = text.utf8[...]
        while let place = rest.firstIndex(of: UInt8(ascii: "%")) {
            let digits = rest[place...].dropFirst().prefix(2)
            guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
                return false
            }
            rest = rest[digits.endIndex...]
        }
        return true
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

    /// The text without percent encoding; nil where that is none, or gives no text.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Self.digit), let low = rest.popFirst().flatMap(Self.digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func add(_ secret: Substring, to secrets: inout Set<String>) {
        // One or two letters would only make messages unreadable.
        guard secret.utf8.count > 2 else { return }
        secrets.insert(String(secret))
        if let decoded = Self.decoded(secret), decoded.utf8.count > 2 { secrets.insert(decoded) }
    }
}

extension ConnectionString {
    /// What the driver says of a string that it does not accept, without what it repeats of it: whatever stands in quotes and
    /// is not the name of one of the options.
    static func withoutQuotes(_ message: String) -> String {
        var result = ""
        var rest = message[...]
        while let open = rest.firstIndex(where: { "\"'[".contains($0) }) {
            let content = rest[rest.index(after: open)...]
            let end: Character = rest[open] == "[" ? "]" : rest[open]
            guard let close = content.firstIndex(of: end) else { return result + rest[..<open] + "***" }
            let quoted = content[..<close]
            result += rest[..<open]
            result += options.contains(quoted.lowercased()) ? String(quoted) : "***"
            rest = content[content.index(after: close)...]
        }
        return result + rest
    }

    /// The names of options that the driver complains of.
    private static let options: Set<String> = [
        "appname", "authmechanism", "authmechanismproperties", "authsource", "compressors", "connecttimeoutms",
        "directconnection", "heartbeatfrequencyms", "journal", "loadbalanced", "localthresholdms", "maxidletimems",
        "maxpoolsize", "maxstalenessseconds", "minpoolsize", "readconcernlevel", "readpreference", "readpreferencetags",
        "replicaset", "retryreads", "retrywrites", "safe", "serverselectiontimeoutms", "serverselectiontryonce",
        "slaveok",
        "socketcheckintervalms", "sockettimeoutms", "srvmaxhosts", "srvservicename", "ssl", "tls",
        "tlsallowinvalidcertificates", "tlsallowinvalidhostnames", "tlscafile", "tlscertificatekeyfile",
        "tlscertificatekeyfilepassword", "tlsdisablecertificaterevocationcheck", "tlsdisableocspendpointcheck",
        "tlsinsecure", "w", "waitqueuemultiple", "waitqueuetimeoutms", "wtimeoutms", "zlibcompressionlevel",
    ]
}
