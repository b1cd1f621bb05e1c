import Comparison
import Migration
import Traffic

/// What copies and comparisons have shown in one run of a stage.
package struct MirrorSums: Sendable {
    /// Of one route: the requests that were copied, as they were answered live, and their copies.
    package struct Route: Sendable {
        package var name: String
        package var live: StageSums.Side
        package var copies: StageSums.Side

        package init(name: String, live: StageSums.Side, copies: StageSums.Side) {
            self.name = name
            self.live = live
            self.copies = copies
        }
    }

    package var routes: [Route] = []
    package var comparisons = StageSums.Comparisons()
    /// Of all classes of differences, the real ones first and noise last.
    package var classes: [ClassBook.Tally] = []

    package init() {}
}

/// Tells plans of copies. Without one nothing is copied, and stages of copies alone collect for ever.
package protocol MirrorEvidence: Sendable {
    /// nil: nothing was copied in that run.
    func sums(migration: String, epoch: UInt64) async -> MirrorSums?
    /// Numbers of the classes of differences that are real, or open above what is allowed.
    func openClasses(migration: String) async -> [String]
    /// Kinds of requests seen in the last 30 days that were neither compared nor answered by the new side 20 times; and of those that
    /// other replicas ask for, what is known here.
    func unproven(migration: String, asked: Set<SeenKinds.Key>) async -> [SeenKinds.Key: SeenKinds.Kind]
    /// Some of the requests that the plan's routes had, of each kind the first in an hour.
    func note(seen: [SeenRequest], migration: String) async
    /// What all replicas have agreed on of classes of differences, by number: why one may stay; empty: it may not any more.
    func agree(on said: [String: String], of migration: String) async
}

/// What this process has counted of one run of a plan's stage.
package struct PlanPart: Sendable {
    var migration: String
    var epoch: UInt64
    var fingerprint: String
    var counts: [StageCounts]
    var mirror: MirrorSums?
    /// Set by whoever leads.
    var lead: PlanSample.Lead?
    /// Requests that needed the old side, and milliseconds since 1970 of the last one.
    var needs: UInt64 = 0
    var lastNeed: UInt64 = 0
    /// Where the old side should not be needed any more.
    var retirement: RetirementSample?
}

/// What the other processes have counted of it.
package struct PeerSums: Sendable {
    var others: [PlanSample] = []
    /// Whose samples are left out, and why.
    var remarks: [String] = []
    /// Milliseconds since a replica told, by its name.
    var ages: [String: UInt64] = [:]
    var lead: PlanSample.Lead?
    /// Grows when one of them has needed the old side.
    var needed: UInt64 = 0
    var lastNeed: UInt64 = 0
    /// This replica's name.
    var replica = ""
    var epoch: UInt64 = 0
    /// Of the other replicas that are there, which process it is.
    var present: [String: String] = [:]

    private func isThere(_ sample: PlanSample) -> Bool { self.present[sample.replica] == sample.instance }

    /// What others tell of a class of differences, by replica: those that are there, or else those that were.
    func told(class number: String) -> [(replica: String, told: PlanSample.DifferenceClass)] {
        let found = self.others.compactMap { sample in
            sample.classes?.first { $0.number == number }.map { (sample: sample, told: $0) }
        }
        let there = found.filter { self.isThere($0.sample) }
        return (there.isEmpty ? found : there).map { (replica: $0.sample.replica, told: $0.told) }
    }

    /// Replicas that are there and have found a class.
    func finders(of number: String) -> [String] {
        self.others.filter { self.isThere($0) && $0.classes?.contains { $0.number == number } == true }.map(\.replica)
    }

    /// Numbers of all classes that others tell of, or have told of before they went: those count in the gates as well, and whoever
    /// has an example of one may be gone.
    var toldClasses: Set<String> {
        Set(
            self.others.flatMap { sample in
                (sample.classes ?? []).map(\.number) + (sample.retirement?.open ?? [])
            })
    }

    /// Whether all that are there have told of all classes that they have found: who has compared nothing in this run tells of none,
    /// and a list has an end.
    var tellAllClasses: Bool {
        guard self.remarks.isEmpty else { return false }
        let whole = self.others.filter { self.isThere($0) && $0.tellsAllClasses }.map(\.replica)
        return Set(self.present.keys).isSubset(of: whole)
    }

    /// What the others have told of the old side, of processes that are there or of those that were.
    func told(there: Bool) -> [(replica: String, sample: RetirementSample)] {
        self.others.compactMap { sample in
            guard self.isThere(sample) == there, let retirement = sample.retirement else { return nil }
            return (replica: sample.replica, sample: retirement)
        }
    }

    /// Who has told of it, this one included.
    var tellers: [String] {
        Set([self.replica] + (self.told(there: true) + self.told(there: false)).map(\.replica)).sorted()
    }

    /// Replicas that are there and have told nothing of it: they have just begun, or their version does not know of it.
    var silent: [String] {
        let told = Set(self.told(there: true).map(\.replica))
        return self.present.keys.filter { name in
            !told.contains(name) && !self.remarks.contains { $0.hasPrefix("\(name) ") }
        }.sorted()
    }
}

