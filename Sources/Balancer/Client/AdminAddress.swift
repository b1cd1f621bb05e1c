import Traffic

/// Where the admin API is, as people give it.
enum AdminAddress {
    static let standard = "127.0.0.1:9901"

    /// What was given, else the environment's, else the default. A scheme before it and a slash behind it are no part of an
    /// address, but of what people copy.
    static func base(_ given: String?, environment: [String: String]) -> String {
        var text = (given ?? environment["BALANCER_ADMIN"] ?? "")[...]
        if text.isEmpty { return Self.standard }
        for scheme in ["http://", "https://"] where text.lowercased().hasPrefix(scheme) {
            text = text.dropFirst(scheme.count)
            break
        }
        if text.hasSuffix("/") { text = text.dropLast() }
        return String(text)
    }

    /// Whether it is asked by TLS: the address says so, or an authority is named and the address does not say otherwise.
    static func isSecure(_ given: String?, authority: String?, environment: [String: String]) -> Bool {
        let text = (given ?? environment["BALANCER_ADMIN"] ?? "").lowercased()
        return text.hasPrefix("https://") || authority != nil && !text.hasPrefix("http://")
    }

    /// Whether what is sent there stays on this machine.
    static func isLocal(_ base: String) -> Bool {
        var host = base[..<(base.lastIndex(of: ":") ?? base.endIndex)]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        // The name is never another machine's (RFC 6761 6.3).
        return host.lowercased() == "localhost" || IPAddress(parsing: String(host))?.isLoopback ?? false
    }

    /// Who named the address that holds, for messages.
    static func source(_ given: String?) -> String { given == nil ? "BALANCER_ADMIN" : "--admin" }

    /// Whether this is HOST:PORT, or [ADDRESS]:PORT.
    static func isAddress(_ base: String) -> Bool {
        guard let colon = base.lastIndex(of: ":"), let port = UInt16(base[base.index(after: colon)...]), port > 0 else {
            return false
        }
        let host = base[..<colon]
        if host.hasPrefix("[") { return host.hasSuffix("]") && host.dropFirst().dropLast().contains(":") }
        let foreign = "/@?#:[]"
        return !host.isEmpty && host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
            && !host.contains { foreign.contains($0) }
    }
}
