import Migration
import Traffic

/// What all processes have counted of one run of a stage, as this one has heard of it. Pure; `now` in monotonic milliseconds.
///
/// Of each process the latest sample stands, and stays when the process is gone: what it counted happened, and its errors may be
/// why it went. So sums never fall, and nothing is in them twice.
struct SampleBook: Sendable {
    /// Milliseconds without news after which a replica that is there is said to be silent.
    static let silence: UInt64 = 10_000
    /// Processes whose samples are kept.
    static let limit = 256

    struct Entry: Sendable, Equatable {
        var sample: PlanSample
        /// When it was news.
        var heard: UInt64
    }

    /// By replica and instance.
    private var entries: [[String]: Entry] = [:]
    /// Grows when somebody has needed the old side.
    private(set) var needed: UInt64 = 0

    /// One that is older than what is known tells nothing. Of one that has counted less, whoever wrote it, all but that is news.
    mutating func heard(_ sample: PlanSample, at now: UInt64) {
        var sample = sample
        let key = [sample.replica, sample.instance]
        if let present = self.entries[key] {
            guard sample.sequence > present.sample.sequence else { return }
            if sample.newSamples < present.sample.newSamples || sample.oldSamples < present.sample.oldSamples {
                guard sample.fingerprint == present.sample.fingerprint else { return }
                sample.keepCounts(of: present.sample)
            }
            if sample.needs ?? 0 > present.sample.needs ?? 0 { self.needed += 1 }
        } else if self.entries.count >= Self.limit {
            return
        } else if let before = self.latest(of: sample.replica), before.heard < now,
            sample.lastNeed ?? 0 > before.sample.lastNeed ?? 0
        {
            // It was needed before this process told for the first time, or when the one before told no more. What both had told
            // before this replica heard of either is no news.
            self.needed += 1
        }
        self.entries[key] = Entry(sample: sample, heard: now)
    }

    /// Those of the other processes. `own`: what this process is called, whose counters are at hand.
    func others(than own: (replica: String, instance: String), fingerprint: String) -> [PlanSample] {
        self.entries.values.map(\.sample).filter {
            $0.fingerprint == fingerprint && ($0.replica, $0.instance) != (own.replica, own.instance)
        }.sorted { ($0.replica, $0.instance) < ($1.replica, $1.instance) }
    }

    /// What stands in the way of calling the sums those of all: `present` are the replicas that are there, by name.
    func remarks(present: [String], fingerprint: String, began: UInt64, at now: UInt64) -> [String] {
        present.sorted().compactMap { name in
            let latest = self.latest(of: name)
            guard let latest else {
                let silent = now - min(now, began)
                return silent > Self.silence
                    ? "\(name) has told nothing of what it counted for \(silent / 1_000) s: it is left out" : nil
            }
            if latest.sample.fingerprint != fingerprint {
                return "\(name) has another plan: what it counts is left out"
            }
            let age = now - min(now, latest.heard)
            return age > Self.silence
                ? "\(name) has told nothing of what it counted for \(age / 1_000) s: what it counts since is left out"
                : nil
        }
    }

    /// Milliseconds since a replica told of what it counted, by its name.
    func ages(at now: UInt64) -> [String: UInt64] {
        Dictionary(
            self.entries.values.map { ($0.sample.replica, now - min(now, $0.heard)) }, uniquingKeysWith: { min($0, $1) }
        )
    }

    /// How long the stage was held, by the latest who led.
    var lead: PlanSample.Lead? {
        self.entries.values.compactMap { entry in entry.sample.lead.map { ($0, entry.heard) } }
            .max { ($0.0.term, $0.1) < ($1.0.term, $1.1) }?.0
    }

    /// When somebody needed the old side last, in milliseconds since 1970; 0: nobody has.
    var lastNeed: UInt64 { self.entries.values.compactMap(\.sample.lastNeed).max() ?? 0 }

    private func latest(of name: String) -> Entry? {
        self.entries.values.filter { $0.sample.replica == name }.max { $0.heard < $1.heard }
    }
}

