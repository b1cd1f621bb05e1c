import Migration
import RoutesFile

/// Something wrong in what an operator wrote, with the place in the document where it is wrong.
package struct ControlProblem: Sendable, Equatable, Codable, CustomStringConvertible {
    /// Problems told of one document, paths and messages are bounded: what is wrong in a request must not make an answer
    /// that is larger than it.
    package static let limit = 100
    private static let pathLimit = 200
    private static let messageLimit = 1_000

    /// JSON path such as `$.weights.gatway`, at most 200 characters of it.
    package var path: String
    package var message: String
    /// Line in the file, if it came from one.
    package var line: Int?

    package init(path: String, message: String, line: Int? = nil) {
        self.path = Self.bounded(path, Self.pathLimit)
        self.message = Self.bounded(message, Self.messageLimit)
        self.line = line
    }

    /// The first of them, and that there are more.
    package static func bounded(_ problems: [ControlProblem]) -> [ControlProblem] {
        guard problems.count > Self.limit else { return problems }
        return problems.prefix(Self.limit) + [ControlProblem(path: "$", message: "further problems are not listed")]
    }

    private static func bounded(_ text: String, _ limit: Int) -> String {
        guard text.utf8.count > limit else { return text }
        return BoundedText.prefix(of: text, bytes: limit - BoundedText.mark.utf8.count) + BoundedText.mark
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
    /// It can be done, and is hardly ever meant: it takes `force`.
    case needsForce([ControlProblem])
    /// `If-Match` names another state than the one in force, whose tag is given.
    case stale(current: String)
    /// Another process is taking over: a change made now would be lost with this process.
    case handingOver
    /// The guard objects to a rise; it takes `force` and a reason.
    case guarded([ControlProblem])
    /// An undo asks for what does not exist any more; it takes `partial` to do the rest.
    case gone([ControlProblem])
    /// The file cannot be written, and was to be.
    case unsaved(String)
    /// The ledger cannot be written: the change would be lost with this process.
    case journal(String)
    /// The weights belong to a plan, which is active: they are raised by force and with a reason only.
    case owned(migration: String)
    /// A plan does not take this where it stands.
    case plan(PlanRefusal, migration: String)
    /// The other replicas cannot be asked. Since when, in milliseconds since 1970; nil: since the start.
    case unreachable(since: UInt64?, reason: String)
}
