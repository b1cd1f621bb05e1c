import Reactor
import Traffic

/// What /etc/resolv.conf says, as far as it matters here. Pure.
struct ResolverConfiguration: Equatable, Sendable {
    /// As many as the system's own resolver takes.
    static let serverLimit = 3
    static let searchLimit = 6

    /// In the order in which they are asked.
    var servers: [SocketAddress] = []
    /// Domains that are put behind names.
    var search: [DNSName] = []
    /// Dots from which on a name is tried as it stands before the search list is.
    var ndots = 1

    init(servers: [SocketAddress]) { self.servers = servers }

    /// Lines that are not understood are passed over, as the system's resolver does. Without a name server it is the
    /// one on this host.
    init(parsing text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            guard let key = words.first, words.count > 1 else { continue }
            switch key {
            case "nameserver":
                guard self.servers.count < Self.serverLimit, let ip = IPAddress(parsing: words[1]) else { continue }
                self.servers.append(SocketAddress(ip: ip, port: 53))
            // The last of them holds.
            case "search", "domain":
                self.search = Array(words.dropFirst().compactMap { DNSName($0) }.prefix(Self.searchLimit))
            case "options":
                for option in words where option.hasPrefix("ndots:") {
                    self.ndots = Int(option.dropFirst("ndots:".count)).map { min(max($0, 0), 15) } ?? self.ndots
                }
            default: continue
            }
        }
        if self.servers.isEmpty {
            self.servers = [SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 53)]
        }
    }

    /// What the file says now: it may be replaced at any time. Without it the defaults hold.
    static func system(_ file: String = "/etc/resolv.conf") -> ResolverConfiguration {
        ResolverConfiguration(parsing: String(decoding: (try? WholeFile.read(file)) ?? [], as: UTF8.self))
    }

    /// The names to ask for, in order, until one exists.
    func candidates(_ text: String) -> [DNSName] {
        guard let name = DNSName(text) else { return [] }
        if text.hasSuffix(".") { return [name] }
        let dots = text.utf8.count { $0 == UInt8(ascii: ".") }
        let searched = self.search.compactMap { DNSName("\(text).\($0)") }
        return dots >= self.ndots ? [name] + searched : searched + [name]
    }
}
