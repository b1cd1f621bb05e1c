import Testing
import Traffic

@testable import Migration

@Suite("Spells of slow answers")
struct SlowSpellTests {
    private static let settle: Int64 = 30_000

    /// Durations of both sides by their buckets: so many at 4 ms, and of the new side so many at 40.
    private func judgement(_ new: UInt64, slow: UInt64, failures: UInt64 = 0) -> GateBook.Judgement {
        func durations(_ fast: UInt64, _ slow: UInt64) -> DurationCounts {
            var grid = LatencyGrid()
            for _ in 0..<fast { grid.record(microseconds: 4_000) }
            for _ in 0..<slow { grid.record(microseconds: 40_000) }
            return DurationCounts(edges: LatencyGrid.edges, counts: grid.counts)
        }
        var spec = GateSpec()
        spec.mismatches = nil
        let sums = StageSums(
            routes: [
                .init(
                    name: "api",
                    new: .init(samples: new + slow, errors: failures, clientErrors: 0, cancelled: 0),
                    old: .init(samples: 9_000, errors: 0, clientErrors: 0, cancelled: 0))
            ], latency: .init(new: durations(new, slow), old: durations(9_000, 0)))
        return GateBook(spec: spec, alpha: 1.0 / 3_600).judge(sums)
    }

    private func verdict(_ judgement: GateBook.Judgement, _ gate: GateName) -> GateBook.Verdict? {
        judgement.readings.first { $0.gate == gate }?.verdict
    }

    @Test("A pause that makes all answers of a moment slow sends nothing back; what follows it clears it")
    func pause() {
        var spells = SlowSpells()
        let moment = self.judgement(0, slow: 55)
        #expect(self.verdict(moment, .p50) == .fail && self.verdict(moment, .p99) == .fail)
        let tempered = spells.temper(moment, epoch: 3, settle: Self.settle, now: 1_000)
        #expect(tempered.failure == nil && !tempered.passes)
        #expect(tempered.readings.first { $0.gate == .p50 }?.retreat.isReached == true, "what is shown stays")
        for second in 2...11 {
            let later = self.judgement(UInt64(second) * 900, slow: 55)
            #expect(spells.temper(later, epoch: 3, settle: Self.settle, now: Int64(second) * 1_000).failure == nil)
        }
        #expect(self.verdict(self.judgement(9_900, slow: 55), .p99) == .pass)
        // Nor does the next pause have the time of the first one.
        #expect(spells.temper(moment, epoch: 3, settle: Self.settle, now: 12_000).failure == nil)
    }

    @Test("A side that stays slow goes back after ten seconds, or after a shorter settle, in each run anew")
    func slow() {
        let slow = self.judgement(450, slow: 450)
        for (settle, patience) in [(Self.settle, Int64(10_000)), (4_000, 4_000), (0, 0)] {
            var spells = SlowSpells()
            for now in stride(from: Int64(7_000), to: 7_000 + patience, by: 1_000) {
                #expect(spells.temper(slow, epoch: 3, settle: settle, now: now).failure == nil)
            }
            #expect(spells.temper(slow, epoch: 3, settle: settle, now: 7_000 + patience).failure?.gate == .p99)
            let next = spells.temper(slow, epoch: 4, settle: settle, now: 8_000 + patience).failure
            #expect((next == nil) == (patience > 0))
        }
    }

    @Test("Errors wait for nothing")
    func errors() {
        var spells = SlowSpells()
        let failing = self.judgement(100, slow: 0, failures: 60)
        #expect(spells.temper(failing, epoch: 3, settle: Self.settle, now: 0).failure?.gate == .errors)
    }
}
