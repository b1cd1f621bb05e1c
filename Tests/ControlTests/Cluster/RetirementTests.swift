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

    @Test(
        "Of those who are gone counts what they needed and what they had proven, and nothing that they might take back")
    func gone() {
        let left = Self.sample(count: 3, answered: 15, peak: 9, open: ["d-9"])
        let sums = RetirementSums([("a", Self.sample(count: 2, answered: 5, peak: 1))], gone: [("b", left)])
        #expect(sums.needs.map(\.count) == [5] && sums.unproven.isEmpty && sums.open.isEmpty && sums.peak == 1)
        let alone = RetirementSums([("a", RetirementSample())], gone: [("b", Self.sample(count: 3))])
        #expect(alone.needs.map(\.count) == [3] && alone.unproven.isEmpty)
        // Of a process before it a replica's own count stands beside it, not on top.
        #expect(RetirementSums([("a", Self.sample(count: 2))], gone: [("a", left)]).needs.map(\.count) == [3])
    }

    @Test("A class that all have agreed may stay is in nobody's way, unless others may have been left out behind it")
    func accepted() {
        let some = Self.sample(open: ["d-1", "d-2"])
        #expect(RetirementSums([("a", some)], accepted: ["d-1"]).open == ["d-2"])
        let many = (0..<60).map { "d-\($0)" }
        #expect(RetirementSums([("a", Self.sample(open: many))], accepted: Set(many)).open.count == 50)
    }

    @Test("Kinds that nothing proves are told before others, and those for which there is no room are counted")
    func further() throws {
        func kinds(_ count: Int, last: UInt64, compared: UInt64) -> [SeenKinds.Key: SeenKinds.Kind] {
            Dictionary(
                uniqueKeysWithValues: (0..<count).map {
                    let key = SeenKinds.Key(route: "api", template: "/\(last)/\($0)")
                    return (key, SeenKinds.Kind(last: last, compared: compared))
                })
        }
        func sample(_ kinds: [SeenKinds.Key: SeenKinds.Kind]) -> RetirementSample {
            RetirementSample(needs: [], kinds: kinds, open: [], peak: 0, limit: RetirementSample.limit)
        }
        let rare = sample(kinds(10, last: 1, compared: 0).merging(kinds(120, last: 2, compared: 1)) { $1 })
        #expect(rare.kinds.count == 100 && rare.kinds.prefix(10).allSatisfy { $0.last == 1 } && rare.further == nil)
        let many = sample(kinds(130, last: 1, compared: 0))
        #expect(many.kinds.count == 100 && many.further == 30 && many.shortened.further == 80)
        let sums = RetirementSums([("a", many), ("b", many)])
        #expect(sums.unproven.count == 21 && sums.unproven.last == "requests of 140 further kinds")
        // Also where all that are told are proven by somebody.
        let known = RetirementSums([("a", many.shortened), ("b", sample(kinds(130, last: 1, compared: 1)))])
        #expect(known.unproven == ["requests of 80 further kinds"])
        var told = PlanSample(replica: "a", instance: "1", fingerprint: "f")
        told.retirement = many
        #expect(PlanSample(told.text)?.retirement == many)
    }

    /// Others, as a test says that they told.
    private actor Others: PlanPeers {
        private var sums = PeerSums()

        func tell(_ others: [PlanSample], present: [String: String]) {
            self.sums.others = others
            self.sums.present = present
        }

        func standing() -> PeerStanding {
            PeerStanding(term: nil, holds: [], isAlone: false, leader: "b", present: ["a", "b"], known: 2)
        }

        func exchange(_ part: PlanPart) -> PeerSums {
            var sums = self.sums
            sums.epoch = part.epoch
            sums.replica = "a"
            return sums
        }

        func forget(_ migration: String) {}
    }

    /// A comparison that remembers which kinds it was asked for last.
    private actor Asked: MirrorEvidence {
        private(set) var asked: [String] = []
        func sums(migration: String, epoch: UInt64) -> MirrorSums? { nil }
        func openClasses(migration: String) -> [String] { [] }
        func unproven(migration: String, asked: Set<SeenKinds.Key>) -> [SeenKinds.Key: SeenKinds.Kind] {
            self.asked = asked.map(\.template).sorted()
            return [:]
        }
        func note(seen: [SeenRequest], migration: String) {}
        func agree(on said: [String: String], of migration: String) {}
    }

    @Test(
        "Who is there and has not told who needs the old side is in the way at once; of others what they ask is answered"
    )
    func unheard() async throws {
        let (others, asked) = (Others(), Asked())
        let rig = MigrationRig(asked, peers: others)
        try await rig.load(MigrationRig.configuration { $0.stages = [.init(.share(1_000_000), hold: 0)] })
        @Sendable func unheard() async throws -> [String] {
            let verdict = try await rig.engine.verdict("move")
            return verdict.obstacles.filter { $0.hasSuffix(": whether it is needed is not known") }
                .map { String($0.prefix { $0 != ":" }) }
        }
        #expect(try await unheard() == ["the other replicas have not been heard yet"])
        try await rig.act(.start(by: "ann", force: true, reason: "a drill"))
        var sample = PlanSample(replica: "b", instance: "1", fingerprint: "f")
        await others.tell([sample], present: ["b": "1"])
        await rig.tick()
        #expect(try await unheard() == ["b has not told who needs core"])
        #expect(try await rig.engine.verdict("move").replicas == ["a"])
        // It was told by the process before.
        sample.retirement = RetirementSample()
        sample.retirement?.kinds = [
            .init(route: "api", template: "/p", last: 1, answered: 0, compared: 1),
            .init(route: "api", template: "/u", last: 1, answered: 19, compared: 0),
        ]
        await others.tell([sample], present: ["b": "2"])
        await rig.tick()
        #expect(try await unheard() == ["b has not told who needs core"])
        #expect(await asked.asked.isEmpty)
        await others.tell([sample], present: ["b": "1"])
        await rig.tick()
        #expect(try await unheard().isEmpty)
        let verdict = try await rig.engine.verdict("move")
        #expect(verdict.replicas == ["a", "b"])
        #expect(verdict.obstacles.filter { $0.contains("neither compared") }.count == 1, "\(verdict.obstacles)")
        // Not what b only answers: it would be told for ever.
        #expect(await asked.asked == ["/u"])
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
            needs: needs, kinds: kinds, open: ["d-1"], peak: 1, limit: RetirementSample.limit)
        let told = try #require(PlanSample(sample.text))
        #expect(told.retirement?.needs.count == 25 && told.retirement?.peak == 1)
        #expect(told.retirement?.open == ["d-1"] && told.retirement?.further == 60)
        let short = try #require(sample.retirement?.told)
        #expect(short.needs.count == 6 && short.open == ["d-1"] && short.further == 75)
    }
}
