@testable import Control
import Comparison
import Hummingbird
import Migration
import Reactor
import RoutesFile
import Synchronization
import Testing
import Traffic

/// What one replica is told of a class of differences counts on all of them.
@Suite("Differences among replicas", .serialized) struct DifferenceAgreementTests {
    /// What a comparison was told.
    private actor Listener: MirrorEvidence {
        private(set) var said: [String: String] = [:]
        func sums(migration: String, epoch: UInt64) async -> MirrorSums? { nil }
        func openClasses(migration: String) async -> [String] { [] }
        func unproven(
            migration: String, asked: Set<SeenKinds.Key>
        ) async -> [SeenKinds.Key: SeenKinds.Kind] { [:] }
        func note(seen: [SeenRequest], migration: String) async {}
        func agree(on said: [String: String], of migration: String) async { self.said = said }
    }

    @Test("Accepted and opened again on one replica, it is on each, in every journal, and for whoever comes later")
    func agreed() async throws {
        let configuration = PlanAgreementTests.configuration()
        try await AgreementTests.with(["a", "b"], [configuration, configuration]) { replicas, cluster in
            let origin = ChangeOrigin(.api, who: "ann")
            let listener = Listener()
            let engine = MigrationEngine(
                publisher: replicas[1].publisher, dataPlane: replicas[1].dataPlane, mirror: listener)
            let count = try await replicas[0].publisher.judge(
                "d-0123abcd", of: "move", accepts: true, reason: "it may stay", origin: origin)
            #expect(count == ReplicaCount(applied: 2, of: 2))
            for replica in replicas {
                let entry = try #require(await replica.journal(.difference).last)
                #expect(entry.detail == "d-0123abcd accepted" && entry.reason == "it may stay" && entry.who == "ann")
            }
            await engine.tick()
            #expect(await listener.said == ["d-0123abcd": "it may stay"])
            _ = try await replicas[1].publisher.judge(
                "d-0123abcd", of: "move", accepts: false, reason: "no", origin: origin)
            _ = try await replicas[0].publisher.judge(
                "d-ffffffff", of: "move", accepts: true, reason: "well", origin: origin)
            await engine.tick()
            #expect(await listener.said == ["d-0123abcd": "", "d-ffffffff": "well"])
            let document = try LiveDocument(#require(cluster.document).bytes)
            #expect(document.differences == ["move": ["d-0123abcd": "", "d-ffffffff": "well"]])
            // Nobody says anything alone.
            replicas[0].store.isDown = true
            #expect(await happens { await !replicas[0].agreement.isReachable })
            do throws(ChangeRefused) {
                _ = try await replicas[0].publisher.judge(
                    "d-ffffffff", of: "move", accepts: false, reason: "no", origin: origin)
                Issue.record("it was taken")
            } catch {
                guard case .unreachable = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    /// A comparison that has found what a test says.
    private actor Finder: MirrorEvidence {
        private var found: [ClassBook.Tally] = []
        func find(_ number: String, isReal: Bool) {
            self.found.append(
                .init(
                    number: number, position: 1, confirmed: 9, rechecks: 20, repeated: 0, isReal: isReal,
                    isAccepted: false))
        }
        func sums(migration: String, epoch: UInt64) async -> MirrorSums? {
            var sums = MirrorSums()
            sums.comparisons.count = 100
            sums.classes = self.found
            return sums
        }
        func openClasses(migration: String) async -> [String] { [] }
        func unproven(
            migration: String, asked: Set<SeenKinds.Key>
        ) async -> [SeenKinds.Key: SeenKinds.Kind] { [:] }
        func note(seen: [SeenRequest], migration: String) async {}
        func agree(on said: [String: String], of migration: String) async {}
    }

    /// A replica as its admin API sees it, which has found nothing itself.
    private static func plane(_ planner: PlanAgreementTests.Planner) async throws -> ControlPlane {
        var plane = AdminRig().plane
        let service = ComparisonService(
            dataPlane: planner.replica.dataPlane, ledger: nil, thread: try BlockingThreads(named: "comparison"))
        await service.adopt(PlanAgreementTests.configuration().migrations)
        plane.publisher = planner.replica.publisher
        plane.comparisons = service
        plane.migrations = planner.engine
        return plane
    }

    private static func judge(
        _ plane: ControlPlane, _ number: String, accepts: Bool = true
    ) async throws -> DifferenceClassBody {
        try await plane.judge(
            number, of: "move", accepts: accepts, reason: "it may stay", origin: ChangeOrigin(.api, who: "ann"))
    }

    /// The status and the words of the refusal.
    private static func refusal(_ plane: ControlPlane, _ number: String) async -> String? {
        do {
            _ = try await Self.judge(plane, number)
        } catch let failure as AdminFailure {
            return "\(failure.status.code) \(failure.body.error)"
        } catch let refused as ChangeRefused {
            let body = AdminFailure(refused)
            return "\(body.status.code) \(body.body.problems.map(\.message))"
        } catch {
            return "\(error)"
        }
        return nil
    }

    @Test(
        "A class that only another replica has found is accepted and opened again for all; one that nobody has is none")
    func foundElsewhere() async throws {
        try await PlanAgreementTests.with(["a", "b"]) { planners, cluster in
            let (one, two) = (planners[0], planners[1])
            let (plane, finder) = (try await Self.plane(one), Finder())
            let other = MigrationEngine(
                publisher: two.replica.publisher, dataPlane: two.replica.dataPlane, mirror: finder,
                peers: two.exchange)
            @Sendable func heard(_ condition: @escaping @Sendable (PeerSums) -> Bool) async -> Bool {
                await happens {
                    await other.tick()
                    await two.exchange.exchange()
                    await one.tick()
                    return await one.engine.readings["move"]?.peers.map(condition) ?? false
                }
            }
            try await one.act(.start(by: "ann"))
            #expect(await happens { await two.phase == .running })
            await finder.find("d-0123abcd", isReal: true)
            #expect(await heard { $0.toldClasses == ["d-0123abcd"] && $0.tellAllClasses })
            let shown = await #expect(throws: AdminFailure.self) {
                _ = try await plane.differenceClass("d-0123abcd", of: "move")
            }
            #expect(shown?.body.error.contains("b found it") == true)
            let accepted = try await Self.judge(plane, "d-0123abcd")
            #expect(accepted.state == "accepted" && accepted.foundBy == ["b"] && accepted.confirmed == 9)
            #expect(accepted.replicas == ReplicaCount(applied: 2, of: 2))
            #expect(
                await two.replica.publisher.current.state.shared?.differences["move"]?["d-0123abcd"] == "it may stay")
            #expect(await two.replica.journal(.difference).last?.detail == "d-0123abcd accepted")
            // It counts against nobody any more, before whoever found it has looked again.
            await one.tick()
            #expect(await one.engine.readings["move"]?.sums.comparisons.real.isEmpty == true)
            #expect(try await Self.judge(plane, "d-0123abcd", accepts: false).state == "real")
            await one.tick()
            #expect(await one.engine.readings["move"]?.sums.comparisons.real.map(\.number) == ["d-0123abcd"])
            // All have told of all that they found.
            #expect(
                await Self.refusal(plane, "d-ffffffff")
                    == "404 no replica that is there has found class \"d-ffffffff\" of the plan \"move\"")
            #expect(await Self.refusal(plane, "nonsense")?.hasPrefix("404 ") == true)
            #expect(await Self.refusal(plane, "d-FFFFFFFF")?.hasPrefix("404 ") == true)
            // One that has told of more than there is room for may have found it, and whoever it is may be right.
            for number in 0..<250 { await finder.find("d-\(String(0x1000_0000 + number, radix: 16))", isReal: false) }
            #expect(await heard { $0.toldClasses.count == 200 && !$0.tellAllClasses })
            let trusted = try await Self.judge(plane, "d-ffffffff")
            #expect(trusted.state == "accepted" && trusted.foundBy == [])
            for number in 1..<TablePublisher.strangerLimit {
                _ = try await Self.judge(plane, "d-\(String(0x2000_0000 + number, radix: 16))")
            }
            let refusal = await Self.refusal(plane, "d-eeeeeeee")
            #expect(refusal?.hasPrefix("422 ") == true && refusal?.contains("has told of d-eeeeeeee") == true)
            // What somebody has told of has room, and so has another word on what something is said of.
            #expect(try await Self.judge(plane, "d-10000001").foundBy == ["b"])
            #expect(try await Self.judge(plane, "d-ffffffff", accepts: false).state == "open")
            let document = try LiveDocument(#require(cluster.document).bytes)
            #expect(document.differences["move"]?.count == TablePublisher.strangerLimit + 2)
        }
    }

    @Test("What a process found that is gone counts against the new side, and may be accepted for all the same")
    func foundByOneThatIsGone() async throws {
        try await PlanAgreementTests.with(["a"], lease: 600) { planners, cluster in
            let one = planners[0]
            let plane = try await Self.plane(one)
            try await one.act(.start(by: "ann"))
            let standing = try #require(await one.standing)
            var sums = MirrorSums()
            sums.comparisons.count = 100
            sums.classes = [
                .init(
                    number: "d-0123abcd", position: 1, confirmed: 9, rechecks: 20, repeated: 0, isReal: true,
                    isAccepted: false)
            ]
            var sample = PlanSample(replica: "b", instance: "gone", fingerprint: standing.fingerprint)
            sample.sequence = 1
            sample.set([], sums)
            let key = CounterKey(migration: "move", epoch: standing.state.epoch, replica: "b", instance: "gone")
            cluster.counters = [key: sample.text]
            #expect(
                await PlanAgreementTests.ticks(planners) {
                    await one.engine.readings["move"]?.sums.comparisons.real.map(\.number) == ["d-0123abcd"]
                })
            let accepted = try await Self.judge(plane, "d-0123abcd")
            #expect(accepted.state == "accepted" && accepted.foundBy == ["b"] && accepted.confirmed == 9)
            await one.tick()
            #expect(await one.engine.readings["move"]?.sums.comparisons.real.isEmpty == true)
            // Nobody is there who has an example.
            let shown = await #expect(throws: AdminFailure.self) {
                _ = try await plane.differenceClass("d-0123abcd", of: "move")
            }
            #expect(shown?.body.error == "the plan \"move\" has no class \"d-0123abcd\"")
            // Who cannot be asked may have found another.
            one.replica.store.isDown = true
            #expect(await happens { await one.replica.agreement.obstacle() != nil })
            #expect(await Self.refusal(plane, "d-ffffffff")?.hasPrefix("503 ") == true)
        }
    }

