import Reactor
import Synchronization

/// Where workers leave copies for the mirror's thread. Nobody waits for anybody: a queue that is full, or that another thread
/// has at that moment, takes nothing.
final class MirrorQueue: Sendable {
    private let jobs = Mutex<[MirrorJob]>([])
    /// Those that wait here, and on the mirror's thread for a connection.
    private let waiting = Atomic<Int>(0)
    private let isAsleep = Atomic<Bool>(false)
    private let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    /// Takes a copy, or answers false.
    func offer(_ job: MirrorJob, limit: Int) -> Bool {
        guard self.waiting.load(ordering: .relaxed) < limit else { return false }
        let isTaken = self.jobs.withLockIfAvailable { $0.append(job) } != nil
        guard isTaken else { return false }
        self.waiting.add(1, ordering: .relaxed)
        self.wakeIfAsleep()
        return true
    }

    /// Takes a question that somebody waits for; of those there are few.
    func ask(_ job: MirrorJob) {
        self.jobs.withLock { $0.append(job) }
        self.waiting.add(1, ordering: .relaxed)
        self.wakeIfAsleep()
    }

    private func wakeIfAsleep() {
        if self.isAsleep.exchange(false, ordering: .acquiringAndReleasing) { self.loop.wake() }
    }

    // MARK: the mirror's thread

    /// All that came since the last call.
    func takeAll(_ jobs: inout [MirrorJob]) {
        self.isAsleep.store(false, ordering: .relaxed)
        self.jobs.withLock { swap(&$0, &jobs) }
    }

    /// A copy waits no longer.
    func left() { self.waiting.subtract(1, ordering: .relaxed) }

    /// Whether the thread may sleep until it is woken.
    func maySleep() -> Bool {
        self.isAsleep.store(true, ordering: .sequentiallyConsistent)
        // One may have come between the last look and the flag, which it then found unset.
        guard self.jobs.withLock({ $0.isEmpty }) else {
            self.isAsleep.store(false, ordering: .relaxed)
            return false
        }
        return true
    }
}
