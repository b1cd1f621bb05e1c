/// Whether this replica leads: the one that moves plans and takes away what is over. Pure; time comes from outside, in
/// milliseconds of this process's own monotonic clock.
///
/// The store lends the leadership for `lease`. This replica uses it for two thirds of that, counted from before it asked, so
/// that it stops before another can begin, whatever the answer was delayed by. What it writes is refused once another leads
/// (`ClusterFence` and the document's term), so a pause at the wrong moment harms nothing.
package struct Leadership: Sendable, Equatable {
    package enum Standing: Sendable, Equatable {
        case follows
        /// The store has lent it, and the document does not say so yet: no plan may be moved.
        case elected
        case leads(term: UInt64)
    }

    /// Milliseconds.
    private let lease: UInt64
    private var fence: ClusterFence?
    private var term: UInt64?
    /// When what is lent must be used no more.
    private var until: UInt64 = 0

    package init(lease: UInt64) { self.lease = lease }

    /// The store says that this replica leads. `asked`: when it was asked.
    package mutating func lent(_ fence: ClusterFence, asked: UInt64) {
        // Lent anew: another may have led in between.
        if fence != self.fence { self.term = nil }
        self.fence = fence
        self.until = max(self.until, asked + self.lease / 3 * 2)
    }

    /// The document names this leadership.
    package mutating func wrote(term: UInt64, under fence: ClusterFence) {
        if fence == self.fence { self.term = term }
    }

    /// The document has been seen. A later term than ours is another's.
    package mutating func saw(term: UInt64) {
        if let own = self.term, term > own { self.lost() }
    }

    /// Another leads, or nobody knows.
    package mutating func lost() {
        self.fence = nil
        self.term = nil
        self.until = 0
    }

    package func standing(at now: UInt64) -> Standing {
        guard self.fence != nil, now < self.until else { return .follows }
        return self.term.map { .leads(term: $0) } ?? .elected
    }

    /// What a write of the leader must carry; nil: it must not write as one.
    package func fence(at now: UInt64) -> ClusterFence? { self.standing(at: now) == .follows ? nil : self.fence }
}

/// What the store knows a leadership by, and no other has.
package struct ClusterFence: Sendable, Equatable {
    var token: UInt64

    package init(token: UInt64) { self.token = token }
}
