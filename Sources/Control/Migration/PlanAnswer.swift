import Migration
import Traffic

/// Makes the answer about one plan of what is known of it.
struct PlanAnswer {
    let standing: PlanStanding
    let reading: PlanReading
    /// Requests a second.
    let rate: Double

    private var plan: PlanSpec { self.standing.plan }
    private var state: PlanState { self.standing.state }

    private static func percent(_ weight: UInt32) -> Double { Double(weight) / 10_000 }

    private static func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 10_000 }

    var body: MigrationBody {
        let (plan, state) = (self.plan, self.state)
        let isStarted = state.phase != .ready
        let gates = self.standing.counts ? self.reading.judgement.readings.map(self.gate) : []
        let remaining = gates.filter { $0.route == nil && $0.verdict == "collecting" }.map(\.remainingSeconds)
        return MigrationBody(
            name: plan.name, routes: plan.routes, from: plan.from, to: plan.to, state: state.phase.rawValue,
            since: self.standing.since > 0 ? Timestamp.iso8601(self.standing.since) : nil,
            stage: isStarted ? state.stage + 1 : 0,
            stageSince: self.standing.stageSince > 0 ? Timestamp.iso8601(self.standing.stageSince) : nil,
            stages: plan.stages.indices.map(self.stage), epoch: state.epoch, share: Self.percent(state.share),
            mirror: self.standing.counts ? Self.percent(plan.mirror(state.stage)) : 0,
            heldSeconds: Double(state.held) / 1_000, holdSeconds: Double(plan.stages[state.stage].hold) / 1_000,
            next: PlanWords.next(
                self.standing, self.reading.judgement, isFromAvailable: self.reading.isFromAvailable),
            // One that is not known makes all unknown.
            remainingSeconds: remaining.contains { $0 == nil } ? nil : remaining.compactMap { $0 }.max(),
            reason: state.objection ?? state.pause?.rawValue, responsible: state.responsible,
            approvedBy: state.approvedBy, enforces: plan.gates.enforce, fourEyes: plan.fourEyes,
            frozen: self.reading.isFrozen, toAvailable: self.reading.isToAvailable,
            fromAvailable: self.reading.isFromAvailable, gates: gates,
            thinRoutes: self.standing.counts ? self.reading.judgement.thinRoutes : [],
            retreat: state.retreat.map(self.retreat), wouldHaveRetreated: state.wouldHaveRetreated,
            cluster: self.reading.isShared ? self.cluster : nil)
    }

    private var cluster: MigrationBody.Cluster {
        let peers = self.standing.counts ? self.reading.peers : nil
        return MigrationBody.Cluster(
            leader: self.reading.leader, alone: self.reading.isAlone,
            counted: (peers?.ages ?? [:]).sorted { $0.key < $1.key }.map {
                .init(name: $0.key, ageSeconds: Double($0.value) / 1_000)
            }, leftOut: peers?.remarks ?? [])
    }

    private func stage(_ index: Int) -> MigrationBody.Stage {
        let stage = self.plan.stages[index]
        let kind =
            switch stage.kind {
            case .share: "share"
            case .mirror: "mirror"
            case .retire: "retire"
            }
        let place: String =
            if self.state.phase == .ready {
                "ahead"
            } else if self.state.phase == .complete {
                "done"
            } else {
                index < self.state.stage ? "done" : index == self.state.stage ? "present" : "ahead"
            }
        return MigrationBody.Stage(
            stage: index + 1, kind: kind, share: Self.percent(self.plan.weight(index)),
            mirror: Self.percent(self.plan.mirror(index)), holdSeconds: Double(stage.hold) / 1_000,
            approval: stage.approval, state: place)
    }

    private func retreat(_ retreat: PlanState.Retreat) -> MigrationBody.Retreat {
        let record = PlanRecord.Retreat(retreat)
        return MigrationBody.Retreat(
            cause: record.cause, words: PlanWords.cause(retreat.cause, self.plan), from: Self.percent(retreat.from),
            aim: Self.percent(retreat.aim), blocked: retreat.blockedSince != nil)
    }

    // MARK: gates

    private func gate(_ reading: GateBook.Reading) -> GateBody {
        let gates = self.plan.gates
        var body = GateBody(
            gate: reading.gate.rawValue, route: reading.route, verdict: reading.verdict.rawValue, unit: "percent",
            new: .init(bad: reading.new.bad, of: reading.new.count),
            old: .init(bad: reading.old.bad, of: reading.old.count),
            retreat: .init(reading.retreat), advance: reading.advance.map { .init($0) }, minimum: gates.minimum,
            differenceClass: reading.differenceClass)
        switch reading.gate {
        case .errors: self.fill(&body, reading, gates.errors)
        case .clientErrors: self.fill(&body, reading, gates.clientErrors)
        case .cancelled: self.fill(&body, reading, gates.cancelled)
        case .p50: self.fillQuantile(&body, gates.p50, tail: 0.5)
        case .p99: self.fillQuantile(&body, gates.p99, tail: 0.01)
        case .mismatches:
            body.new.value = Self.rate(reading.new)
            body.margin = gates.mismatches.map { Self.rounded($0 * 100) }
        }
        if reading.verdict == .collecting, reading.route == nil { body.remainingSeconds = self.remaining(reading) }
        return body
    }

    private static func rate(_ arm: Arm) -> Double? {
        arm.count == 0 ? nil : Self.rounded(Double(arm.bad) / Double(arm.count) * 100)
    }

    private func fill(_ body: inout GateBody, _ reading: GateBook.Reading, _ rate: GateSpec.Rate?) {
        body.new.value = Self.rate(reading.new)
        body.old.value = Self.rate(reading.old)
        body.tolerance = rate.map { Self.rounded($0.tolerance * 100) }
        body.margin = rate.map { Self.rounded($0.margin * 100) }
        guard let new = body.new.value, let old = body.old.value else { return }
        body.estimate = Self.rounded(new - old)
        guard rate != nil else { return }
        let interval = Evidence.interval(new: reading.new, old: reading.old)
        body.interval = [Self.rounded(interval.lowerBound * 100), Self.rounded(interval.upperBound * 100)]
    }

    private func fillQuantile(_ body: inout GateBody, _ rate: GateSpec.Rate?, tail: Double) {
        body.unit = "milliseconds"
        let factor: Double = self.reading.sums.latency?.isFromAnotherStage == true ? 2 : 1
        body.tolerance = rate.map { Self.rounded($0.tolerance * 100 * factor) }
        body.margin = rate.map { Self.rounded($0.margin * 100 * factor) }
        guard let latency = self.reading.sums.latency else { return }
        body.new.value = latency.new.quantile(tail: tail).map { Self.rounded(Double($0) / 1_000) }
        body.old.value = latency.old.quantile(tail: tail).map { Self.rounded(Double($0) / 1_000) }
        guard let new = body.new.value, let old = body.old.value, old > 0 else { return }
        body.estimate = Self.rounded((new / old - 1) * 100)
    }

    /// As samples have come so far in this run.
    private func remaining(_ reading: GateBook.Reading) -> Double? {
        guard let test = reading.advance, self.state.held > 1_000, reading.new.count > 0 else { return nil }
        let perSecond = Double(reading.new.count) / (Double(self.state.held) / 1_000)
        // Evidence grows about as samples do, once it grows.
        let byEvidence =
            test.evidence >= test.threshold
            ? 0
            : test.evidence > 0.2
                ? Double(reading.new.count) * (test.threshold / test.evidence - 1) : nil
        let byMinimum = Double(self.plan.gates.minimum) - Double(reading.new.count)
        guard let byEvidence else { return nil }
        return max(0, max(byEvidence, byMinimum)) / perSecond
    }
}
