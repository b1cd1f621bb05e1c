import FoundationEssentials
import JSONText

/// A change as replicas tell each other of it: what each of them writes into its journal.
package struct SharedChange: Sendable, Equatable, Codable {
    /// Over all replicas; 0 until it is in a document.
    package var sequence: UInt64 = 0
    /// Unique.
    package var id: String
    /// Milliseconds since 1970, by the clock of the replica that made it.
    package var at: UInt64
    /// Where it was made.
    package var replica: String
    package var door: ChangeOrigin.Door
    package var who: String
    package var what: JournalEntry.What
    package var subject: String
    package var detail: String
    package var reason: String
    package var before: Position?
    package var after: Position?
    package var forced: Bool
    package var undoes: String?
    package var evidence: String?

    package init(
        id: String, at: UInt64, replica: String, origin: ChangeOrigin, what: JournalEntry.What, subject: String = "",
        detail: String, reason: String = "", before: Position? = nil, after: Position? = nil, forced: Bool = false,
        undoes: String? = nil, evidence: String? = nil
    ) {
        self.id = id
        self.at = at
        self.replica = replica
        self.door = origin.door
        self.who = Journal.bounded(origin.who)
        self.what = what
        self.subject = Journal.bounded(subject)
        self.detail = Journal.bounded(detail)
        self.reason = Journal.bounded(reason)
        self.before = before
        self.after = after
        self.forced = forced
        self.undoes = undoes
        self.evidence = evidence
    }

    /// nil: it has words that this version does not know, or is none.
    init?(_ value: JSONValue) { self.init(value.bytes) }

    init?(_ text: [UInt8]) {
        guard let change = try? JSONDecoder().decode(SharedChange.self, from: Data(text)) else { return nil }
        self = change
    }

    var text: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Nothing that it has cannot be encoded.
        return (try? encoder.encode(self)).map { Array($0) } ?? Array("{}".utf8)
    }

    var json: JSONValue { (try? JSONReader.read(self.text)) ?? JSONValue(.null) }
}
