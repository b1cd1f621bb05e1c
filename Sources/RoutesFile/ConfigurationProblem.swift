/// One thing that is wrong in a configuration, and where.
package struct ConfigurationProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// JSON path, such as `$.routes[1].split.gatway`; `$` for the document as a whole.
    package var path: String
    package var message: String
    /// From 1; nil for what no line of the text stands for.
    package var line: Int?

    package init(path: String, message: String, line: Int? = nil) {
        self.path = path
        self.message = message
        self.line = line
    }

    /// `line 12: $.routes[1].split.gatway: unknown upstream; did you mean "gateway"?`
    package var description: String {
        let place = self.line.map { "line \($0): " } ?? ""
        return "\(place)\(self.path): \(self.message)"
    }
}

/// A configuration that was not accepted, with everything that is wrong in it in the order of the file.
package struct ConfigurationRejected: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one.
    package var problems: [ConfigurationProblem]

    package init(problems: [ConfigurationProblem]) {
        self.problems = problems
    }

    /// One problem a line.
    package var description: String { self.problems.map(\.description).joined(separator: "\n") }
}
