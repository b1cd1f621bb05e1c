import RoutesFile

/// Something wrong in what an operator wrote, with the place in the document where it is wrong.
package struct ControlProblem: Sendable, Equatable, Codable, CustomStringConvertible {
    /// JSON path such as `$.weights.gatway`.
    package var path: String
    package var message: String
    /// Line in the file, if it came from one.
    package var line: Int?

    package init(path: String, message: String, line: Int? = nil) {
        self.path = path
        self.message = message
        self.line = line
    }

    package init(_ problem: ConfigurationProblem) {
        self.init(path: problem.path, message: problem.message, line: problem.line)
    }

    package var description: String {
        let place = self.line.map { "line \($0): " } ?? ""
        return "\(place)\(self.path): \(self.message)"
    }
}

/// Why a change was refused. Nothing has changed when one of these is thrown.
package enum ChangeRefused: Error, Sendable, Equatable {
    /// No such route or endpoint.
    case notFound(String)
    /// The document is wrong.
    case invalid([ControlProblem])
    /// `If-Match` names another state than the one in force, whose tag is given.
    case stale(current: String)
    /// Another process is taking over: a change made now would be lost with this process.
    case handingOver
}
