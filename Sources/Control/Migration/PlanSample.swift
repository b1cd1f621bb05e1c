import Comparison
import FoundationEssentials
import Migration
import Traffic

/// What one process has counted of one run of a stage, as replicas tell each other: sums since the run began, which only grow. A
/// process that begins anew under the same name is another `instance`, whose sums stand beside those of the one before.
struct PlanSample: Sendable, Equatable, Codable {
    /// What this version writes; others are not summed.
    static let format: UInt64 = 1
    /// Bytes of a text.
    static let sizeLimit = 64 << 10
    private static let routeLimit = 64
    private static let classLimit = 200

    struct Side: Sendable, Equatable, Codable {
        var n: UInt64 = 0
        var errors: UInt64 = 0
        var client: UInt64 = 0
        var cancelled: UInt64 = 0
    }

    struct Arms: Sendable, Equatable, Codable {
        var to = Side()
        var from = Side()
    }

    /// Durations of all routes together: pairs of bucket and count, empty buckets left out.
    struct Durations: Sendable, Equatable, Codable {
        var to: [[UInt64]] = []
        var from: [[UInt64]] = []
    }

    /// Comparisons of answers with copies'.
    struct Comparisons: Sendable, Equatable, Codable {
        var n: UInt64 = 0
        /// In which something stands against the new side.
        var standing: UInt64 = 0
    }

    /// A class of differences.
    struct DifferenceClass: Sendable, Equatable, Codable {
        /// `d-` and eight digits: equal on all replicas.
        var number: String
        /// Among those that this process found, from 1.
        var position: Int
        /// Comparisons of this run in which it was confirmed.
        var confirmed: UInt64
        /// Times that the old side was asked again, and that it repeated.
        var rechecks: UInt64
        var repeated: UInt64
        var real: Bool
        /// An operator said there that it may stay.
        var accepted: Bool
    }

    /// How far the plan is, by whoever leads.
    struct Lead: Sendable, Equatable, Codable {
        var term: UInt64
        /// Milliseconds for which the stage has been held.
        var held: Int64
    }

    var format = PlanSample.format
    var replica: String
    var instance: String
    /// Grows with each that this process tells.
    var sequence: UInt64 = 0
    /// Of the plan that the run is one of.
    var fingerprint: String
    var routes: [String: Arms] = [:]
    var latency = Durations()
    /// The requests that were copied, as they were answered live, and their copies.
    var copies: [String: Arms]?
    var comparisons: Comparisons?
    /// The real ones first, noise last.
    var classes: [DifferenceClass]?
    var lead: Lead?
    /// Requests that needed the old side, and milliseconds since 1970 of the last one.
    var needs: UInt64?
    var lastNeed: UInt64?
    /// nil: the old side may still be needed.
    var retirement: RetirementSample?

    init(replica: String, instance: String, fingerprint: String) {
        self.replica = replica
        self.instance = instance
        self.fingerprint = fingerprint
    }

    /// nil: it is none, or not one that this version can sum.
    init?(_ text: [UInt8]) {
        guard text.count <= Self.sizeLimit,
            let sample = try? JSONDecoder().decode(PlanSample.self, from: Data(text)), sample.isSound
        else { return nil }
        self = sample
    }

    /// Who needs the old side is told as far as there is room: what was counted is what decides.
    var text: [UInt8] {
        var sample = self
        while true {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // Nothing that it has cannot be encoded.
            let text = (try? encoder.encode(sample)).map { Array($0) } ?? Array("{}".utf8)
            guard text.count > Self.sizeLimit, let retirement = sample.retirement, retirement.canBeShorter else {
                return text
            }
            sample.retirement = retirement.shortened
        }
    }

    /// No more went wrong than there was, and all of it can be added up.
    private var isSound: Bool {
        func isSound(_ side: Side) -> Bool {
            let limit = UInt64(1) << 48
            return side.n < limit && side.errors <= side.n && side.client <= side.n && side.cancelled <= side.n
        }
        func isSound(_ pairs: [[UInt64]]) -> Bool {
            pairs.count <= LatencyGrid.bucketCount
                && pairs.allSatisfy {
                    $0.count == 2 && $0[0] < UInt64(LatencyGrid.bucketCount) && $0[1] < UInt64(1) << 48
                }
        }
        guard self.format == Self.format, !self.replica.isEmpty, !self.instance.isEmpty else { return false }
        let arms = Array(self.routes.values) + Array((self.copies ?? [:]).values)
        guard self.routes.count <= Self.routeLimit, self.copies?.count ?? 0 <= Self.routeLimit,
            arms.allSatisfy({ isSound($0.to) && isSound($0.from) }), isSound(self.latency.to),
            isSound(self.latency.from), self.lead?.held ?? 0 >= 0, self.retirement?.isSound ?? true
        else { return false }
        let compared = self.comparisons ?? Comparisons()
        return compared.n < UInt64(1) << 48 && compared.standing <= compared.n
            && (self.classes ?? []).allSatisfy {
                $0.position > 0 && $0.position < 1 << 20 && $0.confirmed <= compared.n && $0.repeated <= $0.rechecks
                    && $0.rechecks < UInt64(1) << 48
            }
    }

