import Traffic

/// The matching rules read one after the other, over strings, for comparison.
enum ReferenceMatcher {
    static func match(_ routes: [RouteSpec], _ probe: Probe) -> Int? {
        var best: (index: Int, rank: [Int])?
        for (index, route) in routes.enumerated() {
            guard let rank = self.rank(route.match, probe) else { continue }
            if let best, !best.rank.lexicographicallyPrecedes(rank) { continue }
            best = (index, rank)
        }
        return best?.index
    }

    /// nil if it does not match; otherwise the greater, the more specific.
    private static func rank(_ match: MatchSpec, _ probe: Probe) -> [Int]? {
        guard let host = self.hostRank(match.hosts, probe.host), let path = self.pathRank(match, probe.path)
        else {
            return nil
        }
        if !match.methods.isEmpty, !match.methods.contains(probe.method) { return nil }
        if !match.listeners.isEmpty, !match.listeners.contains(probe.listener) { return nil }
        for header in match.headers {
            let holds = probe.headers.contains { name, value in
                name.lowercased() == header.name && (header.value == nil || header.value == value)
            }
            if !holds { return nil }
        }
        let lists = (match.methods.isEmpty ? 0 : 1) + (match.listeners.isEmpty ? 0 : 1)
        return host + path + [match.headers.count + lists]
    }

    private static func hostRank(_ patterns: [HostPattern], _ host: String) -> [Int]? {
        if patterns.isEmpty { return [0, 0] }
        let bare =
            host.lowercased().split(separator: ":", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        return patterns.compactMap { pattern -> [Int]? in
            switch pattern {
            case .exact(let text): return text == bare ? [2, 0] : nil
            case .suffix(let text): return bare.hasSuffix(text) && bare.count > text.count ? [1, text.count] : nil
            }
        }.max { $0.lexicographicallyPrecedes($1) }
    }

    private static func pathRank(_ match: MatchSpec, _ path: String) -> [Int]? {
        if match.paths.isEmpty { return [0, 0] }
        let path = self.form(path, match)
        return match.paths.compactMap { pattern -> [Int]? in
            switch pattern {
            case .exact(let text): return self.form(text, match) == path ? [2, 0] : nil
            case .prefix(let text):
                let text = self.form(text, match)
                if text == "/" || text.isEmpty { return [1, 1] }
                let matches = path == text || path.hasPrefix(text.hasSuffix("/") ? text : text + "/")
                return matches ? [1, text.count] : nil
            }
        }.max { $0.lexicographicallyPrecedes($1) }
    }

    private static func form(_ path: String, _ match: MatchSpec) -> String {
        let path = match.normalise ? self.normal(path) : path
        return match.ignoreCase ? path.lowercased() : path
    }

    /// RFC 3986 §6.2.2 from the left to the right, over a list of segments.
    static func normal(_ path: String) -> String {
        guard path.hasPrefix("/") else { return path }
        let unreserved = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
        var decoded = ""
        var rest = path[...]
        while let character = rest.first {
            rest = rest.dropFirst()
            let digits = rest.prefix(2)
            if character == "%", digits.count == 2, digits.allSatisfy(\.isHexDigit), let byte = UInt8(digits, radix: 16)
            {
                rest = rest.dropFirst(2)
                let meant = Character(Unicode.Scalar(byte))
                decoded += unreserved.contains(meant) ? String(meant) : "%" + digits.uppercased()
            } else {
                decoded.append(character)
            }
        }
        let segments = decoded.split(separator: "/", omittingEmptySubsequences: false)
        var kept: [Substring] = []
        for segment in segments {
            switch segment {
            case "", ".": break
            case "..": _ = kept.popLast()
            default: kept.append(segment)
            }
        }
        let endsInSlash = ["", ".", ".."].contains(segments.last ?? "")
        return kept.isEmpty ? "/" : "/" + kept.joined(separator: "/") + (endsInSlash ? "/" : "")
    }
}

/// Routes and requests over so small an alphabet that they meet often.
enum RandomMatch {
    private static let labels = ["a", "b", "ab"]
    private static let segments = ["", "a", "b", "ab", "a"]
    private static let disguised = [
        "A", "%61", "%41", "..", ".", "%2e", "%2E%2e", "a%2Fb", "a%2fb", "%", "%6", "...", "aB",
    ]

    private static func host(_ random: inout SplitMix64, labels count: Int) -> String {
        (0..<count).map { _ in random.pick(Self.labels) }.joined(separator: ".")
    }

    /// `disguised`: every second segment in a spelling of its own.
    static func path(_ random: inout SplitMix64, disguised: Bool = false) -> String {
        (0..<1 + random.below(4)).map { _ in
            "/" + random.pick(disguised && random.chance(1, of: 2) ? Self.disguised : Self.segments)
        }.joined()
    }

    static func route(_ index: Int, _ random: inout SplitMix64, disguised: Bool = false) -> RouteSpec {
        var hosts: [HostPattern] = []
        if random.chance(2, of: 3) {
            for _ in 0..<1 + random.below(2) {
                let host = Self.host(&random, labels: 1 + random.below(3))
                hosts.append(random.chance(1, of: 2) ? .exact(host) : .suffix("." + host))
            }
        }
        var paths: [PathPattern] = []
        if random.chance(4, of: 5) {
            for _ in 0..<1 + random.below(3) {
                let path = Self.path(&random, disguised: disguised)
                paths.append(random.chance(1, of: 3) ? .exact(path) : .prefix(path))
            }
        }
        let methods = random.chance(1, of: 4) ? [random.pick(["GET", "PUT"])] : []
        var headers: [HeaderMatch] = []
        for name in ["x-a", "x-b"] where random.chance(1, of: 5) {
            headers.append(HeaderMatch(name: name, value: random.chance(1, of: 2) ? nil : random.pick(["1", "2"])))
        }
        var spec = MatchTests.spec("r\(index)", hosts: hosts, paths: paths, methods: methods, headers: headers)
        if random.chance(1, of: 5) { spec.match.listeners = [random.pick(["public", "inside", "gone"])] }
        spec.match.ignoreCase = disguised && random.chance(1, of: 3)
        spec.match.normalise = disguised && random.chance(1, of: 2)
        return spec
    }

    static func probe(_ random: inout SplitMix64, disguised: Bool = false) -> Probe {
        var host = Self.host(&random, labels: 1 + random.below(4))
        if random.chance(1, of: 4) { host = host.uppercased() }
        if random.chance(1, of: 4) { host += ":8080" }
        let headers = ["X-A", "x-B"].compactMap { name in
            random.chance(1, of: 2) ? (name, random.pick(["1", "2", "3"])) : nil
        }
        return Probe(
            method: random.pick(["GET", "PUT", "POST"]), host: host, path: Self.path(&random, disguised: disguised),
            headers: headers, listener: random.pick(["public", "inside", "unnamed"]))
    }
}
