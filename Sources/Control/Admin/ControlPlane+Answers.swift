import Glibc
import Synchronization
import Traffic

extension ControlPlane {
    func routesBody(_ view: TableView) -> RoutesBody {
        let now = self.clock.monotonic()
        return RoutesBody(
            generation: view.table.generation,
            routes: view.table.spec.routes.map { RouteBody($0, view: view, now: now) })
    }

    func routeBody(named name: String, _ view: TableView) -> RouteBody? {
        view.table.spec.routes.first { $0.name == name }.map {
            RouteBody($0, view: view, now: self.clock.monotonic())
        }
    }

    func certificatesBody() async -> CertificatesBody {
        CertificatesBody(await self.reloader.certificates, problems: await self.reloader.fileProblems)
    }

    func upstreamsBody(_ range: EndpointRange = EndpointRange()) async -> UpstreamsBody {
        let page = await self.metrics()
        let counters = Dictionary(
            page.endpointCounters.map { (EndpointKey(upstream: $0.upstream, address: $0.address), $0) },
            uniquingKeysWith: { first, _ in first })
        return UpstreamsBody(
            upstreams: page.view.table.upstreams.filter { range.includes($0.name) }.map { upstream in
                UpstreamBody(
                    name: upstream.name, balance: upstream.spec.balance.word,
                    available: upstream.isAvailable(now: page.now),
                    total: upstream.endpoints.count,
                    endpoints: range.slice(upstream.endpoints).map { endpoint in
                        let key = EndpointKey(upstream: upstream.name, address: endpoint.address)
                        return self.endpointBody(
                            endpoint, spec: upstream.spec, record: page.probes[key], counters: counters[key],
                            now: page.now)
                    },
                    discovery: page.discovery(of: upstream).map(self.discoveryBody),
                    unresolved: Self.unresolvedBodies(page.view.unresolved, upstream.name))
            })
    }

    private static func unresolvedBodies(_ all: [UnresolvedEndpoint], _ upstream: String) -> [UnresolvedBody]? {
        let own = all.filter { $0.upstream == upstream }
        return own.isEmpty ? nil : own.map { UnresolvedBody(endpoint: "\($0.name)", reason: $0.reason) }
    }

    private func discoveryBody(_ record: DiscoveryRecord) -> DiscoveryBody {
        DiscoveryBody(
            source: record.spec.description, lastSuccess: record.lastSuccess.map(Timestamp.iso8601),
            stale: record.isStale, failures: record.failures, reason: record.failure)
    }

    private func endpointBody(
        _ endpoint: Endpoint, spec: UpstreamSpec, record: ProbeRecord?, counters: EndpointCounters?, now: UInt64
    ) -> EndpointBody {
        let explanation = endpoint.explain(now: now, slowStart: spec.slowStart)
        let outlook = endpoint.administrative == .maintenance || endpoint.isRefused ? "" : record.map(\.outlook) ?? ""
        // Which probe failed, and how many more would change it, is worth more than that the endpoint is down.
        var reason = explanation.reason
        if !outlook.isEmpty, outlook != reason { reason += (reason.isEmpty ? "" : "; ") + outlook }
        return EndpointBody(
            address: endpoint.address.description, availability: explanation.availability,
            administrative: endpoint.administrative.word, ejected: endpoint.ejection(now: now) != .none, reason: reason,
            since: Timestamp.iso8601(self.clock.wall(ofMonotonic: explanation.since)),
            outstanding: endpoint.outstanding.load(ordering: .relaxed),
            connections: endpoint.connections.load(ordering: .relaxed), requests: counters?.requests ?? 0,
            protocol: Self.spoken(spec, counters),
            tlsFailure: counters?.lastHandshakeFailure.map {
                TLSFailureBody(at: Timestamp.iso8601(self.clock.wall(ofMonotonic: $0.at)), cause: $0.cause)
            },
            probes: (record?.results ?? []).map { probe in
                ProbeBody(
                    at: Timestamp.iso8601(probe.wallClock), cause: probe.cause.rawValue, status: probe.status,
                    microseconds: probe.microseconds)
            })
    }

    private static func spoken(_ spec: UpstreamSpec, _ counters: EndpointCounters?) -> String? {
        switch spec.speaks {
        case .http1: "HTTP/1.1"
        case .http2: "HTTP/2"
        case .negotiated: counters?.speaksHTTP2.map { $0 ? "HTTP/2" : "HTTP/1.1" }
        }
    }

    func statusBody() async -> StatusBody {
        let workers = await self.dataPlane.snapshots()
        let view = await self.publisher.current
        let bound = await self.dataPlane.boundAddresses()
        let report = await self.reloader.report
        let discovery = await self.discovery?.records ?? [:]
        let now = self.clock.monotonic()
        let sentence = await self.events.state().sentence
        return StatusBody(
            sentence: sentence, version: BalancerVersion.current, pid: getpid(),
            uptimeSeconds: self.uptime / 1_000,
            generation: view.table.generation,
            tableAge: (now > view.publishedAt ? now - view.publishedAt : 0) / 1_000, workers: workers.count,
            listeners: bound.sorted { $0.key < $1.key }.map {
                StatusBody.Listener(name: $0.key, address: $0.value.description)
            },
            connections: workers.reduce(0) { $0 &+ $1.connectionsActive },
            exchanges: workers.reduce(0) { $0 &+ $1.exchangesActive },
            lastReload: StatusBody.Reload(
                at: Timestamp.iso8601(report.at), ok: report.ok, problems: report.problems,
                needsRestart: report.needsRestart),
            stale: Set(discovery.filter(\.value.isStale).map(\.key.upstream) + view.unresolved.map(\.upstream))
                .sorted(),
            state: view.ledger.map {
                StatusBody.Ledger(
                    path: $0.path, ok: $0.trouble == nil, reason: $0.trouble ?? "", unwritten: $0.unwritten.count)
            },
            draining: self.lifecycle.current == .draining)
    }
}
