import CEpoll
import Glibc
import Synchronization

/// Threads for calls that block, made once and kept: files, name look-ups, local sockets. A call waits until one of them
/// is free, and none takes one of the few threads that all Swift tasks share. What computes is for `ComputeThreads`.
package final class BlockingThreads: Sendable {
    private typealias Call = @Sendable () -> Void

    private struct Waiting {
        var calls: [Call] = []
        /// Of the first that no thread has begun.
        var next = 0
    }

    /// Apart from the owner, so that the threads do not keep that alive.
    private final class Queue: Sendable {
        let waiting = Mutex(Waiting())
        /// A semaphore: as many as there are calls.
        let descriptor: Int32

        init() throws(SystemError) {
            self.descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_SEMAPHORE))
            guard self.descriptor >= 0 else { throw SystemError(operation: "eventfd") }
        }

        deinit { close(self.descriptor) }

        func post(_ count: UInt64) {
            var count = count
            _ = write(self.descriptor, &count, 8)
        }

        /// Waits for the next call; nil: there will be none.
        func take() -> Call? {
            var one: UInt64 = 0
            while read(self.descriptor, &one, 8) < 0, errno == EINTR {}
            return self.waiting.withLock { waiting in
                guard waiting.next < waiting.calls.count else { return nil }
                let call = waiting.calls[waiting.next]
                // What it holds goes when it has run, also where there is always another behind it.
                waiting.calls[waiting.next] = {}
                waiting.next += 1
                if waiting.next == waiting.calls.count {
                    waiting.calls.removeAll(keepingCapacity: true)
                    waiting.next = 0
                } else if waiting.next >= 64, waiting.next * 2 >= waiting.calls.count {
                    waiting.calls.removeFirst(waiting.next)
                    waiting.next = 0
                }
                return call
            }
        }

        func serve() {
            while let call = self.take() { call() }
        }
    }

    private let queue: Queue
    private let count: Int

    /// Starts the threads, so much nicer than the process, which end with the last reference. Throws if there are none to be had.
    package init(named name: String, count: Int = 1, niceness: Int32 = 0) throws(SystemError) {
        let queue = try Queue()
        self.queue = queue
        self.count = count
        for _ in 0..<count {
            try Thread.start(named: name) {
                if niceness > 0 { cepoll_be_nicer(niceness) }
                queue.serve()
            }
        }
    }

    deinit { self.queue.post(UInt64(self.count)) }

    /// Runs `body` on one of the threads.
    package func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            self.queue.waiting.withLock { $0.calls.append { continuation.resume(returning: body()) } }
            self.queue.post(1)
        }
    }
}
