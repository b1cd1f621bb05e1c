@testable import Control
import Foundation
import Ledger
import RoutesFile
import Testing
import Traffic

/// Replicas that are wired as the program wires them, on a store in memory.
struct Replica: Sendable {
    let name: String
    let store: MemoryStore
    let agreement: Agreement
    let publisher: TablePublisher
    let dataPlane = FakeDataPlane()

    init(
        _ name: String, in cluster: MemoryCluster, lease: UInt64 = 3_000, interval: UInt64 = 150,
        ledger: LedgerStore? = nil
    ) {
        self.name = name
        self.store = MemoryStore(cluster, replica: name, lease: lease, interval: interval)
        self.agreement = Agreement(store: self.store, replica: name, instance: name)
        self.publisher = TablePublisher(
            registry: EndpointRegistry(), dataPlane: self.dataPlane, ledger: ledger, replica: name,
            agreement: self.agreement)
    }

    func set(
        _ weights: [String: UInt32], route: String = "api", ifMatch: [String] = [], local: Bool = false
    ) async throws(ChangeRefused) -> WeightChangeOutcome {
        try await self.publisher.setWeights(
            WeightChange(
                route: route, weights: weights, reason: "test", ifMatch: ifMatch, local: local),
            origin: ChangeOrigin(.api, who: "alice"))
    }

    func weights(_ route: String = "api") async -> [String: UInt32] {
        await self.publisher.current.table.spec.routes.first { $0.name == route }?.split?.weights ?? [:]
    }

    func journal(_ what: JournalEntry.What) async -> [JournalEntry] {
        await self.publisher.entries.filter { $0.what == what }
    }
}

