/// Finds a request's route. Compiled from the routes' conditions into hash tables over raw bytes: what a request costs
/// depends on its own length and on how deep the configured prefixes go, not on how many routes there are.
///
/// The most specific route wins, compared by, in this order:
/// 1. host: exact, longer suffix, shorter suffix, any;
/// 2. path: exact, longer prefix, shorter prefix, any;
/// 3. the number of further conditions: each header is one, a list of methods is one, a list of listeners is one;
/// 4. the declared order.
/// A more specific host whose routes all refuse a request does not hide the less specific ones; likewise for paths. Routes
/// that compare paths in another form (without case, in the normal form) are ranked by their patterns in that form.
struct RouteMatcher: Sendable {
    /// How paths are compared: a bit for "without case", a bit for "in the normal form".
    struct Form {
        static let count = 4
        static let folding = 1
        static let normal = 2
    }

    /// The routes of one host pattern.
    struct Group: Sendable {
        /// The next less specific group; -1: none.
        var parent: Int32 = -1
        /// Bucket of routes without a path; -1: none.
        var anyPath: Int32 = -1
        /// Bucket of the prefix `/`, which matches every path in every form; -1: none.
        var root: Int32 = -1
        /// By form.
        var longestPrefix = SIMD4<Int32>()
        var longestExact = SIMD4<Int32>()
        /// The lengths that prefixes of a form have, modulo 64, a bit each: most borders of a path need no look-up.
        var prefixLengths = SIMD4<UInt64>()
    }

    /// The routes of one path pattern within a group, in one form.
    struct Bucket: Sendable {
        /// For a prefix: the bucket of the next shorter one that matches whatever this one does; -1: none.
        var shorter: Int32 = -1
        /// Bytes of the pattern.
        var length: Int32 = 0
        /// Its part of `candidates`.
        var lower: Int32 = 0
        var upper: Int32 = 0
        /// Into `indices`; -1: they are asked one by one.
        var index: Int32 = -1
    }

    /// The buckets of one form that a path falls into.
    private struct Chain {
        var exact: Int32 = -1
        var prefix: Int32 = -1
    }

    static let exactHost: Int32 = 0
    static let suffixHost: Int32 = 1
    static let anyHost: Int32 = 0

    var hosts = ByteTable()
    var longestSuffix = 0
    var longestHost = 0
    var paths = ByteTable()
    var groups: ContiguousArray<Group> = [Group()]
    var buckets: ContiguousArray<Bucket> = []
    /// Routes, bucket by bucket, each in the order in which they are to be asked.
    var candidates: ContiguousArray<Int32> = []
    /// By route.
    var conditions: ContiguousArray<RouteConditions> = []
    var indices: ContiguousArray<HeaderIndex> = []
    /// Listeners that some route asks for, at most 64: the place of each is its bit.
    var listeners: ContiguousArray<String> = []
    /// The forms in which some route compares paths, a bit each.
    var forms: UInt8 = 0

    // MARK: matching

    /// The bit of a listener; 0: no route asks for it.
    func bit(ofListener name: String) -> UInt64 {
        self.listeners.firstIndex(of: name).map { 1 << UInt64($0) } ?? 0
    }

    /// The index of the route; nil if none takes the request.
    func match(
        method: borrowing Span<UInt8>, host: borrowing Span<UInt8>, path: borrowing Span<UInt8>, listener: UInt64,
        bytes: borrowing Span<UInt8>, fields: borrowing Span<FieldReference>
    ) -> Int? {
        let normalises = self.forms & 0b1100 != 0
        guard normalises, !NormalPath.isNormal(path) else {
            return self.match(method, host, path, normal: path, path.count, listener, bytes, fields)
        }
        let normal = NormalPath(path)
        return self.match(
            method, host, path, normal: normal.buffer.span.extracting(normal.range), normal.count, listener, bytes,
            fields)
    }

