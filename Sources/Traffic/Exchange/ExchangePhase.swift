/// Where one exchange stands: its request's body, its present attempt, its answer. Pure; the data plane asks it what may
/// happen next and tells it what did.
///
///     request   arriving ──last byte──▶ whole
///                  └──nobody will read the rest──▶ abandoned
///     attempt   none ─▶ checking ─▶ none ─▶ collecting ─▶ none ─▶ queued ─▶ dialling ─▶ open
///                                                      ▲          └──failed before an answer began──┘
///     answer    none ──head──▶ flowing ──last byte──▶ whole
///                 └──101──▶ tunnel
///
/// An exchange is complete when its answer is whole and its request no longer arrives: an upstream that answers early and
/// reads on gets the rest of the body, and the client's connection stays usable.
package struct ExchangePhase: Sendable, Equatable {
    package enum Request: UInt8, Sendable {
        case arriving, whole
        /// What is still to come has nobody to go to.
        case abandoned
    }

    package enum Attempt: UInt8, Sendable {
        case none
        /// Waits for a look at its credentials.
        case checking
        /// The body is taken in before an endpoint is asked.
        case collecting
        /// Waits for an endpoint's slot.
        case queued
        case dialling
        /// A connection is attached and the head may go, or went.
        case open
    }

    package enum Answer: UInt8, Sendable {
        case none, flowing, whole
        /// Bytes both ways after a switch of protocols.
        case tunnel
    }

    package private(set) var request = Request.whole
    package private(set) var attempt = Attempt.none
    package private(set) var answer = Answer.none
    /// Bytes of the present attempt have reached the kernel.
    package private(set) var isSent = false
    /// In a tunnel: the client's or the endpoint's direction has ended.
    package private(set) var hasClientEnded = false
    package private(set) var hasEndpointEnded = false

    package init(hasBody: Bool) {
        self.request = hasBody ? .arriving : .whole
    }

    // MARK: questions

    /// Body bytes of the client have somewhere to go, apart from back-pressure.
    package var takesBody: Bool {
        guard self.request == .arriving else { return false }
        return self.attempt == .collecting || (self.attempt == .open && self.isSent)
    }

    /// More of the request's body is still to come.
    @inlinable package var isRequestArriving: Bool {
        if case .arriving = self.request { true } else { false }
    }

    /// The request has come whole.
    @inlinable package var isRequestWhole: Bool {
        if case .whole = self.request { true } else { false }
    }

    /// Nothing of an answer has been committed to the client.
    @inlinable package var isUnanswered: Bool {
        if case .none = self.answer { true } else { false }
    }

    /// All that remains is that the client takes what it was given.
    @inlinable package var isComplete: Bool {
        if case .whole = self.answer { !self.isRequestArriving } else { false }
    }

    @inlinable package var isTunnel: Bool {
        if case .tunnel = self.answer { true } else { false }
    }

    /// Its credentials are being looked at.
    @inlinable package var isChecking: Bool {
        if case .checking = self.attempt { true } else { false }
    }

    /// A tunnel whose both directions have ended.
    package var isTunnelOver: Bool { self.isTunnel && self.hasClientEnded && self.hasEndpointEnded }

    /// Which deadline runs. `clientHolds`: bytes wait for the client to take them; `endpointHolds`: for the endpoint.
    package func wait(clientHolds: Bool, endpointHolds: Bool) -> Wait {
        switch self.answer {
        case .tunnel: return .tunnel
        case .whole:
            if clientHolds { return .flush }
            return self.request == .arriving || endpointHolds ? .restOfRequest : .none
        case .flowing:
            if clientHolds { return .flush }
            return self.request == .arriving && !endpointHolds ? .bothBodies : .answerBody
        case .none: break
        }
        switch self.attempt {
        case .none: return .none
        case .checking: return .credentials
        case .collecting: return .requestBody
        case .queued: return .queue
        case .dialling: return .dial
        case .open:
            guard self.request == .arriving else { return .answerHead }
            return endpointHolds ? .upload : .requestBody
        }
    }

    // MARK: what happened

    /// The credentials are looked at elsewhere.
    package mutating func checking() {
        assert(self.attempt == .none && self.isUnanswered)
        self.attempt = .checking
    }

    /// They were.
    package mutating func checked() {
        assert(self.isChecking)
        self.attempt = .none
    }

    /// The body is taken in first.
    package mutating func collect() {
        assert(self.attempt == .none && self.isUnanswered)
        self.attempt = .collecting
    }

    /// As much of it as was wanted is there.
    package mutating func collected() {
        assert(self.attempt == .collecting)
        self.attempt = .none
    }

    package mutating func queued() {
        assert(self.isUnanswered)
        self.attempt = .queued
    }

    package mutating func dialling() {
        assert(self.isUnanswered)
        self.attempt = .dialling
        self.isSent = false
    }

    /// A connection is attached.
    package mutating func opened() {
        assert(self.isUnanswered)
        self.attempt = .open
        self.isSent = false
    }

    /// The head was given to the kernel.
    package mutating func sent() { self.isSent = true }

    package mutating func requestEnded() {
        if self.request == .arriving { self.request = .whole }
    }

    package mutating func requestAbandoned() {
        if self.request == .arriving { self.request = .abandoned }
    }

    /// The attempt is off, and no answer of it has begun: another may follow. A body that was kept starts anew.
    package mutating func attemptFailed() {
        assert(self.isUnanswered)
        self.attempt = .none
    }

    package mutating func answerBegan() {
        assert(self.isUnanswered)
        self.answer = .flowing
    }

    /// Whole, or cut: no more of it comes. The balancer's own answer begins and ends at once.
    package mutating func answerEnded() { self.answer = .whole }

    package mutating func switched() {
        assert(self.isUnanswered && self.request != .arriving)
        self.answer = .tunnel
        self.request = .arriving
    }

    package mutating func tunnelEnded(byClient: Bool) {
        if byClient {
            self.hasClientEnded = true
            self.request = .whole
        } else {
            self.hasEndpointEnded = true
        }
    }
}
