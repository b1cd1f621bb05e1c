import Migration
import RoutesFile
import Traffic

/// An event of a plan, with what is known when it comes.
package struct PlanChange: Sendable {
    package var name: String
    package var event: PlanEvent
    package var facts: PlanFacts
    /// The numbers behind it, as JSON.
    package var evidence: String?
    /// What the present stage has counted; kept where the next one is compared with it.
    package var baseline: StageBaseline?
    package var ifMatch: [String] = []
    /// The operator's own words.
    package var reason = ""
    /// The run that it was seen of; nil: whichever runs.
    package var epoch: UInt64?
    /// Requests of the new side that all replicas have counted in the run.
    package var sampled: UInt64 = 0

    package init(
        _ name: String, _ event: PlanEvent, facts: PlanFacts, evidence: String? = nil, baseline: StageBaseline? = nil,
        sampled: UInt64 = 0
    ) {
        self.name = name
        self.event = event
        self.facts = facts
        self.evidence = evidence
        self.baseline = baseline
        self.sampled = sampled
    }
}

extension PlanAction.Word {
    /// What an operator has asked for, whose words belong to it; the others are what came of it.
    fileprivate var isOperators: Bool {
        switch self {
        case .started, .advanced, .approved, .paused, .resumed, .retreating, .stopped, .weighed: true
        case .waiting, .frozen, .inconclusive, .blocked, .retreated, .complete, .wouldRetreat: false
        }
    }
}

/// Plans: their states change here and nowhere else, together with the weights that they mean.
extension RoutingState {
    /// The plan whose affair the weights of a route are; nil: nobody's.
    func owner(of route: String) -> PlanStanding? {
        self.plans.values.first { $0.ownsWeights && $0.plan.routes.contains(route) }
    }

    /// Whose the weights of a route are, for whoever asks why a request goes where it goes.
    func planWords(of route: String) -> String? {
        guard let standing = self.plans.values.first(where: { $0.plan.routes.contains(route) }) else { return nil }
        let (plan, state) = (standing.plan, standing.state)
        guard state.phase != .ready else { return "migration \(plan.name) is not started" }
        return "migration \(plan.name) is \(state.phase.rawValue) in \(PlanWords.stage(plan, state.stage)), epoch "
            + "\(state.epoch): \(plan.to) is given \(PlanWords.share(state.share))"
    }

    // MARK: steps

