import FoundationEssentials
import Glibc

/// One JSON line per request on standard output, written by a thread of its own.
///
/// Lines wait in a bounded buffer. When whoever reads them cannot keep up, lines are dropped and counted, and requests go on.
package final class RequestLog: Sendable {
    /// What a line tells.
    struct Entry {
        let method: String
        let target: String
        let route: String
        let status: Int
        let bytes: Int
        let duration: Duration
        /// As the balancer passed them on; nil when it did not.
        let requestID: String?
        let traceParent: String?
    }

    private let output: LineWriter

    /// - Parameter descriptor: stays the caller's, who keeps it open.
    package init(_ descriptor: Int32 = STDOUT_FILENO) {
        output = LineWriter(descriptor) { Array("{\"dropped\":\($0)}\n".utf8) }
    }

    func record(_ entry: Entry) {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.key("time")
        writer.string(DateText.iso(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)))
        writer.key("method")
        writer.string(entry.method)
        writer.key("target")
        writer.string(entry.target)
        writer.key("route")
        writer.string(entry.route)
        writer.key("status")
        writer.number(entry.status)
        writer.key("bytes")
        writer.number(entry.bytes)
        writer.key("ms")
        let (seconds, attoseconds) = entry.duration.components
        writer.number((Double(seconds) * 1e6 + Double(attoseconds) / 1e12).rounded() / 1000)
        if let id = entry.requestID {
            writer.key("requestId")
            writer.string(id)
        }
        if let trace = entry.traceParent {
            writer.key("traceparent")
            writer.string(trace)
        }
        writer.endObject()
        output.write(writer.bytes + [UInt8(ascii: "\n")])
    }

    /// Writes what is left. Waits a second for it at most, whoever reads.
    package func close() { output.close() }
}
