import Synchronization

/// One address of one upstream. Survives table changes by identity (upstream name and address), so that a reload
/// forgets neither health nor load. The data plane touches its atomics only; whatever changes availability goes through
/// the endpoint's mutex and is then published in one word.
///
///     operational     unknown ──probe──▶ up ⇄ down
///     administrative  ready ⇄ drain ⇄ maintenance
///     ejection        none ──failures──▶ until t ──t──▶ trial due ──request──▶ trial running ──success──▶ none
///                                          ▲                                        │ failure, for longer
///                                          └────────────────────────────────────────┘
///
/// An endpoint that is this process itself is refused, whatever else is said of it.
///
/// A probe that passes does not end an ejection: what real traffic saw, only real traffic takes back. An operator who
/// sets an endpoint ready again from maintenance does end it.
package final class Endpoint: Sendable {
    /// Unique within its registry, small, never given out twice.
    package let id: Int
    package let upstream: String
    package let address: SocketAddress
    /// Requests that hold a slot of this endpoint, all workers together.
    package let outstanding = Atomic<Int>(0)
    /// Connections to this endpoint, kept by the data plane.
    package let connections = Atomic<Int>(0)

    let record: UpstreamRecord
    /// What a consistent choice hangs on: names only.
    let seed: UInt64
    let successes = SuccessWindow()
    let state: Mutex<EndpointState>
    /// 0: no trial runs; otherwise when it began, plus 1.
    let trial = Atomic<UInt64>(0)
    private let ejectionTotal = Atomic<UInt64>(0)
    private let failureTotal = Atomic<UInt64>(0)
    private let malformedTotal = Atomic<UInt64>(0)
    /// `EndpointWord`, published.
    private let word: Atomic<UInt64>
    /// 0: at full share; otherwise when it came back, plus 1.
    private let warmingSince = Atomic<UInt64>(0)

    /// A trial without a verdict for so many milliseconds makes room for another: a request that runs for hours, or
    /// whose end got lost, must not keep an endpoint out for good. The default deadline of a response head. Whichever of
    /// the two ends first decides, or frees the place of both.
    static let trialPatience: UInt64 = 60_000

    init(id: Int, record: UpstreamRecord, address: SocketAddress, probed: Bool, now: UInt64) {
        self.id = id
        self.upstream = record.name
        self.address = address
        self.record = record
        self.seed = KeyHash.combine(
            KeyHash.hash(record.name), KeyHash.combine(KeyHash.hash(address.ip), UInt64(address.port)))
        self.state = Mutex(EndpointState(since: now))
        self.word = Atomic(EndpointWord(operational: probed ? .unknown : .up).bits)
    }

    /// How often it was ejected since the process started.
    package var ejections: UInt64 { self.ejectionTotal.load(ordering: .relaxed) }

    /// Attempts that failed, and times that probes took it down: whoever sees this grow may ask whether the endpoint is
    /// still there.
    package var failures: UInt64 { self.failureTotal.load(ordering: .relaxed) }

    /// Answers that were refused for their form or our limits.
    package var malformed: UInt64 { self.malformedTotal.load(ordering: .relaxed) }

    package var operational: Operational { self.loadWord().operational }
    package var administrative: Administrative { self.loadWord().administrative }
    /// Milliseconds: since when the operator's word is what it is.
    package var administrativeSince: UInt64 { self.state.withLock { $0.administrativeSince } }
    /// Whether it is a listener of this process: nothing is ever sent there.
    package var isRefused: Bool { self.loadWord().isRefused }
    var isEjected: Bool { self.loadWord().ejectedUntil != 0 }
    func isEjected(now: UInt64) -> Bool { now < self.loadWord().ejectedUntil }

    func loadWord() -> EndpointWord { EndpointWord(bits: self.word.load(ordering: .relaxed)) }

    /// Only with `state` locked.
    func publish(_ word: EndpointWord) { self.word.store(word.bits, ordering: .relaxed) }

    func countFailure() { self.failureTotal.wrappingAdd(1, ordering: .relaxed) }

    func countMalformed() { self.malformedTotal.wrappingAdd(1, ordering: .relaxed) }

    func countEjection() { self.ejectionTotal.wrappingAdd(1, ordering: .relaxed) }

    /// Writes the probes' verdict. Coming up from down or joining starts slow start.
    package func setOperational(_ operational: Operational, now: UInt64) {
        self.state.withLock { state in
            var word = self.loadWord()
            guard word.operational != operational else { return }
            if operational == .up, word.operational != .unknown { self.beginSlowStart(now: now) }
            if operational == .down { self.countFailure() }
            word.operational = operational
            state.operationalSince = now
            self.publish(word)
            self.record.noteVerdict(self.id, decided: operational.isVerdict)
        }
    }

    /// Marks an endpoint that was found while its upstream is being served, before a table names it. If it is `probed`
    /// it waits for its first probe to pass; either way it begins with slow start.
    package func join(probed: Bool, now: UInt64) {
        if probed { self.setOperational(.joining, now: now) } else { self.beginSlowStart(now: now) }
    }

    /// Writes the operator's word. From maintenance to ready ends an ejection and starts slow start: the endpoint was
    /// worked on, and who says that it is ready knows more than old failures do.
    package func setAdministrative(_ administrative: Administrative, now: UInt64) {
        self.state.withLock { state in
            let before = self.loadWord()
            guard before.administrative != administrative else { return }
            var word = before
            word.administrative = administrative
            state.administrativeSince = now
            self.publish(word)
            guard before.administrative == .maintenance, administrative == .ready else { return }
            self.beginSlowStart(now: now)
            if word.ejectedUntil != 0 { self.endEjection(&state, now: now) }
        }
    }

    func setRefused(_ isRefused: Bool) {
        self.state.withLock { _ in
            var word = self.loadWord()
            word.isRefused = isRefused
            self.publish(word)
        }
    }

    /// Whether a new request may come here: up, ready, and not ejected, or due for its trial.
    package func isSelectable(now: UInt64) -> Bool { self.admission(now: now) != .closed }

    /// Whether copies may come here: as live requests, but never as the trial that ends an ejection.
    package func takesCopies(now: UInt64) -> Bool { self.admission(now: now) == .open }

    enum Admission { case closed, open, trial }

    func admission(now: UInt64) -> Admission {
        let word = self.loadWord()
        // The steady state is one comparison.
        if word == .inService { return .open }
        guard word.administrative == .ready, word.operational != .down, word.operational != .joining, !word.isRefused
        else { return .closed }
        if word.operational == .unknown, self.record.hasVerdict { return .closed }
        if word.ejectedUntil == 0 { return .open }
        return now >= word.ejectedUntil && self.isTrialFree(self.trial.load(ordering: .relaxed), now: now)
            ? .trial : .closed
    }

    /// The part of its full share that it should take now, 1…1024: 1024 but for `slowStart` milliseconds after it came
    /// back, over which it grows from 1 in a straight line.
    package func share(now: UInt64, slowStart: UInt32) -> UInt32 {
        let since = self.warmingSince.load(ordering: .relaxed)
        guard since != 0, slowStart > 0 else { return 1024 }
        let elapsed = now >= since - 1 ? now - (since - 1) : 0
        guard elapsed < UInt64(slowStart) else { return 1024 }
        return max(UInt32(truncatingIfNeeded: elapsed * 1024 / UInt64(slowStart)), 1)
    }

    func beginSlowStart(now: UInt64) { self.warmingSince.store(now &+ 1, ordering: .relaxed) }

    func endSlowStart() { self.warmingSince.store(0, ordering: .relaxed) }

    // MARK: slots

    /// Takes a slot unless `cap` (0 is none) are taken.
    func acquire(cap: UInt32) -> Bool {
        guard cap > 0 else {
            self.outstanding.wrappingAdd(1, ordering: .relaxed)
            return true
        }
        return self.outstanding.add(1, upTo: Int(cap))
    }

    /// Gives back the slot that `Upstream.select` took. Exactly once per selection.
    package func release() { self.outstanding.wrappingSubtract(1, ordering: .relaxed) }

    /// Claims the trial that is due. The caller must report its outcome with `trial: true`.
    func beginTrial(now: UInt64) -> Bool {
        let held = self.trial.load(ordering: .relaxed)
        guard self.isTrialFree(held, now: now) else { return false }
        return self.trial.compareExchange(expected: held, desired: now &+ 1, ordering: .relaxed).exchanged
    }

    private func isTrialFree(_ held: UInt64, now: UInt64) -> Bool {
        held == 0 || now >= (held - 1).addingReportingOverflow(Self.trialPatience).partialValue
    }
}
