import Logging
import Proxy
import Reactor
import RoutesFile

/// Where the access log goes, by what routes.json says.
enum AccessLogOutput {
    static let capacity = AccessLogSink.capacity

    /// nil: there is to be none. Throws if its file can never be opened; a reader or room that is missing is waited for.
    static func open(_ spec: AccessLogSpec, _ output: ServingOutput) throws(SystemError) -> AccessLogSink? {
        switch spec.output {
        case .disabled: return nil
        case .standardOutput: return AccessLogSink(output.lines, copies: spec.mirror)
        case .file(let path):
            let logger = output.logger
            return AccessLogSink(
                try LineWriter(
                    .file(path: path), named: "access-log", capacity: Self.capacity,
                    changed: { Self.report($0, of: path, to: logger) }),
                copies: spec.mirror)
        }
    }

    static func report(_ event: LineWriter.Event, of output: String, to logger: Logger) {
        switch event {
        case .failing(let cause):
            logger.warning("access log lines are lost", metadata: ["output": "\(output)", "cause": "\(cause)"])
        case .waiting(let cause):
            logger.warning(
                "the access log cannot be opened yet, lines wait for it",
                metadata: ["output": "\(output)", "cause": "\(cause)"])
        case .working: logger.notice("the access log is written again", metadata: ["output": "\(output)"])
        case .reopened: logger.notice("the access log was opened anew", metadata: ["output": "\(output)"])
        case .notReopened(let cause):
            logger.error(
                "the access log cannot be opened anew, the open one is written on",
                metadata: ["output": "\(output)", "cause": "\(cause)"])
        }
    }
}