/// Sums of parts. Evidence is computed from them, never averaged.
enum SampleSums {
    /// `own` with what the others have counted, route by route.
    static func counts(_ own: [StageCounts], _ others: [PlanSample], epoch: UInt64) -> [StageCounts] {
        var sums = Dictionary(own.map { ($0.route, $0) }, uniquingKeysWith: { first, _ in first })
        for counts in others.flatMap({ $0.counts(epoch: epoch) }) {
            sums[counts.route, default: StageCounts(route: counts.route, epoch: epoch)].merge(counts)
        }
        return sums.values.sorted { $0.route < $1.route }
    }

    /// Likewise of copies and comparisons. `replica`: what this one is called; `alpha`: the chance that any class of pure noise is
    /// ever called real; `said`: what all have agreed on of classes, by number.
    static func mirror(
        _ own: MirrorSums?, of replica: String, _ others: [PlanSample], alpha: Double, said: [String: String] = [:]
    ) -> MirrorSums? {
        let told = others.filter { $0.copies != nil || $0.comparisons != nil }
        guard own != nil || !told.isEmpty else { return nil }
        var sums = own ?? MirrorSums()
        for sample in told {
            for (name, arms) in sample.copies ?? [:] {
                let copies = MirrorSums.Route(name: name, live: arms.from.side, copies: arms.to.side)
                if let place = sums.routes.firstIndex(where: { $0.name == name }) {
                    sums.routes[place].live = sums.routes[place].live + copies.live
                    sums.routes[place].copies = sums.routes[place].copies + copies.copies
                } else {
                    sums.routes.append(copies)
                }
            }
            sums.comparisons.count &+= sample.comparisons?.n ?? 0
            sums.comparisons.standing &+= sample.comparisons?.standing ?? 0
        }
        sums.routes.sort { $0.name < $1.name }
        let parts =
            [Part(replica: replica, classes: (own?.classes ?? []).map { PlanSample.DifferenceClass($0) })]
            + told.map { Part(replica: $0.replica, classes: $0.classes ?? []) }
        sums.comparisons.real = self.real(parts, alpha: alpha, said)
        return sums
    }

    /// Classes as one process tells of them.
    private struct Part {
        let replica: String
        let classes: [PlanSample.DifferenceClass]
    }

    /// How often the old side was asked again about a class, and repeated, by one replica. Each of its processes begins with what
    /// those before it had found, so that the one that has asked most knows all of it.
    private struct Rechecks {
        var count: UInt64
        var repeated: UInt64
    }

    /// A class that several have found is one: confirmed and asked again as often as by all of them. It may stay where all have agreed
    /// so, whoever has found it; without a word on it, where one replica was told so, as of earlier versions. What a process told that
    /// is gone counts to the end of the run: that it was confirmed happened, and may be why it went.
    private static func real(
        _ parts: [Part], alpha: Double, _ said: [String: String]
    ) -> [StageSums.Comparisons.RealClass] {
        var pooled: [String: PlanSample.DifferenceClass] = [:]
        var rechecks: [String: [String: Rechecks]] = [:]
        for (place, part) in parts.enumerated() {
            for var each in part.classes {
                let known = rechecks[each.number]?[part.replica]
                if known.map({ $0.count < each.rechecks }) ?? true {
                    rechecks[each.number, default: [:]][part.replica] = Rechecks(
                        count: each.rechecks, repeated: each.repeated)
                }
                // A number of each part's own: Σ 1/(k(k+1)) pays for all of them together.
                each.position = (each.position - 1) * parts.count + place + 1
                guard let present = pooled[each.number] else {
                    pooled[each.number] = each
                    continue
                }
                each.position = min(each.position, present.position)
                each.confirmed &+= present.confirmed
                each.real = each.real || present.real
                each.accepted = each.accepted || present.accepted
                pooled[each.number] = each
            }
        }
        return pooled.values.filter { each in
            guard !(said[each.number].map { !$0.isEmpty } ?? each.accepted) else { return false }
            let all = rechecks[each.number]?.values.reduce(into: Rechecks(count: 0, repeated: 0)) { sum, one in
                sum.count &+= one.count
                sum.repeated &+= one.repeated
            }
            let position = Double(each.position)
            return each.real
                || Evidence.tilt(Arm(bad: all?.repeated ?? 0, count: all?.count ?? 0), rate: 0.5, .below)
                    >= Evidence.threshold(alpha / (position * (position + 1)))
        }.map { .init(number: $0.number, position: $0.position, confirmed: $0.confirmed) }
            .sorted { ($0.position, $0.number) < ($1.position, $1.number) }
    }
}
