import Testing
@testable import Traffic

@Suite("Endpoints that join")
struct JoiningTests {
    private let registry = EndpointRegistry()

    private func upstream(_ hosts: [UInt32], probed: Bool = true) -> Upstream {
        var spec = UpstreamSpec(name: "u")
        spec.endpoints = hosts.map { SocketAddress(ip: IPAddress(v4: $0), port: 80) }
        spec.health = probed ? ProbeSpec() : nil
        var table = TableSpec()
        table.upstreams = [spec]
        return RoutingTable(spec: table, generation: 1, registry: self.registry).upstreams[0]
    }

    @Test("One that joins takes nothing, even alone, and does not shut out those without a verdict")
    func closed() {
        let first = self.upstream([1])
        let joining = self.registry.endpoint(
            upstream: "u", address: SocketAddress(ip: IPAddress(v4: 2), port: 80), probed: true)
        joining.join(probed: true, now: 5)
        #expect(!joining.isSelectable(now: 5))
        let both = self.upstream([1, 2])
        #expect(both.endpoints.map { $0.isSelectable(now: 6) } == [true, false])
        #expect(first.endpoints[0] === both.endpoints[0])
        let alone = self.upstream([2])
        #expect(!alone.isAvailable(now: 6))
        #expect(joining.explain(now: 6).availability == "starting")
    }

    @Test("A probe that passes opens it with slow start, one that fails takes it down")
    func verdicts() {
        for (verdict, isOpen) in [(Operational.up, true), (.down, false)] {
            let endpoint = EndpointRegistry().endpoint(
                upstream: "u", address: SocketAddress(ip: IPAddress(v4: 1), port: 80), probed: true)
            endpoint.join(probed: true, now: 0)
            endpoint.setOperational(verdict, now: 1_000)
            #expect(endpoint.isSelectable(now: 1_000) == isOpen)
            #expect(endpoint.share(now: 1_500, slowStart: 1_000) == (isOpen ? 512 : 1_024))
        }
    }

    @Test("Where probes are dropped it counts as up")
    func unprobed() {
        let endpoint = self.upstream([1]).endpoints[0]
        endpoint.join(probed: true, now: 0)
        #expect(self.upstream([1], probed: false).isAvailable(now: 1))
        #expect(endpoint.operational == .up)
    }

    @Test("Failed attempts and failed probes are counted, nothing else")
    func failures() {
        let upstream = self.upstream([1])
        let endpoint = upstream.endpoints[0]
        for outcome in [Outcome.success, .overload, .clientFault, .cancelled, .failure] {
            endpoint.report(outcome, trial: false, policy: upstream.spec.passive, now: 1)
        }
        #expect(endpoint.failures == 1)
        endpoint.setOperational(.up, now: 2)
        endpoint.setOperational(.down, now: 3)
        endpoint.setOperational(.down, now: 4)
        #expect(endpoint.failures == 2)
    }
}
