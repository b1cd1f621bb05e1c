import Testing

@testable import Migration

@Suite("What a stage needs")
struct StageEstimateTests {
    private func spec(_ change: (inout PlanSpec) -> Void = { _ in }) -> PlanSpec {
        var spec = PlanSpec(
            name: "move", routes: ["api"], from: "core", to: "gateway",
            stages: [
                .init(.mirror, mirror: 100_000, hold: 0), .init(.share(10_000), hold: 0),
                .init(.share(50_000), hold: 0),
                .init(.share(500_000), hold: 0), .init(.share(1_000_000), hold: 0), .init(.retire, hold: 0),
            ])
        change(&spec)
        return spec
    }

    @Test("About as many samples as simulated stages took: 1,300 of the new side at 0.1 % errors")
    func samples() throws {
        let spec = self.spec {
            $0.gates.clientErrors = nil; $0.gates.cancelled = nil; $0.gates.p50 = nil; $0.gates.p99 = nil
        }
        for stage in 1...3 {
            let estimate = try #require(StageEstimate(spec, stage: stage))
            #expect((1_000...2_000).contains(estimate.samples ?? 0), "\(estimate)")
        }
        #expect(StageEstimate(self.spec(), stage: 5) == nil && StageEstimate(self.spec(), stage: 6) == nil)
    }

    @Test("Time at a rate, and the share that it takes within a time")
    func time() throws {
        let spec = self.spec { $0.gates.mismatches = nil }
        let estimate = try #require(StageEstimate(spec, stage: 2))
        let samples = Double(try #require(estimate.samples))
        #expect(estimate.seconds(at: 50) == samples / (50 * 0.05))
        #expect(estimate.seconds(at: 0) == nil)
        let share = try #require(estimate.share(within: 600, at: 50))
        #expect(abs(Double(share) - samples / 30_000 * 1_000_000) <= 1)
        #expect(estimate.share(within: 1, at: 50) == nil)
    }

    @Test("Comparisons: about 4,050 clean ones for 0.1 %, and a stage of copies waits for those")
    func comparisons() throws {
        let copies = try #require(StageEstimate(self.spec(), stage: 0))
        #expect(
            copies.samples == 0 && (4_000...4_100).contains(copies.comparisons ?? 0) && copies.slowest == .mismatches)
        #expect(copies.seconds(at: 100) == Double(copies.comparisons ?? 0) / 10)
        let live = try #require(
            StageEstimate(
                self.spec {
                    $0.stages[0].mirror = nil; $0.stages[1].mirror = 10_000
                }, stage: 1))
        #expect(live.slowest == .mismatches)
    }

    @Test("Nothing is enough where the truth is at the margin; the minimum is the least")
    func bounds() throws {
        let never = try #require(
            StageEstimate(
                self.spec {
                    $0.gates.errors?.margin = 0.001; $0.gates.errors?.tolerance = 0
                }, stage: 1,
                supposing: {
                    var rates = StageEstimate.Supposition(); rates.errors = 0.5; return rates
                }()))
        #expect(never.slowest == .errors)
        let least = try #require(StageEstimate(self.spec { $0.gates.minimum = 1_000_000 }, stage: 1))
        #expect(least.samples == 1_000_000)
    }
}
