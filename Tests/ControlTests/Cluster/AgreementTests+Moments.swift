@testable import Control
import Foundation
import Ledger
import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// What happens at the wrong moment: while a call waits, while a watch hangs, while the store goes back.
extension AgreementTests {
    @Test(
        "A store that went back is noticed by whoever changes something first, and that change is in its journal as it was made"
    )
    func backInTurn() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            for weight in 5..<9 as Range<UInt32> { _ = try await replicas[0].set(["core": weight]) }
            let old = try LiveDocument(#require(cluster.document).bytes)
            for weight in 15..<19 as Range<UInt32> { _ = try await replicas[0].set(["core": weight]) }
            // Its own change finds it before its watch tells.
            replicas[0].store.isDeaf = true
            cluster.write(String(decoding: try old.text(), as: UTF8.self))
            _ = try await replicas[0].set(["core": 7])
            #expect(await replicas[0].journal(.cluster).contains { $0.detail.contains("went back") })
            let last = try #require(await replicas[0].journal(.weights).last)
            #expect(last.after?.weights?["core"] == 7 && last.who == "alice")
            #expect(await replicas[0].journal(.weights).count == 9)
        }
    }

    @Test("Another history is told of although its numbers are higher")
    func otherHistory() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            let base = try LiveDocument(#require(cluster.document).bytes)
            _ = try await replicas[0].set(["core": 5])
            let change = SharedChange(
                id: "other", at: 1, replica: "z", origin: ChangeOrigin(.api), what: .cluster, detail: "z's own")
            let other = base.edited(by: SharedEdit(), changes: Array(repeating: change, count: 5))
            cluster.write(String(decoding: try other.text(), as: UTF8.self))
            for replica in replicas {
                #expect(await happens { await replica.weights()["core"] == 90 })
                #expect(await happens { await replica.journal(.cluster).contains { $0.detail.contains("went back") } })
                #expect(await happens { await replica.journal(.cluster).contains { $0.replica == "z" } })
            }
        }
    }

    @Test("Of two that tell of a replica the one with the newer news stands, whichever was slower")
    func tellingInOrder() async {
        let cluster = MemoryCluster()
        let store = MemoryStore(cluster, replica: "a", lease: 60_000, interval: 60_000)
        let agreement = Agreement(store: store, replica: "a", instance: "a")
        let (gate, open) = AsyncStream<Void>.makeStream()
        let isFirst = Mutex(true)
        store.beforeTelling.withLock {
            $0 = {
                let waits = isFirst.withLock { first in
                    defer { first = false }
                    return first
                }
                if waits { for await _ in gate { break } }
            }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await agreement.run(publishing: Self.nothing) }
            #expect(await happens { isFirst.withLock { !$0 } })
            await agreement.applied(sequence: 7, generation: 1, fingerprint: "f")
            open.yield()
            #expect(await happens { store.tellings >= 2 })
            #expect(cluster.presence("a")?.sequence == 7)
            group.cancelAll()
        }
    }

    @Test("Whoever goes is gone, also where it was just telling of itself")
    func leavingWhileTelling() async {
        let cluster = MemoryCluster()
        let store = MemoryStore(cluster, replica: "a", lease: 60_000, interval: 60_000)
        let agreement = Agreement(store: store, replica: "a", instance: "a")
        let (gate, open) = AsyncStream<Void>.makeStream()
        let begun = Mutex(false)
        store.beforeTelling.withLock {
            $0 = {
                begun.withLock { $0 = true }
                for await _ in gate { break }
            }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await agreement.run(publishing: Self.nothing) }
            #expect(await happens { begun.withLock { $0 } })
            async let left: Void = agreement.leave()
            #expect(await happens { await agreement.isPaused })
            open.yield()
            await left
            #expect(store.tellings == 1 && cluster.presence("a") == nil)
            group.cancelAll()
        }
    }

    private static let nothing = Agreement.Publisher(
        adopt: {}, seed: { SharedEdit() }, stale: { (SharedEdit(), 0) })

    @Test("A leadership counts from when the store was asked to lend it, however long the rest took")
    func leadershipCounts() async {
        let time = Mutex<UInt64>(1_000_000)
        let clock = ControlClock(
            monotonic: { time.withLock { $0 } }, wall: { time.withLock { $0 } },
            sleep: { try await Task.sleep(for: .milliseconds($0)) })
        let cluster = MemoryCluster()
        let store = MemoryStore(cluster, replica: "a", lease: 9_000, interval: 20)
        let agreement = Agreement(store: store, replica: "a", instance: "a", clock: clock)
        let isSlow = Mutex(true)
        store.behindTelling.withLock {
            // It lends within the call, and the answer is late by more than two thirds of what it lends for.
            $0 = { if isSlow.withLock({ $0 }) { time.withLock { $0 += 7_000 } } }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await agreement.run(publishing: Self.nothing) }
            #expect(await happens { cluster.leader == "a" && cluster.document != nil })
            let tellings = store.tellings
            #expect(await happens { store.tellings > tellings + 5 })
            #expect(await agreement.document?.term == 0)
            isSlow.withLock { $0 = false }
            #expect(await happens { await agreement.leadingTerm == 1 })
            group.cancelAll()
        }
    }

    @Test("A watch that brings no documents is noticed by what other replicas tell, and begun anew")
    func deafWatch() async throws {
        try await Self.with(["a", "b"]) { replicas, _ in
            replicas[1].store.isDeaf = true
            _ = try await replicas[0].set(["core": 5])
            #expect(await happens { await replicas[1].weights()["core"] == 5 })
        }
    }

    @Test("Whoever cannot read what is agreed on does not lead")
    func faultyLeader() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            #expect(await happens { await Self.leaders(replicas).count == 1 })
            let good = String(decoding: try #require(cluster.document).bytes, as: UTF8.self)
            cluster.write(good.replacingOccurrences(of: "\"minimum\":1", with: "\"minimum\":2"))
            #expect(await happens { cluster.leader == nil })
            cluster.write(good)
            #expect(await happens { await Self.leaders(replicas).count == 1 })
        }
    }

    @Test("Changes that were refused while the store was away count for nothing once it is back")
    func refusedTries() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            replicas[0].store.isDown = true
            for round in 0..<120 as Range<UInt32> { await self.expectUnreachable(replicas[0], ["core": 1_000 + round]) }
            replicas[0].store.isDown = false
            // Overtaken by what it does not hear of.
            replicas[0].store.isDeaf = true
            let swaps = cluster.swaps
            async let other = replicas[1].set(["gateway": 7])
            #expect(await happens { cluster.swaps > swaps })
            let outcome = try await replicas[0].set(["core": 5])
            #expect(outcome.after.map(\.weight).sorted() == [5, 7])
            _ = try await other
        }
    }

    private func expectUnreachable(_ replica: Replica, _ weights: [String: UInt32]) async {
        do throws(ChangeRefused) {
            _ = try await replica.set(weights)
            Issue.record("the store is away")
        } catch {
            if case .unreachable = error { return }
            Issue.record("\(error)")
        }
    }

    @Test("A retreat made alone by a replica that began without the store is proposed, for nobody has changed it since")
    func detachedFromTheStart() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            _ = try await replicas[0].set(["core": 50, "gateway": 50])
            let late = Replica("c", in: cluster)
            late.store.isDown = true
            var live = LiveState()
            live.weights = [
                LiveState.Weights(
                    route: "api", weights: ["core": 50, "gateway": 50], fileWeights: ["core": 90, "gateway": 10])
            ]
            await late.publisher.inherit(live, as: .restored, origin: ChangeOrigin(.start))
            var configuration = Sample.configuration()
            configuration.fingerprint = "same"
            _ = try await late.publisher.load(configuration, origin: ChangeOrigin(.start))
            #expect(await late.weights() == ["core": 50, "gateway": 50])
            _ = try await late.set(["core": 90, "gateway": 10], local: true)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await late.publisher.runCluster() }
                late.store.isDown = false
                for replica in replicas + [late] {
                    #expect(await happens { await replica.weights() == ["core": 90, "gateway": 10] })
                }
                #expect(await happens { await replicas[1].journal(.weights).last?.evidence == "detached" })
                #expect(await late.weights() == ["core": 90, "gateway": 10])
                group.cancelAll()
            }
        }
    }

    @Test("A retreat made alone outlives the process that made it, and is proposed by the next one")
    func detachedOutlives() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        @Sendable func begin(_ late: Replica) async throws {
            await late.publisher.openLedger(isSuccessor: false)
            await late.publisher.joinCluster()
            var configuration = Sample.configuration()
            configuration.fingerprint = "same"
            _ = try await late.publisher.load(configuration, origin: ChangeOrigin(.start))
        }
        @Sendable func replica(in cluster: MemoryCluster) throws -> Replica {
            Replica(
                "c", in: cluster,
                ledger: LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger")))
        }
        try await Self.with(["a", "b"]) { replicas, cluster in
            _ = try await replicas[0].set(["core": 50, "gateway": 50])
            let first = try replica(in: cluster)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await first.publisher.runCluster() }
                try await begin(first)
                #expect(await first.weights() == ["core": 50, "gateway": 50])
                first.store.isDown = true
                #expect(await happens { await !first.agreement.isReachable })
                _ = try await first.set(["core": 90, "gateway": 10], local: true)
                group.cancelAll()
            }
            await first.publisher.ledger?.store.close()
            let second = try replica(in: cluster)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await second.publisher.runCluster() }
                try await begin(second)
                #expect(await second.weights() == ["core": 90, "gateway": 10])
                for replica in replicas { #expect(await happens { await replica.weights()["core"] == 90 }) }
                group.cancelAll()
            }
            let rows = try await second.publisher.ledger?.store.read { file throws(LedgerFailure) in
                try file.unsettledAlone()
            }
            #expect(rows?.isEmpty == true)
            await second.publisher.ledger?.store.close()
        }
    }

    @Test(
        "A retreat made alone outlives a take-over without a ledger: the successor proposes it, or gives way",
        arguments: [false, true])
    func detachedIsHandedOver(overtaken: Bool) async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            _ = try await replicas[0].set(["core": 50, "gateway": 50])
            let first = Replica("c", in: cluster)
            var configuration = Sample.configuration()
            configuration.fingerprint = "same"
            let handedOver = try await withThrowingTaskGroup(of: Void.self) { [configuration] group in
                group.addTask { await first.publisher.runCluster() }
                await first.publisher.joinCluster()
                _ = try await first.publisher.load(configuration, origin: ChangeOrigin(.start))
                first.store.isDown = true
                #expect(await happens { await !first.agreement.isReachable })
                _ = try await first.set(["core": 90, "gateway": 10], local: true)
                let live = try await first.publisher.beginHandOver()
                group.cancelAll()
                return live
            }
            if overtaken { _ = try await replicas[1].set(["core": 60, "gateway": 40]) }
            // As it goes over the socket.
            let live = try JSONDecoder().decode(LiveState.self, from: try JSONEncoder().encode(handedOver))
            let second = Replica("c", in: cluster)
            await second.publisher.inherit(live, origin: ChangeOrigin(.takeover))
            try await withThrowingTaskGroup(of: Void.self) { [configuration] group in
                group.addTask { await second.publisher.runCluster() }
                await second.publisher.joinCluster()
                _ = try await second.publisher.load(configuration, origin: ChangeOrigin(.start))
                let all = overtaken ? ["core": 60, "gateway": 40] : ["core": 90, "gateway": 10] as [String: UInt32]
                for replica in replicas + [second] { #expect(await happens { await replica.weights() == all }) }
                if !overtaken {
                    #expect(await happens { await replicas[1].journal(.weights).last?.evidence == "detached" })
                    let entry = try #require(await replicas[1].journal(.weights).last)
                    #expect(entry.who == "alice" && entry.reason == "test" && entry.replica == "c")
                }
                group.cancelAll()
            }
        }
    }

    @Test("What one change does to many routes is in every journal, whole")
    func manyAtOnce() async throws {
        var configuration = Sample.configuration()
        for number in 0..<200 {
            var route = configuration.table.routes[0]
            route.name = "r\(number)"
            configuration.table.routes.append(route)
        }
        try await Self.with(["a", "b"], [configuration, configuration]) { replicas, cluster in
            let generation = await replicas[0].publisher.current.table.generation
            for number in 0..<200 { _ = try await replicas[0].set(["core": 5], route: "r\(number)") }
            let outcome = try await replicas[0].publisher.undo(
                UndoRequest(.generation(generation), reason: "no"), origin: ChangeOrigin(.api))
            #expect(outcome.replicas == ReplicaCount(applied: 2, of: 2))
            for replica in replicas {
                #expect(await happens { await replica.journal(.undo).count == 200 })
            }
            #expect(cluster.journal == Array(1...UInt64(cluster.journal.count)))
            // The next change needs that room.
            _ = try await replicas[1].set(["core": 6])
            let document = try LiveDocument(#require(cluster.document).bytes)
            #expect(document.changes(after: 0).changes.count == 64)
        }
    }

    @Test("Changes that cannot be read from anywhere are told of as missing")
    func missingChanges() async throws {
        try await Self.with(["a", "b"]) { replicas, cluster in
            replicas[0].store.losesJournal = true
            replicas[1].store.isDown = true
            // At once: each waits its time for the replica that hears of none.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for round in 0..<80 as Range<UInt32> {
                    group.addTask { _ = try await replicas[0].set(["core": 100 + round]) }
                }
                try await group.waitForAll()
            }
            replicas[1].store.isDown = false
            #expect(await happens { await replicas[1].weights() == replicas[0].weights() })
            #expect(
                await happens {
                    await replicas[1].journal(.cluster).contains { $0.detail.contains("could not be read") }
                })
            #expect(await replicas[1].journal(.weights).count < 80)
        }
    }
}
