import Migration
import RoutesFile
import Traffic

/// What is in force and why: what the file says, what operators changed over it, what sources have found, and the
/// specification that follows from the three.
///
/// A pure value: a change is applied without clock, actor or I/O, and what is left to do about it comes back as a
/// `Transition`. A change that is refused has changed nothing.
package struct RoutingState: Sendable {
    /// Tells the entity tags of this process from those of others.
    private let instance: UInt64
    /// What the file says; nil: nothing has been loaded yet.
    package private(set) var configuration: BalancerConfiguration?
    /// What is in force.
    package internal(set) var spec = TableSpec()
    /// Of `spec`; grows by one with each that is published.
    package private(set) var generation: UInt64 = 0
    /// Since when `spec` has been in force, in monotonic milliseconds.
    package private(set) var since: UInt64
    package private(set) var departed = DepartedNames()
    private(set) var isHandingOver = false
    /// Operators' weights, by route, as long as they stand over the file's.
    package internal(set) var live: [String: LiveState.Weights] = [:]
    /// Endpoints that operators took out. What is not here is ready.
    package private(set) var administrative: [EndpointKey: Administrative] = [:]
    /// The plans of the file, by name, and where they stand.
    package var plans: [String: PlanStanding] = [:]
    /// Where plans stood before this process, until the file that has them is loaded.
    var inheritedPlans: [String: PlanRecord] = [:]
    /// The largest number that a stage's run has had: none has the number of another's.
    var lastEpoch: UInt64 = 0
    /// What all replicas have agreed on; nil: there are none, or nothing of it has been seen yet.
    package internal(set) var shared: SharedLive?
    /// Routes whose weights were set here alone, while the others could not be asked.
    package internal(set) var detached: Set<String> = []
    /// Plans that went back here alone, likewise.
    package internal(set) var detachedPlans: Set<String> = []
    private var discovered = DiscoveredEndpoints()
    private var names = ResolvedNames()
    /// Endpoints of `spec` given by a name that has no addresses, or not those of its last look-up.
    package private(set) var unresolved: [UnresolvedEndpoint] = []
    /// Into the routes of `spec` and of `configuration` alike.
    private(set) var routeIndices: [String: Int] = [:]

    package init(instance: UInt64, at now: UInt64) {
        self.instance = instance
        self.since = now
    }

    /// Throws why the change cannot be made.
    /// `wall`: milliseconds since 1970, for what people read.
    package mutating func apply(
        _ change: Change, at now: UInt64, wall: UInt64 = 0
    ) throws(ChangeRefused) -> Transition {
        switch change {
        case .load(let configuration): try self.load(configuration, at: now, wall: wall)
        case .plan(let change): try self.step(change, at: now, wall: wall)
        case .weights(let change): try self.reweight(change, at: now, wall: wall)
        case .administrative(let change): try self.administer(change)
        case .found(let endpoints, let key): self.find(endpoints, by: key, at: now)
        case .resolved(let outcome, let host): self.resolve(outcome, host: host, at: now)
        case .inherit(let state, let what): self.inherit(state, what)
        case .restore(let restoration): try self.restore(restoration, at: now, wall: wall)
        case .agree(let shared): try self.agree(on: shared, at: now, wall: wall)
        case .handOver(let begins): try self.handOver(begins)
        }
    }

    /// What was loaded first could not be served after all: nothing is in force again.
    mutating func withdraw() { self.configuration = nil }

    // MARK: what follows from it

    /// Strong entity tag of what is in force. It never comes back, not in another process either.
    package var tag: String {
        let digits = String(self.instance, radix: 16)
        return "\"\(self.generation)-\(String(repeating: "0", count: 16 - digits.count))\(digits)\""
    }

    /// The file's weights of a route; nil if it has no such route, or the route none.
    package func fileWeights(of route: String) -> [String: UInt32]? {
        guard let index = self.routeIndices[route] else { return nil }
        return self.configuration?.table.routes[index].split?.weights
    }

    func fileSplit(of route: String) -> [SplitEntry]? {
        self.routeIndices[route].flatMap { self.configuration?.table.routes[$0].split }
    }

    /// What the next process must know, so that nothing that operators did is lost.
    package var liveState: LiveState {
        var state = LiveState()
        state.generation = self.generation
        state.weights = self.live.values.sorted { $0.route < $1.route }
        state.administrative = self.spec.endpointKeys.compactMap { key in
            self.administrative[key].map {
                LiveState.AdministrativeState(upstream: key.upstream, address: "\(key.address)", state: $0.word)
            }
        }
        state.discovered = self.spec.upstreams.filter { $0.discovery != nil && !$0.endpoints.isEmpty }.map {
            LiveState.Discovered(upstream: $0.name, endpoints: $0.endpoints.map(\.description))
        }
        state.names = self.names.inheritance
        let plans = self.plans.values.filter { $0.state != PlanState() || $0.fullSince != nil }
        state.plans = plans.isEmpty ? nil : plans.map(PlanRecord.init).sorted { $0.name < $1.name }
        return state
    }

    // MARK: changes

    var unchanged: Transition {
        Transition(generationBefore: self.generation, generationAfter: self.generation)
    }

    /// Puts another specification in force. What operators did to endpoints that are gone ends with them.
    private mutating func put(_ spec: TableSpec, at now: UInt64, _ transition: inout Transition) {
        self.departed.follow(from: self.spec, to: spec, at: now)
        self.spec = spec
        self.publish(at: now, &transition)
        transition.movesEndpoints = true
        self.adoptAdministrative(&transition)
        guard !self.administrative.isEmpty else { return }
        let present = Set(spec.endpointKeys)
        // What a source or a name service has not found yet is not gone.
        let awaited = Set(
            spec.upstreams.lazy.filter { ($0.discovery != nil || !$0.names.isEmpty) && $0.endpoints.isEmpty }.map(
                \.name))
        transition.settings += transition.joining.compactMap { key in
            self.administrative[key].map { Transition.Setting(endpoint: key, state: $0) }
        }
        let ended = self.administrative.filter { !present.contains($0.key) && !awaited.contains($0.key.upstream) }
        for (key, state) in ended.sorted(by: { "\($0.key.address)" < "\($1.key.address)" }) {
            self.administrative[key] = nil
            transition.settings.append(Transition.Setting(endpoint: key, state: .ready))
            transition.notes.append(
                Transition.Note(
                    what: .administrative, subject: "\(key.address)",
                    detail: "\(key.upstream): \(state.word) ended: it is no longer an endpoint",
                    before: Position(key, state), after: Position(key, .ready)))
        }
    }

    mutating func publish(at now: UInt64, _ transition: inout Transition) {
        self.generation += 1
        self.since = now
        transition.generationAfter = self.generation
    }

    private mutating func load(
        _ configuration: BalancerConfiguration, at now: UInt64, wall: UInt64
    ) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        var transition = self.unchanged
        var spec = configuration.table
        let indices = Dictionary(
            spec.routes.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        let notes = self.adoptPlans(configuration, at: now, wall: wall)
        let laid = notes + self.layLive(over: &spec, indices)
        let ended = laid + self.followShares(in: spec, at: now, wall: wall)
        self.discovered.adopt(&spec, present: self.spec)
        self.names.retain(only: spec)
        self.unresolved = self.names.fill(&spec, listeners: configuration.listeners)
        let isFirst = self.configuration == nil
        self.configuration = configuration
        self.markRoutes(of: &spec)
        self.routeIndices = indices
        if isFirst || spec != self.spec { self.put(spec, at: now, &transition) }
        let detail =
            transition.publishes
            ? "\(spec.routes.count) routes, \(spec.upstreams.count) upstreams" : "no change in routing"
        transition.notes = [Transition.Note(what: .load, subject: "", detail: detail)] + ended + transition.notes
        return transition
    }

    /// Lays operators' weights over a file's. Tells of those that have ended.
    private mutating func layLive(over spec: inout TableSpec, _ indices: [String: Int]) -> [Transition.Note] {
        var ended: [Transition.Note] = []
        for weights in self.candidates(over: spec.routes).values.sorted(by: { $0.route < $1.route }) {
            let before = self.live[weights.route]
            guard let cause = weights.lay(over: &spec.routes, at: indices[weights.route]) else {
                self.live[weights.route] = weights
                continue
            }
            self.live[weights.route] = nil
            guard let before else { continue }
            ended.append(
                Transition.Note(
                    what: .weights, subject: weights.route,
                    detail: "live weights \(before.weights.words) ended: \(cause)",
                    before: Position(weights: before.weights, fileWeights: before.fileWeights),
                    after: indices[weights.route].flatMap { spec.routes[$0].split?.weights }.map {
                        Position(weights: $0, fileWeights: $0)
                    }))
        }
        return ended
    }

    /// `tags`: of which one must be in force; none: whatever is.
    func check(_ tags: [String]) throws(ChangeRefused) {
        let tag = self.tag
        guard tags.isEmpty || tags.contains(where: { $0 == tag || $0 == "*" }) else { throw .stale(current: tag) }
    }

    private mutating func reweight(
        _ change: WeightChange, at now: UInt64, wall: UInt64
    ) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        guard let index = self.routeIndices[change.route] else { throw .notFound("no route \"\(change.route)\"") }
        guard let before = self.spec.routes[index].split else {
            throw .invalid([
                ControlProblem(path: "$", message: "route \"\(change.route)\" has no weights: it goes to no upstream")
            ])
        }
        try self.check(change.ifMatch)
        let after = try change.apply(to: before)
        var transition = self.unchanged
        self.setSplit(of: index, to: after, .weights, change.reason, &transition)
        if after != before {
            try self.tellPlans(
                of: &transition, by: change.who, force: change.force, reason: change.reason, at: now, wall: wall)
            self.publish(at: now, &transition)
        }
        return transition
    }

    /// Lays weights over the file's, or takes off those that were there.
    mutating func setSplit(
        of index: Int, to after: [SplitEntry], _ what: JournalEntry.What, _ reason: String,
        _ transition: inout Transition
    ) {
        let route = self.spec.routes[index]
        guard let before = route.split else { return }
        transition.reweightings.append(
            Transition.Reweighting(
                route: route.name, failover: route.failover, reserve: route.reserve, before: before, after: after))
        guard after != before else { return }
        let file = self.fileWeights(of: route.name) ?? [:]
        self.spec.routes[index].action = .split(after)
        let weights = after.weights
        self.live[route.name] =
            weights == file ? nil : LiveState.Weights(route: route.name, weights: weights, fileWeights: file)
        transition.notes.append(
            Transition.Note(
                what: what, subject: route.name, detail: WeightChange.detail(before: before, after: after),
                reason: reason, before: Position(weights: before.weights, fileWeights: file),
                after: Position(weights: after.weights, fileWeights: file)))
    }

    private mutating func administer(_ change: AdministrativeChange) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        try self.check(change.ifMatch)
        let concerned = self.spec.endpointKeys.filter { key in
            change.addresses.contains(key.address) && (change.upstream == nil || key.upstream == change.upstream)
        }
        guard !concerned.isEmpty else {
            let within = change.upstream.map { " in upstream \"\($0)\"" } ?? ""
            throw .notFound("no endpoint \(change.name)\(within)")
        }
        var transition = self.unchanged
        for key in concerned {
            if transition.upstreams.last != key.upstream { transition.upstreams.append(key.upstream) }
            self.set(key, change.state, .administrative, change.reason, &transition)
        }
        return transition
    }

    mutating func set(
        _ key: EndpointKey, _ state: Administrative, _ what: JournalEntry.What, _ reason: String,
        _ transition: inout Transition
    ) {
        let before = self.administrative[key] ?? .ready
        guard before != state else { return }
        self.administrative[key] = state == .ready ? nil : state
        transition.settings.append(Transition.Setting(endpoint: key, state: state))
        transition.notes.append(
            Transition.Note(
                what: what, subject: "\(key.address)", detail: "\(key.upstream): \(before.word)→\(state.word)",
                reason: reason, before: Position(key, before), after: Position(key, state)))
    }

    /// One table for all of it. What is not there any more is told, and left out.
    private mutating func restore(
        _ restoration: Restoration, at now: UInt64, wall: UInt64
    ) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        try self.check(restoration.ifMatch)
        var transition = self.unchanged
        for (route, weights) in restoration.weights.sorted(by: { $0.key < $1.key }) {
            guard let index = self.routeIndices[route], let split = self.spec.routes[index].split else {
                transition.missing.append(
                    ControlProblem(path: "$.routes.\(route)", message: "there is no such route with weights any more"))
                continue
            }
            let file = self.fileWeights(of: route) ?? [:]
            let aim = weights ?? file
            let gone = aim.keys.filter { file[$0] == nil }.sorted()
            guard gone.isEmpty else {
                transition.missing.append(
                    ControlProblem(
                        path: "$.routes.\(route)",
                        message: "it does not go to \(gone.joined(separator: ", ")) any more"))
                continue
            }
            let after = split.map { SplitEntry(upstream: $0.upstream, weight: aim[$0.upstream] ?? $0.weight) }
            self.setSplit(of: index, to: after, .undo, restoration.reason, &transition)
        }
        let present = restoration.administrative.isEmpty ? [] : Set(self.spec.endpointKeys)
        for (key, state) in restoration.administrative.sorted(by: { "\($0.key)" < "\($1.key)" }) {
            guard present.contains(key) else {
                transition.missing.append(
                    ControlProblem(
                        path: "$.endpoints.\(key.address)", message: "it is no endpoint of \(key.upstream) any more"))
                continue
            }
            self.set(key, state, .undo, restoration.reason, &transition)
        }
        if transition.reweightings.contains(where: { $0.before != $0.after }) {
            try self.tellPlans(
                of: &transition, by: restoration.who, force: restoration.force, reason: restoration.reason, at: now,
                wall: wall)
            self.publish(at: now, &transition)
        }
        return transition
    }

    private mutating func find(_ endpoints: [SocketAddress], by key: DiscoveryKey, at now: UInt64) -> Transition {
        // Found before the configuration that asks for them is in force, they wait for it.
        self.discovered.put(endpoints, key)
        var transition = self.unchanged
        guard self.configuration != nil,
            let index = self.spec.upstreams.firstIndex(where: { $0.name == key.upstream }),
            self.spec.upstreams[index].discovery == key.spec
        else { return transition }
        let before = Set(self.spec.upstreams[index].endpoints)
        let after = Set(endpoints)
        guard before != after else { return transition }
        var spec = self.spec
        spec.upstreams[index].endpoints = endpoints
        transition.joining = endpoints.filter { !before.contains($0) }.map {
            EndpointKey(upstream: key.upstream, address: $0)
        }
        transition.notes = [
            Transition.Note(
                what: .endpoints, subject: key.upstream,
                detail: DiscoveredEndpoints.detail(before: before, after: after))
        ]
        self.put(spec, at: now, &transition)
        return transition
    }

    private mutating func resolve(
        _ outcome: Result<[IPAddress], LookUpFailure>, host: String, at now: UInt64
    ) -> Transition {
        var transition = self.unchanged
        // Found before the configuration that asks for it is in force, it waits for it.
        guard self.names.put(outcome, host: host), let configuration = self.configuration else { return transition }
        var spec = self.spec
        for (index, given) in configuration.table.upstreams.enumerated() where !given.names.isEmpty {
            spec.upstreams[index].endpoints = given.endpoints
        }
        self.unresolved = self.names.fill(&spec, listeners: configuration.listeners)
        for (old, new) in zip(self.spec.upstreams, spec.upstreams) where old.endpoints != new.endpoints {
            let (before, after) = (Set(old.endpoints), Set(new.endpoints))
            transition.joining += new.endpoints.filter { !before.contains($0) }.map {
                EndpointKey(upstream: new.name, address: $0)
            }
            transition.notes.append(
                Transition.Note(
                    what: .endpoints, subject: new.name,
                    detail: DiscoveredEndpoints.detail(before: before, after: after)))
        }
        if spec != self.spec { self.put(spec, at: now, &transition) }
        return transition
    }

    private mutating func inherit(_ state: LiveState, _ what: JournalEntry.What) -> Transition {
        var transition = self.unchanged
        for weights in state.weights { self.live[weights.route] = weights }
        for entry in state.administrative {
            guard let address = SocketAddress(parsing: entry.address), let word = Administrative(word: entry.state),
                word != .ready
            else { continue }
            let key = EndpointKey(upstream: entry.upstream, address: address)
            self.administrative[key] = word
            transition.settings.append(Transition.Setting(endpoint: key, state: word))
        }
        self.discovered.inherit(state.discovered ?? [])
        self.names.inherit(state.names ?? [])
        for var record in state.plans ?? [] {
            // The predecessor counts on until its last request has ended: what is counted here is another run.
            let isUnderWay = PlanState.Phase(rawValue: record.phase).map { $0.isActive || $0 == .retreating }
            if what == .takeover, isUnderWay == true { record.epoch = max(self.lastEpoch, record.epoch) + 1 }
            self.inheritedPlans[record.name] = record
            self.lastEpoch = max(self.lastEpoch, record.epoch)
        }
        // Generations go on from the predecessor's, so that they grow over the whole of a service's life.
        self.generation = max(self.generation, state.generation)
        transition.generationBefore = self.generation
        transition.generationAfter = self.generation
        transition.notes = [
            Transition.Note(
                what: what, subject: "",
                detail: "\(state.weights.count) live splits, \(state.administrative.count) endpoints not ready")
        ]
        return transition
    }

    private mutating func handOver(_ begins: Bool) throws(ChangeRefused) -> Transition {
        // Two successors would each believe that they have all.
        if begins, self.isHandingOver { throw .handingOver }
        self.isHandingOver = begins
        return self.unchanged
    }
}

