import CEpoll
import Glibc
import HTTPWire
import Reactor
import Synchronization

/// Takes finished access-log lines from all workers and writes them from a thread of its own, so that a slow disk or a
/// blocked pipe never stops a worker. Bounded: what does not fit is dropped by the worker, and counted there.
package final class AccessLogSink: Sendable {
    /// Four megabytes hold about ten thousand lines, a second or so of full load behind a stuck writer.
    private static let capacity = 4 << 20
    /// Milliseconds between two writes under load: one system call for many lines, and one wake-up of the thread.
    private static let pause: UInt32 = 20

    private struct Queue {
        var bytes: [UInt8] = []
        var stopping = false
    }

    private let queue = Mutex(Queue())
    private let wakeDescriptor: Int32
    private let output: Int32
    /// Called from the writing thread when writing begins to fail, with the reason, and with nil when it works again.
    private let stateChanged: @Sendable (SystemError?) -> Void
    private let lostLines = Atomic<UInt64>(0)
    private let isAsleep = Atomic<Bool>(true)
    private let finished = Atomic<Bool>(false)

    /// Writes to `output`, which stays the caller's (standard output, or an open file).
    package init(
        output: Int32, stateChanged: @escaping @Sendable (SystemError?) -> Void = { _ in }
    ) throws(SystemError) {
        let wake = eventfd(0, Int32(EFD_CLOEXEC))
        guard wake >= 0 else { throw SystemError(operation: "eventfd") }
        self.wakeDescriptor = wake
        self.output = output
        self.stateChanged = stateChanged
        self.queue.withLock { $0.bytes.reserveCapacity(65_536) }
    }

    deinit { close(self.wakeDescriptor) }

    /// Lines taken from workers that could not be written.
    package var lost: UInt64 { self.lostLines.load(ordering: .relaxed) }

    /// Throws if there is no thread to be had.
    package func start() throws(SystemError) {
        try Thread.start(named: "access-log") { self.writeLoop() }
    }

    /// Writes what is queued and ends the thread; waits at most `milliseconds` for it.
    package func stop(milliseconds: UInt32) {
        self.queue.withLock { $0.stopping = true }
        self.wake()
        var waited: UInt32 = 0
        while !self.finished.load(ordering: .acquiring), waited < milliseconds {
            usleep(2_000)
            waited += 2
        }
    }

    /// Takes all of `lines`, or none and answers false: the lock was held (try again at the next turn) or there is no
    /// room. Never waits.
    func take(_ lines: inout [UInt8]) -> Bool {
        let taken = self.queue.withLockIfAvailable { queue -> Bool in
            guard queue.bytes.count + lines.count <= Self.capacity else { return false }
            if queue.bytes.isEmpty { swap(&queue.bytes, &lines) } else { queue.bytes.append(contentsOf: lines) }
            return true
        }
        guard taken == true else { return false }
        lines.removeAll(keepingCapacity: true)
        if self.isAsleep.exchange(false, ordering: .acquiringAndReleasing) { self.wake() }
        return true
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(self.wakeDescriptor, &one, 8)
    }

    private func writeLoop() {
        var state = OutputState()
        var batch: [UInt8] = []
        batch.reserveCapacity(65_536)
        var stopping = false
        while !stopping {
            self.queue.withLock { queue in
                swap(&queue.bytes, &batch)
                stopping = queue.stopping
            }
            if batch.isEmpty {
                if stopping { break }
                self.isAsleep.store(true, ordering: .releasing)
                // A line may have come between the look and the flag; it then found the flag unset. Look once more.
                let missed = self.queue.withLock { !$0.bytes.isEmpty || $0.stopping }
                if !missed {
                    var counter: UInt64 = 0
                    _ = read(self.wakeDescriptor, &counter, 8)
                }
                self.isAsleep.store(false, ordering: .releasing)
                continue
            }
            self.writeAll(batch, &state)
            batch.removeAll(keepingCapacity: true)
            if !stopping { usleep(Self.pause * 1_000) }
        }
        self.finished.store(true, ordering: .releasing)
    }

    /// How the output took the last batch.
    private struct OutputState {
        var isFailing = false
        /// The last line there is cut: the next one must not continue it.
        var isTorn = false
    }

    private func writeAll(_ bytes: [UInt8], _ state: inout OutputState) {
        if state.isTorn, Glibc.write(self.output, "\n", 1) == 1 { state.isTorn = false }
        let failure = self.write(bytes, &state)
        guard (failure != nil) != state.isFailing else { return }
        state.isFailing = failure != nil
        self.stateChanged(failure)
    }

    /// What stopped it before the end, if anything.
    private func write(_ bytes: [UInt8], _ state: inout OutputState) -> SystemError? {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(self.output, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if count < 0, errno == EAGAIN {
                    usleep(1_000)
                } else if count < 0, errno != EINTR {
                    // The reader is gone or the disk is full. Serving goes on; the rest of this batch is lost.
                    let failure = SystemError(operation: "write")
                    let lines = rest.reduce(into: UInt64(0)) { $0 += $1 == 0x0A ? 1 : 0 }
                    self.lostLines.wrappingAdd(lines, ordering: .relaxed)
                    if rest.startIndex > 0, buffer[rest.startIndex - 1] != 0x0A { state.isTorn = true }
                    return failure
                }
            }
            return nil
        }
    }
}

/// One worker's lines of the present turn.
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
