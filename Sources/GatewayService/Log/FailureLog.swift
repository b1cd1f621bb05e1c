import Documents
import Logging
import Synchronization

/// Log lines about requests without an answer: at most one per route, kind of error and second, with how many were left out.
package final class FailureLog: Sendable {
    private struct Kind: Hashable {
        let route: String
        let error: String
    }

    /// What has come since a line was written.
    private struct Omitted {
        var count = 0
        var last = ""
    }

    private let logger: Logger
    private let interval: Duration
    private let kinds = Mutex<[Kind: Omitted]>([:])

    package init(_ logger: Logger, interval: Duration = .seconds(1)) {
        self.logger = logger
        self.interval = interval
    }

    package func record(_ error: any Error, route: String) {
        // What a client asks for wrongly must not fill the log.
        var level = Logger.Level.error
        switch error as? ResourceError {
        case .notANumber, .unknown: level = .debug
        default: break
        }
        guard level >= logger.logLevel else { return }
        let kind = Kind(route: route, error: Self.kind(of: error))
        let isFirst = kinds.withLock { kinds in
            guard kinds[kind] != nil else {
                kinds[kind] = Omitted()
                return true
            }
            kinds[kind]?.count += 1
            kinds[kind]?.last = "\(error)"
            return false
        }
        guard isFirst else { return }
        log(level, kind, "\(error)", omitted: 0)
        Task { [level] in
            repeat { try? await Task.sleep(for: interval) } while self.goesOn(level, kind)
        }
    }

    /// Writes what has come in the last interval, if anything; else forgets the kind, so that the next one is written at once.
    private func goesOn(_ level: Logger.Level, _ kind: Kind) -> Bool {
        let omitted = kinds.withLock { kinds in
            let omitted = kinds[kind] ?? Omitted()
            kinds[kind] = omitted.count > 0 ? Omitted() : nil
            return omitted
        }
        guard omitted.count > 0 else { return false }
        log(level, kind, omitted.last, omitted: omitted.count - 1)
        return true
    }

    private func log(_ level: Logger.Level, _ kind: Kind, _ error: String, omitted: Int) {
        var metadata: Logger.Metadata = ["route": "\(kind.route)", "error": "\(error)"]
        if omitted > 0 { metadata["omitted"] = "\(omitted)" }
        logger.log(level: level, "no answer", metadata: metadata)
    }

    /// A few kinds, whatever the errors say.
    private static func kind(of error: any Error) -> String {
        switch error {
        case let error as StoreError: error.reason
        case .notANumber as ResourceError: "not a number"
        case .missing as ResourceError: "missing"
        case .unknown as ResourceError: "unknown"
        case .outOfMemory as ResourceError: "no memory"
        case .deadline as ResourceError: "deadline"
        default: "\(type(of: error))"
        }
    }
}
