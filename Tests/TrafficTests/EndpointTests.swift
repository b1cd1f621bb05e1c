import Synchronization
import Testing

@testable import Traffic

@Suite("An endpoint's availability")
struct EndpointTests {
    @Test(
        "Operational × administrative, probed and alone", arguments: [Operational.unknown, .up, .down],
        [Administrative.ready, .drain, .maintenance])
    func truthTable(operational: Operational, administrative: Administrative) {
        let upstream = Tables.one(endpoints: 1) { $0.health = ProbeSpec() }
        let endpoint = upstream.endpoints[0]
        #expect(endpoint.operational == .unknown)
        endpoint.setOperational(operational, now: 1)
        endpoint.setAdministrative(administrative, now: 1)
        #expect(endpoint.operational == operational)
        #expect(endpoint.administrative == administrative)
        // An unknown endpoint serves here because no other has a verdict either.
        #expect(endpoint.isSelectable(now: 2) == (operational != .down && administrative == .ready))
        #expect(upstream.isAvailable(now: 2) == endpoint.isSelectable(now: 2))
    }

    @Test("Without probes an endpoint begins up; with them, unknown until somebody has a verdict")
    func beginning() {
        #expect(Tables.one(endpoints: 1).endpoints[0].operational == .up)
        let upstream = Tables.one(endpoints: 3) { $0.health = ProbeSpec() }
        let endpoints = upstream.endpoints
        #expect(endpoints.allSatisfy { $0.isSelectable(now: 0) })
        endpoints[0].setOperational(.down, now: 1)
        #expect(!upstream.isAvailable(now: 1))
        endpoints[1].setOperational(.up, now: 2)
        #expect(endpoints.map { $0.isSelectable(now: 2) } == [false, true, false])
        endpoints[0].setOperational(.unknown, now: 3)
        endpoints[1].setOperational(.unknown, now: 3)
        #expect(endpoints.allSatisfy { $0.isSelectable(now: 3) })
    }

    @Test("An endpoint that a reload adds to a working upstream waits for its first verdict")
    func added() {
        let registry = EndpointRegistry()
        let before = Tables.one(endpoints: 1, registry: registry) { $0.health = ProbeSpec() }
        before.endpoints[0].setOperational(.up, now: 1)
        let after = Tables.one(endpoints: 2, registry: registry) { $0.health = ProbeSpec() }
        #expect(after.endpoints[0] === before.endpoints[0])
        #expect(after.endpoints.map { $0.isSelectable(now: 2) } == [true, false])
        after.endpoints[1].setOperational(.up, now: 3)
        #expect(after.endpoints[1].isSelectable(now: 3))
    }

    @Test("Probes that are taken away before any verdict leave the endpoint up")
    func noLongerProbed() {
        let registry = EndpointRegistry()
        _ = Tables.one(endpoints: 1, registry: registry) { $0.health = ProbeSpec() }
        #expect(Tables.one(endpoints: 1, registry: registry).endpoints[0].operational == .up)
    }

    @Test("Slow start grows in a straight line from the moment of coming back")
    func slowStart() {
        let endpoint = Tables.one(endpoints: 1) { $0.health = ProbeSpec() }.endpoints[0]
        endpoint.setOperational(.up, now: 10)
        #expect(endpoint.share(now: 10, slowStart: 1_000) == 1_024, "the first verdict of all is no return")
        endpoint.setOperational(.down, now: 100)
        endpoint.setOperational(.up, now: 5_000)
        #expect(endpoint.share(now: 5_000, slowStart: 1_000) == 1)
        #expect(endpoint.share(now: 5_500, slowStart: 1_000) == 512)
        #expect(endpoint.share(now: 5_999, slowStart: 1_000) == 1_022)
        #expect(endpoint.share(now: 6_000, slowStart: 1_000) == 1_024)
        #expect(endpoint.share(now: 5_000, slowStart: 0) == 1_024)
        // Another worker's clock may be a little behind.
        #expect(endpoint.share(now: 4_990, slowStart: 1_000) == 1)
        endpoint.setAdministrative(.maintenance, now: 9_000)
        endpoint.setAdministrative(.ready, now: 10_000)
        #expect(endpoint.share(now: 10_100, slowStart: 1_000) == 102)
        endpoint.setAdministrative(.drain, now: 20_000)
        endpoint.setAdministrative(.ready, now: 20_001)
        #expect(endpoint.share(now: 20_002, slowStart: 1_000) == 1_024, "a drained endpoint stays warm")
    }

    @Test("The mightier reason is told first, with its own since")
    func explain() {
        let upstream = Tables.table(
            [Tables.upstream(endpoints: 2) { $0.health = ProbeSpec() }], registry: EndpointRegistry(now: 3)
        ).upstreams[0]
        let endpoint = upstream.endpoints[0]
        func told(_ now: UInt64) -> [String] {
            let explanation = endpoint.explain(now: now)
            return [explanation.availability, "\(explanation.since)", explanation.reason]
        }
        #expect(told(4) == ["starting", "3", "no probe has answered yet"])
        endpoint.setOperational(.up, now: 10)
        #expect(told(11) == ["up", "10", ""])
        #expect(upstream.eject(0, now: 20))
        #expect(told(21) == ["ejected", "20", "5 requests in a row failed; ejection 1, a trial request comes in 30 s"])
        #expect(
            told(30_020) == ["ejected", "20", "5 requests in a row failed; ejection 1, the next request is its trial"])
        endpoint.setOperational(.down, now: 30)
        #expect(told(31) == ["down", "30", "its probes fail"])
        endpoint.setAdministrative(.drain, now: 40)
        #expect(told(41)[0...1] == ["draining", "40"])
        endpoint.setAdministrative(.maintenance, now: 50)
        #expect(told(51)[0...1] == ["maintenance", "50"])
        endpoint.setAdministrative(.maintenance, now: 60)
        #expect(told(61)[1] == "50", "saying it again changes nothing")
        endpoint.setAdministrative(.ready, now: 70)
        #expect(told(71)[0] == "down")
        endpoint.setOperational(.up, now: 80)
        #expect(told(81)[0...1] == ["up", "80"], "the operator's word ended the ejection")
    }

    @Test("A slot beyond the cap is not taken, whatever was looked at before", arguments: [1, 3] as [UInt32])
    func exactCap(cap: UInt32) {
        let address = SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: 1)
        let endpoint = EndpointRegistry().endpoint(upstream: "core", address: address, probed: false)
        // As a thread finds it that another one has overtaken since it looked.
        for _ in 0..<cap { #expect(endpoint.acquire(cap: cap)) }
        #expect(!endpoint.acquire(cap: cap))
        #expect(endpoint.outstanding.load(ordering: .relaxed) == Int(cap))
        endpoint.release()
        #expect(endpoint.acquire(cap: cap))
        #expect(endpoint.acquire(cap: 0), "0 is no cap")
    }
}
