/// What a resource says, before it becomes an HTTP response.
package enum Answer: Sendable, Equatable {
    /// The document is missing: 204.
    case nothing
    /// Compact JSON, ready to send. `isKept` tells whether the response cache may keep it.
    case json(Body, isKept: Bool = true)
}

/// Why a resource has no answer. The client learns only that it is a 500; the log learns the rest.
package enum ResourceError: Error, Equatable, Sendable {
    /// A parameter that must be a number is not.
    case notANumber(String)
    /// A stored document lacks what the answer is made of.
    case missing(String)
    /// No answer within the deadline.
    case deadline
    /// The answer would be longer than so many bytes.
    case tooLong(Int)
    /// There is no memory for the answer now.
    case outOfMemory
    /// The path names something of which nothing is stored, where that is a failure.
    case unknown(String)
}

extension ResourceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notANumber(let text): "not a number: \(text)"
        case .missing(let what): "missing: \(what)"
        case .deadline: "no answer within the deadline"
        case .outOfMemory: "no memory for the answer"
        case .unknown(let what): "unknown: \(what)"
        case .tooLong(let limit): "the answer is longer than \(limit) bytes"
        }
    }
}
