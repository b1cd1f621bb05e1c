import Testing
import Traffic

@testable import Migration

@Suite("Gates")
struct GateTests {
    private static let alpha = 1.0 / 3_600

    private func side(_ samples: UInt64, _ errors: UInt64, client: UInt64 = 0, cancelled: UInt64 = 0) -> StageSums.Side
    {
        .init(samples: samples, errors: errors, clientErrors: client, cancelled: cancelled)
    }

    private func judge(_ sums: StageSums, _ change: (inout GateSpec) -> Void = { _ in }) -> GateBook.Judgement {
        var spec = GateSpec()
        spec.mismatches = nil
        change(&spec)
        return GateBook(spec: spec, alpha: Self.alpha).judge(sums)
    }

    private func verdict(_ judgement: GateBook.Judgement, _ gate: GateName) -> GateBook.Verdict? {
        judgement.readings.first { $0.gate == gate && $0.route == nil }?.verdict
    }

    @Test("α is shared by all tests of all stages: six stages and one route make 1/3600")
    func alpha() {
        #expect(abs(GateSpec().alpha(stages: 6, routes: 1) - 1.0 / 3_600) < 1e-12)
        #expect(abs(GateSpec().alpha(stages: 6, routes: 2) - 0.01 / 60) < 1e-12)
        #expect(abs(GateSpec().alpha(stages: 1, routes: 64) - 0.01 / 134) < 1e-12)
        #expect(abs(PlanFixture.spec().alpha - 0.01 / 24) < 1e-12)
    }

    @Test("The worked examples as verdicts")
    func examples() {
        let old = self.side(38_000, 38)
        func verdict(_ new: StageSums.Side) -> GateBook.Verdict? {
            self.verdict(self.judge(StageSums(routes: [.init(name: "api", new: new, old: old)])), .errors)
        }
        #expect(verdict(self.side(2_000, 22)) == .fail)
        #expect(verdict(self.side(2_000, 4)) == .collecting)
        #expect(verdict(self.side(2_000, 2)) == .pass)
        let dead = self.judge(StageSums(routes: [.init(name: "api", new: self.side(3, 3), old: self.side(57, 0))]))
        #expect(dead.failure?.gate == .errors && dead.thinRoutes == ["api"])
        #expect(self.verdict(self.judge(StageSums(routes: [])), .errors) == .collecting)
    }

    @Test("Nothing passes below the minimum, and a gate that is off holds nothing back")
    func minimum() {
        let sums = StageSums(routes: [.init(name: "api", new: self.side(2_000, 0), old: self.side(38_000, 0))])
        #expect(self.verdict(self.judge(sums), .errors) == .pass)
        #expect(self.verdict(self.judge(sums) { $0.minimum = 2_001 }, .errors) == .collecting)
        let off = self.judge(sums) { $0.clientErrors = nil }
        #expect(self.verdict(off, .clientErrors) == .off && self.verdict(off, .p99) == .off && off.passes)
    }

