import Migration
import RoutesFile
import Traffic

/// Plans of which all replicas know where they stand.
extension RoutingState {
    /// Brings the plans of the file to where all have agreed that they stand.
    mutating func agreePlans(on shared: SharedLive, at now: UInt64, wall: UInt64) {
        for (name, present) in self.plans where !self.detachedPlans.contains(name) {
            guard let record = shared.plans[name] else {
                // Nobody has begun it.
                if present.state != PlanState() {
                    self.plans[name] = PlanStanding(present.spec, state: PlanState())
                }
                continue
            }
            self.lastEpoch = max(self.lastEpoch, record.epoch)
            guard !PlanRecord(present).isSameStep(as: record) else { continue }
            self.plans[name] = self.standing(record, instead: present, at: now, wall: wall)
        }
    }

    private func standing(
        _ record: PlanRecord, instead present: PlanStanding, at now: UInt64, wall: UInt64
    ) -> PlanStanding {
        var next = Self.following(record, instead: present, at: now)
        // Here it is another plan, or its routes have another split: whoever leads tells all, and until then nobody here takes it for
        // what it is not.
        let isOther = record.fingerprint != present.fingerprint
        if isOther || self.splitsDiffer(next.plan), next.ownsWeights {
            if isOther {
                Self.findPlace(
                    of: &next.state, in: next.plan,
                    wasRetiring: present.isRetiring && present.state.epoch == record.epoch)
            }
            if next.state.phase.isActive, next.state.pause != .fileChanged {
                _ = self.pause(&next, at: now, wall: wall)
            }
        }
        return next
    }

    /// Where a plan stands by what all have agreed on. What only this process measures goes on within the same run: how long the
    /// stage was held, and since when it has known of a way back.
    static func following(_ record: PlanRecord, instead present: PlanStanding, at now: UInt64) -> PlanStanding {
        var next = present
        next.state = record.state(of: present.plan, now: Int64(clamping: now))
        next.since = record.since
        next.stageSince = record.stageSince
        next.fullSince = record.fullSince
        next.baseline = record.baseline
        let before = present.state
        if before.epoch == next.state.epoch {
            next.state.held = max(before.held, next.state.held)
            if before.phase == next.state.phase { next.state.ticked = before.ticked }
            if let since = before.retreatedAt, next.state.retreatedAt != nil { next.state.retreatedAt = since }
            if let way = before.retreat, let known = next.state.retreat, (way.from, way.aim) == (known.from, known.aim)
            {
                next.state.retreat?.began = way.began
                next.state.retreat?.alerted = way.alerted
                next.state.retreat?.blockedSince = way.blockedSince
            }
        }
        return next
    }

    /// Whether where a plan stands here is another step than all have agreed on.
    func isNews(_ standing: PlanStanding) -> Bool {
        let record = PlanRecord(standing)
        guard let known = self.shared?.plans[standing.plan.name] else { return standing.state != PlanState() }
        return !record.isSameStep(as: known)
    }

    /// How long a stage was held, by whoever leads: this replica goes on from there if it comes to lead.
    mutating func followHeld(_ held: Int64, of name: String, epoch: UInt64) {
        guard self.plans[name]?.state.epoch == epoch else { return }
        self.plans[name]?.state.held = max(0, held)
    }

    /// This replica leads no more, or anew: the time in between is not its own.
    mutating func forgetTicks() {
        for name in self.plans.keys { self.plans[name]?.state.ticked = nil }
    }
}