    @inline(__always)
    private func match(
        _ method: borrowing Span<UInt8>, _ host: borrowing Span<UInt8>, _ path: borrowing Span<UInt8>,
        normal: borrowing Span<UInt8>, _ normalCount: Int, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>
    ) -> Int? {
        var group = self.group(of: host)
        while group >= 0 {
            if let route = self.match(
                method, listener, bytes, fields, path, normal: normal, normalCount, in: Int(group))
            {
                return route
            }
            group = self.groups[Int(group)].parent
        }
        return nil
    }

    @inline(__always)
    private func match(
        _ method: borrowing Span<UInt8>, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>, _ path: borrowing Span<UInt8>,
        normal: borrowing Span<UInt8>,
        _ normalCount: Int, in group: Int
    ) -> Int? {
        if self.forms & ~1 == 0 {
            let chain = self.find(path, path.count, form: 0, in: group)
            if let route = self.first(in: chain.exact, method, listener, bytes, fields) { return Int(route) }
            var bucket = chain.prefix
            while bucket >= 0 {
                if let route = self.first(in: bucket, method, listener, bytes, fields) { return Int(route) }
                bucket = self.buckets[Int(bucket)].shorter
            }
        } else if let route = self.matchInForms(
            method, listener, bytes, fields, path, normal: normal, normalCount, in: group)
        {
            return Int(route)
        }
        return self.first(in: self.groups[group].anyPath, method, listener, bytes, fields).map { Int($0) }
    }

    /// Several forms side by side: exact ones first, then the longest prefix of any form, then the next.
    private func matchInForms(
        _ method: borrowing Span<UInt8>, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>, _ path: borrowing Span<UInt8>,
        normal: borrowing Span<UInt8>,
        _ normalCount: Int, in group: Int
    ) -> Int32? {
        var chains = InlineArray<4, Chain>(repeating: Chain())
        var found: Int32 = -1
        for form in 0..<Form.count where self.forms & (1 << UInt8(form)) != 0 || form == 0 {
            chains[form] =
                form & Form.normal == 0
                ? self.find(path, path.count, form: form, in: group)
                : self.find(normal, normalCount, form: form, in: group)
            found = self.better(found, self.first(in: chains[form].exact, method, listener, bytes, fields))
        }
        while found < 0 {
            var longest: Int32 = 0
            for form in 0..<Form.count where chains[form].prefix >= 0 {
                longest = max(longest, self.buckets[Int(chains[form].prefix)].length)
            }
            if longest == 0 { return nil }
            // The root's bucket serves all forms, and must not be asked for each.
            var asked: Int32 = -1
            for form in 0..<Form.count {
                let bucket = chains[form].prefix
                guard bucket >= 0, self.buckets[Int(bucket)].length == longest else { continue }
                chains[form].prefix = self.buckets[Int(bucket)].shorter
                guard bucket != asked else { continue }
                asked = bucket
                found = self.better(found, self.first(in: bucket, method, listener, bytes, fields))
            }
        }
        return found
    }

    /// The one of two routes that is to be asked first; -1 and nil: none.
    private func better(_ one: Int32, _ other: Int32?) -> Int32 {
        guard let other else { return one }
        guard one >= 0 else { return other }
        let (first, second) = (self.conditions[Int(one)].count, self.conditions[Int(other)].count)
        if first != second { return first > second ? one : other }
        return min(one, other)
    }

    private func first(
        in bucket: Int32, _ method: borrowing Span<UInt8>, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>
    ) -> Int32? {
        guard bucket >= 0 else { return nil }
        let index = self.buckets[Int(bucket)].index
        if index >= 0 { return self.first(inIndex: Int(index), method, listener, bytes, fields) }
        for place in Int(self.buckets[Int(bucket)].lower)..<Int(self.buckets[Int(bucket)].upper) {
            let route = self.candidates[place]
            if self.holds(route, method, listener, bytes, fields) { return route }
        }
        return nil
    }

