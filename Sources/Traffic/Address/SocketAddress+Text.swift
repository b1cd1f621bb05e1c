extension SocketAddress: CustomStringConvertible {
    /// `1.2.3.4:80` or `[::1]:80`; the port is decimal, 0…65535, without sign or leading zeros. nil for anything else.
    package init?(parsing text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = Self.parsePort(text[text.utf8.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            // Without brackets nobody can tell the port from the last group.
            return nil
        }
        guard let ip = IPAddress(parsing: String(host)) else { return nil }
        self.init(ip: ip, port: port)
    }

    package var description: String {
        self.ip.isV4 ? "\(self.ip):\(self.port)" : "[\(self.ip)]:\(self.port)"
    }

    private static func parsePort(_ text: Substring) -> UInt16? {
        let digits = text.utf8
        guard (1...5).contains(digits.count), digits.count == 1 || digits.first != UInt8(ascii: "0"),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return UInt16(text)
    }
}
