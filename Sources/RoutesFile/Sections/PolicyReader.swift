import JSONText
import Traffic

/// Reads who may come, and how often.
extension Section {
    /// `allow` and `deny`.
    func readAccess(into access: inout AccessSpec) {
        self.read("allow", into: &access.allow) { $0.addressBlocks() }
        self.read("deny", into: &access.deny) { $0.addressBlocks() }
    }
}

enum RateLimitReader {
    static func read(_ node: Node) -> [RateLimitSpec]? {
        var names: Set<String> = []
        return node.elements("a list of limits", minimum: 1, maximum: 8)?.compactMap { node in
            guard let limit = Self.limit(node) else { return nil }
            if !names.insert(limit.name).inserted {
                (node.member("name") ?? node).fail("the name \(limit.name.quoted) is already taken")
            }
            return limit
        }
    }

    private static func limit(_ node: Node) -> RateLimitSpec? {
        guard let section = node.section(.rateLimit) else { return nil }
        let name = section.required("name")?.name()
        let key = section.required("key").flatMap(Self.key)
        let rate = section.required("rate")?.parsed("a rate such as \"50/s\", \"10/m\" or \"100/h\"", Self.rate)
        guard let name, let key, let rate else { return nil }
        var burst = rate.count
        section.read("burst", into: &burst) { $0.integer(1...RateSpec.largestBurst) }
        var limit = RateLimitSpec(name: name, key: key, rate: RateSpec(interval: rate.interval, burst: burst))
        section.read("ipv4Prefix", into: &limit.ipv4Prefix) { $0.integer(1...32) }
        section.read("ipv6Prefix", into: &limit.ipv6Prefix) { $0.integer(1...128) }
        section.read("entries", into: &limit.entries) { $0.integer(8...16_777_216) }
        section.read("dryRun", into: &limit.dryRun) { $0.bool() }
        section.read("except", into: &limit.except) { $0.addressBlocks() }
        section.read("headers", into: &limit.telling) { node in
            if case .bool(false) = node.value.content { return .never }
            guard case .string = node.value.content else {
                node.failExpecting("\"limited\", \"always\" or false")
                return nil
            }
            return node.word([("limited", .refusals), ("always", .always)])
        }
        return limit
    }

    private static func key(_ node: Node) -> RateKey? {
        let whole: [String: RateKey] = ["all": .all, "user": .user]
        guard let by = node.member("by"), case .string(let word) = by.value.content, let key = whole[word] else {
            switch node.hashKey() {
            case .clientAddress: return .clientAddress
            case .header(let name): return .header(name)
            case .cookie(let name): return .cookie(name)
            case nil: return nil
            }
        }
        node.section(.key)?["name"]?.fail("has no meaning with \"by\": \(word.quoted)")
        return key
    }

    /// Requests, and the nanoseconds between two of them; nil for what is no rate.
    private static func rate(_ text: String) -> (count: UInt64, interval: UInt64)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...7).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let count = UInt64(parts[0]), (1...1_000_000).contains(count)
        else { return nil }
        let unit: UInt64
        switch parts[1] {
        case "s": unit = 1_000_000_000
        case "m": unit = 60_000_000_000
        case "h": unit = 3_600_000_000_000
        default: return nil
        }
        return (count, (unit + count / 2) / count)
    }
}
