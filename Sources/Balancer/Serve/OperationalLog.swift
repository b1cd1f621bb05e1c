import Control
import Glibc
import Logging
import Reactor
import RoutesFile

/// The operational log: text lines on standard error, which leaves standard output to the access log.
enum OperationalLog {
    /// Bytes that wait for a reader: some thousand lines.
    private static let capacity = 1 << 20

    static func writer() throws(SystemError) -> LineWriter {
        try LineWriter(
            .descriptor(STDERR_FILENO), named: "log", capacity: Self.capacity,
            notice: { count in
                LineLogHandler.line(
                    time: MonotonicClock.wallMilliseconds(), level: .warning, label: "balancer", source: "Balancer",
                    message: "\(count) lines of this log were dropped: they were not read in time", metadata: [:])
            })
    }

    static func start(level: OperationalLogLevel, writer: LineWriter) -> Logger {
        LoggingSystem.bootstrap { label in LineLogHandler(label: label, output: writer) }
        var logger = Logger(label: "balancer")
        logger.logLevel = Logger.Level(rawValue: level.rawValue) ?? .info
        return logger
    }
}
