import Glibc

/// Text for whoever started the process, written before the call returns. A reader that has gone away, and a descriptor that
/// is closed, are no reason to end the process.
package enum PlainOutput {
    /// A pipe that is ready takes as many bytes without blocking.
    private static let chunk = 4096

    /// A line on standard output.
    ///
    /// - Parameter patience: how many milliseconds to wait for a reader that does not read; nil for ever.
    package static func line(_ text: String, patience: Int32? = nil) {
        write(text + "\n", to: STDOUT_FILENO, patience: patience)
    }

    /// A line on standard error.
    package static func error(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Text but for credentials, for what is more than a line or less. The process has to ignore SIGPIPE.
    package static func write(_ text: String, to descriptor: Int32, patience: Int32? = nil) {
        var rest = Array(Redaction.withoutCredentials(text).utf8)[...]
        while !rest.isEmpty {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&entry, 1, patience ?? -1)
            if ready == 0 { return }
            let piece = rest.prefix(chunk)
            let count = piece.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno != EINTR, errno != EAGAIN {
                return
            }
        }
    }
}
