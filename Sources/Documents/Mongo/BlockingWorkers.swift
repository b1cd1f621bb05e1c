import Dispatch
import Foundation
import Synchronization

/// A fixed number of threads for calls that block and for long computations, so that neither event loops nor Swift's own
/// few threads are ever taken up by one.
package final class BlockingWorkers: Sendable {
    /// Jobs that may wait for a thread. Beyond it callers are refused at once: their deadline would pass in the queue.
    private static let queueLimit = 1024

    private struct State {
        var jobs: [@Sendable () -> Void] = []
        /// The next job in `jobs`; those before it are done.
        var head = 0
        var isClosed = false
        var threads: Int
        var running = 0
        var onEnd: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>
    private let wake = DispatchSemaphore(value: 0)

    package init(count: Int) {
        state = Mutex(State(threads: count))
        for _ in 0..<count { Thread.detachNewThread { self.work() } }
    }

    /// How many jobs run now, and how many wait for a thread.
    package var load: (running: Int, waiting: Int) {
        state.withLock { ($0.running, $0.jobs.count - $0.head) }
    }

    /// Runs `body` on one of the threads.
    ///
    /// - Parameter deadline: when it has passed before a thread is free, `body` does not run at all.
    /// - Throws: ``StoreError/unavailable(_:)`` when closed, ``StoreError/overloaded`` when too many are waiting,
    ///   ``StoreError/timedOut`` after the deadline; else what `body` throws.
    package func run<Value: Sendable>(
        until deadline: ContinuousClock.Instant? = nil, _ body: @escaping @Sendable () -> Result<Value, StoreError>
    ) async throws(StoreError) -> Value {
        let result: Result<Value, StoreError> = await withCheckedContinuation { continuation in
            let refusal: StoreError? = state.withLock { state in
                if state.isClosed { return .unavailable("the store is closed") }
                if state.jobs.count - state.head >= Self.queueLimit {
                    return .overloaded
                }
                state.jobs.append {
                    let isLate = deadline.map { $0 <= .now } ?? false
                    continuation.resume(returning: isLate ? .failure(.timedOut) : body())
                }
                return nil
            }
            if let refusal {
                continuation.resume(returning: .failure(refusal))
            } else {
                wake.signal()
            }
        }
        return try result.get()
    }

    /// Refuses new jobs, finishes those that wait, and returns when every thread has ended.
    package func close() async {
        await withCheckedContinuation { continuation in
            let (threads, isFirst) = state.withLock { state in
                defer { state.isClosed = true }
                if state.isClosed || state.threads == 0 { return (0, false) }
                state.onEnd = continuation
                return (state.threads, true)
            }
            if !isFirst { continuation.resume() }
            for _ in 0..<threads { wake.signal() }
        }
    }

    private func work() {
        while true {
            wake.wait()
            let job: (@Sendable () -> Void)? = state.withLock { state in
                guard state.head < state.jobs.count else { return nil }
                let job = state.jobs[state.head]
                state.head += 1
                state.running += 1
                if state.head == state.jobs.count || state.head > Self.queueLimit {
                    state.jobs.removeFirst(state.head)
                    state.head = 0
                }
                return job
            }
            // One signal per job and one per thread at the end: a signal without a job means the end.
            guard let job else { break }
            job()
            state.withLock { $0.running -= 1 }
        }
        let end = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.threads -= 1
            return state.threads == 0 ? state.onEnd : nil
        }
        end?.resume()
    }
}