/// How this replica stands among the others.
package struct PeerStanding: Sendable {
    /// The term in which it leads, and may take plans' steps; nil: it does not.
    var term: UInt64?
    /// Why no share may rise.
    var holds: [String]
    /// The others cannot be asked.
    var isAlone: Bool
    /// nil: nobody is known to lead.
    var leader: String?
    /// Names of the replicas that are there, and how many were lately.
    var present: [String]
    var known: Int
}

/// The other replicas, where there are any: one of them leads, and judges what all have counted.
package protocol PlanPeers: Sendable {
    func standing() async -> PeerStanding
    /// Takes what this replica has counted of a run, to tell the others, and answers what was heard of theirs.
    func exchange(_ part: PlanPart) async -> PeerSums
    /// Nothing is counted of a plan any more.
    func forget(_ migration: String) async
}

/// Seconds of the calendar at which no share rises.
struct FreezeCalendar {
    private var zones: [String: ZoneTable] = [:]

    /// `wall` in milliseconds since 1970. A zone that cannot be read any more is open always: nothing rises.
    mutating func isFrozen(_ windows: [FreezeWindow], wall: UInt64) -> Bool {
        let seconds = Int64(clamping: wall / 1_000)
        return windows.contains { window in
            guard let zone = self.zone(window.zone) else { return true }
            return window.contains(seconds: seconds, offset: zone.offset(at: seconds))
        }
    }

    private mutating func zone(_ name: String) -> ZoneTable? {
        if let zone = self.zones[name] { return zone }
        let zone = ZoneTable.read(name)
        self.zones[name] = zone
        return zone
    }
}

/// Puts together what a stage is judged by.
enum StageEvidence {
    /// `counts`: of the plan's routes in the present run.
    static func sums(_ standing: PlanStanding, _ counts: [StageCounts], _ mirror: MirrorSums?) -> StageSums {
        let (plan, state) = (standing.plan, standing.state)
        let byRoute = Dictionary(counts.map { ($0.route, $0) }, uniquingKeysWith: { first, _ in first })
        let copies = Dictionary(
            (mirror?.routes ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let comparisons = mirror?.comparisons ?? StageSums.Comparisons()
        switch plan.stages[state.stage].kind {
        case .mirror:
            return StageSums(
                routes: plan.routes.map { name in
                    StageSums.Route(
                        name: name, new: copies[name]?.copies ?? StageSums.Side(),
                        old: copies[name]?.live ?? StageSums.Side())
                }, comparisons: comparisons)
        case .share(PlanSpec.fullWeight):
            return self.fullSums(standing, byRoute, copies, comparisons)
        case .share:
            return StageSums(
                routes: plan.routes.map { name in
                    StageSums.Route(
                        name: name, new: self.side(byRoute[name]?.new), old: self.side(byRoute[name]?.old))
                },
                latency: StageSums.Latency(
                    new: self.durations(counts, \.newDurations), old: self.durations(counts, \.oldDurations)),
                comparisons: comparisons)
        // There is nobody to compare with any more: what still brakes is that the new side is gone.
        case .retire: return StageSums(routes: plan.routes.map { .init(name: $0, new: .init(), old: .init()) })
        }
    }

    /// All live requests are the new side's: the old one is known by copies, or by the stage before.
    private static func fullSums(
        _ standing: PlanStanding, _ counts: [String: StageCounts], _ copies: [String: MirrorSums.Route],
        _ comparisons: StageSums.Comparisons
    ) -> StageSums {
        let plan = standing.plan
        let isCopied = plan.mirror(standing.state.stage) > 0 && !copies.isEmpty
        let all = plan.routes.map { name in
            StageSums.Route(
                name: name, new: self.side(counts[name]?.new),
                old: standing.baseline?.routes[name]?.side ?? StageSums.Side())
        }
        let copied = plan.routes.map { name in
            StageSums.Route(
                name: name, new: copies[name]?.live ?? StageSums.Side(), old: copies[name]?.copies ?? StageSums.Side())
        }
        let present = DurationCounts(
            edges: LatencyGrid.edges,
            counts: counts.values.reduce(into: LatencyGrid()) { $0.merge($1.newDurations) }.counts)
        return StageSums(
            routes: isCopied ? copied : all, all: isCopied ? StageSums.All(routes: all) : nil,
            latency: standing.baseline.map { baseline in
                StageSums.Latency(new: present, old: baseline.durationCounts, isFromAnotherStage: true)
            }, comparisons: comparisons)
    }

    static func side(_ counters: ArmCounters?) -> StageSums.Side {
        guard let counters else { return StageSums.Side() }
        return StageSums.Side(
            samples: counters.samples, errors: counters.errors, clientErrors: counters.clientErrors,
            cancelled: counters.cancelled)
    }

    static func durations(_ counts: [StageCounts], _ grid: KeyPath<StageCounts, LatencyGrid>) -> DurationCounts {
        DurationCounts(
            edges: LatencyGrid.edges, counts: counts.reduce(into: LatencyGrid()) { $0.merge($1[keyPath: grid]) }.counts)
    }
}
