import Synchronization

/// One address of one upstream, as all workers see it: atomics, and a lock that only failures take. It survives table
/// changes by identity (upstream name and address), so a reload forgets nothing.
package final class Endpoint: Sendable {
    /// Unique while the process lives, small: workers index by it.
    package let id: Int
    package let upstream: String
    package let address: SocketAddress

    /// Requests it is working on, all workers together.
    package let outstanding = Atomic<Int>(0)
    /// Connections to it, idle ones included.
    package let connections = Atomic<Int>(0)

    private let operationalState: Atomic<UInt8>
    private let administrativeState = Atomic<UInt8>(0)
    /// Monotonic milliseconds; 0 is not ejected, the maximum is "a trial is running".
    private let ejectedUntil = Atomic<UInt64>(0)
    private let upSince = Atomic<UInt64>(0)
    private let changedAt = Atomic<UInt64>(0)
    private let consecutiveFailures = Atomic<UInt32>(0)
    private let successes = Atomic<UInt64>(0)
    private let failures = Atomic<UInt64>(0)
    private let ejectionsTotal = Atomic<UInt64>(0)
    private let detector = Mutex(OutlierDetector())

    private static let trialRunning = UInt64.max

    init(id: Int, upstream: String, address: SocketAddress, probed: Bool) {
        self.id = id
        self.upstream = upstream
        self.address = address
        self.operationalState = Atomic(probed ? Operational.unknown.rawValue : Operational.up.rawValue)
    }

    package var operational: Operational {
        Operational(rawValue: self.operationalState.load(ordering: .relaxed)) ?? .unknown
    }

    package var administrative: Administrative {
        Administrative(rawValue: self.administrativeState.load(ordering: .relaxed)) ?? .ready
    }

    /// A probe's verdict. Coming up from down begins the slow start.
    package func setOperational(_ state: Operational, now: UInt64) {
        let old = self.operationalState.exchange(state.rawValue, ordering: .relaxed)
        guard old != state.rawValue else { return }
        self.changedAt.store(now, ordering: .relaxed)
        if state == .up, old == Operational.down.rawValue { self.upSince.store(now, ordering: .relaxed) }
    }

    package func setAdministrative(_ state: Administrative, now: UInt64) {
        let old = self.administrativeState.exchange(state.rawValue, ordering: .relaxed)
        guard old != state.rawValue else { return }
        self.changedAt.store(now, ordering: .relaxed)
        if state == .ready { self.upSince.store(now, ordering: .relaxed) }
    }

    // MARK: choosing

    /// Whether it may get a request now. `unknownCounts`: nothing in its upstream has a verdict yet, so waiting for one
    /// would turn everybody away.
    package func isSelectable(now: UInt64, unknownCounts: Bool = false) -> Bool {
        guard self.administrativeState.load(ordering: .relaxed) == Administrative.ready.rawValue else { return false }
        let state = self.operationalState.load(ordering: .relaxed)
        guard state == Operational.up.rawValue || (unknownCounts && state == Operational.unknown.rawValue) else {
            return false
        }
        // An ejection that is over leaves one trial; while it runs the value is the maximum and this is false.
        return self.ejectedUntil.load(ordering: .relaxed) <= now
    }

    /// 1…1024: its part of a full share while it starts slowly.
    package func share(now: UInt64, slowStart: UInt32) -> UInt32 {
        guard slowStart > 0 else { return 1_024 }
        let since = self.upSince.load(ordering: .relaxed)
        guard since > 0, now >= since, now - since < UInt64(slowStart) else { return 1_024 }
        return UInt32(max(1, (now - since) * 1_024 / UInt64(slowStart)))
    }

    /// Takes a slot under `limit` (0 is none). Adding first and looking then keeps the limit across threads.
    func acquire(limit: Int) -> Bool {
        let held = self.outstanding.add(1, ordering: .relaxed).newValue
        if limit > 0, held > limit {
            self.outstanding.subtract(1, ordering: .relaxed)
            return false
        }
        return true
    }

    /// Gives the slot back.
    package func release() {
        self.outstanding.subtract(1, ordering: .relaxed)
    }

    /// Whether an ejection has run out, so that the next request would be its trial.
    func needsTrial(now: UInt64) -> Bool {
        let until = self.ejectedUntil.load(ordering: .relaxed)
        return until > 0 && until <= now
    }

    /// Claims the one trial.
    func beginTrial(now: UInt64) -> Bool {
        let until = self.ejectedUntil.load(ordering: .relaxed)
        guard until > 0, until <= now else { return false }
        return self.ejectedUntil.compareExchange(
            expected: until, desired: Self.trialRunning, ordering: .relaxed
        ).exchanged
    }

    // MARK: passive health

    /// Feeds the passive detector; answers whether this call ejected the endpoint. On success: two relaxed operations.
    @discardableResult
    package func report(
        _ outcome: Outcome, trial: Bool, policy: PassiveSpec, pool: UpstreamRecord, now: UInt64
    ) -> Bool {
        if trial { return self.judgeTrial(outcome, policy: policy, pool: pool, now: now) }
        switch outcome {
        case .success, .clientFault:
            self.successes.add(1, ordering: .relaxed)
            if self.consecutiveFailures.load(ordering: .relaxed) != 0 {
                self.consecutiveFailures.store(0, ordering: .relaxed)
            }
            return false
        case .overload, .cancelled: return false
        case .failure: break
        }
        let total = self.failures.add(1, ordering: .relaxed).newValue
        let streak = self.consecutiveFailures.add(1, ordering: .relaxed).newValue
        guard policy.enabled, self.ejectedUntil.load(ordering: .relaxed) == 0 else { return false }
        let good = self.successes.load(ordering: .relaxed)
        let length = self.detector.withLock { detector -> UInt64? in
            guard
                detector.shouldEject(
                    streak: streak, successes: good, failures: total, policy: policy, now: now),
                pool.claimEjection(share: policy.maxEjectedShare)
            else { return nil }
            return detector.eject(policy: policy, now: now, successes: good, failures: total)
        }
        guard let length else { return false }
        self.finishEjecting(until: now + length, now: now)
        return true
    }

    private func judgeTrial(_ outcome: Outcome, policy: PassiveSpec, pool: UpstreamRecord, now: UInt64) -> Bool {
        switch outcome {
        case .success, .clientFault:
            self.detector.withLock { $0.recovered(now: now) }
            self.consecutiveFailures.store(0, ordering: .relaxed)
            self.ejectedUntil.store(0, ordering: .relaxed)
            self.upSince.store(now, ordering: .relaxed)
            self.changedAt.store(now, ordering: .relaxed)
            pool.releaseEjection()
            return false
        case .failure:
            let good = self.successes.load(ordering: .relaxed)
            let bad = self.failures.add(1, ordering: .relaxed).newValue
            let length = self.detector.withLock { $0.eject(policy: policy, now: now, successes: good, failures: bad) }
            self.finishEjecting(until: now + length, now: now)
            return true
        case .overload, .cancelled:
            // No verdict: the next request is the trial.
            self.ejectedUntil.store(max(1, now), ordering: .relaxed)
            return false
        }
    }

    private func finishEjecting(until: UInt64, now: UInt64) {
        self.ejectedUntil.store(until, ordering: .relaxed)
        self.changedAt.store(now, ordering: .relaxed)
        self.ejectionsTotal.add(1, ordering: .relaxed)
    }

    /// Ends an ejection without a trial: passive health was switched off, or the operator said so.
    package func forgetEjection(pool: UpstreamRecord, now: UInt64) {
        guard self.ejectedUntil.exchange(0, ordering: .relaxed) != 0 else { return }
        self.changedAt.store(now, ordering: .relaxed)
        pool.releaseEjection()
    }

    // MARK: explaining

    package var ejections: UInt64 { self.ejectionsTotal.load(ordering: .relaxed) }

    package func ejection(now: UInt64) -> EjectionState {
        switch self.ejectedUntil.load(ordering: .relaxed) {
        case 0: .none
        case Self.trialRunning: .trialRunning
        case let until: until > now ? .until(until) : .trialDue
        }
    }

    package func explain(now: UInt64, slowStart: UInt32 = 0) -> EndpointExplanation {
        let since = self.changedAt.load(ordering: .relaxed)
        switch self.administrative {
        case .maintenance: return .init(availability: "maintenance", reason: "set by the operator", since: since)
        case .drain:
            let left = self.outstanding.load(ordering: .relaxed)
            return .init(availability: "draining", reason: "set by the operator; \(left) outstanding", since: since)
        case .ready: break
        }
        if self.operational == .down { return .init(availability: "down", reason: "probes fail", since: since) }
        switch self.ejection(now: now) {
        case .none: break
        case .until(let end):
            let reason = self.detector.withLock { $0.reason }
            return .init(
                availability: "ejected", reason: "\(reason); trial in \((end - now + 999) / 1_000) s", since: since)
        case .trialDue: return .init(availability: "ejected", reason: "the next request is its trial", since: since)
        case .trialRunning: return .init(availability: "ejected", reason: "a trial request is running", since: since)
        }
        if self.operational == .unknown {
            return .init(availability: "unknown", reason: "no probe has answered yet", since: since)
        }
        let share = self.share(now: now, slowStart: slowStart)
        if share < 1_024 {
            return .init(availability: "starting", reason: "slow start at \(share * 100 / 1_024) %", since: since)
        }
        return .init(availability: "up", reason: "", since: since)
    }
}
