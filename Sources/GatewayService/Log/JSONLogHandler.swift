import FoundationEssentials
import Logging

/// Log lines as JSON objects: time, level, message, then what the line is about.
package struct JSONLogHandler: LogHandler {
    package var logLevel = Logger.Level.notice
    package var metadata: Logger.Metadata = [:]
    private let label: String
    private let output: LineWriter

    package init(label: String, output: LineWriter) {
        self.label = label
        self.output = output
    }

    /// What writes such lines to a descriptor.
    package static func output(to descriptor: Int32) -> LineWriter {
        LineWriter(descriptor) { dropped in
            line(
                time: Date().timeIntervalSince1970, level: .warning, label: "gateway", message: "log lines dropped",
                metadata: ["count": "\(dropped)"])
        }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let line = Self.line(
            time: Date().timeIntervalSince1970, level: event.level, label: label, message: event.message.description,
            metadata: metadata.merging(event.metadata ?? [:]) { $1 })
        output.write(line)
    }

    static func line(
        time: Double, level: Logger.Level, label: String, message: String, metadata: Logger.Metadata
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("time")
        writer.string(DateText.iso(milliseconds: Int64(time * 1000)))
        writer.key("level")
        writer.string(level.rawValue)
        writer.key("logger")
        writer.string(label)
        writer.key("message")
        writer.string(Redaction.withoutCredentials(message))
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            writer.key(text: key)
            writer.string(Redaction.withoutCredentials(value.description))
        }
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}
