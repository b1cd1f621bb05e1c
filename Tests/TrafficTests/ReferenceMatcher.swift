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
        guard let host = self.hostRank(match.hosts, probe.host), let path = self.pathRank(match.paths, probe.path)
        else {
            return nil
        }
        if !match.methods.isEmpty, !match.methods.contains(probe.method) { return nil }
        for header in match.headers {
            let holds = probe.headers.contains { name, value in
                name.lowercased() == header.name && (header.value == nil || header.value == value)
            }
            if !holds { return nil }
        }
        return host + path + [match.headers.count + (match.methods.isEmpty ? 0 : 1)]
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

    private static func pathRank(_ patterns: [PathPattern], _ path: String) -> [Int]? {
        if patterns.isEmpty { return [0, 0] }
        return patterns.compactMap { pattern -> [Int]? in
            switch pattern {
            case .exact(let text): return text == path ? [2, 0] : nil
            case .prefix("/"): return [1, 1]
            case .prefix(let text):
                let matches = path == text || path.hasPrefix(text.hasSuffix("/") ? text : text + "/")
                return matches ? [1, text.count] : nil
            }
        }.max { $0.lexicographicallyPrecedes($1) }
    }
}

/// Routes and requests over so small an alphabet that they meet often.
enum RandomMatch {
    private static let labels = ["a", "b", "ab"]
    private static let segments = ["", "a", "b", "ab", "a"]

    private static func host(_ random: inout SplitMix64, labels count: Int) -> String {
        (0..<count).map { _ in random.pick(Self.labels) }.joined(separator: ".")
    }

    private static func path(_ random: inout SplitMix64) -> String {
        (0..<1 + random.below(4)).map { _ in "/" + random.pick(Self.segments) }.joined()
    }

    static func route(_ index: Int, _ random: inout SplitMix64) -> RouteSpec {
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
                let path = Self.path(&random)
                paths.append(random.chance(1, of: 3) ? .exact(path) : .prefix(path))
            }
        }
        let methods = random.chance(1, of: 4) ? [random.pick(["GET", "PUT"])] : []
        var headers: [HeaderMatch] = []
        for name in ["x-a", "x-b"] where random.chance(1, of: 5) {
            headers.append(HeaderMatch(name: name, value: random.chance(1, of: 2) ? nil : random.pick(["1", "2"])))
        }
        return MatchTests.spec("r\(index)", hosts: hosts, paths: paths, methods: methods, headers: headers)
    }

    static func probe(_ random: inout SplitMix64) -> Probe {
        var host = Self.host(&random, labels: 1 + random.below(4))
        if random.chance(1, of: 4) { host = host.uppercased() }
        if random.chance(1, of: 4) { host += ":8080" }
        let headers = ["X-A", "x-B"].compactMap { name in
            random.chance(1, of: 2) ? (name, random.pick(["1", "2", "3"])) : nil
        }
        return Probe(
            method: random.pick(["GET", "PUT", "POST"]), host: host, path: Self.path(&random), headers: headers)
    }
}