    // MARK: this process's own

    /// `counts`: of the plan's routes in the run.
    mutating func set(_ counts: [StageCounts], _ mirror: MirrorSums?) {
        for each in counts { self.routes[each.route] = Arms(to: Side(each.new), from: Side(each.old)) }
        self.latency = Durations(
            to: Self.pairs(counts.map(\.newDurations)), from: Self.pairs(counts.map(\.oldDurations)))
        guard let mirror else { return }
        self.copies = Dictionary(
            mirror.routes.map { ($0.name, Arms(to: Side($0.copies), from: Side($0.live))) },
            uniquingKeysWith: { first, _ in first })
        self.comparisons = Comparisons(n: mirror.comparisons.count, standing: mirror.comparisons.standing)
        self.classes = mirror.classes.prefix(Self.classLimit).map { DifferenceClass($0) }
    }

    /// Takes on what the same process had counted before, where it has less of it now: its workers forget the counters of a run that
    /// is over, and what was counted happened.
    mutating func keepCounts(of before: PlanSample) {
        self.routes = before.routes
        self.latency = before.latency
        guard self.comparisons?.n ?? 0 < before.comparisons?.n ?? 0 || self.copies == nil else { return }
        self.copies = before.copies
        self.comparisons = before.comparisons
        self.classes = before.classes
    }

    private static func pairs(_ grids: [LatencyGrid]) -> [[UInt64]] {
        grids.reduce(into: LatencyGrid()) { $0.merge($1) }.counts.enumerated().filter { $0.element > 0 }
            .map { [UInt64($0.offset), $0.element] }
    }

    // MARK: as it is summed

    /// Durations stand with the first route: they are judged of all together.
    func counts(epoch: UInt64) -> [StageCounts] {
        var counts = self.routes.sorted { $0.key < $1.key }.map { name, arms -> StageCounts in
            var counts = StageCounts(route: name, epoch: epoch)
            counts.new = arms.to.counters
            counts.old = arms.from.counters
            return counts
        }
        guard !counts.isEmpty else { return [] }
        counts[0].newDurations = Self.grid(self.latency.to)
        counts[0].oldDurations = Self.grid(self.latency.from)
        return counts
    }

    private static func grid(_ pairs: [[UInt64]]) -> LatencyGrid {
        LatencyGrid(buckets: pairs.filter { $0.count == 2 }.map { (index: Int(clamping: $0[0]), count: $0[1]) })
    }

    var tellsAllClasses: Bool { self.classes.map { $0.count < Self.classLimit } ?? false }

    /// All samples of the new side.
    var newSamples: UInt64 { self.routes.values.reduce(0) { $0 &+ $1.to.n } }
    var oldSamples: UInt64 { self.routes.values.reduce(0) { $0 &+ $1.from.n } }
    /// What went wrong: a reason to tell of it at once.
    var bad: UInt64 { self.routes.values.reduce(0) { $0 &+ $1.to.errors } }
}

extension PlanSample.DifferenceClass {
    init(_ tally: ClassBook.Tally) {
        self.init(
            number: tally.number, position: max(1, tally.position), confirmed: tally.confirmed,
            rechecks: tally.rechecks, repeated: tally.repeated, real: tally.isReal, accepted: tally.isAccepted)
    }
}

extension PlanSample.Side {
    init(_ counters: ArmCounters) {
        self.init(
            n: counters.samples, errors: counters.errors, client: counters.clientErrors, cancelled: counters.cancelled)
    }

    init(_ side: StageSums.Side) {
        self.init(n: side.samples, errors: side.errors, client: side.clientErrors, cancelled: side.cancelled)
    }

    var counters: ArmCounters {
        var counters = ArmCounters()
        counters.samples = self.n
        counters.errors = self.errors
        counters.clientErrors = self.client
        counters.cancelled = self.cancelled
        return counters
    }

    var side: StageSums.Side {
        StageSums.Side(samples: self.n, errors: self.errors, clientErrors: self.client, cancelled: self.cancelled)
    }
}