    @Test("One bad route fails by itself; its good samples advance nothing by themselves")
    func routes() {
        let judgement = self.judge(
            StageSums(routes: [
                .init(name: "a", new: self.side(20_000, 0), old: self.side(20_000, 0)),
                .init(name: "b", new: self.side(40, 8), old: self.side(800, 1)),
                .init(name: "c", new: self.side(5, 0), old: self.side(100, 0)),
            ]))
        #expect(judgement.failure?.route == "b" && judgement.failure?.gate == .errors && !judgement.passes)
        #expect(judgement.thinRoutes == ["c"])
        #expect(judgement.readings.count == 12)
        #expect(
            judgement.readings.filter { $0.route == "a" }.allSatisfy { $0.verdict == .collecting && $0.advance == nil })
    }

    @Test("Where answers were copied, errors and clients that left are judged by all requests too")
    func all() {
        let clean = StageSums.Route(name: "api", new: self.side(2_000, 2), old: self.side(2_000, 2))
        func judge(_ new: StageSums.Side, _ old: StageSums.Side?) -> GateBook.Judgement {
            let all = old.map { StageSums.All(routes: [.init(name: "api", new: new, old: $0)]) }
            return self.judge(StageSums(routes: [clean], all: all)) { $0.minimum = 100 }
        }
        let before = self.side(38_000, 38, cancelled: 38)
        #expect(self.verdict(judge(self.side(0, 0), nil), .errors) == .pass)
        let healthy = judge(self.side(20_000, 20, cancelled: 20), before)
        #expect(self.verdict(healthy, .cancelled) == .pass && self.verdict(healthy, .errors) == .pass)
        // Whoever passes passes both; the one that is shown is the stricter.
        let thin = judge(self.side(99, 0), before)
        #expect(self.verdict(thin, .errors) == .collecting && thin.readings.first?.new.count == 99)
        // Time-outs, of which no answer was there to copy.
        let broken = judge(self.side(20_000, 2_000, cancelled: 20), before)
        #expect(broken.failure?.gate == .errors && broken.failure?.new == Arm(bad: 2_000, count: 20_000))
        let left = judge(self.side(20_000, 20, cancelled: 2_000), before)
        #expect(left.failure?.gate == .cancelled)
        // Two looks share the chance of one false alarm.
        let halved = Evidence.threshold(Self.alpha / 2)
        for reading in broken.readings where reading.gate == .errors || reading.gate == .cancelled {
            #expect(reading.retreat.threshold == halved)
        }
        // A stage before that has counted nothing makes nothing worse, and nothing good.
        let alone = judge(self.side(20_000, 2_000), self.side(0, 0))
        #expect(self.verdict(alone, .errors) == .collecting && alone.failure == nil)
    }

    @Test("Of several routes each is judged by all of its requests")
    func allOfRoutes() {
        let clean = ["api", "more"].map {
            StageSums.Route(name: $0, new: self.side(2_000, 0), old: self.side(2_000, 0))
        }
        let all = StageSums.All(routes: [
            .init(name: "api", new: self.side(200_000, 0), old: self.side(200_000, 0)),
            .init(name: "more", new: self.side(300, 30), old: self.side(3_000, 0)),
        ])
        let judgement = self.judge(StageSums(routes: clean, all: all))
        let failed = judgement.readings.filter { $0.verdict == .fail }
        #expect(failed.map(\.route) == ["more"] && failed.first?.gate == .errors)
    }

    @Test("Latency of both sides; what another stage measured is tolerated twice")
    func latency() {
        func counts(_ samples: [(UInt64, UInt64)]) -> DurationCounts {
            var grid = LatencyGrid()
            for (count, microseconds) in samples { for _ in 0..<count { grid.record(microseconds: microseconds) } }
            return DurationCounts(edges: LatencyGrid.edges, counts: grid.counts)
        }
        let old = counts([(19_000, 16_384), (900, 32_768), (100, 65_536)])
        let slow = counts([(1_800, 16_384), (140, 32_768), (60, 65_536)])
        let healthy = counts([(9_500, 16_384), (450, 32_768), (50, 65_536)])
        func judge(_ new: DurationCounts, _ isOther: Bool = false) -> GateBook.Judgement {
            self.judge(StageSums(routes: [], latency: .init(new: new, old: old, isFromAnotherStage: isOther)))
        }
        #expect(self.verdict(judge(slow), .p99) == .fail && self.verdict(judge(slow), .p50) != .fail)
        #expect(self.verdict(judge(healthy), .p99) == .pass && self.verdict(judge(healthy), .p50) == .pass)
        let median = counts([(1_000, 19_000)])
        #expect(self.verdict(judge(median), .p50) == .fail)
        #expect(judge(median, true).readings[3].retreat.evidence < judge(median).readings[3].retreat.evidence)
    }

    @Test("Mismatches: 4,050 clean comparisons pass 0.1 %, 4,000 do not; a real class fails where it is frequent")
    func mismatches() {
        func judge(_ comparisons: StageSums.Comparisons) -> GateBook.Reading {
            var spec = GateSpec()
            spec.minimum = 1
            let judgement = GateBook(spec: spec, alpha: Self.alpha).judge(
                StageSums(routes: [], comparisons: comparisons))
            return judgement.readings[5]
        }
        #expect(judge(.init(count: 4_050)).verdict == .pass)
        #expect(judge(.init(count: 4_000)).verdict == .collecting)
        #expect(judge(.init(count: 4_050, standing: 3)).verdict == .collecting)
        let frequent = judge(
            .init(count: 3_000, standing: 15, real: [.init(number: "d-1", position: 1, confirmed: 15)]))
        #expect(frequent.verdict == .fail && frequent.differenceClass == "d-1")
        #expect(abs(frequent.retreat.evidence - 9.1198) < 0.001 && abs(frequent.retreat.threshold - 8.8818) < 0.001)
        // As the third class found it would need more: ln(12 · 3600).
        #expect(
            judge(.init(count: 3_000, standing: 15, real: [.init(number: "d-1", position: 3, confirmed: 15)])).verdict
                == .collecting)
        #expect(
            judge(.init(count: 100_000, standing: 15, real: [.init(number: "d-1", position: 1, confirmed: 15)])).verdict
                != .fail)
    }
}

