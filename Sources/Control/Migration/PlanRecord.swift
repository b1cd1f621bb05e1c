import FoundationEssentials
import JSONText
import Migration
import RoutesFile
import Traffic

/// Where a plan stands, as it is kept beyond the process and handed to the one that takes over.
package struct PlanRecord: Sendable, Equatable, Codable {
    package struct Retreat: Sendable, Equatable, Codable {
        /// `gate`, `unavailable` or `by-hand`.
        package var cause: String
        /// The operator's words.
        package var reason: String?
        package var reading: PlanEvidence.Reading?
        package var from: UInt32
        package var aim: UInt32
        package var isBlocked: Bool
        package var isForced: Bool
    }

    package var name: String
    /// Of the plan that it stands in.
    package var fingerprint: String
    package var phase: String
    /// From 0.
    package var stage: Int
    package var epoch: UInt64
    /// Of a million.
    package var share: UInt32
    /// Milliseconds.
    package var held: Int64
    package var patienceFrom: Int64
    package var pause: String?
    package var objection: String?
    package var responsible: String
    package var approvedBy: String?
    package var retreat: Retreat?
    package var hasRetreated: Bool
    package var wouldHaveRetreated: Bool
    /// Milliseconds since 1970 at which the phase began, and the stage.
    package var since: UInt64
    package var stageSince: UInt64
    /// Likewise, since the new side has had all of it; nil: it has not.
    package var fullSince: UInt64?
    package var baseline: StageBaseline?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case name, fingerprint, phase, stage, epoch, share, held, patienceFrom, pause, objection, responsible,
            approvedBy,
            retreat, hasRetreated, wouldHaveRetreated, since, stageSince, fullSince, baseline
    }
}

/// As replicas share it.
extension PlanRecord {
    /// nil: it is none.
    init?(_ value: JSONValue) {
        guard let record = try? JSONDecoder().decode(PlanRecord.self, from: Data(value.bytes)) else { return nil }
        self = record
    }

    var json: JSONValue {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Nothing that it has cannot be encoded.
        return (try? encoder.encode(self)).flatMap { try? JSONReader.read(Array($0)) } ?? .object([])
    }

    /// What a newer version keeps in `present` beside what this one knows stays in `next`.
    static func merged(_ next: JSONValue, over present: JSONValue?) -> JSONValue {
        guard case .object(let own) = next.content, case .object(let members)? = present?.content else { return next }
        let others = members.filter { CodingKeys(rawValue: $0.name) == nil }
        return JSONValue(.object(own + others))
    }

    /// Whether both are one step of the plan: what may differ grows by itself with each look, and is no news to anybody.
    func isSameStep(as other: PlanRecord) -> Bool {
        var one = self
        let two = other
        one.held = two.held
        one.objection = two.objection
        if one.retreat != nil, let isBlocked = two.retreat?.isBlocked { one.retreat?.isBlocked = isBlocked }
        return one == two
    }
}

extension PlanRecord {
    init(_ standing: PlanStanding) {
        let state = standing.state
        self.name = standing.spec.plan.name
        self.fingerprint = standing.fingerprint
        self.phase = state.phase.rawValue
        self.stage = state.stage
        self.epoch = state.epoch
        self.share = state.share
        self.held = state.held
        self.patienceFrom = state.patienceFrom
        self.pause = state.pause?.rawValue
        self.objection = state.objection
        self.responsible = state.responsible
        self.approvedBy = state.approvedBy
        self.retreat = state.retreat.map(Retreat.init)
        self.hasRetreated = state.retreatedAt != nil
        self.wouldHaveRetreated = state.wouldHaveRetreated
        self.since = standing.since
        self.stageSince = standing.stageSince
        self.fullSince = standing.fullSince
        self.baseline = standing.baseline
    }

