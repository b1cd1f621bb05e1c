@testable import Control
import RoutesFile
import Testing
import Traffic

/// Changes of what is in force, as values: no actor, no clock, no socket.
struct RoutingStateTests {
    private static let core = EndpointKey(upstream: "core", address: Sample.address(3300))
    private static let gateway = EndpointKey(upstream: "gateway", address: Sample.address(3301))

    private static func loaded(_ configuration: BalancerConfiguration = Sample.configuration()) throws -> RoutingState {
        var state = RoutingState(instance: 7, at: 0)
        _ = try state.apply(.load(configuration), at: 1)
        return state
    }

    private static func weights(_ state: RoutingState, _ route: String = "api") -> [String: UInt32]? {
        state.spec.routes.first { $0.name == route }?.split?.weights
    }

    private static func drain(
        _ ports: UInt16..., state: Administrative = .drain, upstream: String? = nil
    ) -> Change {
        .administrative(
            AdministrativeChange(
                state: state, addresses: ports.map(Sample.address), name: "x", upstream: upstream, reason: "why"))
    }

    // MARK: loading

    @Test("A first load puts the file in force as it is")
    func firstLoad() throws {
        var state = RoutingState(instance: 7, at: 5)
        #expect(state.configuration == nil && state.generation == 0 && state.since == 5)
        let transition = try state.apply(.load(Sample.configuration()), at: 9)
        #expect(transition.publishes && transition.movesEndpoints)
        #expect(transition.generationBefore == 0 && transition.generationAfter == 1)
        #expect(transition.notes == [Transition.Note(what: .load, subject: "", detail: "2 routes, 2 upstreams")])
        #expect(state.spec == Sample.table() && state.generation == 1 && state.since == 9)
        #expect(state.tag == "\"1-0000000000000007\"")
    }

    @Test("The same file again changes nothing, and is written down")
    func sameLoad() throws {
        var state = try Self.loaded()
        let transition = try state.apply(.load(Sample.configuration()), at: 9)
        #expect(!transition.publishes && state.generation == 1 && state.since == 1)
        #expect(transition.notes.map(\.detail) == ["no change in routing"])
    }

    @Test("Listeners alone are no change in routing")
    func listenersOnly() throws {
        var state = try Self.loaded()
        var other = Sample.configuration()
        other.listeners.append(ListenerSpec(name: "second", address: Sample.address(8081)))
        let transition = try state.apply(.load(other), at: 9)
        #expect(!transition.publishes && state.configuration == other)
    }

    // MARK: weights

    @Test("Weights are laid over the file's, and stand until the file says otherwise: then the journal says so")
    func overlay() throws {
        var state = try Self.loaded()
        let transition = try state.apply(.weights(WeightChange(route: "api", weights: ["core": 50])), at: 2)
        #expect(transition.publishes && !transition.movesEndpoints)
        #expect(transition.notes.map(\.detail) == ["core 90→50"])
        #expect(Self.weights(state) == ["core": 50, "gateway": 10])
        #expect(state.fileWeights(of: "api") == ["core": 90, "gateway": 10])
        #expect(state.fileWeights(of: "old") == nil && state.fileWeights(of: "nope") == nil)

        var other = Sample.configuration()
        other.table.timeouts.keepAlive = 1
        #expect(try state.apply(.load(other), at: 3).notes.map(\.what) == [.load])
        #expect(Self.weights(state) == ["core": 50, "gateway": 10])

        let ended = try state.apply(.load(Sample.configuration(core: 70, gateway: 30)), at: 4)
        #expect(ended.notes.map(\.what) == [.load, .weights])
        #expect(ended.notes[1].subject == "api")
        #expect(ended.notes[1].detail == "live weights core 50, gateway 10 ended: the file says core 70, gateway 30")
        #expect(Self.weights(state) == ["core": 70, "gateway": 30])
        // They do not come back with the first file.
        #expect(try state.apply(.load(Sample.configuration()), at: 5).notes.map(\.what) == [.load])
        #expect(Self.weights(state) == ["core": 90, "gateway": 10])
    }

