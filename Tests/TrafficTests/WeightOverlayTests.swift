import Testing
import Traffic

@Suite("Live weights over the file's")
struct WeightOverlayTests {
    private func spec(_ weights: [(String, UInt32)]) -> TableSpec {
        var spec = TableSpec()
        spec.routes = [
            RouteSpec(name: "other", action: .split([SplitEntry(upstream: "core", weight: 5)])),
            RouteSpec(name: "api", action: .split(weights.map { SplitEntry(upstream: $0.0, weight: $0.1) })),
        ]
        return spec
    }

    private func weights(_ spec: TableSpec) -> [UInt32] {
        guard case .split(let entries) = spec.routes[1].action else { return [] }
        return entries.map(\.weight)
    }

    private func overlay() -> WeightOverlay {
        var overlay = WeightOverlay()
        overlay.set(route: "api", weights: ["core": 50, "gateway": 50], fileWeights: ["core": 90, "gateway": 10])
        return overlay
    }

    @Test("Survive reloads that leave the route's weights alone")
    func survive() {
        var overlay = self.overlay()
        for _ in 0..<3 {
            var spec = self.spec([("core", 90), ("gateway", 10)])
            overlay.apply(to: &spec)
            #expect(self.weights(spec) == [50, 50])
            guard case .split(let other) = spec.routes[0].action else {
                Issue.record("the other route lost its split")
                return
            }
            #expect(other == [SplitEntry(upstream: "core", weight: 5)])
        }
    }

    @Test("A change of the order in the file is no change")
    func order() {
        var overlay = self.overlay()
        var spec = self.spec([("gateway", 10), ("core", 90)])
        overlay.apply(to: &spec)
        #expect(self.weights(spec) == [50, 50])
    }

    @Test(
        "Give way, for good, once the file says something else",
        arguments: [
            [("core", 80), ("gateway", 10)], [("core", 90)], [("core", 90), ("gateway", 10), ("next", 0)],
            [("core", 90), ("gate", 10)],
        ] as [[(String, UInt32)]])
    func overtaken(changed: [(String, UInt32)]) {
        var overlay = self.overlay()
        var spec = self.spec(changed)
        overlay.apply(to: &spec)
        #expect(self.weights(spec) == changed.map(\.1))
        #expect(overlay.isEmpty)
        spec = self.spec([("core", 90), ("gateway", 10)])
        overlay.apply(to: &spec)
        #expect(self.weights(spec) == [90, 10])
    }

    @Test("A route that is gone, or redirects now, takes its live weights along")
    func gone() {
        var overlay = self.overlay()
        var spec = TableSpec()
        spec.routes = [RouteSpec(name: "api", action: .redirect(RedirectSpec()))]
        overlay.apply(to: &spec)
        #expect(overlay.isEmpty)
        #expect(spec.routes[0].action == .redirect(RedirectSpec()))
    }

    @Test("An upstream that the change left out keeps the file's weight; the last change counts")
    func partial() {
        var overlay = self.overlay()
        overlay.set(route: "api", weights: ["gateway": 0], fileWeights: ["core": 90, "gateway": 10])
        var spec = self.spec([("core", 90), ("gateway", 10)])
        overlay.apply(to: &spec)
        #expect(self.weights(spec) == [90, 0])
    }
}