@Suite("Replicas that agree", .serialized) struct AgreementTests {
    /// Starts replicas, runs `body`, stops them.
    static func with(
        _ names: [String] = ["a", "b", "c"], _ configurations: [BalancerConfiguration] = [],
        cluster: MemoryCluster = MemoryCluster(), lease: UInt64 = 3_000, interval: UInt64 = 150,
        _ body: @escaping @Sendable ([Replica], MemoryCluster) async throws -> Void
    ) async throws {
        let replicas = names.map { Replica($0, in: cluster, lease: lease, interval: interval) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, replica) in replicas.enumerated() {
                group.addTask { await replica.publisher.runCluster() }
                await replica.publisher.joinCluster()
                var configuration = index < configurations.count ? configurations[index] : Sample.configuration()
                if configuration.fingerprint.isEmpty { configuration.fingerprint = "same" }
                _ = try await replica.publisher.load(configuration, origin: ChangeOrigin(.start, who: "routes.json"))
            }
            let everybody = await happens {
                for replica in replicas {
                    guard await replica.agreement.picture.count(applied: 0).of == names.count else { return false }
                }
                return true
            }
            #expect(everybody)
            try await body(replicas, cluster)
            group.cancelAll()
        }
    }

    @Test("A change is in force everywhere when it is answered, and in every journal")
    func change() async throws {
        try await Self.with { replicas, cluster in
            let outcome = try await replicas[0].set(["core": 70, "gateway": 30])
            #expect(outcome.replicas == ReplicaCount(applied: 3, of: 3))
            for replica in replicas {
                #expect(await replica.weights() == ["core": 70, "gateway": 30])
                let entry = try #require(await replica.journal(.weights).last)
                #expect(
                    entry.replica == "a" && entry.who == "alice" && entry.reason == "test" && entry.state == .applied)
                #expect(entry.before?.weights == ["core": 90, "gateway": 10])
            }
            let ids = await Set([replicas[0].journal(.weights).last?.id, replicas[2].journal(.weights).last?.id])
            #expect(ids.count == 1)
            // Another replica takes it back.
            let sequence = try #require(await replicas[1].journal(.weights).last?.sequence)
            let undone = try await replicas[1].publisher.undo(
                UndoRequest(.change(sequence), reason: "no"), origin: ChangeOrigin(.api))
            #expect(undone.replicas == ReplicaCount(applied: 3, of: 3))
            #expect(await replicas[0].weights() == ["core": 90, "gateway": 10])
            for replica in replicas {
                #expect(await replica.publisher.entries.last { $0.reason == "no" }?.undoes == ids.first)
            }
            let kept = try LiveDocument(#require(cluster.document).bytes)
            #expect(kept.routes.isEmpty)
            let drained = try await replicas[2].publisher.setAdministrative(
                AdministrativeChange(state: .drain, addresses: [Sample.address(3301)], name: "x"),
                origin: ChangeOrigin(.api))
            #expect(drained.replicas == ReplicaCount(applied: 3, of: 3))
            for replica in replicas {
                let key = EndpointKey(upstream: "gateway", address: Sample.address(3301))
                #expect(await replica.publisher.current.state.administrative[key] == .drain)
            }
        }
    }

    @Test("Of two writers with If-Match one is first; without, both changes are made")
    func ifMatch() async throws {
        try await Self.with(["a", "b"]) { replicas, _ in
            for round in 0..<20 as Range<UInt32> {
                let tags = [await replicas[0].publisher.current.etag, await replicas[1].publisher.current.etag]
                async let one = Self.result { () throws(ChangeRefused) in
                    try await replicas[0].set(["core": 100 + round], ifMatch: [tags[0]])
                }
                async let two = Self.result { () throws(ChangeRefused) in
                    try await replicas[1].set(["core": 200 + round], ifMatch: [tags[1]])
                }
                let (first, second) = await (one, two)
                let failures = [first, second].compactMap { $0 }
                #expect(failures.count == 1, "\(failures)")
                guard case .stale(let tag)? = failures.first else {
                    Issue.record("\(failures)")
                    continue
                }
                #expect(!tags.contains(tag))
                #expect(await happens { await replicas[0].weights() == replicas[1].weights() })
            }
            async let one = replicas[0].set(["core": 1])
            async let two = replicas[1].set(["gateway": 2])
            _ = try await (one, two)
            #expect(await happens { await replicas[0].weights() == ["core": 1, "gateway": 2] })
            #expect(await happens { await replicas[1].weights() == ["core": 1, "gateway": 2] })
        }
    }

    private static func result(_ body: () async throws(ChangeRefused) -> WeightChangeOutcome) async -> ChangeRefused? {
        do throws(ChangeRefused) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }

    @Test("300 changes at once by three replicas: none is lost, none is made twice")
    func concurrent() async throws {
        var configuration = Sample.configuration()
        for number in 0..<100 {
            var route = configuration.table.routes[0]
            route.name = "r\(number)"
            configuration.table.routes.append(route)
        }
        let all = [configuration, configuration, configuration]
        try await Self.with(["a", "b", "c"], all) { replicas, cluster in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        // Each side of a route by another replica.
                        let side = number % 2 == 0 ? "core" : "gateway"
                        _ = try await replicas[number % 3].set([side: UInt32(1_000 + number)], route: "r\(number / 3)")
                    }
                }
                try await group.waitForAll()
            }
            let document = try LiveDocument(#require(cluster.document).bytes)
            let weights = document.routes.values.flatMap { $0.weights.values.filter { $0 >= 1_000 } }
            // Three writes a route, two of them to the same side where the numbers' parities are alike.
            #expect(document.routes.count == 100 && weights.count == 200)
            for replica in replicas {
                for number in 0..<100 {
                    let expected = document.routes["r\(number)"]?.weights
                    #expect(await happens { await replica.weights("r\(number)") == expected })
                }
            }
            let numbers = cluster.journal
            #expect(numbers == Array(1...UInt64(numbers.count)))
            #expect(await happens { await replicas[2].publisher.agreed.journalled == numbers.last })
        }
    }

    @Test("What one replica has seen is in every journal, and in its own where the others cannot be told")
    func tellAll() async throws {
        try await Self.with(["a", "b"]) { replicas, _ in
            let origin = ChangeOrigin(.health)
            #expect(await replicas[0].publisher.tellAll(.reserve, "core serves in reserve", of: "api", origin))
            for replica in replicas {
                #expect(await happens { await replica.journal(.reserve).map(\.replica) == ["a"] })
            }
            replicas[0].store.isDown = true
            #expect(await !replicas[0].publisher.tellAll(.reserve, "no more", of: "api", origin))
            #expect(await replicas[0].journal(.reserve).count == 1)
        }
    }

    @Test("A write whose answer is lost is found to be made")
    func lostAnswer() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            replicas[0].store.forgetNextAnswer()
            let swaps = cluster.swaps
            let outcome = try await replicas[0].set(["core": 5])
            #expect(outcome.replicas == ReplicaCount(applied: 2, of: 2))
            #expect(cluster.swaps == swaps + 1)
            #expect(await replicas[0].journal(.weights).count == 1)
        }
    }

    @Test("Cut off, a replica keeps its table and takes no change but a retreat that is meant for it alone")
    func cutOff() async throws {
        try await Self.with { replicas, _ in
            _ = try await replicas[1].set(["core": 50, "gateway": 50])
            await self.expectRefused(replicas[0], local: true, "$.local")
            replicas[0].store.isDown = true
            #expect(await happens { await !replicas[0].agreement.isReachable })
            #expect(await replicas[0].weights() == ["core": 50, "gateway": 50])
            do throws(ChangeRefused) {
                _ = try await replicas[0].set(["core": 90, "gateway": 10])
                Issue.record("it was taken")
            } catch {
                guard case .unreachable(let since, _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(since != nil)
            }
            // A rise is never made alone.
            do throws(ChangeRefused) {
                _ = try await replicas[0].set(["core": 0, "gateway": 50], local: true)
                Issue.record("it was taken")
            } catch { #expect("\(error)".contains("$.local")) }
            let alone = try await replicas[0].set(["core": 90, "gateway": 10], local: true)
            #expect(alone.replicas == nil)
            #expect(await replicas[0].journal(.weights).last?.evidence == "detached")
            #expect(await replicas[1].weights() == ["core": 50, "gateway": 50])
            replicas[0].store.isDown = false
            // It becomes a change of all.
            for replica in replicas {
                #expect(await happens { await replica.weights() == ["core": 90, "gateway": 10] })
            }
            #expect(await replicas[2].journal(.weights).last?.evidence == "detached")
        }
    }

    @Test("What was done alone in a silence that no renewal met becomes a change of all with the next one")
    func shortSilence() async throws {
        // The store is out of reach from the end of each lease to the next renewal, and no renewal fails.
        try await Self.with(["a", "b"], lease: 300, interval: 900) { replicas, _ in
            #expect(
                await happens {
                    (try? await replicas[1].set(["core": 50, "gateway": 50])) != nil
                })
            #expect(await happens { await replicas[0].weights() == ["core": 50, "gateway": 50] })
            #expect(
                await happens {
                    (try? await replicas[0].set(["core": 90, "gateway": 10], local: true)) != nil
                })
            for replica in replicas {
                #expect(await happens { await replica.weights() == ["core": 90, "gateway": 10] })
            }
            #expect(await replicas[1].journal(.weights).last?.evidence == "detached")
        }
    }

    func expectRefused(_ replica: Replica, local: Bool, _ words: String) async {
        do throws(ChangeRefused) {
            _ = try await replica.set(["core": 90, "gateway": 10], local: local)
            Issue.record("it was taken")
        } catch { #expect("\(error)".contains(words), "\(error)") }
    }

    @Test("What was done alone gives way where the others have changed it since")
    func detachedLoses() async throws {
        try await Self.with { replicas, _ in
            _ = try await replicas[1].set(["core": 50, "gateway": 50])
            replicas[0].store.isDown = true
            #expect(await happens { await !replicas[0].agreement.isReachable })
            _ = try await replicas[0].set(["core": 90, "gateway": 10], local: true)
            _ = try await replicas[1].set(["core": 60, "gateway": 40])
            replicas[0].store.isDown = false
            #expect(await happens { await replicas[0].weights() == ["core": 60, "gateway": 40] })
            #expect(await replicas[0].journal(.cluster).contains { $0.subject == "api" })
            #expect(await replicas[1].weights() == ["core": 60, "gateway": 40])
        }
    }

    @Test("Weights stand only over the file that they were set over, and come back with it")
    func files() async throws {
        var other = Sample.configuration(core: 80, gateway: 20)
        other.fingerprint = "other"
        try await Self.with(["a", "b"], [Sample.configuration(), other]) { [other] replicas, cluster in
            let outcome = try await replicas[0].set(["core": 1])
            #expect(outcome.replicas == ReplicaCount(applied: 2, of: 2))
            #expect(await replicas[1].weights() == ["core": 80, "gateway": 20])
            #expect(await replicas[0].agreement.picture.differing(at: 0) == ["b"])
            // The roll-out goes on here as well, and back.
            _ = try await replicas[0].publisher.load(other, origin: ChangeOrigin(.file))
            #expect(await replicas[0].weights() == ["core": 80, "gateway": 20])
            _ = try await replicas[0].publisher.load(Sample.configuration(), origin: ChangeOrigin(.file))
            #expect(await replicas[0].weights() == ["core": 1, "gateway": 10])
            let kept = try LiveDocument(#require(cluster.document).bytes)
            #expect(kept.routes.count == 1)
        }
    }

    @Test("A replica whose lease has run out is known and not there")
    func lost() async throws {
        try await Self.with { replicas, cluster in
            replicas[2].store.isDown = true
            for replica in replicas.prefix(2) {
                #expect(
                    await happens {
                        cluster.lose("c")
                        return await replica.agreement.present.present == ["a", "b"]
                    })
                #expect(await replica.agreement.present.known == 3)
            }
        }
    }

    @Test("A damaged document, or one from the future: the table stays, changes are refused, until it is good again")
    func damaged() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            _ = try await replicas[0].set(["core": 5])
            let good = String(decoding: try #require(cluster.document).bytes, as: UTF8.self)
            for bad in ["{", good.replacingOccurrences(of: "\"minimum\":1", with: "\"minimum\":2")] {
                cluster.write(bad)
                for replica in replicas {
                    #expect(await happens { await replica.agreement.fault != nil })
                    #expect(await replica.weights() == ["core": 5, "gateway": 10])
                    await self.expectRefused(replica, local: false, "not taken on")
                    #expect(await !replica.agreement.figures.isReachable)
                }
                #expect(cluster.document?.bytes == Array(bad.utf8))
                // Each tells the others of it, and that it is over.
                for replica in replicas {
                    #expect(await happens { cluster.presence(replica.name)?.trouble?.isEmpty == false })
                }
                cluster.write(good)
                for replica in replicas {
                    #expect(await happens { await replica.agreement.fault == nil })
                    #expect(await happens { cluster.presence(replica.name)?.trouble == nil })
                }
                _ = try await replicas[1].set(["core": 5], ifMatch: [])
            }
            _ = try await replicas[1].set(["core": 6])
            #expect(await happens { await replicas[0].weights()["core"] == 6 })
        }
    }

    @Test("A store that has lost everything gets what was agreed on again, once")
    func wiped() async throws {
        try await Self.with { replicas, cluster in
            _ = try await replicas[0].set(["core": 5])
            let before = try LiveDocument(#require(cluster.document).bytes)
            cluster.wipe()
            #expect(await happens { cluster.document != nil })
            let after = try LiveDocument(#require(cluster.document).bytes)
            #expect(after.routes == before.routes && after.sequence == before.sequence + 1)
            _ = try await replicas[1].set(["core": 6])
            for replica in replicas { #expect(await happens { await replica.weights()["core"] == 6 }) }
        }
    }

    @Test("A store that went back: its state is in force, and the journal says what was before")
    func back() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            _ = try await replicas[0].set(["core": 5])
            let old = String(decoding: try #require(cluster.document).bytes, as: UTF8.self)
            _ = try await replicas[0].set(["core": 6])
            cluster.write(old)
            for replica in replicas {
                #expect(await happens { await replica.weights()["core"] == 5 })
                #expect(await happens { await replica.journal(.cluster).contains { $0.detail.contains("went back") } })
            }
            let outcome = try await replicas[1].set(["core": 7])
            #expect(outcome.replicas == ReplicaCount(applied: 2, of: 2))
        }
    }

    @Test("One leads; deposed, it writes nothing more as leader, and the next term is another's")
    func leading() async throws {
        try await Self.with { replicas, cluster in
            #expect(await happens { await Self.leaders(replicas).count == 1 })
            let first = try #require(await Self.leaders(replicas).first)
            let term = try #require(await first.agreement.leadingTerm)
            first.store.isDown = true
            cluster.depose()
            #expect(
                await happens {
                    let leaders = await Self.leaders(replicas)
                    return leaders.count == 1 && leaders[0].name != first.name
                })
            let second = try #require(await Self.leaders(replicas).first)
            #expect(await second.agreement.leadingTerm ?? 0 > term)
            first.store.isDown = false
            #expect(await happens { await first.agreement.document?.term ?? 0 > term })
            #expect(await first.agreement.leadingTerm == nil)
        }
    }

    static func leaders(_ replicas: [Replica]) async -> [Replica] {
        var leaders: [Replica] = []
        for replica in replicas where await replica.agreement.leadingTerm != nil { leaders.append(replica) }
        return leaders
    }
}
