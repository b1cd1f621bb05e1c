/// A plan as its file says it, checked.
package struct PlanSpec: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// Weight of the new side, of a million.
        case share(UInt32)
        /// Copies alone: no share.
        case mirror
        /// The old side is watched for whoever still needs it.
        case retire
    }

    package struct Stage: Sendable, Equatable {
        package var kind: Kind
        /// Share of requests that are copied from here on, of a million; nil leaves what was before.
        package var mirror: UInt32?
        /// Milliseconds.
        package var hold: Int64
        package var approval: Bool

        package init(_ kind: Kind, mirror: UInt32? = nil, hold: Int64, approval: Bool = false) {
            self.kind = kind
            self.mirror = mirror
            self.hold = hold
            self.approval = approval
        }
    }

    package struct Retreat: Sendable, Equatable {
        package enum Aim: String, Sendable { case start, previous }

        package var aim = Aim.start
        /// Milliseconds over which the share goes back in ten steps; 0 is one table.
        package var over: Int64 = 0
        /// Milliseconds that the new side may be without an available endpoint.
        package var unavailable: Int64 = 10_000
        /// Milliseconds after a retreat before a start.
        package var cooldown: Int64 = 600_000

        package init() {}
    }

    /// A fault and where it is, as a JSON path from the plan on.
    package struct Fault: Error, Sendable, Equatable {
        package var path: String
        package var message: String
    }

    package static let fullWeight: UInt32 = 1_000_000
    package static let stageLimit = 32
    package static let windowLimit = 64
    package static let holdLimit: Int64 = 720 * 3_600_000

    package var name: String
    package var routes: [String]
    package var from: String
    package var to: String
    package var stages: [Stage]
    package var gates = GateSpec()
    package var retreat = Retreat()
    /// Milliseconds after the hold before a plan that does not pass is inconclusive.
    package var patience: Int64 = 6 * 3_600_000
    package var fourEyes = false
    package var freeze: [FreezeWindow] = []

    package init(name: String, routes: [String], from: String, to: String, stages: [Stage]) {
        self.name = name
        self.routes = routes
        self.from = from
        self.to = to
        self.stages = stages
    }

    /// Weight of the new side in a stage.
    package func weight(_ stage: Int) -> UInt32 {
        switch self.stages[stage].kind {
        case .share(let weight): weight
        case .mirror: 0
        case .retire: Self.fullWeight
        }
    }

    /// Share of requests that are copied in a stage. When the old side is retired nothing is.
    package func mirror(_ stage: Int) -> UInt32 {
        if self.stages[stage].kind == .retire { return 0 }
        return self.stages[...stage].last { $0.mirror != nil }?.mirror ?? 0
    }

    /// α of each of the plan's tests.
    package var alpha: Double {
        self.gates.alpha(stages: self.stages.count { $0.kind != .retire }, routes: self.routes.count)
    }

    /// Everything that keeps it from being a plan.
    package func faults() -> [Fault] {
        var faults: [Fault] = []
        func fail(_ path: String, _ message: String) { faults.append(Fault(path: path, message: message)) }
        if self.from == self.to { fail("$.to", "is the same side as $.from") }
        if !(1...64).contains(self.routes.count) { fail("$.routes", "expected 1 to 64 routes") }
        if Set(self.routes).count != self.routes.count { fail("$.routes", "names a route twice") }
        if !(1...Self.stageLimit).contains(self.stages.count) {
            fail("$.stages", "expected 1 to \(Self.stageLimit) stages, found \(self.stages.count)")
        }
        var last: UInt32?
        for (index, stage) in self.stages.enumerated() {
            let path = "$.stages[\(index)]"
            if !(0...Self.holdLimit).contains(stage.hold) { fail(path + ".hold", "expected 0 s to 720 h") }
            if stage.mirror ?? 0 > Self.fullWeight { fail(path + ".mirror", "expected at most 100 percent") }
            switch stage.kind {
            case .mirror:
                if last != nil { fail(path, "a stage of copies alone comes before every share") }
            case .share(let weight):
                if weight > Self.fullWeight { fail(path + ".share", "expected at most 100 percent") }
                if weight <= last ?? 0 { fail(path + ".share", "shares rise from stage to stage") }
                last = weight
            case .retire:
                if index != self.stages.count - 1 { fail(path, "the stage that retires the old side is the last") }
                if last != Self.fullWeight { fail(path, "before the old side is retired the share is 100") }
            }
        }
        for (name, rate) in [
            ("errors", self.gates.errors), ("clientErrors", self.gates.clientErrors),
            ("cancelled", self.gates.cancelled),
            ("latency.p50", self.gates.p50), ("latency.p99", self.gates.p99),
        ] {
            guard let rate else { continue }
            if !(rate.tolerance >= 0 && rate.tolerance <= rate.margin) {
                fail("$.gates.\(name).tolerance", "expected 0 to the margin")
            }
            // Answers may take several times as long; no more can go wrong than all.
            let most: Double = name.hasPrefix("latency") ? 100 : 1
            if !(rate.margin <= most) { fail("$.gates.\(name).margin", "expected at most \(Int(most * 100)) percent") }
        }
        for (name, chance) in [("falseAlarm", self.gates.falseAlarm), ("falseAdvance", self.gates.falseAdvance)]
        where !(chance > 0 && chance <= 0.5) {
            fail("$.gates.\(name)", "expected more than 0 and at most 50 percent")
        }
        if let limit = self.gates.mismatches, !(limit > 0 && limit < 1) {
            fail(
                "$.gates.mismatches.max", "expected more than 0 and less than 100 percent: none at all cannot be proven"
            )
        }
        if self.freeze.count > Self.windowLimit { fail("$.freeze", "expected at most \(Self.windowLimit) windows") }
        for (index, window) in self.freeze.enumerated() where !window.isTimeOfDay {
            fail("$.freeze[\(index)]", "expected times from 00:00 to 24:00")
        }
        if self.gates.mismatches != nil, self.stages.indices.allSatisfy({ self.mirror($0) == 0 }) {
            fail("$.gates.mismatches", "nothing is copied, so that nothing is compared: expected false")
        }
        return faults
    }
}
