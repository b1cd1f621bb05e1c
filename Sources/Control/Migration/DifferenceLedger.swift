import Comparison
import FoundationEssentials
import JSONText
import Ledger

/// Classes of differences to and from the rows that the ledger keeps.
enum DifferenceLedger {
    private struct Key: Codable {
        var route: String
        var template: String
        var kind: String
        var path: String
    }

    /// An example as it is kept and shown.
    struct Sample: Codable, Equatable {
        var method: String
        var target: String
        var place: String
        var kind: String
        var path: String
        var old: String?
        var new: String?
        var oldStatus: UInt16?
        var newStatus: UInt16?

        init(_ example: Example) {
            self.method = example.method
            self.target = example.target
            self.place = example.difference.place
            self.kind = example.difference.kind.name
            self.path = example.difference.path
            self.old = example.difference.old
            self.new = example.difference.new
            self.oldStatus = example.oldStatus
            self.newStatus = example.newStatus
        }

        fileprivate var example: Example? {
            guard let kind = Difference.Kind(name: self.kind) else { return nil }
            return Example(
                method: self.method, target: self.target,
                difference: Difference(
                    kind: kind, path: self.path, place: self.place, old: self.old, new: self.new),
                oldStatus: self.oldStatus, newStatus: self.newStatus)
        }
    }

    /// `times`: when the class was seen first and last, in milliseconds since 1970.
    static func row(
        _ record: ClassBook.Record, _ book: ClassBook, migration: String, position: Int,
        times: (first: UInt64, last: UInt64)
    ) -> ClassRow? {
        let key = Key(
            route: record.key.route, template: record.key.template, kind: record.key.kind.name, path: record.key.path)
        guard let text = Self.text(key) else { return nil }
        let account = book.account(of: record)
        return ClassRow(
            number: record.key.number, migration: migration, position: UInt64(position + 1), key: text,
            state: account.verdict == .real ? "real" : book.state(of: record).rawValue, seen: record.seen,
            confirmed: record.confirmed, cleared: record.cleared, rechecked: account.rechecks,
            repeated: account.repeated, first: times.first, last: times.last, accepted: record.acceptedFor,
            examples: record.examples.all.compactMap { Self.text(Sample($0)) })
    }

    /// False: the row is of another version's form.
    static func restore(_ row: ClassRow, into book: inout ClassBook) -> Bool {
        guard let key = try? JSONDecoder().decode(Key.self, from: Data(row.key.utf8)),
            let kind = Difference.Kind(name: key.kind)
        else { return false }
        book.restore(
            ClassKey(route: key.route, template: key.template, kind: kind, path: key.path), seen: row.seen,
            confirmed: row.confirmed, cleared: row.cleared, rechecks: row.rechecked, repeated: row.repeated,
            isReal: row.state == "real", acceptedFor: row.accepted,
            examples: row.examples.compactMap {
                (try? JSONDecoder().decode(Sample.self, from: Data($0.utf8)))?.example
            })
        return true
    }

    private static func text(_ value: some Encodable) -> String? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) }
    }
}
