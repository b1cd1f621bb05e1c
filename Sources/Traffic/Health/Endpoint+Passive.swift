import Synchronization

/// Passive removal by outcomes of real traffic, and the way back.
extension Endpoint {
    /// Takes note of how an attempt ended; the slot is given back separately, by `release`. `trial` is what the
    /// selection said. `page` is a hash of route and path, and matters to malformed answers only. Success and failure
    /// count; overload, client faults and cancellations judge nobody, and a trial that ends so leaves its place to the
    /// next.
    ///
    /// A success costs two relaxed atomic operations and no lock. Returns whether this call ejected the endpoint.
    @discardableResult
    package func report(_ outcome: Outcome, trial: Bool, page: UInt64 = 0, policy: PassiveSpec, now: UInt64) -> Bool {
        if outcome == .failure { self.countFailure() }
        if outcome == .malformed { self.countMalformed() }
        if trial, self.endTrial(outcome, policy: policy, now: now) {
            return (outcome == .failure || outcome == .malformed) && self.isEjected(now: now)
        }
        guard policy.enabled else { return false }
        switch outcome {
        case .success:
            self.successes.record(quarter: SuccessWindow.quarter(now: now, window: policy.window))
            return false
        case .failure:
            return self.ejectIfDue(policy: policy, now: now) { detectors, quarter in
                detectors.failures.fail(quarter: quarter, successes: self.successes.words, policy: policy)
            }
        case .malformed:
            return self.ejectIfDue(policy: policy, now: now) { detectors, quarter in
                detectors.malformed.note(
                    page: page, quarter: quarter, successes: self.successes.words, policy: policy
                ).map { .malformed(pages: $0) }
            }
        case .overload, .clientFault, .cancelled: return false
        }
    }

    /// False if the ejection had ended by other means meanwhile: the outcome then counts as any other.
    private func endTrial(_ outcome: Outcome, policy: PassiveSpec, now: UInt64) -> Bool {
        self.state.withLock { state in
            guard self.isEjected else { return false }
            switch outcome {
            case .success:
                self.beginSlowStart(now: now)
                self.endEjection(&state, now: now)
            case .failure where policy.enabled: self.eject(&state, .failedTrial, policy: policy, now: now)
            case .failure: self.endEjection(&state, now: now)
            case .malformed where policy.enabled && state.reason.isMalformed:
                self.eject(&state, state.reason, policy: policy, now: now)
            case .malformed, .overload, .clientFault, .cancelled: break
            }
            self.trial.store(0, ordering: .relaxed)
            return true
        }
    }

    private func ejectIfDue(
        policy: PassiveSpec, now: UInt64, _ judge: (inout Detectors, _ quarter: UInt64) -> EjectionReason?
    ) -> Bool {
        self.state.withLock { state in
            let reason = judge(&state.detectors, SuccessWindow.quarter(now: now, window: policy.window))
            // What was under way when it was ejected changes nothing any more.
            guard let reason, !self.isEjected, self.record.tryEject(self.id, policy: policy) else { return false }
            self.eject(&state, reason, policy: policy, now: now)
            return true
        }
    }

    private func eject(_ state: inout EndpointState, _ reason: EjectionReason, policy: PassiveSpec, now: UInt64) {
        var word = self.loadWord()
        if word.ejectedUntil == 0 { state.ejectedSince = now }
        let length = state.lengthen(policy: policy, now: now)
        word.ejectedUntil = now.addingReportingOverflow(length).partialValue
        state.reason = reason
        self.publish(word)
        self.countEjection()
    }

    func endEjection(_ state: inout EndpointState, now: UInt64) {
        var word = self.loadWord()
        word.ejectedUntil = 0
        self.publish(word)
        self.trial.store(0, ordering: .relaxed)
        state.detectors = Detectors()
        state.returnedAt = max(now, 1)
        self.record.readmit(self.id)
    }

    /// Ends an ejection that the upstream's bound no longer allows.
    func readmit() {
        self.state.withLock { state in
            guard self.isEjected else { return self.record.readmit(self.id) }
            self.endEjection(&state, now: max(state.ejectedSince, 1))
        }
    }

