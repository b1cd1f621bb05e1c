import Testing

@testable import Proxy

@Suite("Numbers for series of counters") struct CounterRegistryTests {
    @Test("A pair keeps its number while tables name it, and for the grace after")
    func keeps() {
        let registry = CounterRegistry(grace: 1_000)
        let first = registry.series(route: "a", upstream: "core")
        let other = registry.series(route: "a", upstream: "gateway")
        #expect(first != other)
        #expect(registry.series(route: "a", upstream: "core") == first)
        #expect(registry.sweep(used: [other], now: 0).isEmpty)
        #expect(registry.sweep(used: [other], now: 999).isEmpty)
        // Named again: the grace begins anew when it is gone again.
        #expect(registry.sweep(used: [first, other], now: 1_500).isEmpty)
        #expect(registry.sweep(used: [other], now: 2_000).isEmpty)
        #expect(registry.sweep(used: [other], now: 2_999).isEmpty)
        #expect(registry.names[first]?.route == "a")
        #expect(registry.sweep(used: [other], now: 3_000) == [first])
        #expect(registry.names[first] == nil)
    }

    @Test("A number is given out again only once it was released")
    func reuse() {
        let registry = CounterRegistry(grace: 0)
        let gone = registry.series(route: "a", upstream: "")
        _ = registry.sweep(used: [], now: 1)
        #expect(registry.sweep(used: [], now: 2) == [gone])
        #expect(registry.series(route: "b", upstream: "") != gone)
        registry.release([gone])
        #expect(registry.series(route: "c", upstream: "core") == gone)
        #expect(registry.names[gone] == CounterRegistry.Series(route: "c", upstream: "core"))
    }

    @Test("Renamed routes, load after load, do not pile up")
    func bounded() {
        let registry = CounterRegistry(grace: 10)
        for load in 0..<100 {
            let used = Set((0..<50).map { registry.series(route: "\(load)-\($0)", upstream: "core") })
            registry.release(registry.sweep(used: used, now: UInt64(load) * 100))
        }
        #expect(registry.names.count <= 150)
    }
}