    mutating func step(_ change: PlanChange, at now: UInt64, wall: UInt64) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        guard var standing = self.plans[change.name] else { throw .notFound("no migration \"\(change.name)\"") }
        try self.check(change.ifMatch)
        // What was seen of another run decides nothing in this one: of two who both say `advance` at once, the second would skip a
        // stage by the numbers of the one before.
        if let epoch = change.epoch, epoch != standing.state.epoch {
            if change.event == .tick { return self.unchanged }
            throw .plan(.moved, migration: change.name)
        }
        var facts = change.facts
        facts.weightsDiffer = standing.state.phase.isActive && self.weightsDiffer(standing)
        var event = change.event
        // What a replica took back alone before it ended is known by its weights only; or the file has others.
        if case .tick = event, self.shared != nil, facts.weightsDiffer, standing.state.phase != .paused {
            event = .pause(.weightsByHand, by: "")
        }
        var step = try self.step(standing, event, facts)
        if step.state.epoch != standing.state.epoch {
            // Never a number that another run has had, of this plan or of one that was here before.
            step.state.epoch = max(step.state.epoch, self.lastEpoch + 1)
            self.lastEpoch = step.state.epoch
            if step.state.stage != standing.state.stage || standing.state.phase == .ready {
                standing.baseline = change.baseline
            }
            standing.stageSince = wall
        }
        let before = standing.state
        standing.state = step.state
        if before.phase != step.state.phase { standing.since = wall }
        var transition = self.unchanged
        for action in step.actions {
            self.carryOut(action, of: standing, before, change, &transition)
        }
        // The file's weights, not the plan's.
        if step.actions.contains(.restoreFile) { standing.state.share = self.shares(of: standing).max() ?? 0 }
        self.follow(standing, wall: wall)
        // Most ticks change nothing but the time that was held.
        if !step.actions.isEmpty || before.phase != step.state.phase { self.publishMarks(at: now, &transition) }
        return transition
    }

    private func step(
        _ standing: PlanStanding, _ event: PlanEvent, _ facts: PlanFacts
    ) throws(ChangeRefused) -> PlanMachine.Step {
        do throws(PlanRefusal) {
            return try standing.machine.step(standing.state, event, facts)
        } catch {
            throw .plan(error, migration: standing.plan.name)
        }
    }

    private mutating func carryOut(
        _ action: PlanAction, of standing: PlanStanding, _ before: PlanState, _ change: PlanChange,
        _ transition: inout Transition
    ) {
        let plan = standing.plan
        switch action {
        case .journal(let word, _, let reason, let forced):
            transition.notes.append(
                Transition.Note(
                    what: word == .wouldRetreat ? .wouldRetreat : .migration, subject: plan.name,
                    detail: PlanWords.detail(word, of: standing, before: before),
                    reason: word.isOperators && !change.reason.isEmpty ? change.reason : reason,
                    evidence: change.evidence, forced: forced))
        case .table(let share, _):
            // Who goes back raises nothing: a route that a hand has taken lower stays there.
            let isBack = standing.state.phase == .retreating || standing.state.phase == .retreated
            for name in plan.routes {
                guard let index = self.routeIndices[name], let split = self.spec.routes[index].split else { continue }
                if isBack, standing.share(of: split) <= share { continue }
                self.setSplit(of: index, to: standing.split(split, share: share), .migration, "", &transition)
            }
        case .restoreFile:
            for name in plan.routes {
                guard let index = self.routeIndices[name], let split = self.spec.routes[index].split else { continue }
                let file = self.fileWeights(of: name) ?? [:]
                let entries = split.map {
                    SplitEntry(upstream: $0.upstream, weight: file[$0.upstream] ?? $0.weight)
                }
                self.setSplit(of: index, to: entries, .migration, "", &transition)
            }
        case .notify(let word), .alert(let word): transition.tellings.append(word)
        // The engine asks for it when it sees the state; the marks say the number.
        case .verdict, .epoch: break
        }
    }

    /// Keeps where it stands, and since when the new side has had all.
    private mutating func follow(_ standing: PlanStanding, wall: UInt64) {
        var standing = standing
        if standing.watchesOldSide {
            standing.fullSince = standing.fullSince ?? wall
        } else {
            standing.fullSince = nil
        }
        self.plans[standing.plan.name] = standing
    }

    /// Whether routes of the plan have other weights than its share says.
    private func weightsDiffer(_ standing: PlanStanding) -> Bool {
        self.shares(of: standing).contains { $0 != standing.state.share }
    }

    /// What each of its routes gives the new side, of a million.
    private func shares(of standing: PlanStanding) -> [UInt32] {
        standing.plan.routes.compactMap { name in
            self.routeIndices[name].flatMap { self.spec.routes[$0].split }.map { standing.share(of: $0) }
        }
    }

    // MARK: weights by hand

    /// Whether a change only takes from the new side of a plan that is active, which nothing may refuse.
    func lowersPlan(_ change: WeightChange) -> Bool {
        guard let owner = self.owner(of: change.route), let index = self.routeIndices[change.route],
            let split = self.spec.routes[index].split
        else { return false }
        let after = split.map { SplitEntry(upstream: $0.upstream, weight: change.weights[$0.upstream] ?? $0.weight) }
        return owner.share(of: after) < owner.share(of: split)
    }

    /// Plans whose weights somebody has just set: lower is always taken, higher only where it is meant. They pause.
    mutating func tellPlans(
        of transition: inout Transition, by who: String, force: Bool, reason: String, at now: UInt64, wall: UInt64
    ) throws(ChangeRefused) {
        let changed = transition.reweightings.filter { $0.before != $0.after }
        for standing in self.plans.values.sorted(by: { $0.plan.name < $1.plan.name })
        where standing.ownsWeights || standing.leftWeights {
            let own = changed.filter { standing.plan.routes.contains($0.route) }
            guard !own.isEmpty else { continue }
            let isRise = own.contains { standing.share(of: $0.after) > standing.share(of: $0.before) }
            let share = self.shares(of: standing).max()
            if standing.leftWeights {
                var next = standing
                next.state.share = share ?? 0
                self.follow(next, wall: wall)
                self.markRoutes()
                continue
            }
            guard standing.state.phase != .retreating else {
                if isRise { throw .owned(migration: standing.plan.name) }
                // What a hand has taken further than the way back has come is not given back by its next step.
                var next = standing
                next.state.share = min(standing.state.share, share ?? 0)
                self.follow(next, wall: wall)
                continue
            }
            let facts = PlanFacts(
                now: Int64(clamping: now), judgement: GateBook.Judgement(readings: [], thinRoutes: []))
            let step: PlanMachine.Step
            do throws(PlanRefusal) {
                step = try standing.machine.step(
                    standing.state,
                    .weighed(share: share ?? 0, isRise: isRise, by: who, force: force, reason: reason), facts)
            } catch {
                throw .owned(migration: standing.plan.name)
            }
            var next = standing
            next.state = step.state
            if standing.state.phase != .paused { next.since = wall }
            transition.notes.append(
                Transition.Note(
                    what: .migration, subject: standing.plan.name,
                    detail: PlanWords.detail(.weighed, of: next, before: standing.state), reason: reason))
            self.follow(next, wall: wall)
            self.markRoutes()
        }
    }

    // MARK: the file

    /// Takes on the plans of a file that is about to be in force. Answers what the journal is told.
    mutating func adoptPlans(
        _ configuration: BalancerConfiguration, at now: UInt64, wall: UInt64
    ) -> [Transition.Note] {
        var notes: [Transition.Note] = []
        var plans: [String: PlanStanding] = [:]
        if let shared {
            // What all have agreed on goes before what this process knew by itself.
            self.inheritedPlans = self.inheritedPlans.filter { self.detachedPlans.contains($0.key) }
            for (name, record) in shared.plans where self.plans[name] == nil && !self.detachedPlans.contains(name) {
                self.inheritedPlans[name] = record
                self.lastEpoch = max(self.lastEpoch, record.epoch)
            }
        }
        for spec in configuration.migrations {
            guard var standing = PlanStanding(spec, state: PlanState()) else { continue }
            var isChanged = false
            if let present = self.plans[spec.plan.name], self.inheritedPlans[spec.plan.name] == nil {
                isChanged = present.fingerprint != standing.fingerprint
                standing.state = present.state
                standing.since = present.since
                standing.stageSince = present.stageSince
                standing.fullSince = present.fullSince
                standing.baseline = present.baseline
                if !standing.ownsWeights {
                    standing.state.stage = min(standing.state.stage, spec.plan.stages.count - 1)
                }
                if standing.ownsWeights, (present.plan.from, present.plan.to) != (spec.plan.from, spec.plan.to) {
                    self.changeSides(of: &standing)
                }
            } else if let record = self.inheritedPlans[spec.plan.name] {
                isChanged = record.fingerprint != standing.fingerprint
                standing.state = record.state(of: spec.plan, now: Int64(clamping: now))
                standing.since = record.since
                standing.stageSince = record.stageSince
                standing.fullSince = record.fullSince
                standing.baseline = record.baseline
            }
            self.inheritedPlans[spec.plan.name] = nil
            if isChanged, standing.ownsWeights {
                Self.findPlace(
                    of: &standing.state, in: spec.plan,
                    wasRetiring: self.plans[spec.plan.name].map { $0.isRetiring } ?? false)
            }
            if standing.ownsWeights, self.keepWeights(of: standing, configuration, isSamePlan: !isChanged) {
                isChanged = true
            } else if let record = self.shared?.plans[spec.plan.name], !self.detachedPlans.contains(spec.plan.name),
                record.fingerprint == standing.fingerprint, standing.state.pause == .fileChanged
            {
                // The file that all have is here again.
                standing = Self.following(record, instead: standing, at: now)
                isChanged = false
            }
            // Also where it is paused already: whoever resumes it must know that it is another plan now.
            if isChanged, standing.state.phase.isActive, standing.state.pause != .fileChanged {
                notes.append(self.pause(&standing, at: now, wall: wall))
            }
            plans[spec.plan.name] = standing
        }
        for standing in self.plans.values where plans[standing.plan.name] == nil && standing.ownsWeights {
            notes.append(
                Transition.Note(
                    what: .migration, subject: standing.plan.name,
                    detail: Self.departed))
        }
        // Those of earlier processes as well: a file that has one again later begins it anew.
        for record in self.inheritedPlans.values.sorted(by: { $0.name < $1.name }) where self.shared == nil {
            guard let phase = PlanState.Phase(rawValue: record.phase), phase.isActive || phase == .retreating else {
                continue
            }
            notes.append(Transition.Note(what: .migration, subject: record.name, detail: Self.departed))
        }
        self.inheritedPlans = [:]
        self.plans = plans
        return notes
    }

    private static let departed = "stopped: the file has no such migration any more; weights stay"

    /// Where a plan stands whose stages are others now: never at one that gives more than is in force, or whoever resumes it would
    /// take the share there without any evidence; and in the stage that retires the old side only if it was in that, or its
    /// approval and its hold would be those of another. `wasRetiring`: by the plan before, as far as that is known.
    static func findPlace(of state: inout PlanState, in plan: PlanSpec, wasRetiring: Bool) {
        let share = state.share
        let last = plan.stages.count - 1
        let isRetiring = wasRetiring && plan.stages[last].kind == .retire
        var stage = isRetiring ? last : min(state.stage, last)
        if plan.weight(stage) > share || (plan.stages[stage].kind == .retire && !isRetiring) {
            stage = plan.stages.indices.last { plan.weight($0) <= share && plan.stages[$0].kind != .retire } ?? 0
        }
        // It has been held as long as it was, under whatever number.
        if isRetiring, stage == last { state.stage = last }
        guard stage != state.stage || plan.weight(stage) != share else { return }
        state.stage = stage
        state.held = 0
        state.patienceFrom = 0
    }

    /// It leads between other sides from now on: what was counted, and what it went back from, is of those that were before.
    private mutating func changeSides(of standing: inout PlanStanding) {
        self.lastEpoch += 1
        standing.state.epoch = self.lastEpoch
        standing.state.held = 0
        standing.state.patienceFrom = 0
        standing.state.retreat = nil
        standing.baseline = nil
        // To be paused, as every plan that another takes the place of.
        if standing.state.phase == .retreating { standing.state.phase = .running }
    }

    /// Plans of which the specification that is about to be in force gives the new side another share than they have put there: its
    /// live weights ended, or there never were any because the file had said the same. They pause, and know what is in force.
    mutating func followShares(in spec: TableSpec, at now: UInt64, wall: UInt64) -> [Transition.Note] {
        var notes: [Transition.Note] = []
        for standing in self.plans.values.sorted(by: { $0.plan.name < $1.plan.name })
        where standing.ownsWeights || standing.leftWeights {
            let shares = spec.routes.filter { standing.plan.routes.contains($0.name) }.compactMap { $0.split }
                .map { standing.share(of: $0) }
            guard let most = shares.max() else { continue }
            var next = standing
            let isOther = shares.contains { $0 != standing.state.share }
            if isOther, next.state.phase.isActive, next.state.phase != .paused {
                notes.append(self.pause(&next, at: now, wall: wall))
            }
            next.state.share = most
            // By other sides it may be less than the stage gives: whoever resumes the plan takes nothing there without evidence.
            if isOther, next.ownsWeights, next.state.phase != .retreating {
                Self.findPlace(of: &next.state, in: next.plan, wasRetiring: next.isRetiring)
            }
            self.follow(next, wall: wall)
        }
        return notes
    }

    /// Plans whose weights are nobody's affair stand where their routes are, whatever all had agreed on when they were left: a file
    /// that says something else since then is no step of theirs. `known`: where they stood here before.
    mutating func followLeft(_ known: [String: PlanStanding], wall: UInt64) {
        for var standing in self.plans.values where standing.leftWeights {
            let name = standing.plan.name
            guard !self.detachedPlans.contains(name) else { continue }
            standing.state.share = self.shares(of: standing).max() ?? 0
            // What was noted before the later of the two is not all that there was.
            standing.fullSince = [standing.fullSince, known[name]?.fullSince].compactMap(\.self).max()
            self.follow(standing, wall: wall)
        }
    }

    func pause(_ standing: inout PlanStanding, at now: UInt64, wall: UInt64) -> Transition.Note {
        let before = standing.state
        let facts = PlanFacts(
            now: Int64(clamping: now), judgement: GateBook.Judgement(readings: [], thinRoutes: []))
        if let step = try? standing.machine.step(before, .pause(.fileChanged, by: ""), facts) {
            standing.state = step.state
            if before.phase != .paused { standing.since = wall }
        }
        return Transition.Note(
            what: .migration, subject: standing.plan.name,
            detail: PlanWords.detail(.paused, of: standing, before: before), reason: "file-changed")
    }

    /// What a plan has put in force stays, whatever the file now says of its routes' weights. True if it says something else.
    private mutating func keepWeights(
        of standing: PlanStanding, _ configuration: BalancerConfiguration, isSamePlan: Bool
    ) -> Bool {
        var isChanged = false
        for route in configuration.table.routes where standing.plan.routes.contains(route.name) {
            guard let file = route.split?.weights else { continue }
            let present = self.routeIndices[route.name].flatMap { self.spec.routes[$0].split?.weights }
            let agreed = self.detached.contains(route.name) ? nil : self.shared?.weights[route.name]
            let known = (agreed ?? self.live[route.name])?.fileWeights ?? self.fileWeights(of: route.name)
            guard let known else {
                // No file was in force before, and no weights over it were kept: then the plan's were the file's own.
                if self.configuration == nil, self.keepShare(of: standing, route, mayRise: isSamePlan) {
                    isChanged = true
                }
                continue
            }
            guard known != file else { continue }
            isChanged = true
            guard let before = agreed?.weights ?? self.live[route.name]?.weights ?? present else { continue }
            let weights = LiveState.Weights(route: route.name, weights: before, fileWeights: known).weights(over: file)
            guard Set(weights.keys).isSubset(of: Set(file.keys)) else { continue }
            self.live[route.name] = LiveState.Weights(route: route.name, weights: weights, fileWeights: file)
        }
        return isChanged
    }

    /// Lays what the plan had put in force over a route of the first file, if that says something else; lower only, where it is not
    /// certain that the route was the plan's. True if the file says something else.
    private mutating func keepShare(of standing: PlanStanding, _ route: RouteSpec, mayRise: Bool) -> Bool {
        guard let split = route.split, standing.share(of: split) != standing.state.share else { return false }
        guard standing.share(of: split) > standing.state.share || mayRise else { return true }
        let weights = standing.split(split, share: standing.state.share).weights
        self.live[route.name] = LiveState.Weights(route: route.name, weights: weights, fileWeights: split.weights)
        return true
    }

    // MARK: what the data plane is told

    private mutating func markRoutes() {
        var spec = self.spec
        self.markRoutes(of: &spec)
        self.spec = spec
    }

    /// Which stage's counters requests count into, how many are copied, and whose requests are noted.
    func markRoutes(of spec: inout TableSpec) {
        let standings = self.plans.values.sorted { $0.plan.name < $1.plan.name }
        let watching = standings.filter(\.watchesOldSide)
        for index in spec.routes.indices {
            let name = spec.routes[index].name
            if let standing = standings.first(where: { $0.plan.routes.contains(name) }) {
                spec.routes[index].migration?.epoch = standing.counts ? standing.state.epoch : 0
                spec.routes[index].migration?.stage =
                    standing.counts ? UInt32(clamping: standing.state.stage + 1) : 0
                spec.routes[index].migration?.mirrorShare =
                    standing.counts ? standing.plan.mirror(standing.state.stage) : 0
            }
            guard let split = spec.routes[index].split, !watching.isEmpty || spec.routes[index].watchedMember != nil
            else { continue }
            spec.routes[index].watchedMember = split.firstIndex { entry in
                watching.contains { $0.plan.from == entry.upstream }
            }
        }
    }

    /// Marks what is in force, and publishes it if anything has changed.
    mutating func publishMarks(at now: UInt64, _ transition: inout Transition) {
        var spec = self.spec
        self.markRoutes(of: &spec)
        let isMarked = spec != self.spec
        self.spec = spec
        if isMarked || transition.reweightings.contains(where: { $0.before != $0.after }) {
            self.publish(at: now, &transition)
        }
    }
}
