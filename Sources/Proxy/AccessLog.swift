import Reactor

/// Where workers hand finished access-log lines over: a writer with a thread of its own, so that a slow disk or a blocked
/// pipe never stops a worker. What does not fit is dropped by the worker, and counted there.
package final class AccessLogSink: Sendable {
    /// Four megabytes hold about ten thousand lines, a second or so of full load behind a stuck writer.
    package static let capacity = 4 << 20

    private let writer: LineWriter
    /// Copies of requests have lines, too.
    let copies: Bool

    /// `writer` may have other lines too, of standard output.
    package init(_ writer: LineWriter, copies: Bool = false) {
        self.writer = writer
        self.copies = copies
    }

    /// Lines taken from workers that could not be written.
    package var lost: UInt64 { self.writer.lost }

    /// Throws if there is no thread to be had.
    package func start() throws(SystemError) { try self.writer.start() }

    /// Writes what is queued and ends the thread; waits at most `milliseconds` for it.
    package func stop(milliseconds: UInt32) { self.writer.stop(milliseconds: milliseconds) }

    /// Begins the file anew, for whoever has renamed it. Never waits, and loses no line.
    package func reopen() { self.writer.reopen() }

    /// Takes all of `lines`, or none and answers false: try again at the next turn. Never waits.
    func take(_ lines: inout [UInt8]) -> Bool { self.writer.take(&lines) }
}

/// One thread's lines of the present turn.
final class AccessLogBuffer {
    /// Lines held back while the sink cannot take them; beyond, they are dropped.
    private static let capacity = 1 << 20

    private let sink: AccessLogSink
    private var lines: [UInt8] = []
    private(set) var dropped: UInt64 = 0

    init(sink: AccessLogSink) {
        self.sink = sink
        self.lines.reserveCapacity(65_536)
    }

    var hasPending: Bool { !self.lines.isEmpty }

    func offer() {
        guard !self.lines.isEmpty else { return }
        _ = self.sink.take(&self.lines)
    }

    /// Adds a finished line, or counts it as dropped.
    func append(_ line: UnsafeRawBufferPointer) {
        guard self.lines.count + line.count <= Self.capacity else {
            self.dropped &+= 1
            return
        }
        self.lines.append(contentsOf: line)
    }
}
