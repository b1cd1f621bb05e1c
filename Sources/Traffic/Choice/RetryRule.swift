/// Why an attempt ended without an answer, as far as sending the request again depends on it.
package enum AttemptFailure: Sendable, Equatable {
    /// The dial was refused: it cost the endpoint nothing.
    case refused
    /// The dial came to no connection otherwise: no route, no answer in time.
    case notConnected
    /// The endpoint says that it has not looked at the request: it takes no more of them now.
    case refusedRequest
    /// Likewise of a connection that it ends: another one may well take it.
    case leftBehind
    /// The connection ended before a response began, by a reset, a close, or because the endpoint was taken down.
    case lost
    /// The endpoint answered, or let its whole deadline pass: another would be asked for what is decided already, and the
    /// client has waited long enough.
    case final

    /// No connection came to be.
    package var isOfConnect: Bool { self == .refused || self == .notConnected }
}

/// Whether a failed attempt may be followed by another. A pure function of what is known when it fails; the budget, which
/// changes by being asked, is the second step and the caller's.
package struct RetryRule: Sendable, Equatable {
    package enum Verdict: Sendable, Equatable {
        /// No: the client gets the failure as answer.
        case answer
        /// Once more to the same endpoint, over a new connection. No retry: the first real attempt, without a budget.
        case freshConnection
        /// To another endpoint, if `Placement` has one; counts as a retry. `budgeted`: only if `RetryBudget.withdraw` allows it.
        case elsewhere(budgeted: Bool)
    }

    package var failure: AttemptFailure
    /// Bytes of this attempt have reached the kernel.
    package var sent: Bool
    /// The method is idempotent (RFC 9110 §9.2.2).
    package var isIdempotent: Bool
    /// All of the request that was read so far is still held, so that it can be sent from its beginning.
    package var isReplayable: Bool
    /// A byte of the final response has been passed on.
    package var answerBegan: Bool
    /// The attempt took a pooled connection on which nothing was received since.
    package var reused: Bool
    /// The exchange has had its fresh connection already.
    package var hadFresh: Bool
    /// Retries so far, and how many the upstream allows.
    package var retries: UInt32
    package var limit: UInt32

    package init(
        failure: AttemptFailure, sent: Bool, isIdempotent: Bool, isReplayable: Bool, answerBegan: Bool, reused: Bool,
        hadFresh: Bool, retries: UInt32, limit: UInt32
    ) {
        self.failure = failure
        self.sent = sent
        self.isIdempotent = isIdempotent
        self.isReplayable = isReplayable
        self.answerBegan = answerBegan
        self.reused = reused
        self.hadFresh = hadFresh
        self.retries = retries
        self.limit = limit
    }

    /// The endpoint had closed its connection before the request came: that says nothing against it, and its outcome is
    /// `cancelled`.
    package var wasStale: Bool { self.reused && self.failure == .lost }

    /// The endpoint has not looked at the request: whatever its method, it may go again (RFC 9113 8.7).
    package var wasNotTaken: Bool { self.failure == .refusedRequest || self.failure == .leftBehind }

    package var verdict: Verdict {
        guard self.failure != .final, !self.answerBegan, self.isReplayable else { return .answer }
        if self.failure == .leftBehind, !self.hadFresh { return .freshConnection }
        if self.wasNotTaken { return self.retries < self.limit ? .elsewhere(budgeted: true) : .answer }
        // What reached the kernel may have reached the endpoint, body or not.
        guard !self.sent || self.isIdempotent else { return .answer }
        if self.wasStale, !self.hadFresh { return .freshConnection }
        guard self.retries < self.limit else { return .answer }
        return .elsewhere(budgeted: self.failure != .refused)
    }
}
