import CEpoll
import Glibc
import Synchronization

/// Writes whole lines to one output from a thread of its own: whoever logs never waits for a slow disk, a full pipe or a
/// reader that is not there. Bounded: what does not fit is dropped and counted.
package final class LineWriter: Sendable {
    package enum Output: Sendable {
        /// Stays the caller's. Others may share it and expect it to block, so its flags are left as they are.
        case descriptor(Int32)
        /// Appended to, and made where it is missing; opened anew by `reopen`. A named pipe may be without its reader.
        case file(path: String)
    }

    /// What becomes of the lines, told from the writing thread when it changes.
    package enum Event: Sendable, Equatable {
        /// Lines are lost from now on.
        case failing(SystemError)
        /// The file is not open yet: lines wait for it, as long as there is room.
        case waiting(SystemError)
        /// Lines are written again.
        case working
        /// The file was opened anew.
        case reopened
        /// The file could not be opened anew: the one that was open is written on.
        case notReopened(SystemError)
    }

    /// Milliseconds between two writes under load: one system call for many lines, and one wake-up of the thread.
    private static let pause: UInt32 = 20
    /// Milliseconds between two attempts to open a file.
    private static let retry: Int32 = 250

    private struct Queue {
        var bytes: [UInt8] = []
        /// Lines refused since the last notice.
        var unnoticed: UInt64 = 0
        var stopping = false
        var reopening = false
    }

    private let queue = Mutex(Queue())
    private let capacity: Int
    private let name: String
    private let wakeDescriptor: Int32
    private let path: String?
    private let initial: Int32
    private let notice: (@Sendable (UInt64) -> [UInt8])?
    private let changed: @Sendable (Event) -> Void
    private let lostLines = Atomic<UInt64>(0)
    private let isAsleep = Atomic<Bool>(true)
    private let started = Atomic<Bool>(false)
    private let finished = Atomic<Bool>(false)

    /// `name` is the thread's. At most `capacity` bytes wait. `notice` makes the line that says in the output how many lines
    /// are missing there. Throws if a file can never be opened; where only its reader or room on the disk is missing, that
    /// is waited for. Never blocks.
    package init(
        _ output: Output, named name: String, capacity: Int, notice: (@Sendable (UInt64) -> [UInt8])? = nil,
        changed: @escaping @Sendable (Event) -> Void = { _ in }
    ) throws(SystemError) {
        var descriptor: Int32 = -1
        switch output {
        case .descriptor(let number):
            descriptor = number
            self.path = nil
        case .file(let path):
            self.path = path
            descriptor = Self.open(path)
            if descriptor < 0, ![ENXIO, ENOSPC, EDQUOT].contains(errno) {
                throw SystemError(operation: "open \(path)")
            }
        }
        let wake = eventfd(0, Int32(EFD_CLOEXEC))
        guard wake >= 0 else {
            let error = SystemError(operation: "eventfd")
            if self.path != nil, descriptor >= 0 { close(descriptor) }
            throw error
        }
        self.initial = descriptor
        self.wakeDescriptor = wake
        self.name = name
        self.capacity = capacity
        self.notice = notice
        self.changed = changed
    }

    deinit { close(self.wakeDescriptor) }

    /// Lines that were not written: there was no room, or the output failed.
    package var lost: UInt64 { self.lostLines.load(ordering: .relaxed) }

    /// Throws if there is no thread to be had. Does nothing the second time.
    package func start() throws(SystemError) {
        guard !self.started.exchange(true, ordering: .acquiringAndReleasing) else { return }
        try Thread.start(named: self.name) { self.serve() }
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

    /// Makes the thread open the file anew, for whoever has renamed it. What was queued may still go to the old one; nothing
    /// is lost. Does nothing for a descriptor. Never waits.
    package func reopen() {
        guard self.path != nil else { return }
        self.queue.withLock { $0.reopening = true }
        self.wake()
    }

    /// Takes all of `lines`, or none and answers false: the lock was held (try again at the next turn) or there is no
    /// room. Never waits, and counts nothing: the lines stay the caller's.
    package func take(_ lines: inout [UInt8]) -> Bool {
        let taken = self.queue.withLockIfAvailable { queue -> Bool in
            guard queue.bytes.count + lines.count <= self.capacity else { return false }
            if queue.bytes.isEmpty { swap(&queue.bytes, &lines) } else { queue.bytes.append(contentsOf: lines) }
            return true
        }
        guard taken == true else { return false }
        lines.removeAll(keepingCapacity: true)
        self.wakeIfAsleep()
        return true
    }

    /// Takes a line with its end, or drops and counts it. Waits for nothing but others that do the same.
    package func write(_ line: [UInt8]) {
        let isTaken = self.queue.withLock { queue -> Bool in
            guard !queue.stopping, queue.bytes.count + line.count <= self.capacity else {
                queue.unnoticed += 1
                return false
            }
            queue.bytes.append(contentsOf: line)
            return true
        }
        if isTaken { self.wakeIfAsleep() } else { self.lostLines.wrappingAdd(1, ordering: .relaxed) }
    }

    private func wakeIfAsleep() {
        if self.isAsleep.exchange(false, ordering: .acquiringAndReleasing) { self.wake() }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(self.wakeDescriptor, &one, 8)
    }

    // MARK: the thread

    private static func open(_ path: String) -> Int32 {
        // Without O_NONBLOCK a named pipe is waited for here, and a full one at each write.
        Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o640)
    }

    /// How the output took the last batch. Lives on the thread.
    private struct State {
        var descriptor: Int32
        var isFailing = false
        /// The last line there is cut: the next one must not continue it.
        var isTorn = false
    }

    private func serve() {
        var state = State(descriptor: self.initial)
        var batch: [UInt8] = []
        batch.reserveCapacity(65_536)
        var stopping = false
        while !stopping {
            var unnoticed: UInt64 = 0
            var reopening = false
            self.queue.withLock { queue in
                swap(&queue.bytes, &batch)
                swap(&queue.unnoticed, &unnoticed)
                swap(&queue.reopening, &reopening)
                stopping = queue.stopping
            }
            if reopening { self.reopen(&state) }
            guard !batch.isEmpty || unnoticed > 0 else {
                if !stopping { self.sleep() }
                continue
            }
            let failure = self.awaitOutput(&state) ?? self.write(batch, &state)
            if failure == nil, unnoticed > 0, let notice = self.notice {
                _ = self.write(notice(unnoticed), &state)
            }
            self.report(failure.map { .failing($0) }, &state)
            batch.removeAll(keepingCapacity: true)
            if !stopping { usleep(Self.pause * 1_000) }
        }
        if self.path != nil, state.descriptor >= 0 { close(state.descriptor) }
        self.finished.store(true, ordering: .releasing)
    }

    /// Waits until there is something to do.
    private func sleep() {
        self.isAsleep.store(true, ordering: .releasing)
        // A line may have come between the look and the flag; it then found the flag unset. Look once more.
        let missed = self.queue.withLock { !$0.bytes.isEmpty || $0.unnoticed > 0 || $0.stopping || $0.reopening }
        if !missed {
            var counter: UInt64 = 0
            _ = read(self.wakeDescriptor, &counter, 8)
        }
        self.isAsleep.store(false, ordering: .releasing)
    }

    /// Tells that writing begins to fail, or (nil) works again: once each.
    private func report(_ failure: Event?, _ state: inout State) {
        guard (failure != nil) != state.isFailing else { return }
        state.isFailing = failure != nil
        self.changed(failure ?? .working)
    }

    private func reopen(_ state: inout State) {
        guard let path = self.path else { return }
        let descriptor = Self.open(path)
        guard descriptor >= 0 else { return self.changed(.notReopened(SystemError(operation: "open \(path)"))) }
        if state.descriptor >= 0 { close(state.descriptor) }
        state.descriptor = descriptor
        state.isTorn = false
        self.changed(.reopened)
    }

    /// Tries to open a file that could not be opened, until it can or the end is wanted: then answers why not.
    private func awaitOutput(_ state: inout State) -> SystemError? {
        guard let path = self.path else { return nil }
        while state.descriptor < 0 {
            state.descriptor = Self.open(path)
            if state.descriptor >= 0 { return nil }
            let failure = SystemError(operation: "open \(path)")
            if self.isStopping { return failure }
            self.report(.waiting(failure), &state)
            var wake = pollfd(fd: self.wakeDescriptor, events: Int16(POLLIN), revents: 0)
            if poll(&wake, 1, Self.retry) > 0 {
                var counter: UInt64 = 0
                _ = read(self.wakeDescriptor, &counter, 8)
            }
        }
        return nil
    }

    private var isStopping: Bool { self.queue.withLock { $0.stopping } }

    /// What stopped it before the end, if anything; what was not written is counted as lost.
    private func write(_ bytes: [UInt8], _ state: inout State) -> SystemError? {
        if state.isTorn, Glibc.write(state.descriptor, "\n", 1) == 1 { state.isTorn = false }
        return bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = Glibc.write(
                    state.descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                    continue
                }
                let failure = SystemError(operation: "write")
                if count < 0, failure.code == EINTR { continue }
                if count < 0, failure.code == EAGAIN, self.awaitRoom(state.descriptor) { continue }
                // The reader is gone or the disk is full. Serving goes on; the rest of this batch is lost.
                let lines = rest.reduce(into: UInt64(0)) { $0 += $1 == 0x0A ? 1 : 0 }
                self.lostLines.wrappingAdd(lines, ordering: .relaxed)
                if rest.startIndex > 0, buffer[rest.startIndex - 1] != 0x0A { state.isTorn = true }
                return failure
            }
            return nil
        }
    }

    /// Waits for the reader of a full pipe. False: the end is wanted and there is no room yet, or the file is to be another.
    private func awaitRoom(_ descriptor: Int32) -> Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while poll(&room, 1, 100) == 0 {
            if self.queue.withLock({ $0.stopping || $0.reopening }) { return false }
        }
        return true
    }
}
