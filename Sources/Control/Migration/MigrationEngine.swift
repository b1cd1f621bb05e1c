import FoundationEssentials
import Ledger
import Logging
import Migration
import RoutesFile
import Traffic

/// Makes the plans of the file run: once a second it looks at what was counted, and tells the publisher, which takes the step.
///
/// It keeps nothing that must outlive it: where plans stand is the publisher's, and what was counted is the workers'.
package actor MigrationEngine {
    /// Milliseconds between two ticks.
    static let interval: UInt64 = 1_000
    /// Milliseconds after which held time is written down.
    static let saveInterval: UInt64 = 5_000

    let publisher: TablePublisher
    let dataPlane: any DataPlane
    let clock: ControlClock
    let mirror: (any MirrorEvidence)?
    let peers: (any PlanPeers)?
    let traffic: @Sendable () async -> TrafficWindow
    private let logger: Logger?

    /// What the last tick saw, by plan.
    private(set) var readings: [String: PlanReading] = [:]
    /// Since when a plan's new side has had no available endpoint.
    private var unavailableSince: [String: UInt64] = [:]
    /// For how long durations have failed, by plan.
    private var slowSpells: [String: SlowSpells] = [:]
    private var calendar = FreezeCalendar()
    private var savedAt: UInt64 = 0
    /// Steps taken, for metrics.
    private(set) var transitions: [PlanTransition: UInt64] = [:]
    private(set) var needs = NeedBook()
    /// How far each plan has read them.
    private var needsSeen: [String: UInt64] = [:]
    private(set) var peaks: [String: PeakHours] = [:]
    /// The term in which this replica led at the last look; nil: it did not.
    private var ledTerm: UInt64?
    /// How far each plan has seen that others needed its old side.
    private var neededSeen: [String: (epoch: UInt64, count: UInt64)] = [:]

    package init(
        publisher: TablePublisher, dataPlane: any DataPlane, clock: ControlClock = .system,
        mirror: (any MirrorEvidence)? = nil, peers: (any PlanPeers)? = nil, logger: Logger? = nil,
        traffic: @escaping @Sendable () async -> TrafficWindow = { TrafficWindow() }
    ) {
        self.publisher = publisher
        self.dataPlane = dataPlane
        self.clock = clock
        self.mirror = mirror
        self.peers = peers
        self.logger = logger
        self.traffic = traffic
    }

    // MARK: ticks

    /// Ticks until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(Self.interval) } catch { return }
            await self.tick()
        }
    }

    package func tick() async {
        let view = await self.publisher.current
        self.needs.add(await self.dataPlane.takeNeeds(), wall: self.clock.wall())
        guard !view.state.plans.isEmpty else {
            for name in self.readings.keys {
                self.forget(name)
                await self.peers?.forget(name)
            }
            return
        }
        await self.tellSeen(view.table)
        await self.noteTerm()
        let counts = await self.dataPlane.stageCounts()
        for standing in view.state.plans.values.sorted(by: { $0.plan.name < $1.plan.name }) {
            if let shared = view.state.shared {
                await self.mirror?.agree(on: shared.differences[standing.plan.name] ?? [:], of: standing.plan.name)
            }
            let reading = await self.look(at: standing, counts, view.table)
            self.readings[standing.plan.name] = reading
            // A process that is killed now must not find its old side quiet at the next start.
            if reading.isFromNeeded, standing.watchesOldSide { self.savedAt = 0 }
            // Only here, where it has its effect: whoever asks in between must not take it away.
            self.needsSeen[standing.plan.name] = self.newestNeed(of: standing, view.table)
            if let peers = reading.peers {
                self.neededSeen[standing.plan.name] = (standing.state.epoch, peers.needed)
            }
            guard standing.ownsWeights else { continue }
            if reading.isLeader {
                await self.take(.tick, of: standing, reading)
            } else if reading.isAlone {
                await self.brakeAlone(standing, reading)
            } else if let lead = reading.peers?.lead {
                await self.publisher.followHeld(lead.held, of: standing.plan.name, epoch: standing.state.epoch)
            }
        }
        for name in self.readings.keys where view.state.plans[name] == nil {
            self.forget(name)
            await self.peers?.forget(name)
        }
        await self.save()
    }

    /// All that is kept of a plan by its name.
    private func forget(_ name: String) {
        self.readings[name] = nil
        self.unavailableSince[name] = nil
        self.slowSpells[name] = nil
        self.needsSeen[name] = nil
        self.neededSeen[name] = nil
        self.peaks[name] = nil
    }

    /// Whoever comes to lead has not held the time before, and goes on where the one before has come to.
    private func noteTerm() async {
        guard let peers = self.peers else { return }
        let term = await peers.standing().term
        guard term != self.ledTerm else { return }
        self.ledTerm = term
        await self.publisher.forgetTicks()
    }

    /// The others cannot be asked: what was counted here alone, and what is seen from here, may send the plan back, never on.
    private func brakeAlone(_ standing: PlanStanding, _ reading: PlanReading) async {
        let facts = reading.facts(now: self.clock.monotonic())
        guard standing.state.phase == .retreating || standing.machine.brakes(facts) else { return }
        await self.take(.tick, of: standing, reading, detached: true)
    }

    /// Which kinds of requests there were, to whoever knows which were compared.
    private func tellSeen(_ table: RoutingTable) async {
        guard let mirror = self.mirror else { return }
        var told: Set<String> = []
        for record in table.routes.lazy.compactMap(\.mirror) where told.insert(record.migration).inserted {
            let seen = record.seen.take()
            if !seen.isEmpty { await mirror.note(seen: seen, migration: record.migration) }
        }
    }

    private func save() async {
        let now = self.clock.monotonic()
        guard now >= self.savedAt + Self.saveInterval else { return }
        self.savedAt = now
        await self.publisher.keepStandings()
        let due = self.needs.takeUnwritten()
        if !due.isEmpty, await self.publisher.keepNeeds(due) == false { self.needs.putBack(due) }
        await self.measurePeaks()
    }

    /// Writes what the last moments of this process have shown, while workers can still be asked.
    package func close() async {
        self.needs.add(await self.dataPlane.takeNeeds(), wall: self.clock.wall())
        self.savedAt = 0
        await self.save()
    }

    /// Takes on what is known of needs since before this process.
    package func recallNeeds() async { self.needs.recall(await self.publisher.keptNeeds()) }

    private func measurePeaks() async {
        let view = await self.publisher.current
        let watching = view.state.plans.values.filter { $0.watchesOldSide }
        guard !watching.isEmpty else { return }
        let window = await self.traffic()
        for standing in watching {
            let plan = standing.plan
            let rate = plan.routes.reduce(0.0) { $0 + window.rate(of: $1) }
            let others = window.rate(at: plan.to, without: Set(plan.routes))
            self.peaks[plan.name, default: PeakHours()].note(
                (rate + others) * (window.latency(of: plan.to) ?? 0), now: self.clock.monotonic())
        }
    }

    /// A refusal is no news: the next tick asks again.
    private func take(
        _ event: PlanEvent, of standing: PlanStanding, _ reading: PlanReading, detached: Bool = false
    ) async {
        var change = self.change(event, of: standing, reading)
        change.epoch = standing.state.epoch
        let origin = ChangeOrigin(.migration, who: standing.plan.name)
        do throws(ChangeRefused) {
            let outcome = try await self.publisher.step(change, origin: origin, detached: detached)
            self.note(outcome, from: standing.state)
        } catch {
            self.logger?.debug(
                "a plan's step was refused", metadata: ["migration": "\(standing.plan.name)", "cause": "\(error)"])
        }
    }

    private func change(_ event: PlanEvent, of standing: PlanStanding, _ reading: PlanReading) -> PlanChange {
        PlanChange(
            standing.plan.name, event, facts: reading.facts(now: self.clock.monotonic()),
            evidence: reading.evidence(of: standing), baseline: StageBaseline(reading.counts),
            sampled: reading.counts.reduce(0) { $0 &+ $1.new.samples })
    }

    /// What people are told, and what is counted.
    private func note(_ outcome: PlanOutcome, from before: PlanState) {
        let state = outcome.standing.state
        let name = outcome.standing.plan.name
        if state.phase != before.phase || state.epoch != before.epoch {
            let reason: String =
                switch state.retreat?.cause {
                case .gate(let reading)? where state.phase == .retreating || state.phase == .retreated:
                    reading.gate.rawValue
                case .unavailable? where state.phase == .retreating || state.phase == .retreated: "unavailable"
                case .byHand? where state.phase == .retreating || state.phase == .retreated: "by-hand"
                default: state.pause?.rawValue ?? ""
                }
            let transition = PlanTransition(migration: name, to: state.phase.rawValue, reason: reason)
            self.transitions[transition, default: 0] += 1
        }
        for word in outcome.tellings {
            let text = PlanWords.detail(word, of: outcome.standing, before: before)
            let metadata: Logger.Metadata = ["migration": "\(name)", "what": "\(text)"]
            switch word {
            case .retreating, .blocked, .inconclusive: self.logger?.error("a migration wants eyes", metadata: metadata)
            default: self.logger?.notice("a migration waits", metadata: metadata)
            }
        }
    }

    // MARK: facts

    /// Everything that is known of a plan now.
    private func look(
        at standing: PlanStanding, _ counts: [StageCounts], _ table: RoutingTable
    ) async -> PlanReading {
        let (plan, state) = (standing.plan, standing.state)
        let now = self.clock.monotonic()
        let to = table.upstream(named: plan.to)?.isAvailable(now: now) ?? false
        let from = table.upstream(named: plan.from)?.isAvailable(now: now) ?? false
        if to {
            self.unavailableSince[plan.name] = nil
        } else if self.unavailableSince[plan.name] == nil {
            self.unavailableSince[plan.name] = now
        }
        var reading = PlanReading()
        reading.isToAvailable = to
        reading.isFromAvailable = from
        reading.toUnavailableSince = self.unavailableSince[plan.name]
        reading.isFrozen = self.calendar.isFrozen(plan.freeze, wall: self.clock.wall())
        let needed = self.newestNeed(of: standing, table)
        reading.isFromNeeded = needed > self.needsSeen[plan.name] ?? needed
        let own = counts.filter { $0.epoch == state.epoch && plan.routes.contains($0.route) }
        let mirror =
            standing.counts ? await self.mirror?.sums(migration: plan.name, epoch: state.epoch) : nil
        reading.own = own
        guard let peers = self.peers else {
            reading.counts = own
            return self.judge(reading, standing, mirror, alpha: plan.alpha)
        }
        return await self.look(at: standing, reading, own, mirror, peers, table)
    }

    /// Likewise, among others.
    private func look(
        at standing: PlanStanding, _ reading: PlanReading, _ own: [StageCounts], _ mirror: MirrorSums?,
        _ peers: any PlanPeers, _ table: RoutingTable
    ) async -> PlanReading {
        let (plan, state) = (standing.plan, standing.state)
        var reading = reading
        reading.isShared = true
        // Once it is complete nothing is judged any more, and still all have to know who needs the old side.
        guard standing.counts || standing.watchesOldSide else {
            await peers.forget(plan.name)
            let others = await peers.standing()
            reading.follow(others, ledTerm: self.ledTerm)
            reading.objection = others.holds.first
            return reading
        }
        var part = PlanPart(
            migration: plan.name, epoch: state.epoch, fingerprint: standing.fingerprint, counts: own, mirror: mirror)
        if let term = self.ledTerm { part.lead = PlanSample.Lead(term: term, held: state.held) }
        let rows = self.needs.rows(of: NeedBook.routes(of: plan, in: table.spec), since: 0)
        part.needs = rows.reduce(0) { $0 &+ $1.count }
        part.lastNeed = rows.first?.last ?? 0
        if standing.watchesOldSide {
            part.retirement = await self.retirement(of: standing, table, limit: RetirementSample.limit)
        }
        let sums = await peers.exchange(part)
        // Behind it: whoever comes to lead has to hear first what all have counted.
        let others = await peers.standing()
        reading.follow(others, ledTerm: self.ledTerm)
        reading.peers = sums
        // Ten replicas with a tenth of the requests each are judged as one; what is left for each one's own brake is the rest.
        guard !others.isAlone else {
            reading.counts = own
            return self.judge(reading, standing, mirror, alpha: plan.alpha * 0.1 / Double(max(1, others.known)))
        }
        reading.objection = (others.holds + sums.remarks).first
        let seen = self.neededSeen[plan.name]
        if let seen, seen.epoch == state.epoch, sums.needed > seen.count { reading.isFromNeeded = true }
        reading.counts = SampleSums.counts(own, sums.others, epoch: state.epoch)
        let said = await self.publisher.current.state.shared?.differences[plan.name] ?? [:]
        let all = SampleSums.mirror(mirror, of: sums.replica, sums.others, alpha: plan.alpha, said: said)
        return self.judge(reading, standing, all, alpha: plan.alpha * 0.9)
    }

    private func judge(
        _ reading: PlanReading, _ standing: PlanStanding, _ mirror: MirrorSums?, alpha: Double
    ) -> PlanReading {
        var reading = reading
        guard standing.counts else { return reading }
        let (plan, state) = (standing.plan, standing.state)
        reading.sums = StageEvidence.sums(standing, reading.counts, mirror)
        reading.judgement = self.slowSpells[plan.name, default: SlowSpells()].temper(
            GateBook(spec: plan.gates, alpha: alpha).judge(reading.sums), epoch: state.epoch,
            settle: plan.gates.settle, now: Int64(clamping: self.clock.monotonic()))
        return reading
    }

    /// Which look found somebody last who needed the plan's old side.
    private func newestNeed(of standing: PlanStanding, _ table: RoutingTable) -> UInt64 {
        self.needs.newest(of: NeedBook.routes(of: standing.plan, in: table.spec))
    }

    // MARK: operators

    /// An operator's word. Facts are looked up anew: what the last tick saw may be a second old.
    package func act(
        _ name: String, _ event: PlanEvent, reason: String = "", origin: ChangeOrigin, ifMatch: [String], dryRun: Bool,
        local: Bool = false
    ) async throws(ChangeRefused) -> PlanOutcome {
        let view = await self.publisher.current
        guard let standing = view.state.plans[name] else { throw .notFound("no migration \"\(name)\"") }
        let counts = await self.dataPlane.stageCounts()
        let reading = await self.look(at: standing, counts, view.table)
        self.readings[name] = reading
        var change = self.change(event, of: standing, reading)
        change.ifMatch = ifMatch
        change.reason = reason
        // What goes on goes on from what was looked at; what goes back or stops goes back from wherever it is.
        switch event {
        case .start, .approve, .advance, .resume: change.epoch = standing.state.epoch
        case .tick, .retreat, .pause, .weighed, .stop: break
        }
        let outcome = try await self.publisher.step(
            change, origin: origin, dryRun: dryRun, detached: local)
        if !dryRun { self.note(outcome, from: standing.state) }
        return outcome
    }

    /// What was seen of a plan last; looked up where nothing was yet.
    func reading(of standing: PlanStanding, _ table: RoutingTable) async -> PlanReading {
        if let reading = self.readings[standing.plan.name], reading.epoch == standing.state.epoch { return reading }
        return await self.look(at: standing, await self.dataPlane.stageCounts(), table)
    }
}

