import Comparison

/// What the sides of a plan differ in, as the admin API says it.
package struct DifferencesBody: Codable, Sendable {
    package var migration: String
    /// Comparisons since the process began.
    package var compared: UInt64
    /// `equal`, `drift`, `noise`, `mismatch`, `unconfirmed`.
    package var results: [String: UInt64]
    /// Times that the old side was asked again.
    package var rechecks: UInt64
    /// Of the stage's run.
    package var epoch: UInt64
    package var stageCompared: UInt64
    package var stageStanding: UInt64
    package var classes: [DifferenceClassBody]
    /// Copies that were answered since the process began; nil: no route of the table is copied.
    package var copied: UInt64?
    /// Requests that were to be copied and were not compared, by reason; those that there were none of are left out.
    package var dropped: [String: UInt64]?
}

package struct DifferenceClassBody: Codable, Sendable {
    package var number: String
    /// `real`, `open`, `noise` or `accepted`.
    package var state: String
    package var route: String
    package var template: String
    package var kind: String
    package var path: String
    package var seen: UInt64
    package var confirmed: UInt64
    package var cleared: UInt64
    package var rechecks: UInt64
    package var repeated: UInt64
    /// ln of the test against noise.
    package var evidence: Double
    /// ISO 8601.
    package var first: String?
    package var last: String?
    /// Why it may stay.
    package var accepted: String?
    /// Redacted; only where one class was asked for.
    package var examples: [Example]?
    /// Of the replicas that are there, how many know what was just said of it; nil: there are no others, or nothing was said.
    package var replicas: ReplicaCount?
    /// Of a class that this replica has not found: those that have told of it. Empty: what was said of it holds
    /// wherever it is found. nil: it was found here.
    package var foundBy: [String]?

    package struct Example: Codable, Sendable {
        package var method: String
        package var target: String
        package var place: String
        package var old: String?
        package var new: String?
        package var oldStatus: UInt16?
        package var newStatus: UInt16?
    }
}

extension DifferenceClassBody {
    /// A class that was never found here, by what others tell of it. `accepted`: why it may stay; empty: it may not.
    init(
        _ number: String, told: [(replica: String, told: PlanSample.DifferenceClass)], accepted: String
    ) {
        let parts = told.map(\.told)
        self.init(
            number: number, state: !accepted.isEmpty ? "accepted" : parts.contains(where: \.real) ? "real" : "open",
            route: "", template: "", kind: "", path: "", seen: 0, confirmed: parts.reduce(0) { $0 &+ $1.confirmed },
            cleared: 0, rechecks: parts.reduce(0) { $0 &+ $1.rechecks },
            repeated: parts.reduce(0) { $0 &+ $1.repeated }, evidence: 0,
            accepted: accepted.isEmpty ? nil : accepted, foundBy: Set(told.map(\.replica)).sorted())
    }
}

extension ComparedPlan {
    /// Real classes first, then open ones, and of each those seen most often.
    var body: DifferencesBody {
        DifferencesBody(
            migration: self.name, compared: self.book.compared, results: self.results, rechecks: self.rechecks,
            epoch: self.epoch, stageCompared: self.book.stage.count, stageStanding: self.book.standing,
            classes: self.book.records.map { self.body(of: $0, withExamples: false) }.sorted {
                (Self.rank($0), $1.seen, $0.number) < (Self.rank($1), $0.seen, $1.number)
            })
    }

    var results: [String: UInt64] {
        Dictionary(
            uniqueKeysWithValues: ClassBook.Result.allCases.map { ($0.rawValue, self.book.results[$0] ?? 0) })
    }

    func body(of number: String) -> DifferenceClassBody? {
        self.book.record(number: number).map { self.body(of: $0, withExamples: true) }
    }

    private static func rank(_ body: DifferenceClassBody) -> Int {
        ["real": 0, "open": 1, "noise": 2][body.state] ?? 3
    }

    private func body(of record: ClassBook.Record, withExamples: Bool) -> DifferenceClassBody {
        let account = self.book.account(of: record)
        let times = self.times[record.key.number]
        return DifferenceClassBody(
            number: record.key.number, state: self.book.state(of: record).rawValue, route: record.key.route,
            template: record.key.template, kind: record.key.kind.name, path: record.key.path, seen: record.seen,
            confirmed: record.confirmed, cleared: record.cleared, rechecks: account.rechecks,
            repeated: account.repeated, evidence: (account.evidence * 1_000).rounded() / 1_000,
            first: times.map { Timestamp.iso8601($0.first) }, last: times.map { Timestamp.iso8601($0.last) },
            accepted: record.acceptedFor,
            examples: withExamples
                ? record.examples.all.map {
                    DifferenceClassBody.Example(
                        method: $0.method, target: $0.target, place: $0.difference.place, old: $0.difference.old,
                        new: $0.difference.new, oldStatus: $0.oldStatus, newStatus: $0.newStatus)
                } : nil)
    }
}
