/// Keeps passwords out of what is printed: a connection string may stand where nobody expects one.
package enum Redaction {
    /// Options of connection strings whose values are secrets.
    private static let options = ["password", "authmechanismproperties"]

    /// The text without what stands between a scheme and an @, and without secret options.
    ///
    /// An @ of a password and the one that ends it look alike, and a password may hold anything: the last one in the text
    /// counts.
    package static func withoutCredentials(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://") else { return text }
        let head = text[..<scheme.upperBound]
        var rest = text[scheme.upperBound...]
        if let at = rest.lastIndex(of: "@") { rest = "***" + rest[at...] }
        return head + withoutSecretOptions(rest)
    }

    private static func withoutSecretOptions(_ text: Substring) -> String {
        var result = ""
        var rest = text
        while let equals = rest.firstIndex(of: "=") {
            let name = rest[..<equals].lowercased()
            result += rest[...equals]
            rest = rest[rest.index(after: equals)...]
            guard options.contains(where: name.hasSuffix) else { continue }
            result += "***"
            rest = rest.drop { $0 != "&" && !$0.isWhitespace }
        }
        return result + rest
    }
}
