import Control
import Glibc
import Logging
import Reactor
import RoutesFile

/// What a serving process prints: its own lines, and perhaps the access log, on standard output; the operational log on
/// standard error. Both through bounded buffers and threads of their own: whoever prints never waits for whoever reads, and a
/// reader that has stopped reading stops nothing else.
struct ServingOutput: Sendable {
    /// Standard output.
    let lines: LineWriter
    /// Standard error.
    let errors: LineWriter
    let logger: Logger

    /// From here on everything is printed so. Throws if there are no threads to be had.
    init(_ options: ServeOptions) throws(SystemError) {
        let errors = try OperationalLog.writer()
        let logger = OperationalLog.start(level: options.logLevel, writer: errors)
        let isAccessLog = options.accessLog.output == .standardOutput
        self.lines = try LineWriter(
            .descriptor(STDOUT_FILENO), named: "output", capacity: AccessLogOutput.capacity,
            changed: { event in
                if isAccessLog { AccessLogOutput.report(event, of: "standard output", to: logger) }
            })
        self.errors = errors
        self.logger = logger
        try errors.start()
        try self.lines.start()
        Output.serve(lines: self.lines, errors: errors)
    }

    /// Writes what is queued, as long as somebody reads it.
    func finish() {
        self.lines.stop(milliseconds: 1_000)
        self.errors.stop(milliseconds: 1_000)
    }
}
