import Dispatch
import Documents
import Glibc
import Synchronization

/// Whole lines to one descriptor, written by a thread of its own: whoever logs never waits for whoever reads.
///
/// Lines wait in a bounded buffer. When whoever reads them cannot keep up, or has gone away, lines are dropped and counted.
package final class LineWriter: Sendable {
    /// A second's worth of lines at a rate that one process can serve.
    private static let bufferLimit = 4 * 1024 * 1024
    /// Between two writes under load: one system call for many lines.
    private static let pause: UInt32 = 20_000
    /// A pipe that is ready takes as many bytes without blocking, and in one piece.
    private static let chunk = 4096

    private struct State {
        var lines: [UInt8] = []
        var dropped = 0
        /// The thread waits to be woken.
        var isAsleep = false
        /// Until when the thread may go on writing, once it is to end.
        var end: ContinuousClock.Instant?
    }

    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchGroup()
    private let descriptor: Int32
    /// The line, with its end, that tells how many lines were dropped.
    private let notice: @Sendable (Int) -> [UInt8]

    /// - Parameter descriptor: stays the caller's, who keeps it open.
    package init(_ descriptor: Int32, notice: @escaping @Sendable (_ dropped: Int) -> [UInt8]) {
        self.descriptor = descriptor
        self.notice = notice
        ended.enter()
        if !DetachedThread.start({ self.run() }) { ended.leave() }
    }

    /// Takes a line with its end, or drops it. Never waits.
    func write(_ line: [UInt8]) {
        let isAsleep = state.withLock { state in
            guard state.end == nil, state.lines.count + line.count <= Self.bufferLimit else {
                state.dropped += 1
                return false
            }
            state.lines.append(contentsOf: line)
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if isAsleep { wake.signal() }
    }

    /// Writes what is left and ends the thread. Waits no longer than `limit`; what is not read by then is lost.
    package func close(within limit: Duration = .seconds(1)) {
        let isAsleep = state.withLock { state in
            state.end = state.end ?? .now + limit
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if isAsleep { wake.signal() }
        let (seconds, attoseconds) = limit.components
        _ = ended.wait(timeout: .now() + Double(seconds) + Double(attoseconds) / 1e18)
    }

    private func run() {
        // A reader that has gone away is an error of the write, and no reason to end the process.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        while let (lines, dropped, isLast) = next() {
            write(all: lines)
            if dropped > 0 { write(all: notice(dropped)) }
            if isLast { break }
            usleep(Self.pause)
        }
        ended.leave()
    }

    /// What is to be written next; waits for it.
    private func next() -> (lines: [UInt8], dropped: Int, isLast: Bool)? {
        while true {
            let batch = state.withLock { state -> (lines: [UInt8], dropped: Int, isLast: Bool)? in
                guard !state.lines.isEmpty || state.dropped > 0 || state.end != nil else {
                    state.isAsleep = true
                    return nil
                }
                defer {
                    state.lines = []
                    state.dropped = 0
                }
                return (state.lines, state.dropped, state.end != nil)
            }
            if let batch { return batch }
            wake.wait()
        }
    }

    private var isOverdue: Bool { state.withLock { $0.end.map { $0 <= .now } ?? false } }

    /// Waits for the reader, but not beyond the end. Gives up when there is none.
    private func write(all bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&entry, 1, 100)
            if ready == 0 || (ready < 0 && errno == EINTR) {
                if isOverdue { return }
                continue
            }
            let count = Self.piece(of: rest).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN {
                if isOverdue { return }
                usleep(1000)
            } else if count < 0, errno != EINTR {
                return
            }
        }
    }

    /// As many whole lines as fit into one write: another program may write to the same pipe.
    private static func piece(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let piece = bytes.prefix(chunk)
        guard let end = piece.lastIndex(of: UInt8(ascii: "\n")) else { return piece }
        return piece[...end]
    }
}
