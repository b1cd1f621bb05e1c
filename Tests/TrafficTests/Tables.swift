import Traffic

/// Tables for tests, made from few words.
enum Tables {
    static func address(_ number: Int) -> SocketAddress {
        SocketAddress(ip: IPAddress(v4: 0x0A00_0000 | UInt32(number)), port: 80)
    }

    static func upstream(
        _ name: String = "core", endpoints: Int, _ change: (inout UpstreamSpec) -> Void = { _ in }
    ) -> UpstreamSpec {
        var spec = UpstreamSpec(name: name)
        spec.endpoints = (0..<endpoints).map(Self.address)
        change(&spec)
        return spec
    }

    static func table(
        _ upstreams: [UpstreamSpec], routes: [RouteSpec] = [], generation: UInt64 = 1,
        registry: EndpointRegistry = EndpointRegistry()
    ) -> RoutingTable {
        var spec = TableSpec()
        spec.upstreams = upstreams
        spec.routes = routes
        return RoutingTable(spec: spec, generation: generation, registry: registry)
    }

    /// A table of one upstream.
    static func one(
        endpoints: Int, registry: EndpointRegistry = EndpointRegistry(),
        _ change: (inout UpstreamSpec) -> Void = { _ in }
    ) -> Upstream {
        Self.table([Self.upstream(endpoints: endpoints, change)], registry: registry).upstreams[0]
    }

    /// A split over as many upstreams as there are weights, named u0, u1, ….
    static func route(_ weights: [UInt32], registry: EndpointRegistry = EndpointRegistry(), name: String = "r") -> Route
    {
        let names = weights.indices.map { "u\($0)" }
        let entries = zip(names, weights).map { SplitEntry(upstream: $0, weight: $1) }
        return Self.table(
            names.map { Self.upstream($0, endpoints: 1) }, routes: [RouteSpec(name: name, action: .split(entries))],
            registry: registry
        ).routes[0]
    }
}

extension Upstream {
    /// Selects as a first attempt with nothing special about it.
    func choose(
        _ random: inout SplitMix64, tried: UInt64 = 0, key: UInt64 = 0, now: UInt64 = 1_000
    ) -> Selection {
        self.select(tried: TriedEndpoints(bits: tried), key: key, random: &random, now: now)
    }

    func report(_ outcome: Outcome, _ index: Int, trial: Bool = false, now: UInt64) -> Bool {
        self.endpoints[index].report(outcome, trial: trial, policy: self.spec.passive, now: now)
    }

    /// Fails an endpoint until it is ejected, or gives up after a streak that ought to be enough.
    func eject(_ index: Int, now: UInt64) -> Bool {
        for _ in 0..<self.spec.passive.consecutiveFailures where self.report(.failure, index, now: now) { return true }
        return false
    }
}

extension TriedEndpoints {
    /// A set bit for each endpoint among the first 64.
    init(bits: UInt64) {
        self.init()
        for index in 0..<64 where bits & (1 << UInt64(index)) != 0 { self.insert(index) }
    }
}