    private func first(
        inIndex index: Int, _ method: borrowing Span<UInt8>, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>
    ) -> Int32? {
        var found: Int32 = -1
        for route in self.indices[index].others where self.holds(route, method, listener, bytes, fields) {
            found = route
            break
        }
        for place in fields.indices {
            guard let list = self.indices[index].list(bytes, fields[place]) else { continue }
            for route in self.indices[index].lists[list] where self.holds(route, method, listener, bytes, fields) {
                found = self.better(found, route)
                break
            }
        }
        return found < 0 ? nil : found
    }

    private func holds(
        _ route: Int32, _ method: borrowing Span<UInt8>, _ listener: UInt64, _ bytes: borrowing Span<UInt8>,
        _ fields: borrowing Span<FieldReference>
    ) -> Bool {
        self.conditions[Int(route)].hold(method: method, listener: listener, bytes: bytes, fields: fields)
    }

    // MARK: host and path

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
    func group(ofHost host: borrowing Span<UInt8>, end: Int, allowsExact: Bool) -> Int32 {
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

    /// The bucket of exactly this path and that of the longest prefix of it with fewer than `bound` bytes; -1: none. `path`
    /// holds at least the first `NormalPath.kept` of its `count` bytes.
    private func find(_ path: borrowing Span<UInt8>, _ count: Int, form: Int, in group: Int) -> Chain {
        var chain = Chain()
        (chain.exact, chain.prefix) = self.find(path, count, form: form, in: group, below: .max)
        return chain
    }

    func find(
        _ path: borrowing Span<UInt8>, _ count: Int, form: Int, in group: Int, below bound: Int
    ) -> (exact: Int32, prefix: Int32) {
        form & Form.folding == 0
            ? self.walk(path, count, form: form, folding: false, in: group, below: bound)
            : self.walk(path, count, form: form, folding: true, in: group, below: bound)
    }

    /// In line, so that the usual form does not pay for folding.
    @inline(__always)
    private func walk(
        _ path: borrowing Span<UInt8>, _ count: Int, form: Int, folding: Bool, in group: Int, below bound: Int
    ) -> (exact: Int32, prefix: Int32) {
        let facts = self.groups[group]
        let longestPrefix = min(Int(facts.longestPrefix[form]), bound - 1)
        let wantsExact = count <= Int(facts.longestExact[form])
        let lengths = facts.prefixLengths[form]
        let limit = wantsExact ? count : min(count, longestPrefix)
        let scope = Self.prefixScope(group, form)
        let slash = UInt8(ascii: "/")
        var prefix = facts.root
        var hash = KeyHash.start
        var index = 0
        // Borders lie before and after each slash, and at the end.
        while true {
            while index < limit, path[index] != slash {
                hash = ByteTable.step(hash, folding ? ByteTable.folded(path[index]) : path[index])
                index &+= 1
            }
            if index <= longestPrefix, lengths & (1 << UInt64(index & 63)) != 0, index == count || path[index] == slash,
                let bucket = self.paths.find(hash, scope: scope, in: path, 0..<index, folding: folding)
            {
                prefix = bucket
            }
            guard index < limit else { break }
            hash = ByteTable.step(hash, slash)
            index &+= 1
            if index <= longestPrefix, lengths & (1 << UInt64(index & 63)) != 0,
                let bucket = self.paths.find(hash, scope: scope, in: path, 0..<index, folding: folding)
            {
                prefix = bucket
            }
        }
        guard wantsExact, count > 0 else { return (-1, prefix) }
        let exact = self.paths.find(
            hash, scope: Self.exactScope(group, form), in: path, 0..<count, folding: folding)
        return (exact ?? -1, prefix)
    }

    static func exactScope(_ group: Int, _ form: Int) -> Int32 {
        Int32(truncatingIfNeeded: (group * Form.count + form) * 2)
    }

    static func prefixScope(_ group: Int, _ form: Int) -> Int32 {
        Int32(truncatingIfNeeded: (group * Form.count + form) * 2 + 1)
    }
}
