import Dispatch
import Synchronization

/// A fixed number of threads for calls that block and for long computations, so that neither event loops nor Swift's own
/// few threads are ever taken up by one.
///
/// Jobs belong to groups, of which none may have more than its share of the threads: one that is slow leaves the others
/// theirs. Within a group the first comes first. A job that could not begin in time, as long as those before it take as long
/// as the last ones did, is refused when it comes.
package final class BlockingWorkers: Sendable {
    /// Jobs of one group that may wait for a thread. Beyond it callers are refused at once: their deadline would pass in the
    /// queue. Of each group, so that one that hangs does not fill the others' queue before its first failure tells how slow
    /// it is; all together are bounded by the connections that may ask.
    private static let queueLimit = 1024

    private struct Group {
        var jobs: [@Sendable () -> Void] = []
        /// The next job in `jobs`; those before it are done.
        var head = 0
        var running = 0
        /// How long jobs took lately, in seconds: rises at once and falls by a quarter.
        var usual = 0.0

        var waiting: Int { jobs.count - head }

        mutating func next() -> (@Sendable () -> Void)? {
            guard head < jobs.count else { return nil }
            let job = jobs[head]
            head += 1
            if head == jobs.count || head > BlockingWorkers.queueLimit {
                jobs.removeFirst(head)
                head = 0
            }
            return job
        }
    }

    private struct State {
        var groups: [Group]
        /// Where to look for the next job first, so that groups take turns.
        var turn = 0
        var isClosed = false
        var threads: Int
        var onEnd: CheckedContinuation<Void, Never>?

        var waiting: Int { groups.reduce(0) { $0 + $1.waiting } }
        var running: Int { groups.reduce(0) { $0 + $1.running } }

        /// The next job of a group that may have another thread.
        mutating func next(share: Int) -> (job: @Sendable () -> Void, group: Int)? {
            for offset in groups.indices {
                let index = (turn + offset) % groups.count
                guard groups[index].running < share, let job = groups[index].next() else { continue }
                groups[index].running += 1
                turn = (index + 1) % groups.count
                return (job, index)
            }
            return nil
        }
    }

    private let state: Mutex<State>
    private let wake = DispatchSemaphore(value: 0)
    private let count: Int
    /// The most threads that one group may have.
    private let share: Int
    private let refusesHopeless: Bool

    /// - Parameters:
    ///   - groups: how many kinds of jobs there are.
    ///   - share: the most threads that jobs of one group may have; all of them when not given.
    ///   - refusesHopeless: jobs that could not be done in time are refused when they come.
    package init(count: Int, groups: Int = 1, share: Int? = nil, refusesHopeless: Bool = true) {
        self.refusesHopeless = refusesHopeless
        self.count = count
        self.share = max(1, min(count, share ?? count))
        state = Mutex(State(groups: Array(repeating: Group(), count: max(1, groups)), threads: count))
        for _ in 0..<count where !DetachedThread.start({ self.work() }) {
            state.withLock { $0.threads -= 1 }
        }
    }

    /// How many jobs run now, and how many wait for a thread.
    package var load: (running: Int, waiting: Int) {
        state.withLock { ($0.running, $0.waiting) }
    }

    /// Runs `body` on one of the threads, on account of whoever asks.
    ///
    /// - Parameters:
    ///   - group: the kind of job.
    ///   - deadline: when it has passed before a thread is free, `body` does not run at all.
    /// - Throws: ``StoreError/unavailable(_:)`` when closed, ``StoreError/overloaded`` when too many of its group are waiting
    ///   or the deadline would pass while it waits, ``StoreError/timedOut`` after the deadline; else what `body` throws.
    package func run<Value: Sendable>(
        group: Int = 0, until deadline: ContinuousClock.Instant? = nil,
        _ body: @escaping @Sendable () -> Result<Value, StoreError>
    ) async throws(StoreError) -> Value {
        let account = QueryMemory.current
        let result: Result<Value, StoreError> = await withCheckedContinuation { continuation in
            let refusal: StoreError? = state.withLock { state in
                if state.isClosed { return .unavailable("the store is closed") }
                let left = deadline.map { ($0 - .now) / .seconds(1) }
                // Its time was up before it came: that says nothing about the load.
                if let left, left <= 0 { return .timedOut }
                if state.groups[group].waiting >= Self.queueLimit || isHopeless(state, group, left) {
                    return .overloaded
                }
                state.groups[group].jobs.append {
                    let isLate = deadline.map { $0 <= .now } ?? false
                    continuation.resume(
                        returning: isLate
                            ? .failure(.timedOut) : QueryMemory.$current.withValue(account) { body() })
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

    /// Whether a job that comes now could not be done in the time that is left, in seconds. One that need not wait always
    /// has its try: otherwise nobody would learn that a slow database is fast again.
    private func isHopeless(_ state: State, _ group: Int, _ left: Double?) -> Bool {
        guard refusesHopeless, let left else { return false }
        let group = state.groups[group]
        let ahead = group.running + group.waiting
        guard ahead >= share else { return false }
        // Those before it go in rounds, each as wide as the share.
        return Double(ahead / share + 1) * group.usual > left
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
            guard let (job, group) = state.withLock({ $0.next(share: share) }) else {
                // All that wait have as many threads as they may have: whoever ends next goes on with them. Or it is the end.
                guard state.withLock({ $0.isClosed && $0.waiting == 0 }) else { continue }
                wake.signal()
                break
            }
            let start = ContinuousClock.now
            job()
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let isMore = state.withLock { state in
                state.groups[group].running -= 1
                let usual = state.groups[group].usual
                state.groups[group].usual = max(seconds, usual + (seconds - usual) / 4)
                return state.groups[group].waiting > 0 || state.isClosed
            }
            // A job's signal may have come when the group had its share, and the end's when jobs were waiting.
            if isMore { wake.signal() }
        }
        let end = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.threads -= 1
            return state.threads == 0 ? state.onEnd : nil
        }
        end?.resume()
    }
}
