/// A header field's place in the bytes of a request.
package struct FieldReference: Sendable {
    package var nameLower, nameUpper, valueLower, valueUpper: UInt32

    package init(nameLower: UInt32, nameUpper: UInt32, valueLower: UInt32, valueUpper: UInt32) {
        self.nameLower = nameLower
        self.nameUpper = nameUpper
        self.valueLower = valueLower
        self.valueUpper = valueUpper
    }
}

/// Finds a request's route. Compiled once: what a request costs depends on its own host and path, not on how many routes
/// there are.
///
/// Most specific first: exact host, longer suffix, shorter suffix, any host; in there exact path, longer prefix, shorter
/// prefix, any path; in there more conditions on method and headers, then declared order. A host group none of whose
/// routes matches passes the request on to the next.
struct RouteMatcher: Sendable {
    /// A route under one path key, with what else it asks for.
    private struct Candidate {
        var route: Int
        var methods: [[UInt8]]
        var headers: [(name: [UInt8], value: [UInt8]?)]
        var conditions: Int { (self.methods.isEmpty ? 0 : 1) + self.headers.count }
    }

    private struct Group {
        var exact: ByteMap
        var prefix: ByteMap
        /// Longest prefix in bytes: no border beyond it is looked at.
        var longestPrefix: Int
        var lists: [[Candidate]]
        /// Routes that name no path.
        var any: [Candidate]
    }

    private let groups: [Group]
    private let hosts: ByteMap
    private let suffixes: ByteMap
    private let hasHosts: Bool
    private let hasSuffixes: Bool
    private let anyHost: Int?
    let needsHeaders: Bool

    init(_ routes: [RouteSpec]) {
        var byHost: [HostKey: [Int]] = [:]
        var order: [HostKey] = []
        for (index, route) in routes.enumerated() {
            let keys: [HostKey] = route.match.hosts.isEmpty ? [.any] : route.match.hosts.map { HostKey($0) }
            for key in keys {
                if byHost[key] == nil { order.append(key) }
                if byHost[key]?.last != index { byHost[key, default: []].append(index) }
            }
        }
        var groups: [Group] = []
        var exact: [(key: [UInt8], value: Int)] = []
        var suffix: [(key: [UInt8], value: Int)] = []
        var any: Int?
        for key in order {
            let number = groups.count
            groups.append(Self.group(byHost[key] ?? [], routes: routes))
            switch key {
            case .any: any = number
            case .exact(let text): exact.append((Array(text.utf8).map(ASCIIFold.lower), number))
            case .suffix(let text): suffix.append((Array(text.utf8).map(ASCIIFold.lower), number))
            }
        }
        self.groups = groups
        self.hosts = ByteMap(exact)
        self.suffixes = ByteMap(suffix)
        self.hasHosts = !exact.isEmpty
        self.hasSuffixes = !suffix.isEmpty
        self.anyHost = any
        self.needsHeaders = routes.contains { !$0.match.headers.isEmpty }
    }

    private enum HostKey: Hashable {
        case any, exact(String), suffix(String)

        init(_ pattern: HostPattern) {
            switch pattern {
            case .exact(let text): self = .exact(text)
            case .suffix(let text): self = .suffix(text)
            }
        }
    }

    private static func group(_ indices: [Int], routes: [RouteSpec]) -> Group {
        var exact: [String: [Candidate]] = [:]
        var prefix: [String: [Candidate]] = [:]
        var any: [Candidate] = []
        for index in indices {
            let match = routes[index].match
            let candidate = Candidate(
                route: index, methods: match.methods.map { Array($0.utf8) },
                headers: match.headers.map {
                    (Array($0.name.utf8).map(ASCIIFold.lower), $0.value.map { Array($0.utf8) })
                })
            if match.paths.isEmpty { any.append(candidate) }
            for path in match.paths {
                switch path {
                case .exact(let text): exact[text, default: []].append(candidate)
                case .prefix(let text): prefix[text, default: []].append(candidate)
                }
            }
        }
        var lists: [[Candidate]] = []
        var exactEntries: [(key: [UInt8], value: Int)] = []
        var prefixEntries: [(key: [UInt8], value: Int)] = []
        for (text, candidates) in exact {
            exactEntries.append((Array(text.utf8), lists.count))
            lists.append(Self.sorted(candidates))
        }
        for (text, candidates) in prefix {
            prefixEntries.append((Array(text.utf8), lists.count))
            lists.append(Self.sorted(candidates))
        }
        return Group(
            exact: ByteMap(exactEntries), prefix: ByteMap(prefixEntries),
            longestPrefix: prefix.keys.map(\.utf8.count).max() ?? 0, lists: lists, any: Self.sorted(any))
    }

    private static func sorted(_ candidates: [Candidate]) -> [Candidate] {
        candidates.sorted {
            $0.conditions != $1.conditions ? $0.conditions > $1.conditions : $0.route < $1.route
        }
    }

    // MARK: asking

