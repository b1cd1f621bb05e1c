import RoutesFile
import Traffic

/// The one writer of routing truth. It owns what the file says, what operators changed over it, and the number of the
/// table in force; every change is built whole, published to every worker, and only then answered and journalled.
///
/// Changes are taken one at a time, in order of arrival, although publishing waits for the workers: an actor alone
/// would let a second change start from a table that the first is about to replace.
package actor TablePublisher {
    private let registry: EndpointRegistry
    private let dataPlane: any DataPlane
    private let clock: ControlClock
    /// Called after each publication, before the change is answered.
    private let published: @Sendable (RoutingTable) async -> Void

    private var configuration: BalancerConfiguration?
    private var overlay = WeightOverlay()
    private var live: [String: LiveState.Weights] = [:]
    private var discovered = DiscoveredEndpoints()
    private var table: RoutingTable
    private var publishedAt: UInt64
    private var listenersBound = false
    private var handingOver = false
    private var journal = Journal()

    private let turnstile = Turnstile()

    /// `registry` must be the one from which the data plane's first (empty) table was built.
    package init(
        registry: EndpointRegistry, dataPlane: any DataPlane, clock: ControlClock = .system,
        published: @escaping @Sendable (RoutingTable) async -> Void = { _ in }
    ) {
        self.registry = registry
        self.dataPlane = dataPlane
        self.clock = clock
        self.published = published
        self.table = RoutingTable(spec: TableSpec(), generation: 0, registry: registry)
        self.publishedAt = clock.monotonic()
    }

    // MARK: what is in force

    package var current: TableView {
        let fileWeights = Dictionary(
            (self.configuration?.table.routes ?? []).compactMap { route in
                route.split.map { (route.name, $0.weights) }
            }, uniquingKeysWith: { first, _ in first })
        return TableView(
            table: self.table, publishedAt: self.publishedAt, fileWeights: fileWeights,
            listenersBound: self.listenersBound, isInForce: self.configuration != nil)
    }

    package var entries: [JournalEntry] { self.journal.entries }

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
        guard !self.handingOver else { throw .handingOver }
        let before = self.table.generation
        var overlay = self.overlay
        var spec = configuration.table
        overlay.apply(to: &spec)
        var discovered = self.discovered
        discovered.adopt(&spec, present: self.table.spec)

        if self.configuration == nil {
            // Nothing is served yet: the table goes first, so that the first connection finds its routes.
            self.adopt(configuration, overlay: overlay, spec: spec)
            self.discovered = discovered
            await self.publish(RoutingTable(spec: spec, generation: before + 1, registry: self.registry))
            do throws(ChangeRefused) {
                try await self.bind(configuration.listeners)
            } catch {
                self.configuration = nil
                throw error
            }
        } else {
            try await self.bind(configuration.listeners)
            self.adopt(configuration, overlay: overlay, spec: spec)
            self.discovered = discovered
            let table = RoutingTable(spec: spec, generation: before + 1, registry: self.registry)
            if table.fingerprint != self.table.fingerprint { await self.publish(table) }
        }
        let outcome = LoadOutcome(generation: self.table.generation, changed: self.table.generation != before)
        self.note(
            origin, .load, subject: origin.who,
            detail: outcome.changed
                ? "\(spec.routes.count) routes, \(spec.upstreams.count) upstreams" : "no change in routing",
            before: before)
        return outcome
    }

    /// Writes a rejected load into the journal.
    package func noteRejected(_ problems: [ControlProblem], origin: ChangeOrigin) {
        self.note(
            origin, .loadRejected, subject: origin.who,
            detail: "\(problems.count) problems, first: \(problems.first?.description ?? "")",
            before: self.table.generation)
    }

    package func setWeights(_ change: WeightChange, origin: ChangeOrigin) async throws(ChangeRefused)
        -> WeightChangeOutcome
    {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard !self.handingOver else { throw .handingOver }
        guard let configuration = self.configuration,
            let route = self.table.spec.routes.first(where: { $0.name == change.route })
        else { throw .notFound("no route \"\(change.route)\"") }
        guard let before = route.split else {
            throw .invalid([
                ControlProblem(path: "$", message: "route \"\(change.route)\" has no weights: it goes to no upstream")
            ])
        }
        let etag = self.current.etag
        guard change.ifMatch.isEmpty || change.ifMatch.contains(where: { $0 == etag || $0 == "*" }) else {
            throw .stale(current: etag)
        }
        let after = try change.apply(to: before)
        let changed = after != before
        let now = self.clock.monotonic()
        let upstreams = self.table.upstreamsByName
        let sharesBefore = UpstreamShare.compute(before, failover: route.failover, upstreams: upstreams, now: now)
        let sharesAfter = UpstreamShare.compute(after, failover: route.failover, upstreams: upstreams, now: now)

        if changed && !change.dryRun {
            let fileWeights = configuration.table.routes.first { $0.name == route.name }?.split?.weights ?? [:]
            var overlay = self.overlay
            overlay.set(route: route.name, weights: after.weights, fileWeights: fileWeights)
            var spec = configuration.table
            overlay.apply(to: &spec)
            self.discovered.fill(&spec)
            self.overlay = overlay
            self.live[route.name] = LiveState.Weights(
                route: route.name, weights: after.weights, fileWeights: fileWeights)
            let generation = self.table.generation
            await self.publish(RoutingTable(spec: spec, generation: generation + 1, registry: self.registry))
            self.note(
                origin, .weights, subject: route.name, detail: WeightChange.detail(before: before, after: after),
                reason: change.reason, before: generation)
        }
        return WeightChangeOutcome(
            route: route.name, generation: self.table.generation, etag: self.current.etag, dryRun: change.dryRun,
            changed: changed, before: sharesBefore, after: sharesAfter,
            warnings: WeightChange.warnings(before: sharesBefore, after: sharesAfter, failover: route.failover))
    }

    package func setAdministrative(
        _ state: Administrative, of address: SocketAddress, upstream: String? = nil, reason: String = "",
        origin: ChangeOrigin
    ) async throws(ChangeRefused) -> [String] {
        try await self.setAdministrative(
            state, of: [address], named: address.description, upstream: upstream, reason: reason, origin: origin)
    }

    /// Sets the administrative state of every endpoint at one of these addresses (of one upstream, if named), which are
    /// those of what the operator wrote as `name`. Returns the names of the upstreams concerned. Workers see it at their
    /// next choice; no new table is needed.
    package func setAdministrative(
        _ state: Administrative, of addresses: [SocketAddress], named name: String, upstream: String? = nil,
        reason: String = "", origin: ChangeOrigin
    ) async throws(ChangeRefused) -> [String] {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard !self.handingOver else { throw .handingOver }
        let concerned = self.table.upstreams.filter { upstream == nil || $0.name == upstream }.flatMap(\.endpoints)
            .filter { addresses.contains($0.address) }
        guard !concerned.isEmpty else {
            let within = upstream.map { " in upstream \"\($0)\"" } ?? ""
            throw .notFound("no endpoint \(name)\(within)")
        }
        let now = self.clock.monotonic()
        for endpoint in concerned where endpoint.administrative != state {
            let before = endpoint.administrative
            endpoint.setAdministrative(state, now: now)
            self.note(
                origin, .administrative, subject: endpoint.address.description,
                detail: "\(endpoint.upstream): \(before.word)→\(state.word)", reason: reason,
                before: self.table.generation)
        }
        var named: Set<String> = []
        return concerned.map(\.upstream).filter { named.insert($0).inserted }
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
        self.discovered.put(endpoints, key)
        guard let configuration = self.configuration, let upstream = self.table.upstream(named: key.upstream),
            upstream.spec.discovery == key.spec
        else { return }
        let before = Set(upstream.spec.endpoints)
        let after = Set(endpoints)
        guard before != after else { return }
        var spec = configuration.table
        var overlay = self.overlay
        overlay.apply(to: &spec)
        self.discovered.fill(&spec)
        let probed = upstream.spec.health != nil
        let now = self.clock.monotonic()
        for address in endpoints where !before.contains(address) {
            self.registry.endpoint(upstream: key.upstream, address: address, probed: probed)
                .join(probed: probed, now: now)
        }
        let generation = self.table.generation
        await self.publish(RoutingTable(spec: spec, generation: generation + 1, registry: self.registry))
        self.note(
            ChangeOrigin(.discovery, who: "\(key.spec)"), .endpoints, subject: key.upstream,
            detail: DiscoveredEndpoints.detail(before: before, after: after), before: generation)
    }

    // MARK: take-over

    /// Stops changes and gives out what operators changed by hand, for the process that takes over.
    package func beginHandOver() async throws(ChangeRefused) -> LiveState {
        await self.turnstile.enter()
        defer { self.turnstile.leave() }
        guard !self.handingOver else { throw .handingOver }
        self.handingOver = true
        var state = LiveState()
        state.generation = self.table.generation
        state.weights = self.live.values.sorted { $0.route < $1.route }
        state.administrative = self.table.upstreams.flatMap(\.endpoints)
            .filter { $0.administrative != .ready }
            .map {
                LiveState.AdministrativeState(
                    upstream: $0.upstream, address: $0.address.description, state: $0.administrative.word)
            }
        state.discovered = self.table.spec.upstreams.filter { $0.discovery != nil && !$0.endpoints.isEmpty }.map {
            LiveState.Discovered(upstream: $0.name, endpoints: $0.endpoints.map(\.description))
        }
        return state
    }

    /// The successor went away before it served: changes are taken again.
    package func abandonHandOver() {
        self.handingOver = false
    }

    /// Takes on what operators changed in the predecessor. Call before the first `load`.
    package func inherit(_ state: LiveState, origin: ChangeOrigin) {
        let now = self.clock.monotonic()
        for weights in state.weights {
            self.overlay.set(route: weights.route, weights: weights.weights, fileWeights: weights.fileWeights)
            self.live[weights.route] = weights
        }
        for entry in state.administrative {
            guard let address = SocketAddress(parsing: entry.address), let word = Administrative(word: entry.state)
            else { continue }
            self.registry.endpoint(upstream: entry.upstream, address: address, probed: true)
                .setAdministrative(word, now: now)
        }
        self.discovered.inherit(state.discovered ?? [])
        // Generations go on from the predecessor's, so that a tag of its tables cannot match one of ours by accident.
        self.table = RoutingTable(spec: TableSpec(), generation: state.generation, registry: self.registry)
        self.note(
            origin, .takeover, subject: "",
            detail: "\(state.weights.count) live splits, \(state.administrative.count) endpoints not ready",
            before: state.generation)
    }

    // MARK: steps

    private func bind(_ listeners: [ListenerSpec]) async throws(ChangeRefused) {
        if self.listenersBound, self.configuration?.listeners == listeners { return }
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

    private func adopt(_ configuration: BalancerConfiguration, overlay: WeightOverlay, spec: TableSpec) {
        self.configuration = configuration
        self.overlay = overlay
        let inForce = Dictionary(
            spec.routes.map { ($0.name, $0.split?.weights) }, uniquingKeysWith: { first, _ in first })
        // What the overlay gave up must not come back by way of a take-over.
        self.live = self.live.filter { inForce[$0.key] == $0.value.weights }
    }

    private func publish(_ table: RoutingTable) async {
        await self.dataPlane.publish(table)
        self.table = table
        self.publishedAt = self.clock.monotonic()
        self.registry.retain(only: Set(table.upstreams.flatMap(\.endpoints).map(\.id)))
        await self.published(table)
    }

    private func note(
        _ origin: ChangeOrigin, _ what: JournalEntry.What, subject: String, detail: String, reason: String = "",
        before: UInt64
    ) {
        self.journal.record(
            at: self.clock.wall(), origin: origin, what: what, subject: subject, detail: detail, reason: reason,
            generationBefore: before, generationAfter: self.table.generation)
    }
}
