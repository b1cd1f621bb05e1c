import Migration
import RoutesFile
import Traffic

/// What operators changed, as all replicas have agreed on it. Not all of it is in force everywhere: weights stand over the file
/// that they were set over, and endpoints may not be found here.
package struct SharedLive: Sendable, Equatable {
    package var weights: [String: LiveState.Weights] = [:]
    package var endpoints: [EndpointKey: Administrative] = [:]
    package var plans: [String: PlanRecord] = [:]
    /// What operators have said of classes of differences (`LiveDocument.differences`).
    package var differences: [String: [String: String]] = [:]

    package init() {}

    package init(_ document: LiveDocument) {
        for (route, split) in document.routes {
            self.weights[route] = LiveState.Weights(
                route: route, weights: split.weights, fileWeights: split.fileWeights)
        }
        self.endpoints = document.endpoints.mapValues(\.administrative)
        self.plans = document.migrations.compactMapValues { PlanRecord($0) }
        self.differences = document.differences
    }
}

extension SharedEdit {
    /// What a change of this replica's state means for all.
    init(from before: RoutingState, to after: RoutingState) {
        self.init()
        for (route, weights) in after.live where before.live[route] != weights {
            self.routes[route] = LiveDocument.Split(weights: weights.weights, fileWeights: weights.fileWeights)
        }
        for route in before.live.keys where after.live[route] == nil { self.routes[route] = .some(nil) }
        for (key, state) in after.administrative where before.administrative[key] != state {
            self.endpoints[key] = state
        }
        for key in before.administrative.keys where after.administrative[key] == nil { self.endpoints[key] = .ready }
        for (name, standing) in after.plans {
            let record = PlanRecord(standing)
            guard before.plans[name].map({ !PlanRecord($0).isSameStep(as: record) }) ?? false else { continue }
            self.put(standing, of: after)
        }
    }

    /// Where a plan stands, with what its routes have and the file that this was decided over: also where both are the same, for
    /// a replica whose file says something else must not give the new side what that says.
    mutating func put(_ standing: PlanStanding, of state: RoutingState) {
        self.migrations[standing.plan.name] = .some(PlanRecord(standing).json)
        for route in state.spec.routes where standing.plan.routes.contains(route.name) {
            guard let weights = route.split?.weights, let file = state.fileWeights(of: route.name) else { continue }
            // The file has its own back, wherever that is.
            guard state.live[route.name] != nil || standing.state.phase != .stopped else { continue }
            let known = state.shared?.weights[route.name]
            guard known?.weights != weights || known?.fileWeights != file else { continue }
            self.routes[route.name] = LiveDocument.Split(weights: weights, fileWeights: file)
        }
    }
}

extension RoutingState {
    /// Operators' weights that may stand over a file of these routes: those that all have agreed on, and those that were set here
    /// alone.
    func candidates(over routes: [RouteSpec]) -> [String: LiveState.Weights] {
        guard let shared else { return self.live }
        var candidates = self.live.filter { self.detached.contains($0.key) }
        for (route, weights) in shared.weights where !self.detached.contains(route) { candidates[route] = weights }
        for route in routes where !self.detached.contains(route.name) {
            guard let entries = route.split,
                let weights = self.agreedWeights(of: route.name, over: entries, owner: self.owner(of: route.name))
            else { continue }
            candidates[route.name] = weights
        }
        // Those that nobody knows any more end.
        for (route, weights) in self.live where candidates[route] == nil {
            candidates[route] = LiveState.Weights(route: route, weights: weights.weights, fileWeights: [:])
        }
        return candidates
    }

    /// What all have agreed on for a route, as it stands over what the file here says of it; nil: it does not.
    ///
    /// Weights stand over the file that they were set over. Those of a plan that is under way stand over any: a file that says
    /// something else pauses it, and moves nothing. What once stood over this very file here goes on to. `owner`: the plan whose
    /// affair the weights are, or were until it took the step that is put in force.
    func agreedWeights(
        of route: String, over file: [SplitEntry], owner: PlanStanding?
    ) -> LiveState.Weights? {
        let fileWeights = file.weights
        guard let agreed = self.shared?.weights[route] else {
            // An earlier version tells no weights that are its file's. Less than the plan gives is never wrong.
            guard let owner = self.owner(of: route), owner.share(of: file) > owner.state.share else { return nil }
            return LiveState.Weights(
                route: route, weights: owner.split(file, share: owner.state.share).weights, fileWeights: fileWeights)
        }
        if agreed.stand(over: fileWeights) { return agreed }
        let weights = agreed.weights(over: fileWeights)
        let stoodHere = self.live[route].map { ($0.weights, $0.fileWeights) == (weights, fileWeights) } ?? false
        guard owner != nil || stoodHere, weights.keys.allSatisfy({ fileWeights[$0] != nil }) else { return nil }
        return LiveState.Weights(route: route, weights: weights, fileWeights: fileWeights)
    }