/// A step that was taken, for metrics.
package struct PlanTransition: Hashable, Sendable {
    package var migration: String
    package var to: String
    package var reason: String
}

/// What is known of a plan at a moment.
struct PlanReading: Sendable {
    var isLeader = true
    /// The other replicas cannot be asked.
    var isAlone = false
    /// There are others.
    var isShared = false
    /// Of them all; nil: nobody is known to lead, or there are none.
    var leader: String?
    /// What they have counted; nil: there are none, or nothing is counted.
    var peers: PeerSums?
    var isToAvailable = true
    var isFromAvailable = true
    /// Monotonic milliseconds.
    var toUnavailableSince: UInt64?
    var isFrozen = false
    var isFromNeeded = false
    /// What other replicas have against a rise.
    var objection: String?
    /// Of the plan's routes in the present run, by all replicas, and by this one.
    var counts: [StageCounts] = []
    var own: [StageCounts] = []
    var sums = StageSums(routes: [])
    var judgement = GateBook.Judgement(readings: [], thinRoutes: [])

    var epoch: UInt64? { self.counts.first?.epoch }

    /// `ledTerm`: the term in which this replica leads by its last look.
    mutating func follow(_ others: PeerStanding, ledTerm: UInt64?) {
        self.isAlone = others.isAlone
        self.leader = others.leader
        self.isLeader = others.term != nil && others.term == ledTerm && !others.isAlone
    }

    func facts(now: UInt64) -> PlanFacts {
        var facts = PlanFacts(now: Int64(clamping: now), judgement: self.judgement)
        facts.isLed = self.isLeader
        facts.toUnavailable = self.toUnavailableSince.map { Int64(clamping: now > $0 ? now - $0 : 0) }
        facts.isFromAvailable = self.isFromAvailable
        facts.isFrozen = self.isFrozen
        facts.objection = self.objection
        facts.isFromNeeded = self.isFromNeeded
        return facts
    }

    /// The numbers behind a step, as JSON.
    func evidence(of standing: PlanStanding) -> String? {
        let evidence = PlanEvidence(
            stage: standing.state.stage + 1, epoch: standing.state.epoch,
            heldSeconds: Double(standing.state.held) / 1_000,
            gates: self.judgement.readings.filter { $0.verdict != .off }.map(PlanEvidence.Reading.init))
        guard !evidence.gates.isEmpty else { return nil }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(evidence)).map { String(decoding: $0, as: UTF8.self) }
    }
}
