import Reactor
import Synchronization
import Traffic

/// A name, its password and the hash that it was tried against, as an HMAC under a key of this process: what is remembered
/// in their place. Another password, or another hash of it, is another code.
typealias CredentialCode = SIMD4<UInt64>

/// Looks at passwords for all workers, on threads of its own.
///
///     begin ─▶ remembered                  looked at less than `memory` ago
///           ─▶ waiting ─▶ running ─▶ a verdict in the worker's inbox
///           ─▶ busy, limited               not looked at
///
/// Requests with the same credentials wait for one look. Each look that is not remembered costs the client a token, which a
/// password that is right gives back: guesses cannot outrun the limit by coming all at once.
final class CredentialChecks: Sendable {
    /// Looks that are at work, or wait for a thread.
    static let atWork = 16
    static let waiting = 64
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
        var threads: BlockingThreads?
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
        _ code: CredentialCode, password: [UInt8], hash: [UInt8], passes: Bool, client: IPAddress, now: UInt64,
        _ waiter: Waiter
    ) -> Outcome {
        let (outcome, threads) = self.state.withLock { state -> (Outcome, BlockingThreads?) in
            if let until = state.remembered[code] {
                if until > now { return (.remembered(until: until), nil) }
                state.remembered[code] = nil
            }
            if state.running[code] != nil {
                state.running[code]?.append(waiter)
                return (.waiting, nil)
            }
            guard state.running.count < Self.atWork + Self.waiting, let threads = self.threads(&state) else {
                return (.busy, nil)
            }
            let failures = state.failures ?? RateTable(entries: 65_536, key: self.secret)
            state.failures = failures
            let verdict = failures.take(self.hash(client, failures), Self.failures, now: now &* 1_000_000)
            if case .refused(let wait) = verdict.outcome { return (.limited(wait: wait), nil) }
            state.running[code] = [waiter]
            return (.waiting, threads)
        }
        threads?.post { [self] in
            let isRight = PasswordHash.matches(password, hash) && passes
            self.finish(code, isRight: isRight, client: client, began: now)
        }
        return outcome
    }

    /// Made when the first password comes; nil: there are none to be had.
    private func threads(_ state: inout State) -> BlockingThreads? {
        if state.threads == nil {
            state.threads = try? BlockingThreads(named: "passwords", count: self.threadCount, niceness: 10)
        }
        return state.threads
    }

    private func finish(_ code: CredentialCode, isRight: Bool, client: IPAddress, began: UInt64) {
        let now = MonotonicClock.milliseconds()
        let until = now + Self.memory
        let (waiters, failures) = self.state.withLock { state in
            if isRight {
                if state.remembered.count >= Self.remembered {
                    state.remembered.remove(at: state.remembered.startIndex)
                }
                state.remembered[code] = until
            }
            return (state.running.removeValue(forKey: code) ?? [], state.failures)
        }
        if isRight, let failures {
            failures.giveBack(self.hash(client, failures), Self.failures, now: now &* 1_000_000)
        }
        for waiter in waiters {
            waiter.inbox.post(
                CredentialVerdict(token: waiter.token, code: code, isRight: isRight, until: isRight ? until : 0))
        }
    }

    /// A subscriber of IPv6 has a /64.
    private func hash(_ client: IPAddress, _ table: RateTable) -> UInt64 {
        let block = AddressBlock(base: client, prefixLength: client.isV4 ? 128 : 64).first
        var hash = table.hash
        hash.add(block.high)
        hash.add(block.low)
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

/// Verdicts on their way to one worker.
final class VerdictInbox: Sendable {
    private let verdicts = Mutex<[CredentialVerdict]>([])
    private let loop: EventLoop

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