@Suite("Plans as they are written")
struct PlanSpecTests {
    private func paths(_ change: (inout PlanSpec) -> Void) -> [String] { PlanFixture.spec(change).faults().map(\.path) }

    @Test("Each rule is a fault with its path")
    func faults() {
        #expect(self.paths { _ in } == [])
        #expect(self.paths { $0.to = "core" } == ["$.to"])
        #expect(self.paths { $0.routes = [] } == ["$.routes"])
        #expect(self.paths { $0.routes = ["a", "a"] } == ["$.routes"])
        #expect(self.paths { $0.stages = [] }.contains("$.stages"))
        #expect(self.paths { $0.stages[2].kind = .share(10_000) } == ["$.stages[2].share"])
        #expect(self.paths { $0.stages[1].kind = .share(0) } == ["$.stages[1].share"])
        #expect(self.paths { $0.stages[3].kind = .share(1_000_001) }.first == "$.stages[3].share")
        #expect(self.paths { $0.stages.swapAt(0, 1) } == ["$.stages[1]"])
        #expect(self.paths { $0.stages.remove(at: 3) } == ["$.stages[3]"])
        #expect(self.paths { $0.stages.swapAt(3, 4) } == ["$.stages[3]", "$.stages[3]"])
        #expect(self.paths { $0.stages[1].hold = 720 * 3_600_000 + 1 } == ["$.stages[1].hold"])
        #expect(self.paths { $0.stages[1].hold = -1 } == ["$.stages[1].hold"])
        #expect(self.paths { $0.gates.p99 = .init(tolerance: 0.6, margin: 0.5) } == ["$.gates.latency.p99.tolerance"])
        #expect(self.paths { $0.stages[0].mirror = nil } == ["$.gates.mismatches"])
        #expect(
            self.paths {
                $0.stages[0].mirror = nil; $0.gates.mismatches = nil
            } == [])
        #expect(self.paths { $0.gates.errors = .init(tolerance: 0, margin: 1.1) } == ["$.gates.errors.margin"])
        #expect(self.paths { $0.gates.errors = .init(tolerance: .nan, margin: 0.1) } == ["$.gates.errors.tolerance"])
        #expect(self.paths { $0.gates.p50 = .init(tolerance: 0, margin: 3) } == [])
        #expect(self.paths { $0.gates.falseAlarm = 0 } == ["$.gates.falseAlarm"])
        #expect(self.paths { $0.gates.falseAdvance = 0.6 } == ["$.gates.falseAdvance"])
        #expect(self.paths { $0.gates.mismatches = 0 } == ["$.gates.mismatches.max"])
        #expect(self.paths { $0.freeze = [.init(zone: "UTC", from: 0, to: 1_441)] } == ["$.freeze[0]"])
        #expect(self.paths { $0.freeze = .init(repeating: .init(zone: "UTC"), count: 65) } == ["$.freeze"])
        #expect(PlanMachine(PlanFixture.spec { $0.to = "core" }) == nil)
    }

    @Test("Weights sum up to a million; copies persist and end when the old side is retired")
    func weights() {
        let spec = PlanFixture.spec { $0.stages[2].mirror = 50_000 }
        #expect(spec.stages.indices.map(spec.weight) == [0, 10_000, 250_000, 1_000_000, 1_000_000])
        #expect(spec.stages.indices.map(spec.mirror) == [100_000, 100_000, 50_000, 50_000, 0])
    }
}
