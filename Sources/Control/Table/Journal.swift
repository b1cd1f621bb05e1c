/// Who asked for a change, and by which door.
package struct ChangeOrigin: Sendable, Equatable {
    package enum Door: String, Sendable, Codable {
        case start
        /// The file changed.
        case file
        /// SIGHUP.
        case signal
        case api
        case takeover
        /// A source of endpoints; `who` names it.
        case discovery
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
    package enum What: String, Sendable, Codable {
        case load
        case loadRejected = "load-rejected"
        case weights
        case administrative
        case takeover
        /// Endpoints that were found or are gone.
        case endpoints
    }

    /// Grows by one an entry; a gap tells a reader that the journal overflowed between two reads.
    package var sequence: UInt64
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
}

/// The last changes, oldest first. Bounded: the oldest make room.
package struct Journal: Sendable {
    package static let capacity = 256
    /// Bytes kept of each text that came from outside.
    package static let textLimit = 512

    private var ring: [JournalEntry] = []
    private var nextSequence: UInt64 = 1

    package init() {}

    package var entries: [JournalEntry] { self.ring }

    package mutating func record(
        at wallMilliseconds: UInt64, origin: ChangeOrigin, what: JournalEntry.What, subject: String, detail: String,
        reason: String = "", generationBefore: UInt64, generationAfter: UInt64
    ) {
        if self.ring.count == Self.capacity { self.ring.removeFirst() }
        self.ring.append(
            JournalEntry(
                sequence: self.nextSequence, at: Timestamp.iso8601(wallMilliseconds), origin: origin.door,
                who: Self.bounded(origin.who), what: what, subject: Self.bounded(subject),
                detail: Self.bounded(detail), reason: Self.bounded(reason), generationBefore: generationBefore,
                generationAfter: generationAfter))
        self.nextSequence += 1
    }

    private static func bounded(_ text: String) -> String {
        guard text.utf8.count > Self.textLimit else { return text }
        return BoundedText.prefix(of: text, bytes: Self.textLimit - BoundedText.mark.utf8.count) + BoundedText.mark
    }
}
