import JSONText

/// What counts when two answers are compared.
package struct ComparisonRules: Sendable {
    /// Arrays whose order does not count.
    package struct Unordered: Sendable, Equatable {
        package var path: JSONPath
        /// Elements belong together whose member of this name is equal; without it they are a multiset.
        package var key: String?

        package init(path: JSONPath, key: String? = nil) {
            self.path = path
            self.key = key
        }
    }

    /// Patterns of `ignore` and `unordered` together.
    package static let patternLimit = 256
    package static let standardHeaders = ["content-type", "location"]
    /// Fields that differ between any two servers, or between any two connections.
    package static let neverCompared: Set<String> = [
        "connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade",
    ]

    /// In lower case, in the order in which they are compared.
    package let headers: [String]
    package let ignore: [JSONPath]
    package let unordered: [Unordered]
    /// Numbers are alike that differ by at most `absolute` + `relative` × the larger.
    package let absolute: DecimalNumber
    package let relative: DecimalNumber

    /// At every comparison's beginning.
    let ignoreCursor: PathCursor
    let unorderedCursor: PathCursor

    package init(
        headers: [String] = Self.standardHeaders, ignore: [JSONPath] = [], unordered: [Unordered] = [],
        absolute: DecimalNumber = .zero, relative: DecimalNumber = .zero
    ) {
        self.headers = headers.map { $0.lowercased() }.filter { !Self.neverCompared.contains($0) }
        self.ignore = ignore
        self.unordered = unordered
        self.absolute = absolute
        self.relative = relative
        self.ignoreCursor = PathCursor(ignore)
        self.unorderedCursor = PathCursor(unordered.map(\.path))
    }

    var isExact: Bool { self.absolute.isZero && self.relative.isZero }
}
