/// Finds a request's route. Compiled from the routes' conditions into hash tables over raw bytes: what a request costs
/// depends on its own length and on how deep the configured prefixes go, not on how many routes there are.
///
/// The most specific route wins, compared by, in this order:
/// 1. host: exact, longer suffix, shorter suffix, any;
/// 2. path: exact, longer prefix, shorter prefix, any;
/// 3. the number of further conditions: each header is one, a list of methods is one;
/// 4. the declared order.
/// A more specific host whose routes all refuse a request does not hide the less specific ones; likewise for paths.
struct RouteMatcher: Sendable {
    /// The routes of one host pattern.
    private struct Group: Sendable {
        /// The next less specific group; -1: none.
        var parent: Int32 = -1
        /// Bucket of routes without a path; -1: none.
        var anyPath: Int32 = -1
        /// Bucket of the prefix `/`, which matches every path; -1: none.
        var root: Int32 = -1
        var longestPrefix = 0
        var longestExact = 0
    }

    /// The routes of one path pattern within a group.
    private struct Bucket: Sendable {
        /// For a prefix: the bucket of the next shorter one that matches whatever this one does; -1: none.
        var shorter: Int32 = -1
        var candidates: [RouteConditions] = []
    }

    private static let exactHost: Int32 = 0
    private static let suffixHost: Int32 = 1
    private static let anyHost: Int32 = 0

    private var hosts = ByteTable()
    private var longestSuffix = 0
    private var longestHost = 0
    private var paths = ByteTable()
    private var groups: ContiguousArray<Group> = [Group()]
    private var buckets: ContiguousArray<Bucket> = []

    // MARK: matching

    /// The index of the route; nil if none takes the request.
    func match(
        method: borrowing Span<UInt8>, host: borrowing Span<UInt8>, path: borrowing Span<UInt8>,
        bytes: borrowing Span<UInt8>, fields: borrowing Span<FieldReference>
    ) -> Int? {
        var group = self.group(of: host)
        while group >= 0 {
            let (exact, prefix) = self.find(path, in: Int(group))
            if let route = self.first(in: exact, method, bytes, fields) { return route }
            var bucket = prefix
            while bucket >= 0 {
                if let route = self.first(in: bucket, method, bytes, fields) { return route }
                bucket = self.buckets[Int(bucket)].shorter
            }
            if let route = self.first(in: self.groups[Int(group)].anyPath, method, bytes, fields) { return route }
            group = self.groups[Int(group)].parent
        }
        return nil
    }

    private func first(
        in bucket: Int32, _ method: borrowing Span<UInt8>, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>
    ) -> Int? {
        guard bucket >= 0 else { return nil }
        let index = Int(bucket)
        for place in self.buckets[index].candidates.indices
        where self.buckets[index].candidates[place].hold(method: method, bytes: bytes, fields: fields) {
            return Int(self.buckets[index].candidates[place].route)
        }
        return nil
    }

    /// The most specific group whose host pattern matches. A port and one final dot of the host do not count, nor does
    /// the case of its letters.
    private func group(of host: borrowing Span<UInt8>) -> Int32 {
        guard self.hosts.count > 0 else { return Self.anyHost }
        var end = 0
        if host.count > 0, host[0] == UInt8(ascii: "[") {
            while end < host.count, host[end] != UInt8(ascii: "]") { end += 1 }
            end = min(end + 1, host.count)
        } else {
            while end < host.count, host[end] != UInt8(ascii: ":") { end += 1 }
            if end > 1, host[end - 1] == UInt8(ascii: ".") { end -= 1 }
        }
        return self.group(ofHost: host, end: end, allowsExact: true)
    }

    /// Walks from the right, where suffixes begin, so that one pass serves them all and the whole host.
    private func group(ofHost host: borrowing Span<UInt8>, end: Int, allowsExact: Bool) -> Int32 {
        let wantsWhole = allowsExact && end <= self.longestHost
        let stop = wantsWhole ? 0 : max(end - self.longestSuffix, 0)
        var found = Self.anyHost
        var hash = KeyHash.start
        var index = end
        while index > stop {
            index -= 1
            let byte = ByteTable.folded(host[index])
            hash = ByteTable.step(hash, byte)
            // The dot must have a label before it.
            if byte == UInt8(ascii: "."), index > 0, end - index <= self.longestSuffix,
                let group = self.hosts.find(hash, scope: Self.suffixHost, in: host, index..<end, folding: true)
            {
                found = group
            }
        }
        if wantsWhole, end > 0,
            let group = self.hosts.find(hash, scope: Self.exactHost, in: host, 0..<end, folding: true)
        {
            return group
        }
        return found
    }

