/// Making the tables, once for each set of routes. Nothing here is called for a request.
extension RouteMatcher {
    /// Candidates of one bucket from which on they are indexed by headers.
    private static let indexedFrom = 9

    private struct Entry {
        var bucket: Int32
        var route: Int32
    }

    /// A prefix whose next shorter one is still to be found.
    private struct Prefix {
        var group: Int
        var form: Int
        var bucket: Int32
        var key: Range<Int>
    }

    private struct HostKey {
        var group: Int32
        var key: Range<Int>
    }

    init(_ routes: [RouteSpec]) {
        self.conditions.reserveCapacity(routes.count)
        for index in routes.indices {
            self.conditions.append(
                RouteConditions(routes[index].match, listeners: self.bits(ofListeners: routes[index].match.listeners)))
        }
        var entries: [Entry] = []
        entries.reserveCapacity(routes.count)
        var prefixes: [Prefix] = []
        var hostKeys: [HostKey] = []
        var scratch: [UInt8] = []
        for route in self.inOrder() {
            self.addRoute(route, routes[Int(route)].match, &entries, &prefixes, &hostKeys, &scratch)
        }
        for host in hostKeys {
            // What a host or suffix falls back to is what it would match if it were not there itself.
            let inner = self.hosts.pool[host.key].first == UInt8(ascii: ".") ? host.key.dropFirst() : host.key
            let parent = self.group(
                ofHost: self.hosts.pool.span.extracting(inner), end: inner.count, allowsExact: false)
            self.groups[Int(host.group)].parent = parent
        }
        for prefix in prefixes {
            // Whatever matches a prefix has its borders, and so its shorter prefixes, in common with it.
            let shorter = self.find(
                self.paths.pool.span.extracting(prefix.key), prefix.key.count, form: prefix.form, in: prefix.group,
                below: prefix.key.count
            ).prefix
            self.buckets[Int(prefix.bucket)].shorter = shorter
        }
        self.fill(entries)
    }

    /// All bits: any listener will do.
    private mutating func bits(ofListeners names: [String]) -> UInt64 {
        guard !names.isEmpty else { return .max }
        var bits: UInt64 = 0
        for name in names {
            // routes.json has at most 64 listeners, and routes name only those.
            if self.bit(ofListener: name) == 0, self.listeners.count < 64 { self.listeners.append(name) }
            bits |= self.bit(ofListener: name)
        }
        return bits
    }

    /// The most candidates that one request's look into one bucket asks.
    var longestWalk: Int {
        self.buckets.map { bucket in
            guard bucket.index >= 0 else { return Int(bucket.upper - bucket.lower) }
            let index = self.indices[Int(bucket.index)]
            return index.others.count + (index.lists.map(\.count).max() ?? 0)
        }.max() ?? 0
    }

    /// Routes as they are to be asked: by falling number of conditions, then as declared.
    private func inOrder() -> [Int32] {
        var byCount: [[Int32]] = []
        for route in self.conditions.indices {
            let count = self.conditions[route].count
            while byCount.count <= count { byCount.append([]) }
            byCount[count].append(Int32(route))
        }
        return Array(byCount.reversed().joined())
    }

    private mutating func addRoute(
        _ route: Int32, _ match: MatchSpec, _ entries: inout [Entry], _ prefixes: inout [Prefix],
        _ hostKeys: inout [HostKey], _ scratch: inout [UInt8]
    ) {
        let form = (match.ignoreCase ? Form.folding : 0) | (match.normalise ? Form.normal : 0)
        var groups: [Int32] = match.hosts.isEmpty ? [Self.anyHost] : []
        for host in match.hosts {
            let group = self.group(for: host, &hostKeys, &scratch)
            // Two spellings of one host.
            if !groups.contains(group) { groups.append(group) }
        }
        for group in groups {
            let first = entries.count
            if match.paths.isEmpty {
                entries.append(Entry(bucket: self.bucket(\.anyPath, of: Int(group), length: 0), route: route))
            }
            for path in match.paths {
                let bucket = self.bucket(for: path, form: form, group: Int(group), &prefixes, &scratch)
                // A route may list the same path twice.
                if !entries[first...].contains(where: { $0.bucket == bucket }) {
                    entries.append(Entry(bucket: bucket, route: route))
                }
            }
        }
    }

