import Documents

/// Why the database failed a request or a readiness check, as metrics tell it.
package enum DatabaseFailure: String, CaseIterable, Sendable {
    /// No server was found, or the connection broke.
    case unreachable
    /// The server does not accept the user.
    case unauthorized
    /// No answer in time.
    case timeout
    /// The server's answer was an error.
    case failed
    /// A document or a file is damaged.
    case damaged
    /// Collections are missing that must be there.
    case missing

    /// - Parameter error: what a store has thrown, or the end of a request's time.
    init(_ error: any Error) {
        self =
            switch error as? StoreError ?? .timedOut {
            case .unavailable: .unreachable
            case .unauthorized: .unauthorized
            case .failed: .failed
            case .malformed: .damaged
            case .timedOut, .overloaded, .outOfMemory: .timeout
            }
    }
}