    /// The bucket of exactly this path and that of the longest prefix of it with fewer than `bound` bytes; -1: none.
    private func find(
        _ path: borrowing Span<UInt8>, in group: Int, below bound: Int = .max
    ) -> (exact: Int32, prefix: Int32) {
        let facts = self.groups[group]
        let longestPrefix = min(facts.longestPrefix, bound - 1)
        let wantsExact = path.count <= facts.longestExact
        let limit = wantsExact ? path.count : min(path.count, longestPrefix)
        var prefix = facts.root
        var hash = KeyHash.start
        var index = 0
        while index < limit {
            hash = ByteTable.step(hash, path[index])
            index += 1
            guard index <= longestPrefix else { continue }
            // A border lies before and after each slash, and at the end.
            let isBorder =
                index == path.count || path[index] == UInt8(ascii: "/") || path[index - 1] == UInt8(ascii: "/")
            if isBorder,
                let bucket = self.paths.find(
                    hash, scope: Self.prefixScope(group), in: path, 0..<index, folding: false)
            {
                prefix = bucket
            }
        }
        guard wantsExact, path.count > 0 else { return (-1, prefix) }
        let exact = self.paths.find(hash, scope: Self.exactScope(group), in: path, 0..<path.count, folding: false)
        return (exact ?? -1, prefix)
    }

    private static func exactScope(_ group: Int) -> Int32 { Int32(truncatingIfNeeded: group * 2) }
    private static func prefixScope(_ group: Int) -> Int32 { Int32(truncatingIfNeeded: group * 2 + 1) }

    // MARK: compiling

    init(_ routes: [RouteSpec]) {
        var prefixes: [(group: Int, key: [UInt8], bucket: Int32)] = []
        var hostKeys: [(key: [UInt8], group: Int32)] = []
        for (index, route) in routes.enumerated() {
            let conditions = RouteConditions(route: Int32(index), route.match)
            let groups =
                route.match.hosts.isEmpty
                ? [Self.anyHost] : route.match.hosts.map { self.group(for: $0, keys: &hostKeys) }
            for group in Set(groups) {
                if route.match.paths.isEmpty {
                    self.add(conditions, to: \.anyPath, of: Int(group))
                }
                for pattern in route.match.paths {
                    self.add(conditions, pattern, group: Int(group), prefixes: &prefixes)
                }
            }
        }
        for (key, group) in hostKeys {
            // What a host or suffix falls back to is what it would match if it were not there itself.
            let inner = key.first == UInt8(ascii: ".") ? Array(key.dropFirst()) : key
            self.groups[Int(group)].parent = self.group(ofHost: inner.span, end: inner.count, allowsExact: false)
        }
        for (group, key, bucket) in prefixes {
            // Whatever matches a prefix has its borders, and so its shorter prefixes, in common with it.
            self.buckets[Int(bucket)].shorter = self.find(key.span, in: group, below: key.count).prefix
        }
        for index in self.buckets.indices { self.buckets[index].candidates.sort(by: RouteConditions.precedes) }
    }

    private mutating func group(for pattern: HostPattern, keys: inout [(key: [UInt8], group: Int32)]) -> Int32 {
        let (text, scope) =
            switch pattern {
            case .exact(let host): (host, Self.exactHost)
            case .suffix(let suffix): (suffix, Self.suffixHost)
            }
        let key = text.utf8.map(ByteTable.folded)
        let hash = key.reversed().reduce(KeyHash.start) { ByteTable.step($0, $1) }
        let fresh = Int32(self.groups.count)
        let group = self.hosts.insert(key, hash: hash, scope: scope, value: fresh)
        guard group == fresh else { return group }
        self.groups.append(Group())
        keys.append((key, group))
        switch pattern {
        case .exact: self.longestHost = max(self.longestHost, key.count)
        case .suffix: self.longestSuffix = max(self.longestSuffix, key.count)
        }
        return group
    }

    private mutating func add(
        _ conditions: RouteConditions, _ pattern: PathPattern, group: Int,
        prefixes: inout [(group: Int, key: [UInt8], bucket: Int32)]
    ) {
        let key: [UInt8]
        let scope: Int32
        switch pattern {
        case .exact(let path):
            (key, scope) = (Array(path.utf8), Self.exactScope(group))
            self.groups[group].longestExact = max(self.groups[group].longestExact, key.count)
        case .prefix("/"), .prefix(""): return self.add(conditions, to: \.root, of: group)
        case .prefix(let path):
            (key, scope) = (Array(path.utf8), Self.prefixScope(group))
            self.groups[group].longestPrefix = max(self.groups[group].longestPrefix, key.count)
        }
        let fresh = Int32(self.buckets.count)
        let hash = key.reduce(KeyHash.start) { ByteTable.step($0, $1) }
        let bucket = self.paths.insert(key, hash: hash, scope: scope, value: fresh)
        if bucket == fresh {
            self.buckets.append(Bucket())
            if case .prefix = pattern { prefixes.append((group, key, bucket)) }
        }
        self.add(conditions, toBucket: bucket)
    }

    private mutating func add(_ conditions: RouteConditions, to place: WritableKeyPath<Group, Int32>, of group: Int) {
        if self.groups[group][keyPath: place] < 0 {
            self.groups[group][keyPath: place] = Int32(self.buckets.count)
            self.buckets.append(Bucket())
        }
        self.add(conditions, toBucket: self.groups[group][keyPath: place])
    }

    private mutating func add(_ conditions: RouteConditions, toBucket bucket: Int32) {
        // A route may list the same path twice.
        guard self.buckets[Int(bucket)].candidates.last?.route != conditions.route else { return }
        self.buckets[Int(bucket)].candidates.append(conditions)
    }
}
