import Control
import Glibc
import Reactor
import Synchronization

/// A terminal taken over for a screen: no echo, keys as they come, the text that was there before comes back at the end.
final class Terminal: Sendable {
    private let before: termios
    private let isRestored = Atomic(false)
    private static let isStopped = Atomic(false)

    /// Whether standard input and output are terminals that understand more than lines.
    static var isUsable: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
            && getenv("TERM").map { strcmp($0, "dumb") != 0 } ?? false
    }

    init() throws(SystemError) {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) == 0 else { throw SystemError(operation: "tcgetattr") }
        self.before = settings
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        settings.c_iflag &= ~tcflag_t(IXON)
        guard tcsetattr(STDIN_FILENO, TCSANOW, &settings) == 0 else { throw SystemError(operation: "tcsetattr") }
        // The end comes from the loop that reads keys, so that the terminal is as it was.
        for number in [SIGTERM, SIGHUP, SIGINT] {
            signal(number) { _ in Terminal.isStopped.store(true, ordering: .relaxed) }
        }
        self.write("\u{1B}[?1049h\u{1B}[?25l")
    }

    func restore() {
        guard !self.isRestored.exchange(true, ordering: .relaxed) else { return }
        self.write("\u{1B}[?25h\u{1B}[?1049l")
        var before = self.before
        _ = tcsetattr(STDIN_FILENO, TCSANOW, &before)
    }

    var size: (columns: Int, rows: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Keys until the terminal goes away or the process is told to end, which is nil. Blocks; for a thread of its own.
    func read(_ take: (UInt8?) -> Void) {
        while true {
            var ready = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            let count = poll(&ready, 1, 100)
            if Self.isStopped.load(ordering: .relaxed) { return take(nil) }
            if count == 0 || (count < 0 && errno == EINTR) { continue }
            var bytes = [UInt8](repeating: 0, count: 64)
            let read = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { return take(nil) }
            // A key that is a sequence, such as an arrow, is no key of ours; Escape alone is one.
            if read > 1, bytes[0] == 27 { continue }
            for byte in bytes[..<read] { take(byte) }
        }
    }

    func draw(_ lines: [TopScreen.Line]) {
        let columns = self.size.columns
        var text = "\u{1B}[H"
        for (index, line) in lines.enumerated() {
            let shown = String(line.text.prefix(columns))
            text += "\(index == 0 ? "" : "\r\n")\(Self.code(line.style))\(shown)\u{1B}[0m\u{1B}[K"
        }
        self.write(text + "\u{1B}[J")
    }

    private static func code(_ style: TopScreen.Style) -> String {
        switch style {
        case .plain, .level(.calm): ""
        case .head: "\u{1B}[1m"
        case .level(.attention): "\u{1B}[1;33m"
        case .level(.trouble): "\u{1B}[1;31m"
        }
    }

    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return }
            if count > 0 { rest = rest.dropFirst(count) }
        }
    }
}