    @Test("Whoever is there alone knows that nobody has found it")
    func foundByNobody() async throws {
        try await PlanAgreementTests.with(["a"]) { planners, _ in
            let plane = try await Self.plane(planners[0])
            #expect(await Self.refusal(plane, "d-ffffffff")?.hasPrefix("404 no replica") == true)
        }
    }

    @Test("What is said of differences is bounded in bytes as they are stored, and leaves room for everything else")
    func bounded() async throws {
        let configuration = PlanAgreementTests.configuration()
        try await AgreementTests.with(["a", "b"], [configuration, configuration]) { replicas, cluster in
            let origin = ChangeOrigin(.api, who: "ann")
            let reason = String(repeating: "\u{1}", count: 200)
            var taken = 0
            do throws(ChangeRefused) {
                for number in 0..<1_000 {
                    _ = try await replicas[0].publisher.judge(
                        "d-\(String(0x1000_0000 + number, radix: 16))", of: "move", accepts: true, reason: reason,
                        origin: origin)
                    taken += 1
                }
                Issue.record("all of it was taken")
            } catch {
                guard case .invalid = error else {
                    Issue.record("\(error)")
                    return
                }
            }
            #expect(taken > 100 && taken < 120)
            _ = try await replicas[1].set(["core": 60, "gateway": 40])
            #expect(await happens { await replicas[0].weights() == ["core": 60, "gateway": 40] })
        }
    }

    @Test("A document whose words of differences are damaged is not taken on")
    func damaged() throws {
        var edit = SharedEdit()
        edit.differences["move"] = ["d-0123abcd": "well"]
        let document = LiveDocument().edited(by: edit, changes: [])
        let text = String(decoding: try document.text(), as: UTF8.self)
        #expect(try LiveDocument(Array(text.utf8)) == document)
        for damaged in [
            text.replacing("d-0123abcd", with: "d-0123ABCD"), text.replacing("\"well\"", with: "1"),
            text.replacing("d-0123abcd", with: "0123abcd"),
        ] {
            #expect(throws: DocumentFailure.self) { try LiveDocument(Array(damaged.utf8)) }
        }
        var gone = SharedEdit()
        gone.differences["move"] = .some(nil)
        #expect(document.edited(by: gone, changes: []).differences.isEmpty)
    }
}
