/// One change, or one attempt at one, as the ledger keeps it.
package struct ChangeRow: Sendable, Equatable {
    package enum State: String, Sendable, Codable {
        /// Written, and not known to be in force yet. After a start it is `applied`: its live state was written with it.
        case intended
        case applied
        /// The guard said no.
        case refused
        /// It could not be written when it was to be made, and was not made.
        case failed
    }

    /// Grows with each; never used twice.
    package var sequence: UInt64
    /// Unique over all replicas.
    package var id: String
    /// Milliseconds since 1970.
    package var at: UInt64
    package var replica: String
    package var door: String
    package var who: String
    package var what: String
    package var subject: String
    /// What changed, in words.
    package var detail: String
    /// JSON of the subject before and after; empty: the change has no such thing.
    package var before: String
    package var after: String
    package var reason: String
    package var evidence: String?
    package var forced: Bool
    /// The id of the change that this one takes back, or the generation that it goes back to.
    package var undoes: String?
    package var generationBefore: UInt64
    package var generationAfter: UInt64
    /// Its number among the changes of all replicas; nil: there are no others, or it is not theirs.
    package var revision: String?
    package var state: State

    package init(
        sequence: UInt64, id: String, at: UInt64, replica: String, door: String, who: String, what: String,
        subject: String, detail: String, before: String, after: String, reason: String, evidence: String? = nil,
        forced: Bool = false, undoes: String? = nil, generationBefore: UInt64, generationAfter: UInt64,
        revision: String? = nil, state: State
    ) {
        self.sequence = sequence
        self.id = id
        self.at = at
        self.replica = replica
        self.door = door
        self.who = who
        self.what = what
        self.subject = subject
        self.detail = detail
        self.before = before
        self.after = after
        self.reason = reason
        self.evidence = evidence
        self.forced = forced
        self.undoes = undoes
        self.generationBefore = generationBefore
        self.generationAfter = generationAfter
        self.revision = revision
        self.state = state
    }
}

/// One piece of the live state, under a key such as `route/api` or `endpoint/core/10.0.0.1:80`.
package struct LiveRow: Sendable, Equatable {
    package var key: String
    /// JSON.
    package var value: String
    /// Id of the change that set it.
    package var change: String

    package init(key: String, value: String, change: String) {
        self.key = key
        self.value = value
        self.change = change
    }
}

/// What becomes of the live state in a write.
package enum LiveWrite: Sendable, Equatable {
    /// These are set, those are taken away, the others stay.
    case edit(set: [LiveRow], remove: [String])
    /// This is all there is. What has the same value already keeps the change that set it.
    case replace([LiveRow])
}
