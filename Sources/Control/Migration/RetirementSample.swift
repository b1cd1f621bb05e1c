import FoundationEssentials
import Ledger
import Migration

/// What one replica knows of who still needs the old side of a plan, as replicas tell each other of it beside what they counted.
struct RetirementSample: Sendable, Equatable, Codable {
    /// Of each list, what is told to others; of kinds twice as many, with those that others have asked for.
    static let limit = 50
    /// Bytes of it: in Kubernetes the samples of all plans of a replica are one object.
    private static let sizeLimit = 16 << 10
    /// Bytes of a name in it.
    private static let nameLimit = 1_024

    /// A kind of requests.
    struct Kind: Sendable, Equatable, Codable {
        var route: String
        var template: String
        var last: UInt64
        /// Answers of the new side to it, and comparisons.
        var answered: UInt64
        var compared: UInt64

        /// By what is known of it where it is told.
        var isProven: Bool {
            SeenKinds.Kind(last: self.last, answered: self.answered, compared: self.compared).isProven
        }
    }

    /// The latest first.
    var needs: [NeedRow] = []
    /// Those that nothing proves here, the latest first, and behind them what is known of those that others have not proven.
    var kinds: [Kind] = []
    /// Kinds that nothing proves here either and that there was no room for; nil: none.
    var further: UInt64?
    /// Numbers of classes of differences that are real, or open with something that stands.
    var open: [String] = []
    /// Requests at once at the new side at its peak of seven days.
    var peak: Double = 0

    init() {}

    init(
        needs: [NeedRow], kinds: [SeenKinds.Key: SeenKinds.Kind], open: [String], peak: Double, limit: Int
    ) {
        self.needs = Array(needs.prefix(limit))
        let found = SeenKinds.latest(kinds).map { key, kind in
            Kind(
                route: key.route, template: key.template, last: kind.last, answered: kind.answered,
                compared: kind.compared)
        }
        self.kinds = found.filter { !$0.isProven } + found.filter(\.isProven)
        self.keepKinds(limit == .max ? limit : 2 * limit)
        self.open = Array(open.prefix(limit))
        self.peak = peak
    }

    /// It can be added to others.
    var isSound: Bool {
        let names =
            self.needs.flatMap { [$0.route, $0.template, $0.cause] }
            + self.kinds.flatMap { [$0.route, $0.template] } + self.open
        let limit = UInt64(1) << 48
        return self.needs.count <= Self.limit && self.kinds.count <= 2 * Self.limit && self.open.count <= Self.limit
            && self.further ?? 0 < limit
            && names.allSatisfy { $0.utf8.count <= Self.nameLimit } && self.needs.allSatisfy { $0.count < limit }
            && self.kinds.allSatisfy { $0.answered < limit && $0.compared < limit } && self.peak.isFinite
    }

    /// As it is told to others, whatever requests are called.
    var told: RetirementSample {
        var next = self
        while next.canBeShorter, (try? JSONEncoder().encode(next).count) ?? 0 > Self.sizeLimit { next = next.shortened }
        return next
    }

    /// Without half of its longest list, the older one. A class of differences is never left out: that none is open must be so.
    var shortened: RetirementSample {
        var next = self
        if self.kinds.count >= self.needs.count {
            next.keepKinds(self.kinds.count / 2)
        } else {
            next.needs = Array(self.needs.prefix(self.needs.count / 2))
        }
        return next
    }

    var canBeShorter: Bool { !self.needs.isEmpty || !self.kinds.isEmpty }

    /// The first of them; how many others nothing proves is told.
    private mutating func keepKinds(_ count: Int) {
        let left = self.kinds.dropFirst(count).count { !$0.isProven }
        if left > 0 { self.further = (self.further ?? 0) + UInt64(left) }
        self.kinds = Array(self.kinds.prefix(count))
    }
}

/// What all of them know: the same, whichever of them adds it up.
struct RetirementSums: Sendable {
    /// The latest first.
    let needs: [NeedRow]
    let kinds: [SeenKinds.Key: SeenKinds.Kind]
    let open: [String]
    let peak: Double
    /// Kinds that nothing proves and that there was no room for.
    let further: UInt64

    /// Of several processes of one replica each may know what the one before had counted, and the most counts. `gone`: told by
    /// processes that are there no more, who will not take anything back: who needed the old side then, and what they have proven.
    /// `accepted`: numbers of classes of differences that may stay, as all have agreed; who told of one may not know that yet.
    init(
        _ there: [(replica: String, sample: RetirementSample)],
        gone: [(replica: String, sample: RetirementSample)] = [], accepted: Set<String> = []
    ) {
        var needs: [NeedBook.Key: [String: NeedRow]] = [:]
        var kinds: [SeenKinds.Key: [String: SeenKinds.Kind]] = [:]
        for (replica, sample) in there + gone {
            for need in sample.needs {
                let key = NeedBook.Key(route: need.route, template: need.template, cause: need.cause)
                var row = need
                if let present = needs[key]?[replica] {
                    row.first = min(row.first, present.first)
                    row.last = max(row.last, present.last)
                    row.count = max(row.count, present.count)
                }
                needs[key, default: [:]][replica] = row
            }
            for each in sample.kinds {
                let key = SeenKinds.Key(route: each.route, template: each.template)
                let present = kinds[key]?[replica]
                kinds[key, default: [:]][replica] = SeenKinds.Kind(
                    last: max(each.last, present?.last ?? 0), answered: max(each.answered, present?.answered ?? 0),
                    compared: max(each.compared, present?.compared ?? 0))
            }
        }
        self.needs = needs.values.compactMap { rows in
            guard var row = rows.values.first else { return nil }
            row.first = rows.values.map(\.first).min() ?? row.first
            row.last = rows.values.map(\.last).max() ?? row.last
            row.count = rows.values.reduce(0) { $0 &+ $1.count }
            return row
        }.sorted { ($1.last, $0.route, $0.template, $0.cause) < ($0.last, $1.route, $1.template, $1.cause) }
        let present = Set(
            there.flatMap { $0.sample.kinds.map { SeenKinds.Key(route: $0.route, template: $0.template) } })
        self.kinds = kinds.filter { present.contains($0.key) }.mapValues { known in
            SeenKinds.Kind(
                last: known.values.map(\.last).max() ?? 0, answered: known.values.reduce(0) { $0 &+ $1.answered },
                compared: known.values.reduce(0) { $0 &+ $1.compared })
        }
        self.open = Set(
            there.flatMap { part in
                // A full list may not be all: it is empty when its own replica says so.
                part.sample.open.filter { part.sample.open.count >= RetirementSample.limit || !accepted.contains($0) }
            }
        ).sorted()
        // Each replica has a cap of its own towards an endpoint.
        self.peak = there.map(\.sample.peak).max() ?? 0
        self.further = there.reduce(0) { $0 &+ ($1.sample.further ?? 0) }
    }

    /// What nobody has proven, in words.
    var unproven: [String] { SeenKinds.words(self.kinds.filter { !$0.value.isProven }, further: self.further) }
}
