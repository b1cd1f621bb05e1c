import RoutesFile
import Traffic

/// What operators changed, as all replicas have agreed on it. Not all of it is in force everywhere: weights stand over the file
/// that they were set over, and endpoints may not be found here.
package struct SharedLive: Sendable, Equatable {
    package var weights: [String: LiveState.Weights] = [:]
    package var endpoints: [EndpointKey: Administrative] = [:]
    package var plans: [String: PlanRecord] = [:]

    package init() {}

    package init(_ document: LiveDocument) {
        for (route, split) in document.routes {
            self.weights[route] = LiveState.Weights(
                route: route, weights: split.weights, fileWeights: split.fileWeights)
        }
        self.endpoints = document.endpoints.mapValues(\.administrative)
        self.plans = document.migrations.compactMapValues { PlanRecord($0) }
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
            self.migrations[name] = .some(record.json)
        }
    }
}

extension RoutingState {
    /// Operators' weights that may stand over a file: those that all have agreed on, and those that were set here alone.
    var candidates: [String: LiveState.Weights] {
        guard let shared else { return self.live }
        var candidates = self.live.filter { self.detached.contains($0.key) }
        for (route, weights) in shared.weights where !self.detached.contains(route) { candidates[route] = weights }
        // Those that nobody knows any more end.
        for (route, weights) in self.live where candidates[route] == nil {
            candidates[route] = LiveState.Weights(route: route, weights: weights.weights, fileWeights: [:])
        }
        return candidates
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
        self.agreePlans(on: shared, at: now, wall: wall)
        let names = Set(self.live.keys).union(shared.weights.keys).subtracting(self.detached)
        for name in names.sorted() {
            guard let index = self.routeIndices[name], let file = configuration.table.routes[index].split else {
                continue
            }
            var aim = file
            if let weights = shared.weights[name], weights.stand(over: file.weights) {
                for member in aim.indices {
                    aim[member].weight = weights.weights[aim[member].upstream] ?? aim[member].weight
                }
            }
            self.setSplit(of: index, to: aim, .weights, "", &transition)
        }
        self.adoptAdministrative(&transition)
        self.publishMarks(at: now, &transition)
        transition.notes = []
        return transition
    }

    /// What all have agreed on and this file leaves no place for. Endpoints that a source finds come and go.
    var stale: SharedEdit {
        var edit = SharedEdit()
        guard let shared, let configuration = self.configuration else { return edit }
        for (route, weights) in shared.weights {
            let file = self.fileWeights(of: route)
            if file.map({ weights.stand(over: $0) }) != true { edit.routes[route] = .some(nil) }
        }
        for name in shared.plans.keys where self.plans[name] == nil { edit.migrations[name] = .some(nil) }
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
