import Synchronization
import Traffic

extension EventBody {
    /// Routes that are split, with what each side was given.
    mutating func tell(routes table: RoutingTable, _ flow: TrafficFlow?, now: UInt64) {
        for route in table.spec.routes {
            guard let split = route.split else { continue }
            guard self.routes.count < Self.routeLimit else {
                self.routesOmitted += 1
                continue
            }
            let shares = UpstreamShare.compute(
                split, failover: route.failover, reserve: route.reserve, in: table, now: now)
            self.routes.append(
                Route(
                    name: route.name, failover: route.failover,
                    sides: shares.map { share in
                        RouteSide(
                            upstream: share.upstream, weight: share.weight, share: rounded(share.share, 1_000_000),
                            effectiveShare: rounded(share.effectiveShare, 1_000_000), available: share.available,
                            requestsPerSecond: flow?.requestsPerSecond(route: route.name, upstream: share.upstream)
                                ?? 0)
                    }))
        }
    }

    /// Upstreams that routes are split between, with how they do.
    mutating func tell(sides table: RoutingTable, _ flow: TrafficFlow?, now: UInt64) {
        var weighted: Set<String> = []
        for entry in table.spec.routes.lazy.compactMap(\.split).joined() where entry.weight > 0 {
            weighted.insert(entry.upstream)
        }
        self.sides = table.upstreams.prefix(Self.sideLimit).map { upstream in
            Side(
                upstream: upstream.name, flow: flow?.side(upstream.name) ?? SideFlow(),
                endpoints: upstream.endpoints.count,
                availableEndpoints: upstream.endpoints.count { $0.isSelectable(now: now) },
                outstanding: upstream.endpoints.reduce(0) { $0 + $1.outstanding.load(ordering: .relaxed) },
                isWeighted: weighted.contains(upstream.name))
        }
    }

    /// Endpoints that are not simply up.
    mutating func tell(troubles table: RoutingTable, _ records: [EndpointKey: ProbeRecord], now: UInt64) {
        for upstream in table.upstreams {
            for endpoint in upstream.endpoints {
                let explanation = endpoint.explain(now: now, slowStart: upstream.spec.slowStart)
                guard explanation.availability != "up" else { continue }
                guard self.troubles.count < Self.troubleLimit else {
                    self.troublesOmitted += 1
                    continue
                }
                let record = records[EndpointKey(upstream: upstream.name, address: endpoint.address)]
                self.troubles.append(
                    Trouble(
                        upstream: upstream.name, address: "\(endpoint.address)",
                        availability: explanation.availability,
                        cause: explanation.availability == "down"
                            ? record?.results.last.map(Self.words) ?? "" : explanation.reason,
                        seconds: now > explanation.since ? (now - explanation.since) / 1_000 : 0))
            }
        }
    }

    private static let causes: [ProbeCause: String] = [
        .refused: "connection refused", .connectTimeout: "no connection in time", .reset: "connection reset",
        .responseTimeout: "no answer in time", .body: "an unexpected answer", .malformed: "an answer that is no HTTP",
        .handshake: "no TLS session", .certificate: "a certificate that is not believed",
    ]

    /// What came of a probe, in a few words.
    private static func words(_ probe: ProbeResult) -> String {
        switch probe.cause {
        case .ok: ""
        case .status: "status \(probe.status)"
        default: Self.causes[probe.cause] ?? probe.cause.rawValue
        }
    }
}
