import Control
import Glibc
import Reactor
import Synchronization

/// Whole lines, written at once: the access log may share standard output, and a reader may wait for each line.
enum Output {
    private struct Writers: Sendable {
        var lines: LineWriter
        var errors: LineWriter
    }

    private static let writers = Mutex<Writers?>(nil)

    /// From now on lines are handed over to these, and nobody waits for their reader.
    static func serve(lines: LineWriter, errors: LineWriter) {
        self.writers.withLock { $0 = Writers(lines: lines, errors: errors) }
    }

    /// How wide the terminal is that reads the lines; nil if something else does.
    static var columns: Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// What a terminal would obey is made visible; line ends stay.
    static func line(_ text: String) {
        let bytes = Array((text.visibleLines + "\n").utf8)
        if let writer = self.writers.withLock({ $0?.lines }) { return writer.write(bytes) }
        Self.write(bytes, to: STDOUT_FILENO)
    }

    static func error(_ text: String) {
        let bytes = Array((text.visibleLines + "\n").utf8)
        if let writer = self.writers.withLock({ $0?.errors }) { return writer.write(bytes) }
        Self.write(bytes, to: STDERR_FILENO)
    }

    /// `file:line: path: message`, one a line, on standard error.
    static func report(_ problems: [ControlProblem], in file: String) {
        for problem in problems {
            let place = problem.line.map { ":\($0)" } ?? ""
            Self.error("\(file)\(place): \(problem.path): \(problem.message)".visible)
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    usleep(1_000)
                    continue
                }
                return
            }
            rest = rest.dropFirst(count)
        }
    }
}