extension LiveState.Weights {
    /// Whether the file still says what these were set over.
    func stand(over file: [String: UInt32]) -> Bool {
        file == self.fileWeights && self.weights.keys.allSatisfy { file[$0] != nil }
    }

    /// As they are laid over another file, which may have members more that get nothing, and lack those that got nothing.
    func weights(over file: [String: UInt32]) -> [String: UInt32] {
        let kept = self.weights.filter { $0.value > 0 || file[$0.key] != nil }
        return file.filter { $0.value == 0 }.merging(kept) { _, own in own }
    }

    /// Lays these weights over the route at `index`, if they still stand. Else answers why they have ended: the file's author
    /// knew better.
    fileprivate func lay(over routes: inout [RouteSpec], at index: Int?) -> String? {
        guard let index else { return "the file has no such route any more" }
        guard case .split(var entries) = routes[index].action else { return "the route goes to no upstream any more" }
        let file = entries.weights
        guard !self.fileWeights.isEmpty else { return "the other replicas have none" }
        guard self.stand(over: file) else {
            return "the file says \(file.words)"
        }
        for member in entries.indices {
            if let weight = self.weights[entries[member].upstream] { entries[member].weight = weight }
        }
        routes[index].action = .split(entries)
        return nil
    }
}

extension [String: UInt32] {
    /// `core 90, gateway 10`.
    var words: String {
        self.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}
