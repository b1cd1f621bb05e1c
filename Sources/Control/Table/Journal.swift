import Ledger
import Traffic

/// Who asked for a change, and by which door.
package struct ChangeOrigin: Sendable, Equatable {
    package enum Door: String, Sendable, Codable, CaseIterable {
        case start
        /// The file changed.
        case file
        /// SIGHUP.
        case signal
        case api
        case takeover
        /// A source of endpoints; `who` names it.
        case discovery
        /// What probes and traffic tell of endpoints.
        case health
        /// A plan's own step; `who` names it.
        case migration
    }

    package var door: Door
    /// The client's address for `api`, the file's path for `file`; free text, never trusted.
    package var who: String

    package init(_ door: Door, who: String = "") {
        self.door = door
        self.who = who
    }
}

/// One change to what traffic does, or one refused attempt.
package struct JournalEntry: Sendable, Equatable, Codable {
    package enum What: String, Sendable, Codable, CaseIterable {
        case load
        case loadRejected = "load-rejected"
        case weights
        case administrative
        case takeover
        /// Endpoints that were found or are gone.
        case endpoints
        /// A change was taken back, or all since a generation.
        case undo
        /// What the ledger kept is in force again.
        case restored
        /// The guard refused a rise.
        case `guard`
        /// A call of the admin API that was not let in.
        case denied
        /// A side in reserve serves, or does so no more.
        case reserve
        /// The ledger itself: damaged, not to be written, written again.
        case ledger
        /// What replicas have agreed on was begun, lost, found again.
        case cluster
        /// Another replica leads.
        case leader
        /// A key of a limit was forgiven.
        case limit
        /// A class of differences was accepted, or opened again.
        case difference
        /// Live weights were written into the file.
        case saved
        /// A plan took a step, or its weights came into force.
        case migration
        /// A plan that only tells would have gone back.
        case wouldRetreat = "would-retreat"
    }

    /// Entries in one answer, at most.
    package static let pageLimit = 1_000

    /// Grows by one an entry; in memory a gap tells a reader that the journal overflowed between two reads.
    package internal(set) var sequence: UInt64
    /// Unique over all processes.
    package var id: String
    /// ISO 8601.
    package var at: String
    package var origin: ChangeOrigin.Door
    package var who: String
    package var what: What
    /// The route, the endpoint's address, or the file.
    package var subject: String
    /// What changed in words, such as `core 90→50, gateway 10→50`.
    package var detail: String
    /// The operator's own words.
    package var reason: String
    package var generationBefore: UInt64
    package var generationAfter: UInt64
    /// What the subject was and became, for weights and administrative states.
    package var before: Position?
    package var after: Position?
    /// It was made in spite of objections, because the operator meant it.
    package var forced = false
    /// The id of the change that this one takes back, or `generation 7`.
    package var undoes: String?
    package var state = ChangeRow.State.applied
    /// `at-start`: the process ended before it had said that the change was in force; it was at the next start.
    /// `detached`: it was made on this replica alone, while the others could not be asked.
    package var evidence: String?
    /// Where it was made; nil: here, or there are no others.
    package var replica: String?
    /// Its number among the changes of all replicas; nil: it is this replica's own.
    package var revision: UInt64?
}

/// Where a route or an endpoint stands: what an undo goes back to.
package struct Position: Sendable, Equatable, Codable {
    /// Of a route.
    package var weights: [String: UInt32]?
    /// What the file said at the time; the same as `weights`: nothing live stood over it.
    package var fileWeights: [String: UInt32]?
    /// Of an endpoint.
    package var upstream: String?
    package var address: String?
    /// `ready`, `drain` or `maintenance`.
    package var administrative: String?

    package init(weights: [String: UInt32], fileWeights: [String: UInt32]) {
        self.weights = weights
        self.fileWeights = fileWeights
    }

    package init(_ endpoint: EndpointKey, _ state: Administrative) {
        self.upstream = endpoint.upstream
        self.address = "\(endpoint.address)"
        self.administrative = state.word
    }
}

/// The last changes, oldest first. Bounded: the oldest make room.
package struct Journal: Sendable {
    package static let capacity = 256
    /// Bytes kept of each text that came from outside.
    package static let textLimit = 512

    private var ring: [JournalEntry] = []
    private(set) var nextSequence: UInt64 = 1

    package init() {}

    package var entries: [JournalEntry] { self.ring }
    /// Older entries had to make room.
    private(set) var hasForgotten = false

    /// An entry with the next number, which is not in the journal yet.
    mutating func entry(
        at wallMilliseconds: UInt64, origin: ChangeOrigin, what: JournalEntry.What, subject: String, detail: String,
        reason: String = "", generationBefore: UInt64, generationAfter: UInt64
    ) -> JournalEntry {
        defer { self.nextSequence += 1 }
        return JournalEntry(
            sequence: self.nextSequence, id: ChangeID.make(at: wallMilliseconds),
            at: Timestamp.iso8601(wallMilliseconds), origin: origin.door, who: Self.bounded(origin.who), what: what,
            subject: Self.bounded(subject), detail: Self.bounded(detail), reason: Self.bounded(reason),
            generationBefore: generationBefore, generationAfter: generationAfter)
    }

    /// Puts an entry in by its number, behind those that got theirs earlier.
    mutating func insert(_ entry: JournalEntry) {
        self.append(entry)
        var index = self.ring.count - 1
        while index > 0, self.ring[index - 1].sequence > entry.sequence {
            self.ring.swapAt(index - 1, index)
            index -= 1
        }
    }

    mutating func append(_ entry: JournalEntry) {
        if self.ring.count == Self.capacity {
            self.ring.removeFirst()
            self.hasForgotten = true
        }
        self.ring.append(entry)
    }

    mutating func markApplied(from first: UInt64, through last: UInt64) {
        for index in self.ring.indices.reversed() {
            guard self.ring[index].sequence >= first else { return }
            if self.ring[index].sequence <= last, self.ring[index].state == .intended {
                self.ring[index].state = .applied
            }
        }
    }

    package mutating func record(
        at wallMilliseconds: UInt64, origin: ChangeOrigin, what: JournalEntry.What, subject: String, detail: String,
        reason: String = "", generationBefore: UInt64, generationAfter: UInt64
    ) {
        self.append(
            self.entry(
                at: wallMilliseconds, origin: origin, what: what, subject: subject, detail: detail, reason: reason,
                generationBefore: generationBefore, generationAfter: generationAfter))
    }

    /// Goes on behind what a ledger has, so that no number stands for two entries. `unwritten`, which it has not, get new
    /// ones, here too.
    mutating func follow(_ lastSequence: UInt64, unwritten: inout [JournalEntry]) {
        if lastSequence > 0 { self.hasForgotten = true }
        guard lastSequence >= (unwritten.first?.sequence ?? self.nextSequence) else { return }
        var numbers: [String: UInt64] = [:]
        self.nextSequence = max(self.nextSequence, lastSequence + 1)
        for index in unwritten.indices {
            unwritten[index].sequence = self.nextSequence
            numbers[unwritten[index].id] = self.nextSequence
            self.nextSequence += 1
        }
        for index in self.ring.indices {
            if let number = numbers[self.ring[index].id] { self.ring[index].sequence = number }
        }
    }

    static func bounded(_ text: String) -> String {
        guard text.utf8.count > Self.textLimit else { return text }
        return BoundedText.prefix(of: text, bytes: Self.textLimit - BoundedText.mark.utf8.count) + BoundedText.mark
    }
}
