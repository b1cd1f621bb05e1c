import FoundationEssentials
import Ledger
import Migration

/// What one replica knows of who still needs the old side of a plan, as replicas tell each other of it beside what they counted.
struct RetirementSample: Sendable, Equatable, Codable {
    /// Of each list, what is told to others.
    static let limit = 50
    /// Bytes of it: in Kubernetes the samples of all plans of a replica are one object.
    private static let sizeLimit = 16 << 10
    /// Bytes of a name in it.
    private static let nameLimit = 1_024

    struct Need: Sendable, Equatable, Codable {
        var route: String
        var template: String
        var cause: String
        /// Milliseconds since 1970.
        var first: UInt64
        var last: UInt64
        var count: UInt64
    }

    /// A kind of requests.
    struct Kind: Sendable, Equatable, Codable {
        var route: String
        var template: String
        var last: UInt64
        /// Answers of the new side to it, and comparisons.
        var answered: UInt64
        var compared: UInt64
    }

    /// The latest first.
    var needs: [Need] = []
    /// Those that nothing proves here, the latest first, and what is known of those that others have not proven.
    var kinds: [Kind] = []
    /// Numbers of classes of differences that are real, or open with something that stands.
    var open: [String] = []
    /// Requests at once at the new side at its peak of seven days.
    var peak: Double = 0

    init() {}

    init(
        needs: [NeedRow], kinds: [SeenKinds.Key: SeenKinds.Kind], open: [String], peak: Double, limit: Int
    ) {
        self.needs = needs.prefix(limit).map {
            Need(
                route: $0.route, template: $0.template, cause: $0.cause, first: $0.first, last: $0.last,
                count: $0.count)
        }
        self.kinds = SeenKinds.latest(kinds).prefix(limit).map { key, kind in
            Kind(
                route: key.route, template: key.template, last: kind.last, answered: kind.answered,
                compared: kind.compared)
        }
        self.open = Array(open.prefix(limit))
        self.peak = peak
    }

    /// It can be added to others.
    var isSound: Bool {
        let names =
            self.needs.flatMap { [$0.route, $0.template, $0.cause] }
            + self.kinds.flatMap { [$0.route, $0.template] } + self.open
        let limit = UInt64(1) << 48
        return self.needs.count <= Self.limit && self.kinds.count <= Self.limit && self.open.count <= Self.limit
            && names.allSatisfy { $0.utf8.count <= Self.nameLimit } && self.needs.allSatisfy { $0.count < limit }
            && self.kinds.allSatisfy { $0.answered < limit && $0.compared < limit } && self.peak.isFinite
    }

    /// As it is told to others, whatever requests are called.
    var told: RetirementSample {
        var next = self
        while !next.isEmpty, (try? JSONEncoder().encode(next).count) ?? 0 > Self.sizeLimit { next = next.shortened }
        return next
    }

    /// Half of each list, the latest of it.
    var shortened: RetirementSample {
        var next = self
        next.needs = Array(self.needs.prefix(self.needs.count / 2))
        next.kinds = Array(self.kinds.prefix(self.kinds.count / 2))
        next.open = Array(self.open.prefix(self.open.count / 2))
        return next
    }

    var isEmpty: Bool { self.needs.isEmpty && self.kinds.isEmpty && self.open.isEmpty }
}

/// What all of them know: the same, whichever of them adds it up.
struct RetirementSums: Sendable {
    /// The latest first.
    let needs: [NeedRow]
    let kinds: [SeenKinds.Key: SeenKinds.Kind]
    let open: [String]
    let peak: Double

    /// Of several processes of one replica each may know what the one before had counted, and the most counts.
    init(_ parts: [(replica: String, sample: RetirementSample)]) {
        var needs: [NeedBook.Key: [String: NeedRow]] = [:]
        var kinds: [SeenKinds.Key: [String: SeenKinds.Kind]] = [:]
        for (replica, sample) in parts {
            for need in sample.needs {
                let key = NeedBook.Key(route: need.route, template: need.template, cause: need.cause)
                var row = NeedRow(
                    route: need.route, template: need.template, cause: need.cause, first: need.first,
                    last: need.last, count: need.count)
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
        self.kinds = kinds.mapValues { known in
            SeenKinds.Kind(
                last: known.values.map(\.last).max() ?? 0, answered: known.values.reduce(0) { $0 &+ $1.answered },
                compared: known.values.reduce(0) { $0 &+ $1.compared })
        }
        self.open = Set(parts.flatMap(\.sample.open)).sorted()
        // Each replica has a cap of its own towards an endpoint.
        self.peak = parts.map(\.sample.peak).max() ?? 0
    }

    /// What nobody has proven, in words.
    var unproven: [String] { SeenKinds.words(self.kinds.filter { !$0.value.isProven }) }
}