    private mutating func group(
        for pattern: HostPattern, _ keys: inout [HostKey], _ scratch: inout [UInt8]
    ) -> Int32 {
        let (text, scope) =
            switch pattern {
            case .exact(let host): (host, Self.exactHost)
            case .suffix(let suffix): (suffix, Self.suffixHost)
            }
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: text.utf8)
        var hash = KeyHash.start
        for index in scratch.indices.reversed() {
            scratch[index] = ByteTable.folded(scratch[index])
            hash = ByteTable.step(hash, scratch[index])
        }
        let fresh = Int32(self.groups.count)
        let group = self.hosts.insert(scratch.span, hash: hash, scope: scope, value: fresh)
        guard group == fresh else { return group }
        self.groups.append(Group())
        keys.append(HostKey(group: group, key: self.hosts.pool.count - scratch.count..<self.hosts.pool.count))
        switch pattern {
        case .exact: self.longestHost = max(self.longestHost, scratch.count)
        case .suffix: self.longestSuffix = max(self.longestSuffix, scratch.count)
        }
        return group
    }

    private mutating func bucket(
        for pattern: PathPattern, form: Int, group: Int, _ prefixes: inout [Prefix], _ scratch: inout [UInt8]
    ) -> Int32 {
        let (text, isPrefix) =
            switch pattern {
            case .exact(let path): (path, false)
            case .prefix(let path): (path, true)
            }
        Self.write(text, form: form, into: &scratch)
        if isPrefix, scratch.count <= 1, scratch.first ?? UInt8(ascii: "/") == UInt8(ascii: "/") {
            return self.bucket(\.root, of: group, length: 1)
        }
        self.forms |= 1 << UInt8(form)
        let length = Int32(scratch.count)
        if isPrefix {
            self.groups[group].longestPrefix[form] = max(self.groups[group].longestPrefix[form], length)
            self.groups[group].prefixLengths[form] |= 1 << UInt64(length & 63)
        } else {
            self.groups[group].longestExact[form] = max(self.groups[group].longestExact[form], length)
        }
        var hash = KeyHash.start
        for byte in scratch { hash = ByteTable.step(hash, byte) }
        let fresh = Int32(self.buckets.count)
        let scope = isPrefix ? Self.prefixScope(group, form) : Self.exactScope(group, form)
        let bucket = self.paths.insert(scratch.span, hash: hash, scope: scope, value: fresh)
        guard bucket == fresh else { return bucket }
        self.buckets.append(Bucket(length: length))
        if isPrefix {
            let end = self.paths.pool.count
            prefixes.append(Prefix(group: group, form: form, bucket: bucket, key: end - scratch.count..<end))
        }
        return bucket
    }

    /// A pattern as it is compared in `form`.
    private static func write(_ text: String, form: Int, into scratch: inout [UInt8]) {
        scratch.removeAll(keepingCapacity: true)
        scratch.append(contentsOf: text.utf8)
        if form & Form.normal != 0, scratch.count <= NormalPath.kept, !NormalPath.isNormal(scratch.span) {
            let normal = NormalPath(scratch.span)
            scratch.removeAll(keepingCapacity: true)
            for index in normal.range { scratch.append(normal.buffer[index]) }
        }
        guard form & Form.folding != 0 else { return }
        for index in scratch.indices { scratch[index] = ByteTable.folded(scratch[index]) }
    }

    private mutating func bucket(
        _ place: WritableKeyPath<Group, Int32>, of group: Int, length: Int32
    ) -> Int32 {
        if self.groups[group][keyPath: place] < 0 {
            self.groups[group][keyPath: place] = Int32(self.buckets.count)
            self.buckets.append(Bucket(length: length))
        }
        return self.groups[group][keyPath: place]
    }

    /// Lays the candidates out bucket by bucket, in the order of `entries`.
    private mutating func fill(_ entries: [Entry]) {
        for entry in entries { self.buckets[Int(entry.bucket)].upper += 1 }
        var end: Int32 = 0
        for index in self.buckets.indices {
            let count = self.buckets[index].upper
            self.buckets[index].lower = end
            self.buckets[index].upper = end
            end += count
        }
        self.candidates = ContiguousArray(repeating: 0, count: Int(end))
        for entry in entries {
            self.candidates[Int(self.buckets[Int(entry.bucket)].upper)] = entry.route
            self.buckets[Int(entry.bucket)].upper += 1
        }
        for index in self.buckets.indices {
            let range = Int(self.buckets[index].lower)..<Int(self.buckets[index].upper)
            guard range.count >= Self.indexedFrom else { continue }
            let candidates = ContiguousArray(self.candidates[range])
            guard candidates.contains(where: { !self.conditions[Int($0)].headers.isEmpty }) else { continue }
            self.buckets[index].index = Int32(self.indices.count)
            self.indices.append(HeaderIndex(candidates, self.conditions))
        }
    }
}
