/// What texts in routes.json may consist of, so that whatever is built from them is well-formed on the wire.
enum Syntax {
    /// RFC 9110 §5.6.2.
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(self.isTokenByte)
    }

    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    /// A name of ours: letters, digits, `.`, `_`, `-`, at most 64. It becomes a metric label, a path of the admin API,
    /// and an argument of the command line, and needs no escape in any of them.
    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// A field's value (RFC 9110 §5.5): no control characters except tabs inside, no white space around it.
    static func isFieldValue(_ text: String) -> Bool {
        let space: [UInt8] = [0x20, 0x09]
        guard text.utf8.count <= 8_192, text.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
            return false
        }
        guard let first = text.utf8.first, let last = text.utf8.last else { return true }
        return !space.contains(first) && !space.contains(last)
    }

    /// A path as it stands in a request: `/` and visible ASCII without `?`, `#` and the bytes that no request target
    /// may have.
    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && self.isTargetText(text) && !text.utf8.contains(UInt8(ascii: "?"))
    }

    /// A path with perhaps a query.
    static func isTarget(_ text: String) -> Bool { text.hasPrefix("/") && self.isTargetText(text) }

    private static func isTargetText(_ text: String) -> Bool {
        text.utf8.count <= 4_096
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"#\"<>\\^`{|}".utf8.contains($0) }
    }

    /// A host as it stands in a URI, without port: labels of letters, digits, `-` and `_`, or an IPv6 address in
    /// brackets.
    static func isHost(_ text: String) -> Bool {
        if text.hasPrefix("["), text.hasSuffix("]") {
            return text.utf8.count >= 4
                && text.dropFirst().dropLast().utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                        UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
                        true
                    default: false
                    }
                }
        }
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy { byte in Character(Unicode.Scalar(byte)).isASCIIWordOrHyphen }
        }
    }

    /// A DNS label in lower case as Kubernetes has them: letters and digits, `-` inside, at most 63.
    static func isLabel(_ text: String) -> Bool {
        guard (1...63).contains(text.utf8.count), !text.hasPrefix("-"), !text.hasSuffix("-") else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
            default: false
            }
        }
    }

    /// A host with perhaps a port.
    static func isAuthority(_ text: String) -> Bool {
        if self.isHost(text) { return true }
        guard let (host, _) = self.hostAndPort(text) else { return false }
        return self.isHost(host)
    }

    /// Splits `host:port` at its last colon; the port is 1…65535 in plain digits.
    static func hostAndPort(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else { return nil }
        return (String(text[..<colon]), port)
    }
}
