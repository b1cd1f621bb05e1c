import HTTPWire
import Traffic

/// A routing table with what the data plane derives from it. Built once, off the workers, and shared by them: a worker
/// that adopts it only looks its upstreams' pools up.
final class TablePlan: Sendable {
    let table: RoutingTable
    /// By the upstream's place in the table; nil: plain.
    let upstreamTLS: ContiguousArray<UpstreamTLSPlan?>
    let routes: ContiguousArray<Reference<RoutePlan>>
    private let owners: [RoutePlan]
    let headLimits: HeadLimits
    /// No peer's word on clients is believed, and nothing is traced: of neither is a request asked.
    let isPlain: Bool
    let trustsNobody: Bool
    /// nil: no spans are made.
    let tracing: TraceChoice?
    /// Some route compresses.
    let compresses: Bool
    /// Where no route was found.
    let unrouted: Int
    /// A route lets clients open WebSockets.
    let opensWebSockets: Bool
    /// Every series of counters that this table writes.
    let counters: Set<Int>
    /// Every run of a stage that this table counts into, by its number.
    let stages: [Int: StagePlan]
    /// Bytes that a head, and its rewriting with what routes add, may take.
    let headRoom: Int
    /// Bytes that a body's framing, trailers included, may take.
    let frameRoom: Int

    /// `previous`: routes that are the very same need not be derived again.
    init(
        _ table: RoutingTable, registry: CounterRegistry, stages registryOfStages: CounterRegistry = CounterRegistry(),
        previous: TablePlan?
    ) {
        self.table = table
        self.upstreamTLS = ContiguousArray(
            table.upstreams.map { upstream in
                upstream.spec.tls.map { spec in
                    previous?.upstreamTLS.lazy.compactMap { $0 }.first { $0.spec == spec } ?? UpstreamTLSPlan(spec)
                }
            })
        let limits = table.spec.limits
        self.headLimits = HeadLimits(
            requestLine: Int(limits.requestLine), bytes: Int(limits.headerBytes), count: Int(limits.headerCount))
        self.compresses = table.spec.routes.contains { $0.compression != nil }
        let tracing = table.spec.tracing.map { TraceChoice($0) }
        self.trustsNobody = table.trusted.isEmpty
        self.tracing = tracing
        self.isPlain = table.trusted.isEmpty && tracing == nil
        self.opensWebSockets = table.spec.routes.contains { $0.upgrade.contains { $0.lowercased() == "websocket" } }
        self.headRoom = Int(limits.headerBytes) * 2 + 65_536
        let trailers = table.spec.routes.reduce(limits.trailerBytes) { max($0, $1.limits.trailerBytes) }
        self.frameRoom = BodyFrames.room(trailerLimit: Int(trailers))
        let forwarding = table.spec.forwarding
        let isSameForwarding =
            previous.map { $0.table.spec.forwarding == forwarding && ($0.tracing == nil) == (tracing == nil) } ?? false
        var used: Set<Int> = []
        var stages: [Int: StagePlan] = [:]
        let owners = table.routes.map { route in
            if isSameForwarding, let previous, route.index < previous.routes.count,
                previous.owners[route.index].route === route
            {
                let kept = previous.owners[route.index]
                used.formUnion(kept.counters)
                used.insert(kept.localCounters)
                if kept.stage.number >= 0 { stages[kept.stage.number] = kept.stage }
                return kept
            }
            let names = route.split?.entries.map { table.upstreams[$0.upstream].name } ?? []
            let counters = ContiguousArray(names.map { registry.series(route: route.name, upstream: $0) })
            let local = registry.series(route: route.name, upstream: "")
            used.formUnion(counters)
            used.insert(local)
            let before = previous?.table.route(named: route.name).map { previous?.owners[$0.index].stage }
            let stage = StagePlan(route.spec, registry: registryOfStages, previous: before ?? nil)
            if stage.number >= 0 { stages[stage.number] = stage }
            return RoutePlan(
                route: route, forwarding: forwarding, counters: counters, localCounters: local, stage: stage,
                traces: tracing != nil)
        }
        self.owners = owners
        self.routes = ContiguousArray(owners.map { Reference(to: $0) })
        self.unrouted = registry.series(route: "", upstream: "")
        used.insert(self.unrouted)
        self.counters = used
        self.stages = stages
    }
}