    func match(
        method: borrowing Span<UInt8>, host: borrowing Span<UInt8>, path: borrowing Span<UInt8>,
        bytes: borrowing Span<UInt8>, fields: borrowing Span<FieldReference>
    ) -> Int? {
        if self.hasHosts || self.hasSuffixes {
            let end = Self.hostEnd(host)
            if self.hasHosts {
                var hash = ByteMap.seed
                for index in 0..<end { hash = ByteMap.extend(hash, ASCIIFold.lower(host[index])) }
                if let group = self.hosts.find(host, 0, end, hash: hash, folding: true),
                    let route = self.match(in: group, method: method, path: path, bytes: bytes, fields: fields)
                {
                    return route
                }
            }
            if self.hasSuffixes {
                // From the first dot on: the longest suffix comes first.
                var start = 1
                while start < end {
                    if host[start] == 0x2E {
                        var hash = ByteMap.seed
                        for index in start..<end { hash = ByteMap.extend(hash, ASCIIFold.lower(host[index])) }
                        if let group = self.suffixes.find(host, start, end, hash: hash, folding: true),
                            let route = self.match(in: group, method: method, path: path, bytes: bytes, fields: fields)
                        {
                            return route
                        }
                    }
                    start += 1
                }
            }
        }
        guard let anyHost else { return nil }
        return self.match(in: anyHost, method: method, path: path, bytes: bytes, fields: fields)
    }

    /// Where the host's name ends: before the port and one final dot.
    private static func hostEnd(_ host: borrowing Span<UInt8>) -> Int {
        var end = host.count
        guard end > 0 else { return 0 }
        if host[0] == 0x5B {
            var index = 0
            while index < end, host[index] != 0x5D { index += 1 }
            return min(end, index + 1)
        }
        var index = 0
        while index < end, host[index] != 0x3A { index += 1 }
        end = index
        if end > 1, host[end - 1] == 0x2E { end -= 1 }
        return end
    }

    private func match(
        in number: Int, method: borrowing Span<UInt8>, path: borrowing Span<UInt8>, bytes: borrowing Span<UInt8>,
        fields: borrowing Span<FieldReference>
    ) -> Int? {
        let count = path.count
        var hash = ByteMap.seed
        var best = self.first(self.groups[number].any, method: method, bytes: bytes, fields: fields)
        let limit = min(count, self.groups[number].longestPrefix)
        var index = 0
        while index < count {
            if index <= limit, path[index] == 0x2F, index > 0 {
                // A border: what stands before it may be a prefix, and so may it with the slash.
                if let list = self.groups[number].prefix.find(path, 0, index, hash: hash, folding: false),
                    let route = self.first(self.groups[number].lists[list], method: method, bytes: bytes, fields: fields)
                {
                    best = route
                }
            }
            hash = ByteMap.extend(hash, path[index])
            if index < limit, path[index] == 0x2F,
                let list = self.groups[number].prefix.find(path, 0, index + 1, hash: hash, folding: false),
                let route = self.first(self.groups[number].lists[list], method: method, bytes: bytes, fields: fields)
            {
                best = route
            }
            index += 1
        }
        if count > 0, count <= limit, path[count - 1] != 0x2F,
            let list = self.groups[number].prefix.find(path, 0, count, hash: hash, folding: false),
            let route = self.first(self.groups[number].lists[list], method: method, bytes: bytes, fields: fields)
        {
            best = route
        }
        if let list = self.groups[number].exact.find(path, 0, count, hash: hash, folding: false),
            let route = self.first(self.groups[number].lists[list], method: method, bytes: bytes, fields: fields)
        {
            best = route
        }
        return best
    }

    /// The first candidate whose other conditions hold; they are sorted by how much they ask for.
    private func first(
        _ candidates: [Candidate], method: borrowing Span<UInt8>, bytes: borrowing Span<UInt8>,
        fields: borrowing Span<FieldReference>
    ) -> Int? {
        for candidate in candidates {
            if !candidate.methods.isEmpty, !Self.contains(candidate.methods, method) { continue }
            if !candidate.headers.isEmpty, !Self.hold(candidate.headers, bytes: bytes, fields: fields) { continue }
            return candidate.route
        }
        return nil
    }

    private static func contains(_ methods: [[UInt8]], _ method: borrowing Span<UInt8>) -> Bool {
        for wanted in methods where wanted.count == method.count {
            var equal = true
            for index in wanted.indices where wanted[index] != method[index] {
                equal = false
                break
            }
            if equal { return true }
        }
        return false
    }

    private static func hold(
        _ conditions: [(name: [UInt8], value: [UInt8]?)], bytes: borrowing Span<UInt8>,
        fields: borrowing Span<FieldReference>
    ) -> Bool {
        for condition in conditions {
            var found = false
            for index in fields.indices {
                let field = fields[index]
                guard Self.equal(bytes, Int(field.nameLower), Int(field.nameUpper), condition.name, folding: true) else {
                    continue
                }
                guard let value = condition.value else {
                    found = true
                    break
                }
                if Self.equal(bytes, Int(field.valueLower), Int(field.valueUpper), value, folding: false) {
                    found = true
                    break
                }
            }
            if !found { return false }
        }
        return true
    }

    private static func equal(
        _ bytes: borrowing Span<UInt8>, _ lower: Int, _ upper: Int, _ wanted: [UInt8], folding: Bool
    ) -> Bool {
        guard upper - lower == wanted.count else { return false }
        for index in wanted.indices {
            let byte = folding ? ASCIIFold.lower(bytes[lower + index]) : bytes[lower + index]
            if byte != wanted[index] { return false }
        }
        return true
    }
}
