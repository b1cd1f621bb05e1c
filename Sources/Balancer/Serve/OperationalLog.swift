import Logging
import RoutesFile

/// The operational log: text lines on standard error, which leaves standard output to the access log.
enum OperationalLog {
    static func start(level: OperationalLogLevel) -> Logger {
        LoggingSystem.bootstrap { label in StreamLogHandler.standardError(label: label) }
        var logger = Logger(label: "balancer")
        logger.logLevel = Logger.Level(rawValue: level.rawValue) ?? .info
        return logger
    }
}
