import CEpoll
import Glibc
import Synchronization

/// One epoll descriptor served by one thread, and the executor of every actor pinned to that thread.
///
/// The thread that calls `run` is *the loop's*. Jobs enqueued by other threads land in a locked inbox and an eventfd
/// wakes the loop; the inbox is looked at only when that descriptor fired, so a turn that nobody disturbed takes no lock.
package final class EventLoop: SerialExecutor {
    /// The token of the loop's own wake-up descriptor; no registration may use it.
    package static let wakeToken: UInt64 = .max
    /// Events taken per `epoll_wait`: enough that 64 busy connections fit in one call, few enough that the batch stays
    /// in the first-level cache.
    private static let batchSize = 256

    package let descriptor: Int32
    private let wakeDescriptor: Int32
    private let inbox = Mutex<[UnownedJob]>([])
    private let thread = Atomic<UInt>(0)
    private let stopping = Atomic<Bool>(false)

    /// Throws if the kernel gives no descriptors.
    package init() throws(SystemError) {
        let descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw SystemError(operation: "epoll_create1") }
        let wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wake >= 0 else {
            let error = SystemError(operation: "eventfd")
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.wakeDescriptor = wake
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: Self.wakeToken))
        if epoll_ctl(descriptor, EPOLL_CTL_ADD, wake, &event) != 0 {
            let error = SystemError(operation: "epoll_ctl")
            close(wake)
            close(descriptor)
            throw error
        }
    }

    deinit {
        close(self.wakeDescriptor)
        close(self.descriptor)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.inbox.withLock { $0.append(job) }
        self.wake()
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    package func checkIsolated() {
        precondition(self.isOnLoop, "actor state touched outside its loop's thread")
    }

    package func isIsolatingCurrentContext() -> Bool? {
        self.isOnLoop
    }

    private var isOnLoop: Bool {
        self.thread.load(ordering: .relaxed) == UInt(bitPattern: Int(pthread_self()))
    }

    /// Makes the loop take another turn. From any thread.
    package func wake() {
        var one: UInt64 = 1
        // The only failure is a full counter, which means that a wake-up is already pending.
        _ = write(self.wakeDescriptor, &one, 8)
    }

    /// Ends `run` after the current turn. From any thread.
    package func stop() {
        self.stopping.store(true, ordering: .releasing)
        self.wake()
    }

    /// Makes the calling thread the loop's, so that actors may be entered on it before `run`.
    package func claimThread() {
        self.thread.store(UInt(bitPattern: Int(pthread_self())), ordering: .relaxed)
    }

    /// Serves the loop on the calling thread until `stop`. `turn` gets the ready events (the loop's own
    /// among them, with `wakeToken`) and answers how long to wait for the next.
    package func run(_ turn: (EventBatch) -> NextTurn) {
        self.claimThread()
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.batchSize)
        defer { events.deallocate() }
        var jobs: [UnownedJob] = []
        var timeout: Int32 = 0
        while !self.stopping.load(ordering: .acquiring) {
            let count = epoll_wait(self.descriptor, events, Int32(Self.batchSize), timeout)
            if count < 0 {
                // EINTR is the only error a valid descriptor can give.
                timeout = 0
                continue
            }
            let batch = EventBatch(events: events, count: Int(count))
            for index in 0..<batch.count where batch.token(index) == Self.wakeToken {
                self.runJobs(&jobs)
            }
            let next = turn(batch)
            timeout = next.timeout
            if next.pause > 0 { cepoll_pause(next.pause) }
        }
        // Jobs enqueued while stopping still run: a caller awaiting the actor must not wait for ever.
        self.runJobs(&jobs)
    }

    private func runJobs(_ jobs: inout [UnownedJob]) {
        var counter: UInt64 = 0
        _ = read(self.wakeDescriptor, &counter, 8)
        self.inbox.withLock { swap(&$0, &jobs) }
        for job in jobs {
            job.runSynchronously(on: self.asUnownedSerialExecutor())
        }
        jobs.removeAll(keepingCapacity: true)
    }
}

/// The events of one wait. Valid only during the turn that got it, on the loop's thread: handing it across an
/// isolation check on that same thread is why it is marked Sendable.
package struct EventBatch: @unchecked Sendable {
    private let events: UnsafeMutablePointer<epoll_event>
    package let count: Int

    fileprivate init(events: UnsafeMutablePointer<epoll_event>, count: Int) {
        self.events = events
        self.count = count
    }

    package func token(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < self.count)
        return self.events[index].data.u64
    }

    /// EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR bits.
    package func flags(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index < self.count)
        return self.events[index].events
    }
}
