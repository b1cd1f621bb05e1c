package enum PathRewrite: Sendable, Equatable {
    case keep
    /// Removes the prefix (segment borders); an empty rest becomes `/`.
    case strip(String)
    case replace(prefix: String, with: String)
}

package enum HostRewrite: Sendable, Equatable {
    case keep
    case literal(String)
    /// The endpoint's address and port.
    case endpoint
}

package struct HeaderEdits: Sendable, Equatable {
    /// Names as to be written; any field of that name (case-insensitive) is replaced.
    package var set: [HeaderSetting] = []
    /// Lower case.
    package var remove: [String] = []
    package init() {}
    package var isEmpty: Bool { self.set.isEmpty && self.remove.isEmpty }

    /// Bytes that all lines of `set` may have together. The room in which heads are rewritten has so much to spare.
    package static let largestSet = 32_768

    /// Of the lines that `set` makes: `name: value` and the line's end.
    package var setBytes: Int { self.set.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 } }
}

package struct HeaderSetting: Sendable, Equatable {
    package var name: String
    package var value: String
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}
