import Ledger
import Migration
import Traffic

/// What metrics tell of plans.
package struct MigrationFigures: Sendable {
    package struct Plan: Sendable {
        var standing: PlanStanding
        var reading: PlanReading
        /// Seconds that nothing has needed the old side; nil: it is given requests.
        var quiet: UInt64?
        /// Requests that needed it, by cause.
        var needs: [(cause: String, count: UInt64)]
    }

    package var plans: [Plan]
    package var transitions: [PlanTransition: UInt64]
}

extension MigrationEngine {
    package func figures() async -> MigrationFigures {
        let view = await self.publisher.current
        let wall = self.clock.wall()
        let standings = view.state.plans.values.sorted { $0.plan.name < $1.plan.name }
        let plans = standings.map { standing -> MigrationFigures.Plan in
            let rows = standing.fullSince.map { since in
                self.needs.rows(of: NeedBook.routes(of: standing.plan, in: view.table.spec), since: since)
            }
            let since = max(standing.fullSince ?? 0, rows?.first?.last ?? 0)
            let causes = Dictionary(grouping: rows ?? [], by: \.cause)
            return MigrationFigures.Plan(
                standing: standing, reading: self.readings[standing.plan.name] ?? PlanReading(),
                quiet: standing.fullSince == nil ? nil : (wall - min(wall, since)) / 1_000,
                needs: causes.sorted { $0.key < $1.key }.map { cause, rows in
                    (cause: cause, count: rows.reduce(0) { $0 &+ $1.count })
                })
        }
        return MigrationFigures(plans: plans, transitions: self.transitions)
    }
}

extension MetricsPage {
    func writeMigrations(_ text: inout MetricsText) {
        let figures = self.migrations ?? MigrationFigures(plans: [], transitions: [:])
        text.family(.migrationState)
        for plan in figures.plans {
            for phase in PlanState.Phase.allCases {
                text.sample(
                    .migrationState, [("migration", plan.standing.plan.name), ("state", phase.rawValue)],
                    plan.standing.state.phase == phase ? 1 : 0)
            }
        }
        let numbers: [(MetricName, (PlanStanding) -> String)] = [
            (.migrationStage, { $0.state.phase == .ready ? "0" : "\($0.state.stage + 1)" }),
            (.migrationShare, { Wording.rounded(Double($0.state.share) / 1_000_000, 6) }),
            (.migrationEpoch, { "\($0.state.epoch)" }),
            (.migrationHeld, { Wording.rounded(Double($0.state.held) / 1_000, 3) }),
            (.migrationBlocked, { $0.state.retreat?.blockedSince != nil && $0.state.phase == .retreating ? "1" : "0" }),
        ]
        for (name, value) in numbers {
            text.family(name)
            for plan in figures.plans {
                text.sample(name, [("migration", plan.standing.plan.name)], value(plan.standing))
            }
        }
        text.family(.migrationTransitions)
        let transitions = figures.transitions.sorted {
            ($0.key.migration, $0.key.to, $0.key.reason) < ($1.key.migration, $1.key.to, $1.key.reason)
        }
        for (step, count) in transitions {
            text.sample(
                .migrationTransitions, [("migration", step.migration), ("to", step.to), ("reason", step.reason)], count)
        }
        self.writePeers(figures, &text)
        self.writeGates(figures, &text)
        self.writeArms(figures, &text)
        self.writeNeeds(figures, &text)
    }

    /// Where there are other replicas.
    private func writePeers(_ figures: MigrationFigures, _ text: inout MetricsText) {
        guard self.cluster != nil else { return }
        text.family(.migrationLeader)
        for plan in figures.plans {
            text.sample(
                .migrationLeader, [("migration", plan.standing.plan.name)], plan.reading.isLeader ? 1 : 0)
        }
        text.family(.migrationEvidenceAge)
        for plan in figures.plans {
            for (replica, age) in (plan.reading.peers?.ages ?? [:]).sorted(by: { $0.key < $1.key }) {
                text.sample(
                    .migrationEvidenceAge, [("migration", plan.standing.plan.name), ("replica", replica)],
                    Wording.rounded(Double(age) / 1_000, 3))
            }
        }
        text.family(.migrationLeftOut)
        for plan in figures.plans {
            text.sample(
                .migrationLeftOut, [("migration", plan.standing.plan.name)],
                UInt64(plan.reading.peers?.remarks.count ?? 0))
        }
    }

    private func writeGates(_ figures: MigrationFigures, _ text: inout MetricsText) {
        let readings = figures.plans.flatMap { plan in
            // Of all routes together: a plan may have 64.
            plan.reading.judgement.readings.filter { $0.route == nil && $0.verdict != .off }
                .map { (plan.standing.plan.name, $0) }
        }
        let values: [(MetricName, KeyPath<GateBook.Test, Double>)] = [
            (.gateEvidence, \.evidence), (.gateThreshold, \.threshold),
        ]
        for (name, value) in values {
            text.family(name)
            for (migration, reading) in readings {
                for (test, numbers) in [("retreat", Optional(reading.retreat)), ("advance", reading.advance)] {
                    guard let numbers else { continue }
                    text.sample(
                        name, [("migration", migration), ("gate", reading.gate.rawValue), ("test", test)],
                        Wording.rounded(numbers[keyPath: value], 4))
                }
            }
        }
        text.family(.gateVerdict)
        for (migration, reading) in readings {
            let value =
                switch reading.verdict {
                case .fail: "-1"
                case .pass: "1"
                case .collecting, .off: "0"
                }
            text.sample(.gateVerdict, [("migration", migration), ("gate", reading.gate.rawValue)], value)
        }
    }

    /// Of the present run, by this replica: they begin anew with each stage.
    private func writeArms(_ figures: MigrationFigures, _ text: inout MetricsText) {
        text.family(.armSamples)
        for plan in figures.plans {
            for (side, arm) in Self.arms(plan) {
                text.sample(.armSamples, [("migration", plan.standing.plan.name), ("side", side)], arm.samples)
            }
        }
        text.family(.armBad)
        for plan in figures.plans {
            for (side, arm) in Self.arms(plan) {
                for (kind, count) in [
                    ("errors", arm.errors), ("clientErrors", arm.clientErrors), ("cancelled", arm.cancelled),
                ] {
                    text.sample(
                        .armBad, [("migration", plan.standing.plan.name), ("side", side), ("kind", kind)], count)
                }
            }
        }
    }

    private static func arms(_ plan: MigrationFigures.Plan) -> [(side: String, arm: ArmCounters)] {
        var (old, new) = (ArmCounters(), ArmCounters())
        for counts in plan.reading.own {
            old.merge(counts.old)
            new.merge(counts.new)
        }
        return [(side: "from", arm: old), (side: "to", arm: new)]
    }

    private func writeNeeds(_ figures: MigrationFigures, _ text: inout MetricsText) {
        text.family(.needs)
        for plan in figures.plans {
            for (cause, count) in plan.needs {
                text.sample(.needs, [("migration", plan.standing.plan.name), ("cause", cause)], count)
            }
        }
        text.family(.quiet)
        for plan in figures.plans {
            guard let quiet = plan.quiet else { continue }
            text.sample(.quiet, [("migration", plan.standing.plan.name)], quiet)
        }
    }
}
