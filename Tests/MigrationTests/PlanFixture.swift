@testable import Migration

/// A plan of five stages with short holds, and facts to tell it.
enum PlanFixture {
    static let second: Int64 = 1_000

    static func spec(_ change: (inout PlanSpec) -> Void = { _ in }) -> PlanSpec {
        var spec = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [
                .init(.mirror, mirror: 100_000, hold: 10 * second), .init(.share(10_000), hold: 10 * second),
                .init(.share(250_000), hold: 10 * second), .init(.share(1_000_000), hold: 10 * second, approval: true),
                .init(.retire, hold: 20 * second, approval: true),
            ])
        spec.patience = 60 * self.second
        change(&spec)
        return spec
    }

    private static func reading(_ verdict: GateBook.Verdict) -> GateBook.Reading {
        GateBook.Reading(
            gate: .errors, route: nil, verdict: verdict, new: Arm(bad: 1, count: 2), old: Arm(bad: 0, count: 2),
            retreat: .init(evidence: 1, threshold: 2), advance: nil, differenceClass: nil)
    }

    static let passing = GateBook.Judgement(readings: [reading(.pass)], thinRoutes: [])
    static let collecting = GateBook.Judgement(readings: [reading(.collecting)], thinRoutes: [])
    static let failing = GateBook.Judgement(readings: [reading(.fail)], thinRoutes: [])

    static func facts(_ now: Int64, _ judgement: GateBook.Judgement = passing) -> PlanFacts {
        PlanFacts(now: now, judgement: judgement)
    }

    /// A plan in that phase, in the second stage of shares (25 %) where it has one.
    static func state(_ phase: PlanState.Phase) -> PlanState {
        var state = PlanState()
        state.phase = phase
        guard phase != .ready else { return state }
        state.stage = 2
        state.epoch = 7
        state.share = phase == .retreated ? 0 : 250_000
        state.held = 10 * self.second
        state.responsible = "ann"
        if phase == .paused { state.pause = .byHand }
        if phase == .retreated { state.retreatedAt = 0 }
        if phase == .retreating {
            state.retreat = .init(
                cause: .unavailable, began: 0, from: 250_000, aim: 0, blockedSince: nil, alerted: nil)
        }
        return state
    }
}

extension PlanMachine {
    /// Of a plan that has no faults.
    static func of(_ spec: PlanSpec) -> PlanMachine {
        guard let machine = PlanMachine(spec) else { preconditionFailure("\(spec.faults())") }
        return machine
    }
}
