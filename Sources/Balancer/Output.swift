import Control
import Glibc

/// Whole lines, written at once: the access log may share standard output, and a reader may wait for each line.
enum Output {
    static func line(_ text: String) {
        Self.write(text + "\n", to: STDOUT_FILENO)
    }

    static func error(_ text: String) {
        Self.write(text + "\n", to: STDERR_FILENO)
    }

    /// `file:line: path: message`, one a line, on standard error.
    static func report(_ problems: [ControlProblem], in file: String) {
        for problem in problems {
            let place = problem.line.map { ":\($0)" } ?? ""
            Self.error("\(file)\(place): \(problem.path): \(problem.message)")
        }
    }

    private static func write(_ text: String, to descriptor: Int32) {
        let bytes = Array(text.utf8)
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
