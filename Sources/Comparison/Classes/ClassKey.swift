import Traffic

/// What makes differences alike: the same kind, at the same place, in answers to requests of the same kind.
package struct ClassKey: Sendable, Hashable {
    package let route: String
    package let template: String
    package let kind: Difference.Kind
    /// Indices as `[*]`.
    package let path: String
    /// `d-` and eight hexadecimal digits, equal on all replicas and in all runs.
    package let number: String

    package init(route: String, template: String, kind: Difference.Kind, path: String) {
        self.route = route
        self.template = template
        self.kind = kind
        self.path = path
        // Only the last part may have a line end in it.
        let bytes = Array([route, template, kind.name, path].joined(separator: "\n").utf8)
        let hash = KeyHash.hash(bytes.span)
        let digits = String(UInt32(truncatingIfNeeded: hash ^ hash >> 32), radix: 16)
        self.number = "d-" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.number == right.number && left.kind == right.kind && ByteText(left.path) == ByteText(right.path)
            && ByteText(left.template) == ByteText(right.template) && left.route == right.route
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.number) }

    /// The class of differences beyond the number of classes that are kept.
    package static func other(route: String) -> ClassKey {
        ClassKey(route: route, template: "…", kind: .value, path: "…")
    }

    /// The same whichever side is called old.
    var undirected: ClassKey {
        self.kind == self.kind.undirected
            ? self : ClassKey(route: self.route, template: self.template, kind: self.kind.undirected, path: self.path)
    }
}
