import Control
import Logging
import Reactor

/// Makes a line of text of each message: `TIME LEVEL LABEL: KEY=VALUE … [SOURCE] MESSAGE`, in which whatever came from outside
/// can neither end the line nor drive a terminal.
struct LineLogHandler: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    private let label: String
    private let output: LineWriter

    init(label: String, output: LineWriter) {
        self.label = label
        self.output = output
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        self.output.write(
            Self.line(
                time: MonotonicClock.wallMilliseconds(), level: event.level, label: self.label, source: event.source,
                message: event.message.description, metadata: self.metadata.merging(event.metadata ?? [:]) { $1 }))
    }

    /// `time` in milliseconds since 1970.
    static func line(
        time: UInt64, level: Logger.Level, label: String, source: String, message: String, metadata: Logger.Metadata
    ) -> [UInt8] {
        var line = "\(Timestamp.iso8601(time)) \(level.rawValue) \(label):"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { line += " \(key)=\("\(value)".visible)" }
        line += " [\(source)] \(message.visible)\n"
        return Array(line.utf8)
    }
}