    /// As this process goes on with it. A plan of which another version tells a word that is not known here waits for eyes: its
    /// weights are in force, and the brake is on.
    func state(of plan: PlanSpec, now: Int64) -> PlanState {
        let phase = PlanState.Phase(rawValue: self.phase) ?? .paused
        var state = PlanState()
        state.phase = phase
        state.stage = min(max(0, self.stage), plan.stages.count - 1)
        state.epoch = self.epoch
        state.share = min(self.share, PlanSpec.fullWeight)
        state.held = max(0, self.held)
        state.patienceFrom = max(0, self.patienceFrom)
        if phase == .paused { state.pause = self.pause.flatMap { PlanState.PauseReason(rawValue: $0) } ?? .byHand }
        state.objection = self.objection
        state.responsible = self.responsible
        state.approvedBy = self.approvedBy
        state.retreat = self.retreat?.retreat
        state.retreatedAt = self.hasRetreated ? now : nil
        state.wouldHaveRetreated = self.wouldHaveRetreated
        // A retreat that is not known any more is one by hand: it goes on, and asks nobody.
        if phase == .retreating, state.retreat == nil {
            state.retreat = .init(cause: .byHand(reason: "unknown"), began: now, from: state.share, aim: 0)
        }
        return state.inherited(by: plan, now: now)
    }
}

extension PlanRecord.Retreat {
    init(_ retreat: PlanState.Retreat) {
        switch retreat.cause {
        case .gate(let reading):
            self.cause = "gate"
            self.reading = PlanEvidence.Reading(reading)
        case .unavailable: self.cause = "unavailable"
        case .byHand(let reason):
            self.cause = "by-hand"
            self.reason = reason
        }
        self.from = retreat.from
        self.aim = retreat.aim
        self.isBlocked = retreat.blockedSince != nil
        self.isForced = retreat.isForced
    }

    var retreat: PlanState.Retreat {
        let cause: PlanState.Retreat.Cause =
            switch self.cause {
            case "gate": self.reading?.reading.map { .gate($0) } ?? .unavailable
            case "unavailable": .unavailable
            default: .byHand(reason: self.reason ?? "")
            }
        let from = min(self.from, PlanSpec.fullWeight)
        var retreat = PlanState.Retreat(
            cause: cause, began: 0, from: from, aim: min(self.aim, from), blockedSince: self.isBlocked ? 0 : nil)
        retreat.isForced = self.isForced
        return retreat
    }
}

/// The numbers behind what a plan did, as they are journaled.
package struct PlanEvidence: Sendable, Equatable, Codable {
    package struct Count: Sendable, Equatable, Codable {
        package var bad: UInt64
        package var of: UInt64
    }

    package struct Test: Sendable, Equatable, Codable {
        /// Natural logarithms.
        package var evidence: Double
        package var threshold: Double
    }

    package struct Reading: Sendable, Equatable, Codable {
        package var gate: String
        package var route: String?
        package var verdict: String
        package var new: Count
        package var old: Count
        package var retreat: Test
        package var advance: Test?
        package var differenceClass: String?
    }

    package var stage: Int
    package var epoch: UInt64
    package var heldSeconds: Double
    package var gates: [Reading]
}

extension PlanEvidence.Reading {
    init(_ reading: GateBook.Reading) {
        self.gate = reading.gate.rawValue
        self.route = reading.route
        self.verdict = reading.verdict.rawValue
        self.new = .init(bad: reading.new.bad, of: reading.new.count)
        self.old = .init(bad: reading.old.bad, of: reading.old.count)
        self.retreat = .init(reading.retreat)
        self.advance = reading.advance.map { .init($0) }
        self.differenceClass = reading.differenceClass
    }

    /// nil: a word in it is not known.
    var reading: GateBook.Reading? {
        guard let gate = GateName(rawValue: self.gate), let verdict = GateBook.Verdict(rawValue: self.verdict) else {
            return nil
        }
        return GateBook.Reading(
            gate: gate, route: self.route, verdict: verdict, new: Arm(bad: self.new.bad, count: self.new.of),
            old: Arm(bad: self.old.bad, count: self.old.of), retreat: self.retreat.test,
            advance: self.advance?.test, differenceClass: self.differenceClass)
    }
}

extension PlanEvidence.Test {
    /// What JSON cannot say is nothing; three decimals are more than anybody compares.
    init(_ test: GateBook.Test) {
        self.evidence = Self.rounded(test.evidence)
        self.threshold = Self.rounded(test.threshold)
    }

    private static func rounded(_ value: Double) -> Double {
        value.isFinite ? (value * 10_000).rounded() / 10_000 : 0
    }

    var test: GateBook.Test { GateBook.Test(evidence: self.evidence, threshold: self.threshold) }
}