    /// Whether the file here says something else of a plan's routes than the one that its present step was decided over.
    func splitsDiffer(_ plan: PlanSpec) -> Bool {
        plan.routes.contains { route in
            guard let known = self.shared?.weights[route]?.fileWeights, let file = self.fileWeights(of: route) else {
                return false
            }
            return known != file
        }
    }

    /// Brings endpoints to the states that all have agreed on.
    mutating func adoptAdministrative(_ transition: inout Transition) {
        guard let shared, !shared.endpoints.isEmpty || !self.administrative.isEmpty else { return }
        var given = transition
        for key in self.spec.endpointKeys {
            self.set(key, shared.endpoints[key] ?? .ready, .administrative, "", &given)
        }
        // Whoever made the change has told of it.
        transition.settings = given.settings
    }

    /// Puts in force what all have agreed on, as far as it applies here. Tells nothing: the changes themselves do.
    mutating func agree(on shared: SharedLive, at now: UInt64, wall: UInt64) throws(ChangeRefused) -> Transition {
        guard !self.isHandingOver else { throw .handingOver }
        self.shared = shared
        var transition = self.unchanged
        guard let configuration = self.configuration else { return transition }
        let before = self.plans
        let owners = before.values.filter(\.ownsWeights)
        self.agreePlans(on: shared, at: now, wall: wall)
        let owned = (owners + self.plans.values.filter(\.ownsWeights)).flatMap(\.plan.routes)
        let names = Set(self.live.keys).union(shared.weights.keys).union(owned).subtracting(self.detached)
        for name in names.sorted() {
            guard let index = self.routeIndices[name], let file = configuration.table.routes[index].split else {
                continue
            }
            var aim = file
            let owner = self.owner(of: name) ?? owners.first { $0.plan.routes.contains(name) }
            if let weights = self.agreedWeights(of: name, over: file, owner: owner) {
                for member in aim.indices {
                    aim[member].weight = weights.weights[aim[member].upstream] ?? aim[member].weight
                }
            } else if owner != nil, shared.weights[name] != nil {
                // They are of sides that the file here does not name: what the plan has put in force stays, for the file's own may
                // be more.
                continue
            }
            self.setSplit(of: index, to: aim, .weights, "", &transition)
        }
        self.followLeft(before, wall: wall)
        self.adoptAdministrative(&transition)
        self.publishMarks(at: now, &transition)
        transition.notes = []
        return transition
    }

    /// What all have agreed on and this file leaves no place for. Endpoints that a source finds come and go.
    var stale: SharedEdit {
        var edit = SharedEdit()
        guard let shared, let configuration = self.configuration else { return edit }
        for (route, agreed) in shared.weights {
            let (file, owner) = (self.fileSplit(of: route), self.owner(of: route))
            guard let weights = file.flatMap({ self.agreedWeights(of: route, over: $0, owner: owner) }) else {
                edit.routes[route] = .some(nil)
                continue
            }
            // A plan that is under way tells of its own routes.
            guard owner == nil, weights != agreed else { continue }
            edit.routes[route] = LiveDocument.Split(weights: weights.weights, fileWeights: weights.fileWeights)
        }
        for (name, record) in shared.plans {
            guard let standing = self.plans[name] else {
                edit.migrations[name] = .some(nil)
                continue
            }
            // Nobody takes a step of a plan that was left: where a file has taken its weights since is told here.
            guard standing.leftWeights, record.phase == standing.state.phase.rawValue,
                (record.share, record.fullSince) != (standing.state.share, standing.fullSince)
            else { continue }
            var next = record
            (next.share, next.fullSince) = (standing.state.share, standing.fullSince)
            edit.migrations[name] = .some(next.json)
        }
        for name in shared.differences.keys where self.plans[name] == nil { edit.differences[name] = .some(nil) }
        guard !shared.endpoints.isEmpty else { return edit }
        let present = Set(self.spec.endpointKeys)
        let found = Set(
            configuration.table.upstreams.lazy.filter { $0.discovery != nil || !$0.names.isEmpty }.map(\.name))
        for key in shared.endpoints.keys where !present.contains(key) && !found.contains(key.upstream) {
            edit.endpoints[key] = .ready
        }
        return edit
    }

    /// What this process would begin a cluster with.
    var seed: SharedEdit {
        var edit = SharedEdit()
        for (route, weights) in self.live {
            edit.routes[route] = LiveDocument.Split(weights: weights.weights, fileWeights: weights.fileWeights)
        }
        edit.endpoints = self.administrative
        let records = self.inheritedPlans.values + (self.liveState.plans ?? [])
        for record in records { edit.migrations[record.name] = .some(record.json) }
        return edit
    }
}
