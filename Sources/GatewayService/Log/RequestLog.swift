import Dispatch
import Foundation
import Synchronization

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

    /// A second's worth of lines at a rate that one process can serve.
    private static let bufferLimit = 4 * 1024 * 1024
    private static let flushInterval = DispatchTimeInterval.milliseconds(200)

    private struct State {
        var lines: [UInt8] = []
        var dropped = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let output: FileHandle

    package init(output: FileHandle = .standardOutput) {
        self.output = output
        Thread.detachNewThread { self.write() }
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
        state.withLock { state in
            guard state.lines.count + writer.bytes.count < Self.bufferLimit else {
                state.dropped += 1
                return
            }
            state.lines.append(contentsOf: writer.bytes)
            state.lines.append(UInt8(ascii: "\n"))
        }
    }

    /// Writes what is left and ends the thread. Blocks until that is done.
    package func close() {
        state.withLock { $0.isClosed = true }
        wake.signal()
        ended.wait()
    }

    private func write() {
        while true {
            _ = wake.wait(timeout: .now() + Self.flushInterval)
            let (lines, dropped, isClosed) = state.withLock { state in
                defer {
                    state.lines = []
                    state.dropped = 0
                }
                return (state.lines, state.dropped, state.isClosed)
            }
            // A reader that has gone away is no reason to stop serving.
            if !lines.isEmpty { try? output.write(contentsOf: Data(lines)) }
            if dropped > 0 { try? output.write(contentsOf: Data("{\"dropped\":\(dropped)}\n".utf8)) }
            if isClosed { break }
        }
        ended.signal()
    }
}
