import Reactor
import Synchronization
import Traffic

/// A name, its password, the hash that it was tried against and whether the route knows that name, as an HMAC under a key of
/// this process: what is remembered in their place. Another password, or another hash of it, is another code; and what was right
/// where the name is known says nothing where it is not.
typealias CredentialCode = SIMD4<UInt64>

/// Looks at passwords for all workers, on threads of its own.
///
///     begin ─▶ remembered                  looked at less than `memory` ago
///           ─▶ waiting ─▶ running ─▶ collect ─▶ a verdict in the worker's inbox
///           ─▶ busy, limited               not looked at
///
/// Requests with the same credentials wait for one look. Each look that is not remembered costs the client a token, which a
/// password that is right gives back: guesses cannot outrun the limit by coming all at once.
///
/// The lock is the workers' alone, and none of them does more under it than it takes to find and change entries. A thread that
/// looks never takes it: it is nicer than they are (`ComputeThreads`).
final class CredentialChecks: Sendable {
    /// Looks that are at work, or wait for a thread.
    static let atWork = 16
    static let waiting = 64
    /// Exchanges that wait for one look: who has one password may not hold any number of them.
    static let waitersPerLook = 64
    /// Milliseconds for which a success is remembered.
    static let memory: UInt64 = 300_000
    /// Successes remembered; beyond, any of them gives way.
    static let remembered = 16_384
    /// Wrong passwords that one client may send in a minute.
    static let failures = RateSpec(interval: 6_000_000_000, burst: 10)

    enum Outcome: Equatable {
        /// Until then.
        case remembered(until: UInt64)
        case waiting
        case busy
        /// Nanoseconds until another password is looked at.
        case limited(wait: UInt64)
    }

    /// A request that waits for the verdict.
    struct Waiter: Sendable {
        var token: UInt64
        var inbox: VerdictInbox
    }

    private struct State: Sendable {
        var remembered: [CredentialCode: UInt64] = [:]
        var running: [CredentialCode: [Waiter]] = [:]
        var threads: ComputeThreads<CredentialLook>?
        /// By client.
        var failures: RateTable?
    }

    /// Of the codes of all workers.
    let key: [UInt8]
    private let secret: (UInt64, UInt64)
    private let threadCount: Int
    private let state = Mutex(State())

    init(processors: Int) {
        var random = SystemRandomNumberGenerator()
        self.key = (0..<KeyedHash.keySize).map { _ in UInt8.random(in: 0...255, using: &random) }
        self.secret = (random.next(), random.next())
        self.threadCount = min(Self.atWork, max(1, processors))
    }

    /// `password` is tried against `hash`; `passes`: the name is one that may come in at all. `now` in milliseconds.
    func begin(
        _ code: CredentialCode, password: UnsafeRawBufferPointer, hash: [UInt8], passes: Bool, client: IPAddress,
        now: UInt64, _ waiter: Waiter
    ) -> Outcome {
        self.state.withLock { state in
            if let until = state.remembered[code] {
                if until > now { return .remembered(until: until) }
                state.remembered[code] = nil
            }
            if let waiters = state.running[code] {
                guard waiters.count < Self.waitersPerLook else { return .busy }
                state.running[code]?.append(waiter)
                return .waiting
            }
            guard state.running.count < Self.atWork + Self.waiting, let threads = self.threads(&state) else {
                return .busy
            }
            let failures = state.failures ?? RateTable(entries: 65_536, key: self.secret)
            state.failures = failures
            let subscriber = self.hash(client, failures)
            let time = now &* 1_000_000
            let verdict = failures.take(subscriber, Self.failures, now: time)
            if case .refused(let wait) = verdict.outcome { return .limited(wait: wait) }
            let look = CredentialLook(
                code, password: password, hash: hash, passes: passes, clientHash: subscriber, loop: waiter.inbox.loop)
            guard threads.post(look) else {
                failures.giveBack(subscriber, Self.failures, now: time)
                return .busy
            }
            state.running[code] = [waiter]
            return .waiting
        }
    }

    /// Made when the first password comes; nil: there are none to be had.
    private func threads(_ state: inout State) -> ComputeThreads<CredentialLook>? {
        if state.threads == nil {
            state.threads = try? ComputeThreads(
                named: "passwords", count: self.threadCount, niceness: 10, capacity: Self.atWork + Self.waiting)
        }
        return state.threads
    }

    /// Tells those who wait what came of looks that are done. By any worker.
    func collect() {
        let now = MonotonicClock.milliseconds()
        let until = now + Self.memory
        let told = self.state.withLock { state -> [(waiters: [Waiter], code: CredentialCode, isRight: Bool)] in
            var done: [CredentialLook] = []
            state.threads?.takeDone { done.append($0) }
            for look in done where look.isRight {
                if state.remembered.count >= Self.remembered {
                    state.remembered.remove(at: state.remembered.startIndex)
                }
                state.remembered[look.code] = until
                state.failures?.giveBack(look.clientHash, Self.failures, now: now &* 1_000_000)
            }
            var told: [(waiters: [Waiter], code: CredentialCode, isRight: Bool)] = []
            for look in done {
                told.append((state.running.removeValue(forKey: look.code) ?? [], look.code, look.isRight))
            }
            return told
        }
        for (waiters, code, isRight) in told {
            for waiter in waiters {
                waiter.inbox.post(
                    CredentialVerdict(token: waiter.token, code: code, isRight: isRight, until: isRight ? until : 0))
            }
        }
    }

    private func hash(_ client: IPAddress, _ table: RateTable) -> UInt64 {
        let subscriber = client.subscriber
        var hash = table.hash
        hash.add(subscriber.high)
        hash.add(subscriber.low)
        return hash.finish()
    }
}

/// What came of a look at a password.
struct CredentialVerdict: Sendable {
    /// Of the exchange that waits.
    var token: UInt64
    var code: CredentialCode
    var isRight: Bool
    /// Until when it is remembered, in milliseconds.
    var until: UInt64
}

/// Verdicts on their way from one worker to another, or to itself.
final class VerdictInbox: Sendable {
    private let verdicts = Mutex<[CredentialVerdict]>([])
    let loop: EventLoop

    init(loop: EventLoop) { self.loop = loop }

    func post(_ verdict: CredentialVerdict) {
        self.verdicts.withLock { $0.append(verdict) }
        self.loop.wake()
    }

    func take() -> [CredentialVerdict] {
        self.verdicts.withLock { verdicts in
            defer { verdicts.removeAll() }
            return verdicts
        }
    }
}