    @Test("A route that is renamed, or goes to no upstream any more, ends its live weights")
    func renamed() throws {
        var state = try Self.loaded()
        _ = try state.apply(.weights(WeightChange(route: "api", weights: ["core": 50])), at: 2)
        var renamed = Sample.configuration()
        renamed.table.routes[0].name = "api2"
        var other = state
        let transition = try other.apply(.load(renamed), at: 3)
        #expect(
            transition.notes.map(\.detail) == [
                "2 routes, 2 upstreams",
                "live weights core 50, gateway 10 ended: the file has no such route any more",
            ])
        #expect(Self.weights(other, "api2") == ["core": 90, "gateway": 10])

        var redirected = Sample.configuration()
        redirected.table.routes[0].action = .respond(status: 404)
        #expect(
            try state.apply(.load(redirected), at: 3).notes.last?.detail
                == "live weights core 50, gateway 10 ended: the route goes to no upstream any more")
    }

    @Test("Weights that are in force already publish nothing, and what is refused changes nothing")
    func refusals() throws {
        var state = try Self.loaded()
        let same = try state.apply(.weights(WeightChange(route: "api", weights: ["core": 90])), at: 2)
        #expect(!same.publishes && same.notes.isEmpty && same.reweighting?.before == same.reweighting?.after)
        let tag = state.tag
        let refused: [(WeightChange, ChangeRefused)] = [
            (WeightChange(route: "nope", weights: ["core": 1]), .notFound("no route \"nope\"")),
            (
                WeightChange(route: "api", weights: ["core": 1], ifMatch: ["\"1-8\"", "W/" + tag]),
                .stale(current: tag)
            ),
            (
                WeightChange(route: "old", weights: ["core": 1]),
                .invalid([
                    ControlProblem(path: "$", message: "route \"old\" has no weights: it goes to no upstream")
                ])
            ),
        ]
        for (change, cause) in refused {
            #expect(throws: cause) { try state.apply(.weights(change), at: 3) }
        }
        #expect(throws: ChangeRefused.self) {
            try state.apply(.weights(WeightChange(route: "api", weights: ["core": 0, "gateway": 0])), at: 3)
        }
        #expect(state.tag == tag && Self.weights(state) == ["core": 90, "gateway": 10])
        _ = try state.apply(.weights(WeightChange(route: "api", weights: ["core": 1], ifMatch: ["*"])), at: 3)
        #expect(state.tag != tag)
    }

    @Test("Tags of two processes differ, though they have loaded the same file")
    func tags() throws {
        var other = RoutingState(instance: 8, at: 0)
        _ = try other.apply(.load(Sample.configuration()), at: 0)
        let state = try Self.loaded()
        #expect(state.tag != other.tag && state.generation == other.generation)
    }

    // MARK: endpoints

    @Test("Endpoints are taken out by address, in all upstreams or one; twice is once")
    func administrative() throws {
        var configuration = Sample.configuration()
        configuration.table.upstreams[0].endpoints.append(Sample.address(3301))
        var state = try Self.loaded(configuration)
        let both = try state.apply(Self.drain(3301), at: 2)
        #expect(!both.publishes && both.upstreams == ["core", "gateway"])
        #expect(both.notes.map(\.detail) == ["core: ready→drain", "gateway: ready→drain"])
        #expect(both.notes.allSatisfy { $0.subject == "127.0.0.1:3301" && $0.reason == "why" })
        let again = try state.apply(Self.drain(3301, state: .maintenance, upstream: "gateway"), at: 3)
        #expect(again.settings == [Transition.Setting(endpoint: Self.gateway, state: .maintenance)])
        #expect(again.notes.map(\.detail) == ["gateway: drain→maintenance"])
        let third = try state.apply(Self.drain(3301, state: .maintenance, upstream: "gateway"), at: 3)
        #expect(third.settings.isEmpty && third.notes.isEmpty && third.upstreams == ["gateway"])
        #expect(throws: ChangeRefused.notFound("no endpoint x in upstream \"gateway\"")) {
            try state.apply(Self.drain(3300, upstream: "gateway"), at: 4)
        }
        #expect(
            state.liveState.administrative.map { [$0.upstream, $0.address, $0.state] } == [
                ["core", "127.0.0.1:3301", "drain"], ["gateway", "127.0.0.1:3301", "maintenance"],
            ])
    }

    @Test(
        "What an operator did to an endpoint ends with it: a new one at its address is ready, and the journal says so")
    func administrativeEnds() throws {
        var state = try Self.loaded()
        _ = try state.apply(Self.drain(3301), at: 2)
        _ = try state.apply(Self.drain(3302, state: .maintenance), at: 2)
        var without = Sample.configuration()
        without.table.upstreams[1].endpoints = [Sample.address(3302)]
        let transition = try state.apply(.load(without), at: 3)
        #expect(transition.settings == [Transition.Setting(endpoint: Self.gateway, state: .ready)])
        #expect(transition.notes.map(\.what) == [.load, .administrative])
        #expect(transition.notes[1].subject == "127.0.0.1:3301")
        #expect(transition.notes[1].detail == "gateway: drain ended: it is no longer an endpoint")
        #expect(state.liveState.administrative.map(\.address) == ["127.0.0.1:3302"])
        #expect(try state.apply(.load(Sample.configuration()), at: 4).settings.isEmpty)
        #expect(state.liveState.administrative.map(\.address) == ["127.0.0.1:3302"])
    }

    // MARK: discovery

    private static func discovering() -> (BalancerConfiguration, DiscoveryKey) {
        let spec = DiscoverySpec.dns(NameLookup(name: "gateway.internal"), port: 3301)
        var configuration = Sample.configuration()
        configuration.table.upstreams[1].endpoints = []
        configuration.table.upstreams[1].discovery = spec
        return (configuration, DiscoveryKey(upstream: "gateway", spec: spec))
    }

    @Test("Endpoints that are found join, those that are gone take their administrative state along")
    func found() throws {
        let (configuration, key) = Self.discovering()
        var state = try Self.loaded(configuration)
        let first = try state.apply(.found([Sample.address(3301), Sample.address(3302)], by: key), at: 2)
        #expect(first.publishes)
        #expect(first.joining.map(\.address) == [Sample.address(3301), Sample.address(3302)])
        #expect(first.notes.map(\.detail) == ["found 127.0.0.1:3301, 127.0.0.1:3302"])
        #expect(try !state.apply(.found([Sample.address(3302), Sample.address(3301)], by: key), at: 3).publishes)
        _ = try state.apply(Self.drain(3301), at: 4)
        let gone = try state.apply(.found([Sample.address(3302)], by: key), at: 5)
        #expect(gone.settings == [Transition.Setting(endpoint: Self.gateway, state: .ready)])
        #expect(gone.notes.map(\.what) == [.endpoints, .administrative])
        let back = try state.apply(.found([Sample.address(3301), Sample.address(3302)], by: key), at: 6)
        #expect(back.joining.map(\.address) == [Sample.address(3301)] && back.settings.isEmpty)
        #expect(state.liveState.administrative.isEmpty)
        #expect(state.liveState.discovered?.first?.endpoints == ["127.0.0.1:3301", "127.0.0.1:3302"])
    }

    @Test("What is found before its configuration waits for it; a reload keeps what was found")
    func foundEarly() throws {
        let (configuration, key) = Self.discovering()
        var state = RoutingState(instance: 7, at: 0)
        #expect(try !state.apply(.found([Sample.address(3301)], by: key), at: 1).publishes)
        _ = try state.apply(.load(configuration), at: 2)
        #expect(state.spec.upstreams[1].endpoints == [Sample.address(3301)])
        var other = configuration
        other.table.timeouts.keepAlive = 1
        _ = try state.apply(.load(other), at: 3)
        #expect(state.spec.upstreams[1].endpoints == [Sample.address(3301)])
        _ = try state.apply(.weights(WeightChange(route: "api", weights: ["core": 1])), at: 4)
        #expect(state.spec.upstreams[1].endpoints == [Sample.address(3301)])
    }

    @Test("What a source finds that the configuration has replaced changes nothing")
    func foundLate() throws {
        let (configuration, key) = Self.discovering()
        var state = try Self.loaded(configuration)
        _ = try state.apply(.found([Sample.address(3301)], by: key), at: 2)
        var other = configuration
        let spec = DiscoverySpec.srv(NameLookup(name: "other.example"))
        other.table.upstreams[1].discovery = spec
        _ = try state.apply(.load(other), at: 3)
        // The old source was asked before it was ended.
        #expect(try !state.apply(.found([Sample.address(3309)], by: key), at: 4).publishes)
        #expect(state.spec.upstreams[1].endpoints == [Sample.address(3301)])
        let found = Change.found([Sample.address(3302)], by: DiscoveryKey(upstream: "gateway", spec: spec))
        #expect(try state.apply(found, at: 5).publishes)
    }

    @Test("An endpoint that is ready again leaves nothing to hand over, and nothing that ends when it goes")
    func readyAgain() throws {
        var state = try Self.loaded()
        #expect(try state.apply(Self.drain(3301, 3302), at: 2).upstreams == ["gateway"])
        _ = try state.apply(Self.drain(3302, state: .ready), at: 2)
        #expect(try state.apply(Self.drain(3301, state: .ready), at: 3).settings.map(\.state) == [.ready])
        #expect(state.liveState.administrative.isEmpty)
        var other = Sample.configuration()
        other.table.upstreams[1].endpoints.removeFirst()
        let transition = try state.apply(.load(other), at: 4)
        #expect(transition.notes.map(\.what) == [.load] && transition.settings.isEmpty)
    }

    // MARK: take-over

    @Test("A successor has the live weights and states, and goes on counting")
    func inherit() throws {
        var old = try Self.loaded()
        _ = try old.apply(.weights(WeightChange(route: "api", weights: ["core": 50])), at: 2)
        _ = try old.apply(Self.drain(3301), at: 3)
        _ = try old.apply(Self.drain(3302, state: .maintenance), at: 3)
        _ = try old.apply(.handOver(true), at: 4)
        for change in [
            Change.load(Sample.configuration()), .weights(WeightChange(route: "api", weights: ["core": 1])),
            Self.drain(3300), .handOver(true),
        ] {
            #expect(throws: ChangeRefused.handingOver) { try old.apply(change, at: 5) }
        }

        var new = RoutingState(instance: 8, at: 0)
        let transition = try new.apply(.inherit(old.liveState), at: 1)
        #expect(!transition.publishes && new.configuration == nil && new.generation == 2)
        #expect(transition.notes.map(\.detail) == ["1 live splits, 2 endpoints not ready"])
        #expect(Set(transition.settings.map(\.state)) == [.drain, .maintenance])
        let load = try new.apply(.load(Sample.configuration()), at: 2)
        #expect(load.generationAfter == 3 && load.settings.isEmpty)
        #expect(Self.weights(new) == ["core": 50, "gateway": 10])
        #expect(new.liveState.administrative == old.liveState.administrative)

        _ = try old.apply(.handOver(false), at: 6)
        _ = try old.apply(.weights(WeightChange(route: "api", weights: ["core": 1])), at: 7)
    }

    @Test("What is inherited for a route or an endpoint that the file does not have ends at the first load")
    func inheritedLeftovers() throws {
        var inherited = LiveState()
        inherited.generation = 5
        inherited.weights = [LiveState.Weights(route: "gone", weights: ["a": 1], fileWeights: ["a": 2])]
        inherited.administrative = [
            LiveState.AdministrativeState(upstream: "core", address: "127.0.0.1:9", state: "drain"),
            LiveState.AdministrativeState(upstream: "core", address: "nonsense", state: "drain"),
        ]
        var state = RoutingState(instance: 7, at: 0)
        _ = try state.apply(.inherit(inherited), at: 0)
        let load = try state.apply(.load(Sample.configuration()), at: 1)
        #expect(load.notes.map(\.what) == [.load, .weights, .administrative])
        #expect(load.settings.map(\.endpoint.address) == [Sample.address(9)])
        #expect(state.liveState.weights.isEmpty && state.liveState.administrative.isEmpty)
    }

    // MARK: names that have gone

    @Test("Gone names are remembered for a while, and no longer once they are back")
    func departed() throws {
        var state = try Self.loaded()
        var renamed = Sample.configuration()
        renamed.table.routes[0].name = "api2"
        renamed.table.upstreams[1].endpoints = [Sample.address(3302)]
        _ = try state.apply(.load(renamed), at: 1_000)
        let end = 1_000 + DepartedNames.grace
        #expect(state.departed.isRecent(route: "api", at: end - 1) && !state.departed.isRecent(route: "api", at: end))
        #expect(state.departed.isRecent(endpoint: Self.gateway, at: end - 1))
        #expect(
            !state.departed.isRecent(route: "api2", at: 1_000) && !state.departed.isRecent(upstream: "core", at: 1_000))
        // Forgotten, not only hidden, with the next change.
        _ = try state.apply(.load(Sample.configuration()), at: end)
        #expect(!state.departed.isRecent(route: "api", at: 1_000))
        #expect(state.departed.isRecent(route: "api2", at: end))
    }
}
