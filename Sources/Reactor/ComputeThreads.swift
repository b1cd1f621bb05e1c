import CEpoll
import Glibc
import Synchronization

/// What a worker has `ComputeThreads` compute.
package protocol Computation: AnyObject, Sendable {
    /// Of a worker that takes what is done.
    var loop: EventLoop { get }
    /// On one of the threads: takes no lock that a worker takes too.
    func compute()
}

/// Threads that compute for workers, at a lower priority than theirs.
///
/// No lock is shared with them. The kernel may set a nice thread aside for as long as others have work, and if it held a lock
/// then, every worker that wants it would stand still, and with it all of its connections (priority inversion). So work goes
/// over in a ring of atomic places, and comes back in another: neither side ever waits for the other. What a worker has allocated
/// comes back to it to be freed, for allocators have locks too.
package final class ComputeThreads<Work: Computation>: Sendable {
    /// Apart from the owner, so that the threads do not keep that alive.
    private final class Places: Sendable {
        private let capacity: Int
        /// Work, each place with a reference of its own: first as many for what is to be done, then as many for what is done.
        /// Allocated here, freed with this object, and never handed out.
        private nonisolated(unsafe) let places: UnsafeMutablePointer<Atomic<Unmanaged<Work>?>>
        /// Tickets: what was posted, and what threads have taken or are about to.
        private let posted = Atomic<Int>(0)
        private let taken = Atomic<Int>(0)
        /// What was taken back.
        private let returned = Atomic<Int>(0)
        private let done = Atomic<Int>(0)
        /// A semaphore: as many as there are tickets.
        private let descriptor: Int32

        init(capacity: Int) throws(SystemError) {
            let descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_SEMAPHORE))
            guard descriptor >= 0 else { throw SystemError(operation: "eventfd") }
            self.descriptor = descriptor
            self.capacity = capacity
            self.places = .allocate(capacity: capacity * 2)
            for index in 0..<capacity * 2 { (self.places + index).initialize(to: Atomic(nil)) }
        }

        deinit {
            for index in 0..<self.capacity * 2 {
                (self.places + index).pointee.exchange(nil, ordering: .acquiring)?.release()
            }
            self.places.deinitialize(count: self.capacity * 2)
            self.places.deallocate()
            close(self.descriptor)
        }

        func post(_ work: Work) -> Bool {
            let ticket = self.posted.load(ordering: .relaxed)
            let place = self.places + ticket % self.capacity
            // A thread that was set aside may not have emptied the place of a whole round ago.
            guard ticket - self.returned.load(ordering: .relaxed) < self.capacity,
                place.pointee.load(ordering: .relaxed) == nil
            else { return false }
            place.pointee.store(.passRetained(work), ordering: .releasing)
            self.posted.store(ticket + 1, ordering: .relaxed)
            self.admit(1)
            return true
        }

        func admit(_ count: UInt64) {
            var count = count
            _ = write(self.descriptor, &count, 8)
        }

        /// Until there is no more work.
        func serve() {
            while true {
                var one: UInt64 = 0
                while read(self.descriptor, &one, 8) < 0, errno == EINTR {}
                // Whoever has a ticket has the work of that number: it was there before the semaphore rose.
                let ticket = self.taken.wrappingAdd(1, ordering: .relaxed).oldValue
                let place = self.places + ticket % self.capacity
                guard let work = place.pointee.exchange(nil, ordering: .acquiring) else { return }
                work._withUnsafeGuaranteedRef { $0.compute() }
                self.finish(work, ticket)
            }
        }

        private func finish(_ work: Unmanaged<Work>, _ ticket: Int) {
            // Once the work is in its place a worker may free it; the loop lives as long as the process.
            let loop = work._withUnsafeGuaranteedRef { $0.loop }
            var place = ticket
            // There is a free one: what is posted and not taken back fits.
            while !(self.places + self.capacity + place % self.capacity).pointee.compareExchange(
                expected: nil, desired: work, ordering: .releasing
            ).exchanged { place += 1 }
            self.done.add(1, ordering: .releasing)
            loop.wake()
        }

        func takeDone(_ body: (Work) -> Void) {
            guard self.done.load(ordering: .acquiring) > 0 else { return }
            for index in 0..<self.capacity {
                guard
                    let work = (self.places + self.capacity + index).pointee.exchange(nil, ordering: .acquiring)
                else { continue }
                self.done.subtract(1, ordering: .relaxed)
                self.returned.add(1, ordering: .relaxed)
                body(work.takeRetainedValue())
            }
        }
    }

    private let places: Places
    private let count: UInt64

    /// Starts up to `count` threads, `niceness` steps nicer than the process, which end with the last reference. `capacity`: how
    /// much work there may be that has not been taken back. Throws if not one is to be had.
    package init(named name: String, count: Int, niceness: Int32, capacity: Int) throws(SystemError) {
        let places = try Places(capacity: capacity)
        var started: UInt64 = 0
        for _ in 0..<count {
            do throws(SystemError) {
                try Thread.start(named: name) {
                    cepoll_be_nicer(niceness)
                    places.serve()
                }
                started += 1
            } catch {
                guard started > 0 else { throw error }
                break
            }
        }
        self.places = places
        self.count = started
    }

    deinit { self.places.admit(self.count) }

    /// Has it computed. By one caller at a time. False: there is as much already as there may be.
    package func post(_ work: Work) -> Bool { self.places.post(work) }

    /// Takes back what is done. By one caller at a time.
    package func takeDone(_ body: (Work) -> Void) { self.places.takeDone(body) }
}
