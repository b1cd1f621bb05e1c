import JSONText
import Migration
import Traffic

/// One plan of routes.json: how traffic moves from one side to the other, what is copied meanwhile and how answers are compared.
package struct MigrationSpec: Sendable, Equatable {
    package static let limit = 16

    /// Without faults.
    package var plan: PlanSpec
    package var mirror: MirrorSpec
    package var compare: CompareSpec

    package init(plan: PlanSpec, mirror: MirrorSpec = MirrorSpec(), compare: CompareSpec = CompareSpec()) {
        self.plan = plan
        self.mirror = mirror
        self.compare = compare
    }
}

/// What counts when the answers of both sides are compared.
package struct CompareSpec: Sendable, Equatable {
    package struct Unordered: Sendable, Equatable {
        package var path: JSONPath
        /// Elements belong together whose member of this name is equal; nil: they are a multiset.
        package var key: String?

        package init(path: JSONPath, key: String? = nil) {
            self.path = path
            self.key = key
        }
    }

    /// Patterns of `ignore` and `unordered` together.
    package static let patternLimit = 256
    package static let templateLimit = 256

    /// In lower case.
    package var headers: [String] = ["content-type", "location"]
    package var ignore: [JSONPath] = []
    package var unordered: [Unordered] = []
    /// Numbers are alike that differ by at most `absolute` + `relative` × the larger: JSON numbers as written, not below 0.
    package var absolute = "0"
    package var relative = "0"
    /// Times a minute that the old side is asked again.
    package var recheck: UInt32 = 60
    package var redactedPaths: [JSONPath] = []
    /// Names in a query whose values are not shown.
    package var redactedQuery: [String] = []
    /// Paths that are one kind of request.
    package var templates: [PathTemplate.Pattern] = []

    package init() {}
}
