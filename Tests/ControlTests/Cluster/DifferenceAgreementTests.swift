@testable import Control
import Comparison
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
