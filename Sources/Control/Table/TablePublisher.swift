import Logging
import RoutesFile
import Traffic

/// The one writer of routing truth. Every change passes the same way: it waits its turn, is applied to a copy of the state,
/// published to every worker, and only then in force, journalled and answered.
///
/// Changes are taken one at a time, in order of arrival, although publishing waits for the workers: an actor alone
/// would let a second change start from a table that the first is about to replace.
package actor TablePublisher {
    private let registry: EndpointRegistry
    private let dataPlane: any DataPlane
    let clock: ControlClock
    let logger: Logger?
    /// Called after each publication, before the change is answered.
    private let published: @Sendable (RoutingTable) async -> Void

    private(set) var state: RoutingState
    /// Built from the state's specification.
    private(set) var table: RoutingTable
    private var listenersBound = false
    var journal = Journal()
    var ledger: LedgerStanding?
    /// What has happened lately, for the guard.
    let traffic: @Sendable () async -> TrafficWindow
    var guardRefusals: [GuardReason: UInt64] = [:]
    /// The change that set where a plan stands, by the plan's name: what is kept of it refers to that.
    var planChanges: [String: String] = [:]
    /// The side that serves in reserve, by route.
    var servingReserves: [String: String] = [:]
    /// nil: this process is alone.
    package let agreement: Agreement?
    /// How far this replica is with what all have agreed on.
    var agreed = AgreedStanding()

    let turnstile = Turnstile()

    /// `registry` must be the one from which the data plane's first (empty) table was built. `instance` is a number that no
    /// other process has. Without `ledger` the journal and what operators change end with the process.
    package init(
        registry: EndpointRegistry, dataPlane: any DataPlane, clock: ControlClock = .system,
        instance: UInt64 = .random(in: .min ... .max), ledger: LedgerStore? = nil, replica: String = "",
        agreement: Agreement? = nil, logger: Logger? = nil,
        published: @escaping @Sendable (RoutingTable) async -> Void = { _ in },
        traffic: @escaping @Sendable () async -> TrafficWindow = { TrafficWindow() }
    ) {
        self.registry = registry
        self.dataPlane = dataPlane
        self.clock = clock
        self.logger = logger
        self.traffic = traffic
        self.ledger = ledger.map { LedgerStanding(store: $0, replica: replica) }
        self.published = published
        self.agreement = agreement
        self.state = RoutingState(instance: instance, at: clock.monotonic())
        self.table = RoutingTable(spec: TableSpec(), generation: 0, registry: registry)
    }

    // MARK: what is in force

    package var current: TableView {
        TableView(
            table: self.table, state: self.state, listenersBound: self.listenersBound, ledger: self.ledger,
            guardRefusals: self.guardRefusals)
    }

    package var entries: [JournalEntry] { self.journal.entries }

    /// Of the journal's last entry; 0: it has none.
    var lastSequence: UInt64 { self.journal.nextSequence - 1 }

    // MARK: changes

    /// Puts a validated configuration in force: listeners first, because only they can fail, then the table. Live
    /// weights survive unless the file now says something else about that route. A configuration that means the same
    /// as the present one keeps the generation. Throws `.invalid`, having changed nothing, if a listener cannot be
    /// bound.
    package func load(_ configuration: BalancerConfiguration, origin: ChangeOrigin) async throws(ChangeRefused)
        -> LoadOutcome
    {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let before = self.state
        let (next, transition) = try self.applying(.load(configuration))
        if self.state.configuration == nil {
            // Nothing is served yet: the table goes first, so that the first connection finds its routes.
            await self.putInForce(next, transition)
            do throws(ChangeRefused) {
                try await self.bind(configuration.listeners)
            } catch {
                self.state.withdraw()
                throw error
            }
        } else {
            try await self.bind(configuration.listeners)
            await self.putInForce(next, transition)
        }
        await self.tellCluster()
        await self.note(transition, from: before, origin)
        return LoadOutcome(generation: transition.generationAfter, changed: transition.publishes)
    }

    /// Writes a rejected load into the journal.
    package func noteRejected(_ problems: [ControlProblem], origin: ChangeOrigin) {
        self.enter(
            .loadRejected, detail: "\(problems.count) problems, first: \(problems.first?.description ?? "")",
            origin: origin, subject: origin.who)
    }

    package func setWeights(_ change: WeightChange, origin: ChangeOrigin) async throws(ChangeRefused)
        -> WeightChangeOutcome
    {
        var (outcome, agreed) = try await self.decide(change, origin: origin)
        outcome.replicas = await self.replicas(applied: agreed)
        return outcome
    }

    private func decide(_ change: WeightChange, origin: ChangeOrigin) async throws(ChangeRefused)
        -> (WeightChangeOutcome, agreed: UInt64?)
    {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
        try await self.checkReach(change)
        var change = change
        change.who = origin.who
        var tries = 0
        while true {
            let isLowered = self.state.lowersPlan(change)
            let (next, transition) = try self.applying(.weights(change))
            guard let reweighting = transition.reweighting else { throw .notFound("no route \"\(change.route)\"") }
            let before = self.shares(reweighting.before, reweighting)
            let after = self.shares(reweighting.after, reweighting)
            let isRetreat =
                isLowered
                || WeightChange.isRetreat(
                    from: before, to: after, file: self.state.fileWeights(of: change.route) ?? [:])
            let window = await self.traffic()
            let objections =
                isRetreat ? [] : self.objections(route: change.route, from: before, to: after, window)
            var agreed: UInt64?
            if !change.dryRun {
                if change.local, !isRetreat { throw Self.noRetreat(change) }
                try self.refuse(
                    objections, transition, origin, isMeant: change.force && !change.reason.isEmpty)
                let made = try await self.make(
                    next, transition, origin, forced: change.force,
                    mayBeLate: isRetreat || (change.force && !change.reason.isEmpty),
                    detaching: change.local ? change.route : nil, tries: &tries)
                guard case .made(let sequence) = made else { continue }
                agreed = sequence
            }
            let outcome = WeightChangeOutcome(
                route: change.route, generation: self.state.generation, etag: self.state.tag, dryRun: change.dryRun,
                changed: reweighting.after != reweighting.before, before: before, after: after,
                warnings: WeightChange.warnings(before: before, after: after, failover: reweighting.failover)
                    + transition.notes.filter { $0.what == .migration }.map { "migration \($0.subject): \($0.detail)" }
                    + (change.dryRun ? [] : objections.map { "the guard objected: \($0.problem.message)" })
                    + self.ledgerWarnings,
                loads: self.loads(route: change.route, from: before, to: after, window),
                movedKeys: self.movedKeys(reweighting), objections: objections.map(\.problem))
            return (outcome, agreed)
        }
    }

    /// Takes endpoints out of traffic, or puts them back. Workers see it at their next choice; no new table is needed.
    package func setAdministrative(_ change: AdministrativeChange, origin: ChangeOrigin) async throws(ChangeRefused)
        -> AdministrativeOutcome
    {
        let (upstreams, agreed) = try await self.decide(change, origin: origin)
        return AdministrativeOutcome(
            upstreams: upstreams, warnings: self.ledgerWarnings, replicas: await self.replicas(applied: agreed))
    }

    private func decide(_ change: AdministrativeChange, origin: ChangeOrigin) async throws(ChangeRefused)
        -> (upstreams: [String], agreed: UInt64?)
    {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
        var tries = 0
        while true {
            let (next, transition) = try self.applying(.administrative(change))
            let made = try await self.make(
                next, transition, origin, forced: change.force,
                mayBeLate: change.state != .ready || (change.force && !change.reason.isEmpty), tries: &tries)
            if case .made(let agreed) = made { return (transition.upstreams, agreed) }
        }
    }

    /// What an operator must know of a change that may not outlive the process.
    var ledgerWarnings: [String] {
        guard let trouble = self.ledger?.trouble else { return [] }
        return ["the journal cannot be written, so what was changed is lost if this process ends: \(trouble)"]
    }

    /// Takes on the endpoints that a source has found, in a new table if they are in force and differ from the last.
    /// Live weights stay as they are. Found before the configuration that asks for them is in force, they wait for it.
    ///
    /// Endpoints that are new to their upstream take nothing before a probe has passed, if there are probes, and begin
    /// with slow start; those that are gone finish what runs. Not refused while another process takes over: that one
    /// finds its own.
    package func discovered(_ endpoints: [SocketAddress], by key: DiscoveryKey) async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let before = self.state
        guard let (next, transition) = try? self.applying(.found(endpoints, by: key)) else { return }
        await self.putInForce(next, transition)
        await self.note(transition, from: before, ChangeOrigin(.discovery, who: "\(key.spec)"))
    }

    /// Takes in what a look-up of an endpoint's host name has brought. Addresses that are new make a new table, where they
    /// join as discovered endpoints do; a failure changes nothing but what is told of the name.
    package func resolved(_ outcome: Result<[IPAddress], LookUpFailure>, host: String) async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        let before = self.state
        guard let (next, transition) = try? self.applying(.resolved(outcome, host: host)) else { return }
        await self.putInForce(next, transition)
        await self.note(transition, from: before, ChangeOrigin(.discovery, who: "host \(host)"))
    }

    /// Gives a key of a limit all its requests back. Answers what it has then.
    func forgive(_ question: LimitQuestion, origin: ChangeOrigin) async throws(ChangeRefused) -> LimitBody {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
        let (limit, hash) = try question.find(in: self.table)
        limit.table.forgive(hash)
        // A header's or cookie's value may be a secret.
        let key =
            limit.kind == .address ? question.key ?? "" : limit.kind == .all ? "all requests" : "one \(limit.kind)"
        self.enter(
            .limit, detail: "limit \(question.rule): \(key) forgiven", origin: origin, subject: question.route)
        return try question.answer(self.table, now: self.clock.monotonic())
    }

    // MARK: what is gone

    /// Forgets, now and then, what tables have not named for a while. Without this only the next change would.
    package func run() async {
        while !Task.isCancelled {
            do { try await self.clock.sleep(EndpointRegistry.grace) } catch { return }
            // Never while a table is being published, which names what the one in force does not.
            await self.turnstile.enter()
            self.forgetDeparted()
            self.turnstile.leave()
        }
    }

    func forgetDeparted() {
        self.registry.settle(on: self.table, now: self.clock.monotonic())
    }

    // MARK: take-over

    /// Stops changes and gives out what operators changed by hand, for the process that takes over.
    package func beginHandOver() async throws(ChangeRefused) -> LiveState {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        await self.mendLedger()
        _ = try self.state.apply(.handOver(true), at: self.clock.monotonic())
        await self.agreement?.pause(true)
        // It is the successor's from here on.
        await self.ledger?.store.close()
        var live = self.state.liveState
        let debts = self.registry.rateDebts(of: self.table.routes, now: self.clock.monotonic() &* 1_000_000)
        if !debts.tables.isEmpty { live.limits = debts }
        live.detached = self.detachedToHandOver
        live.detachedPlans = self.detachedPlansToHandOver
        return live
    }

    /// The successor went away before it served: changes are taken again.
    package func abandonHandOver() async {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        _ = try? self.state.apply(.handOver(false), at: self.clock.monotonic())
        await self.reopenLedger()
        await self.agreement?.pause(false)
    }

    /// Takes on what operators changed before this process. Call before the first `load`.
    package func inherit(_ live: LiveState, as what: JournalEntry.What = .takeover, origin: ChangeOrigin) {
        if let limits = live.limits { self.registry.inherit(limits) }
        guard let (next, transition) = try? self.applying(.inherit(live, as: what)) else { return }
        self.state = next
        self.table = RoutingTable(spec: next.spec, generation: next.generation, registry: self.registry)
        self.inheritDetached(live)
        self.settle(transition)
        self.enter(transition, origin)
    }

    // MARK: steps

    /// The state that the change leads to, which is not in force yet.
    func applying(_ change: Change) throws(ChangeRefused) -> (RoutingState, Transition) {
        var next = self.state
        let transition = try next.apply(change, at: self.clock.monotonic(), wall: self.clock.wall())
        return (next, transition)
    }

    func putInForce(_ next: RoutingState, _ transition: Transition) async {
        if transition.publishes {
            for key in transition.joining {
                let probed = next.spec.upstreams.first { $0.name == key.upstream }?.health != nil
                self.registry.endpoint(upstream: key.upstream, address: key.address, probed: probed)
                    .join(probed: probed, now: self.clock.monotonic())
            }
            let table = RoutingTable(
                spec: next.spec, generation: next.generation, registry: self.registry, previous: self.table)
            await self.dataPlane.publish(table)
            self.table = table
        }
        self.state = next
        self.settle(transition)
        guard transition.publishes else { return }
        if transition.movesEndpoints {
            self.forgetDeparted()
        }
        await self.published(self.table)
    }

    func settle(_ transition: Transition) {
        let now = self.clock.monotonic()
        for setting in transition.settings {
            self.registry.endpoint(
                upstream: setting.endpoint.upstream, address: setting.endpoint.address, probed: true
            ).setAdministrative(setting.state, now: now)
        }
    }

    /// Routes whose weights are this replica's own for a while, and plans.
    func detach(_ routes: Set<String>, plans: Set<String>) {
        self.state.detached = routes
        self.state.detachedPlans = plans
    }

    private func bind(_ listeners: [ListenerSpec]) async throws(ChangeRefused) {
        if self.listenersBound, self.state.configuration?.listeners == listeners { return }
        do {
            try await self.dataPlane.listen(on: listeners)
            self.listenersBound = true
        } catch let refused as ListenerRefused {
            let place = listeners.firstIndex { $0.name == refused.name }.map { "[\($0)].address" } ?? ""
            throw .invalid([ControlProblem(path: "$.listeners\(place)", message: refused.cause)])
        } catch {
            throw .invalid([ControlProblem(path: "$.listeners", message: "\(error)")])
        }
    }

    func shares(_ entries: [SplitEntry], _ reweighting: Transition.Reweighting) -> [UpstreamShare] {
        UpstreamShare.compute(
            entries, failover: reweighting.failover, reserve: reweighting.reserve, in: self.table,
            now: self.clock.monotonic())
    }
}