    /// Forgets all that was found out and said about who was here before, but for the totals.
    func beginAnew(probed: Bool, now: UInt64) {
        self.state.withLock { state in
            state = EndpointState(since: now)
            var word = EndpointWord(operational: probed ? .unknown : .up)
            // Whether it is this process does not hang on the life that ended.
            word.isRefused = self.loadWord().isRefused
            self.publish(word)
            self.trial.store(0, ordering: .relaxed)
            self.endSlowStart()
            self.record.readmit(self.id)
            self.record.noteVerdict(self.id, decided: word.operational.isVerdict)
        }
    }

    package func ejection(now: UInt64) -> EjectionState {
        self.state.withLock { state in self.ejection(state, now: now) }
    }

    private func ejection(_ state: borrowing EndpointState, now: UInt64) -> EjectionState {
        let until = self.loadWord().ejectedUntil
        guard until != 0 else { return .none }
        let count = state.ejectionCount
        if now < until { return .until(until, reason: state.reason, count: count) }
        return self.trial.load(ordering: .relaxed) == 0
            ? .trialDue(reason: state.reason, count: count) : .trialRunning(reason: state.reason, count: count)
    }

    /// Availability in words. What is mightier comes first: the operator's word, the probes', then the ejection.
    package func explain(now: UInt64, slowStart: UInt32 = 0) -> EndpointExplanation {
        self.state.withLock { state in
            let word = self.loadWord()
            if word.isRefused {
                return EndpointExplanation(
                    availability: "refused",
                    reason: "it is a listener of this balancer itself: each request would come back",
                    since: state.operationalSince)
            }
            switch (word.administrative, word.operational) {
            case (.maintenance, _):
                return EndpointExplanation(
                    availability: "maintenance", reason: "an operator took it out; it is not probed",
                    since: state.administrativeSince)
            case (.drain, _):
                return EndpointExplanation(
                    availability: "draining", reason: "an operator drains it: nothing new, what runs finishes",
                    since: state.administrativeSince)
            case (.ready, .down):
                return EndpointExplanation(
                    availability: "down", reason: "its probes fail", since: state.operationalSince)
            case (.ready, .joining):
                return EndpointExplanation(
                    availability: "starting", reason: "newly found, it takes nothing until a probe has passed",
                    since: state.operationalSince)
            case (.ready, .up), (.ready, .unknown): break
            }
            let ejection = self.ejection(state, now: now)
            if ejection != .none {
                return EndpointExplanation(
                    availability: "ejected", reason: ejection.words(now: now), since: state.ejectedSince)
            }
            if word.operational == .unknown {
                return EndpointExplanation(
                    availability: "starting", reason: "no probe has answered yet", since: state.operationalSince)
            }
            let since = max(state.operationalSince, state.administrativeSince, state.returnedAt)
            let share = self.share(now: now, slowStart: slowStart)
            if share < 1_024 {
                return EndpointExplanation(
                    availability: "starting", reason: "slow start, at \(share * 100 / 1_024) % of its share",
                    since: since)
            }
            return EndpointExplanation(availability: "up", reason: "", since: since)
        }
    }
}

extension EjectionState {
    func words(now: UInt64) -> String {
        switch self {
        case .none: ""
        case .until(let until, let reason, let count):
            "\(reason.words); ejection \(count), a trial request comes in \((until - min(now, until) + 999) / 1000) s"
        case .trialDue(let reason, let count): "\(reason.words); ejection \(count), the next request is its trial"
        case .trialRunning(let reason, let count): "\(reason.words); ejection \(count), its trial request is under way"
        }
    }
}

extension EjectionReason {
    package var words: String {
        switch self {
        case .consecutiveFailures(let count): "\(count) requests in a row failed"
        case .failureRate(let failures, let requests): "\(failures) of \(requests) requests failed"
        case .failedTrial: "its trial request failed"
        case .malformed(let pages): "all answers were malformed, on \(pages) different pages"
        }
    }
}

extension EjectionReason {
    fileprivate var isMalformed: Bool {
        if case .malformed = self { return true }
        return false
    }
}
