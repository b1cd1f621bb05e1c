@testable import Control
import Ledger
import Migration
import Synchronization
import Testing
import Traffic

/// Who still needs the old side, as all replicas know it together.
@Suite("Retirement among replicas", .serialized) struct RetirementTests {
    private typealias Planner = PlanAgreementTests.Planner

    private static func verdicts(_ planners: [Planner]) async throws -> [VerdictBody] {
        var verdicts: [VerdictBody] = []
        for planner in planners { verdicts.append(try await planner.engine.verdict("move")) }
        return verdicts
    }

    @Test(
        "Whichever replica is asked says the same, also of a plan that is complete; cut off, it says that it cannot know"
    )
    func verdict() async throws {
        try await PlanAgreementTests.with(["a", "b"], lease: 600) { planners, cluster in
            for planner in planners {
                try await planner.load(fingerprint: "full", stages: [.init(.share(1_000_000), hold: 0)])
            }
            try await planners[0].act(.start(by: "ann", force: true, reason: "a drill"))
            #expect(
                await PlanAgreementTests.ticks(planners) {
                    for planner in planners {
                        guard await planner.phase == .complete else { return false }
                        let verdict = try? await planner.engine.verdict("move")
                        guard verdict?.replicas == ["a", "b"], verdict?.verdict == "retirable" else { return false }
                    }
                    return true
                })
            // Workers forget the counters of a run that is over.
            let epoch = try #require(await planners[0].standing?.state.epoch)
            for planner in planners { planner.count(epoch: epoch, new: (0, 10), old: (0, 0)) }
            @Sendable func hasHeardAll() async -> Bool {
                for planner in planners {
                    guard await planner.engine.readings["move"]?.peers?.others.map(\.newSamples) == [10] else {
                        return false
                    }
                }
                return true
            }
            #expect(await PlanAgreementTests.ticks(planners, until: hasHeardAll))
            for planner in planners { planner.replica.dataPlane.state.withLock { $0.stages = [] } }
            for (planner, count) in zip(planners, [2, 3] as [UInt64]) {
                planner.replica.dataPlane.state.withLock {
                    $0.needs = [NeedCount(route: "api", template: "/x/*", cause: .override, count: count)]
                }
            }
            #expect(
                await PlanAgreementTests.ticks(planners) {
                    let verdicts = try? await Self.verdicts(planners)
                    return verdicts?.allSatisfy { $0.needs.first?.count == 5 } ?? false
                })
            let both = try await Self.verdicts(planners)
            #expect(both[0].needs.map(\.last) == both[1].needs.map(\.last))
            #expect(both[0].obstacles == both[1].obstacles && both[0].replicas == both[1].replicas)
            #expect(cluster.counters.values.allSatisfy { PlanSample($0)?.newSamples == 10 })
            planners[1].replica.store.isDown = true
            #expect(
                await PlanAgreementTests.ticks([planners[1]]) {
                    let verdict = try? await planners[1].engine.verdict("move")
                    return verdict?.verdict == "needed"
                        && verdict?.obstacles.contains { $0.contains("cannot be asked") } == true
                })
        }
    }

    private static func sample(
        count: UInt64 = 0, answered: UInt64 = 0, compared: UInt64 = 0, peak: Double = 0, open: [String] = []
    ) -> RetirementSample {
        RetirementSample(
            needs: [
                NeedRow(
                    route: "api", template: "/x", cause: "override", first: 10 - count, last: 10 + count, count: count)
            ],
            kinds: [
                SeenKinds.Key(route: "api", template: "/k"): SeenKinds.Kind(
                    last: 1, answered: answered, compared: compared)
            ], open: open, peak: peak, limit: RetirementSample.limit)
    }

    @Test("What replicas know is added up; of two processes of one replica the most counts")
    func sums() {
        let two = RetirementSums([
            ("a", Self.sample(count: 2, answered: 12, peak: 3, open: ["d-2"])),
            ("b", Self.sample(count: 3, answered: 9, peak: 2, open: ["d-1", "d-2"])),
        ])
        #expect(two.needs.map(\.count) == [5] && two.needs.map(\.first) == [7] && two.needs.map(\.last) == [13])
        #expect(two.unproven.isEmpty && two.peak == 3 && two.open == ["d-1", "d-2"])
        let one = RetirementSums([
            ("a", Self.sample(count: 2, answered: 12)), ("a", Self.sample(count: 3, answered: 9)),
        ])
        #expect(one.needs.map(\.count) == [3] && one.unproven == ["requests like /k of route api"])
        #expect(RetirementSums([("a", Self.sample()), ("b", Self.sample(compared: 1))]).unproven.isEmpty)
    }

    @Test("What others have not proven is told by those who have")
    func asked() {
        var kinds = SeenKinds()
        let (proven, other) = (SeenKinds.Key(route: "api", template: "/p"), SeenKinds.Key(route: "api", template: "/o"))
        for key in [proven, other] { kinds.compared(key, at: 1) }
        #expect(kinds.unproven(at: 1) { _ in true }.isEmpty)
        let told = kinds.unproven(at: 1, asked: [proven]) { _ in true }
        #expect(told.map(\.key) == [proven] && told[proven]?.compared == 1)
    }

    @Test("However long its lists are, what was counted is told, and the lists as far as there is room")
    func room() throws {
        var sample = PlanSample(replica: "a", instance: "1", fingerprint: "f")
        let long = String(repeating: "x", count: 1_000)
        let kinds = Dictionary(
            uniqueKeysWithValues: (0..<80).map {
                (SeenKinds.Key(route: "api", template: "\($0)\(long)"), SeenKinds.Kind(last: 1))
            })
        let needs = (0..<80).map {
            NeedRow(route: "api", template: "\($0)\(long)", cause: "weight", first: 1, last: 1, count: 1)
        }
        sample.retirement = RetirementSample(
            needs: needs, kinds: kinds, open: [], peak: 1, limit: RetirementSample.limit)
        let told = try #require(PlanSample(sample.text))
        #expect(told.retirement?.needs.count == 25 && told.retirement?.peak == 1)
        #expect(sample.retirement?.told.needs.count == 6)
    }
}
