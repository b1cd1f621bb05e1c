import Comparison
import Ledger
import Migration
import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

@testable import Control

@Suite("Comparison service") struct ComparisonServiceTests {
    /// A data plane of which only the copies matter.
    private final class Plane: DataPlane {
        let mirroredPairs: AsyncStream<MirroredPair>
        private let pair: AsyncStream<MirroredPair>.Continuation
        private let again: @Sendable (any MirroredRequest) -> MirroredAnswer?
        let asked = Atomic<Int>(0)

        init(_ again: @escaping @Sendable (any MirroredRequest) -> MirroredAnswer?) {
            (self.mirroredPairs, self.pair) = AsyncStream.makeStream()
            self.again = again
        }

        func publish(_ table: RoutingTable) async {}
        func listen(on listeners: [ListenerSpec]) async throws {}
        func boundAddresses() async -> [String: SocketAddress] { [:] }
        func snapshots() async -> [WorkerSnapshot] { [] }

        func askAgain(_ request: any MirroredRequest) async -> MirroredAnswer? {
            self.asked.add(1, ordering: .relaxed)
            return self.again(request)
        }

        func send(
            _ target: String, _ old: String, _ new: String, epoch: UInt64 = 1, method: String = "GET",
            statuses: (old: UInt16, new: UInt16) = (200, 200), isCopyNew: Bool = true
        ) {
            var pair = MirroredPair(
                migration: "move", route: "api", epoch: epoch, request: Request(method: method, target: target),
                old: Self.answer(old, statuses.old), new: Self.answer(new, statuses.new),
                lease: MirrorLease(MirrorMemory()))
            pair.isCopyNew = isCopyNew
            self.pair.yield(pair)
        }

        static func answer(_ body: String, _ status: UInt16 = 200) -> MirroredAnswer {
            var captured = CapturedBody(limit: 1 << 20)
            let lease = MirrorLease(MirrorMemory(limit: 1 << 20))
            let isTaken = Array(body.utf8).withUnsafeBytes { captured.append($0, lease) }
            #expect(isTaken)
            return MirroredAnswer(
                status: status, fields: [.init(name: "content-type", value: Array("application/json".utf8))],
                body: captured)
        }
    }

    private final class Request: MirroredRequest {
        let method: String
        let target: String

        init(method: String, target: String) {
            self.method = method
            self.target = target
        }
    }

    private static func migration(_ change: (inout CompareSpec) -> Void = { _ in }) throws -> MigrationSpec {
        let text = """
            {"listeners": [{"name": "public", "address": "127.0.0.1:0"}], "state": {"path": "/tmp/none.sqlite"},
             "upstreams": {"core": {"endpoints": ["127.0.0.1:1"]}, "gateway": {"endpoints": ["127.0.0.1:2"]}},
             "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}}],
             "migrations": [{"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
                             "stages": [{"mirror": 100, "hold": "1h"}]}]}
            """
        var spec = try #require(try RoutesFile.parse(Array(text.utf8)).migrations.first)
        change(&spec.compare)
        return spec
    }

    private static func service(
        _ plane: Plane, ledger: LedgerStore? = nil, change: (inout CompareSpec) -> Void = { _ in }
    ) async throws -> (ComparisonService, Task<Void, Never>) {
        let service = ComparisonService(
            dataPlane: plane, ledger: ledger, thread: try BlockingThreads(named: "comparison"))
        await service.adopt([try Self.migration(change)])
        return (service, Task { await service.run() })
    }

    /// Waits until so many pairs are compared.
    private static func await(_ count: UInt64, _ service: ComparisonService) async throws -> ComparedPlan {
        let deadline = Deadline(seconds: 30)
        while true {
            if let plan = await service.plan("move"), plan.body.compared >= count { return plan }
            guard !deadline.hasPassed else { throw TestFailure("not compared") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("A class that stands is found beside one that is noise, and each stage counts its own comparisons")
    func classes() async throws {
        let clock = Atomic<Int>(0)
        @Sendable func body(_ rank: Int) -> String {
            #"{"at":\#(clock.add(1, ordering: .relaxed).newValue),"rank":\#(rank)}"#
        }
        let plane = Plane { _ in Plane.answer(body(1)) }
        let (service, task) = try await Self.service(plane) { $0.recheck = 6_000 }
        defer { task.cancel() }
        for number in 0..<40 {
            plane.send("/item/\(number)", body(1), body(number % 2 == 0 ? 2 : 1))
            // Twice a class and second: each is awaited, so that the service's clock has no say.
            _ = try await Self.await(UInt64(number + 1), service)
        }
        let plan = try await Self.await(40, service)
        let states = Dictionary(uniqueKeysWithValues: plan.body.classes.map { ($0.path, $0.state) })
        #expect(Set(states.keys) == ["$.at", "$.rank"])
        #expect(plan.body.classes.allSatisfy { $0.template == "/item/*" && $0.route == "api" })
        #expect(plan.rechecks == UInt64(plane.asked.load(ordering: .relaxed)) && plan.rechecks > 0)
        let sums = await service.comparisons(of: "move", epoch: 1)
        #expect(sums.count == 40)
        plane.send("/item/1", body(1), body(1), epoch: 2)
        _ = try await Self.await(41, service)
        #expect(await service.comparisons(of: "move", epoch: 1).count == 0)
        #expect(await service.comparisons(of: "move", epoch: 2).count == 1)
        // Of a run that is over.
        plane.send("/item/1", body(1), body(3), epoch: 1)
        plane.send("/item/1", body(1), body(1), epoch: 2)
        _ = try await Self.await(42, service)
        #expect(await service.comparisons(of: "move", epoch: 2).count == 2)
    }

    @Test("What was compared by other rules proves nothing by these, and what is known of classes stays")
    func otherRules() async throws {
        let plane = Plane { _ in nil }
        let (service, task) = try await Self.service(plane)
        defer { task.cancel() }
        plane.send("/a", #"{"at":1}"#, #"{"at":2}"#)
        plane.send("/a", #"{"at":1}"#, #"{"at":1}"#)
        _ = try await Self.await(2, service)
        await service.adopt([try Self.migration { $0.recheck = 60 }])
        #expect(await service.comparisons(of: "move", epoch: 1).count == 2, "the same rules")
        await service.adopt([try Self.migration { $0.headers = ["location"] }])
        #expect(await service.comparisons(of: "move", epoch: 1).count == 0)
        plane.send("/a", #"{"at":1}"#, #"{"at":1}"#)
        let plan = try await Self.await(3, service)
        #expect(await service.comparisons(of: "move", epoch: 1).count == 1)
        #expect(plan.body.classes.map(\.path) == ["$.at"])
    }

    @Test("Of two answers the live one counts for its side, whichever of them was the copy's")
    func arms() async throws {
        for isCopyNew in [true, false] {
            let plane = Plane { _ in nil }
            let (service, task) = try await Self.service(plane)
            defer { task.cancel() }
            plane.send("/a", "1", "1", statuses: (500, 404), isCopyNew: isCopyNew)
            plane.send("/a", "1", "1", statuses: (200, 404), isCopyNew: isCopyNew)
            let arms = try #require(try await Self.await(2, service).arms["api"])
            let (old, new) = isCopyNew ? (arms.live, arms.copies) : (arms.copies, arms.live)
            #expect(old == StageSums.Side(samples: 2, errors: 1))
            #expect(new == StageSums.Side(samples: 2, clientErrors: 2))
        }
    }

    @Test("What may change something is not asked again, and neither is what has no budget")
    func notAsked() async throws {
        let plane = Plane { _ in Plane.answer("1") }
        let (service, task) = try await Self.service(plane) { $0.recheck = 1 }
        defer { task.cancel() }
        plane.send("/a", "1", "2", method: "POST")
        _ = try await Self.await(1, service)
        #expect(plane.asked.load(ordering: .relaxed) == 0)
        plane.send("/a", "1", "2")
        plane.send("/a", "1", "2")
        let plan = try await Self.await(3, service)
        #expect(plane.asked.load(ordering: .relaxed) == 1)
        #expect(plan.results["mismatch"] == 1 && plan.results["unconfirmed"] == 2)
    }

    @Test("What is known of classes outlives the process, and no byte of a private value is in the ledger")
    func ledger() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let secret = "hunter2-1234567"
        let store = LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger"))
        _ = try await store.open()
        let plane = Plane { _ in Plane.answer(#"{"token":"\#(secret)","a":1}"#) }
        let number: String
        do {
            let (service, task) = try await Self.service(plane, ledger: store)
            defer { task.cancel() }
            plane.send("/a?token=\(secret)&b=1", #"{"token":"\#(secret)","a":1}"#, #"{"token":"\#(secret)x","a":2}"#)
            let plan = try await Self.await(1, service)
            number = try #require(plan.body.classes.first { $0.path == "$.a" }?.number)
            #expect(await service.accept(number, of: "move", reason: "agreed"))
            #expect(await !service.accept("d-00000000", of: "move", reason: "x"))
        }
        await store.close()
        for name in ["state.sqlite", "state.sqlite-wal"] {
            let bytes = (try? WholeFile.read(folder + "/" + name)) ?? []
            #expect(!String(decoding: bytes, as: UTF8.self).contains("hunter2"))
        }
        let again = LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger"))
        _ = try await again.open()
        let (service, task) = try await Self.service(plane, ledger: again)
        defer { task.cancel() }
        let plan = try #require(await service.plan("move"))
        #expect(plan.body.classes.count == 2)
        let kept = try #require(plan.body(of: number))
        #expect(kept.state == "accepted" && kept.accepted == "agreed" && kept.seen == 1 && kept.confirmed == 1)
        #expect(kept.rechecks == 1 && kept.template == "/a?b&token")
        let example = try #require(kept.examples?.first)
        #expect(example.old == "1" && example.new == "2" && example.target.hasPrefix("/a?token=‹15 bytes"))
    }

    @Test("A ledger that opens late loses nothing that was said before, nor what was found meanwhile")
    func lateLedger() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let plane = Plane { _ in nil }
        func store() throws -> LedgerStore {
            LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger"))
        }
        let first = try store()
        _ = try await first.open()
        let number: String
        do {
            let (service, task) = try await Self.service(plane, ledger: first)
            defer { task.cancel() }
            plane.send("/a", #"{"a":1}"#, #"{"a":2}"#)
            number = try #require(try await Self.await(1, service).body.classes.first?.number)
            #expect(await service.accept(number, of: "move", reason: "agreed"))
        }
        await first.close()

        let second = try store()
        let other = Plane { _ in nil }
        do {
            let (service, task) = try await Self.service(other, ledger: second)
            defer { task.cancel() }
            other.send("/a", #"{"a":1}"#, #"{"a":2}"#)
            #expect(try await Self.await(1, service).body(of: number)?.state == "open")
            _ = try await second.open()
            await service.flush()
            #expect(await service.plan("move")?.body(of: number)?.state == "accepted")
        }
        await second.close()

        let third = try store()
        _ = try await third.open()
        let (service, task) = try await Self.service(other, ledger: third)
        defer { task.cancel() }
        let kept = await service.plan("move")?.body(of: number)
        #expect(kept?.accepted == "agreed" && kept?.seen == 2)
        await third.close()
    }

    @Test("Answers that differ in ever other names take a bounded place")
    func names() async throws {
        let plane = Plane { _ in nil }
        let (service, task) = try await Self.service(plane) { $0.recheck = 0 }
        defer { task.cancel() }
        for number in 0..<30 {
            let members = (0..<60).map { "\"n\(number)x\($0)\":1" }.joined(separator: ",")
            plane.send("/a", "{}", "{\(members)}")
        }
        let plan = try await Self.await(30, service)
        #expect(plan.book.records.count == 1_001)
        #expect(plan.times.count == 1_001 && plan.changed.count == 1_001)
        #expect(plan.body.classes.allSatisfy { $0.last != nil })
    }

    private static func unproven(_ service: ComparisonService) async -> [String] {
        SeenKinds.words(await service.unproven(migration: "move", asked: []))
    }

    @Test("A kind that was seen and never compared is unproven, also in the next process, until it is compared")
    func unproven() async throws {
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        let (plane, other) = (Plane { _ in nil }, Plane { _ in nil })
        func store() throws -> LedgerStore {
            LedgerStore(path: folder + "/state.sqlite", thread: try BlockingThreads(named: "ledger"))
        }
        func seen(_ target: String, _ route: String = "api") -> SeenRequest {
            SeenRequest(route: route, target: Array(target.utf8), isAnsweredByNew: false)
        }
        let first = try store()
        _ = try await first.open()
        do {
            let (service, task) = try await Self.service(plane, ledger: first)
            defer { task.cancel() }
            await service.note(seen: [seen("/item/1?b=2"), seen("/item/3?b=1"), seen("/x", "gone")], migration: "move")
            await service.note(seen: [seen("/x")], migration: "other")
            let unproven = await Self.unproven(service)
            #expect(unproven == ["requests like /item/*?b of route api"])
            await service.flush()
        }
        await first.close()
        let second = try store()
        _ = try await second.open()
        let (service, task) = try await Self.service(other, ledger: second)
        defer { task.cancel() }
        let kept = await Self.unproven(service)
        #expect(kept == ["requests like /item/*?b of route api"])
        other.send("/item/9?b=3", "1", "1")
        _ = try await Self.await(1, service)
        #expect(await Self.unproven(service).isEmpty)
        await service.flush()
        // What the file has no more is forgotten in the ledger too.
        await service.adopt([])
        await service.flush()
        await service.adopt([try Self.migration()])
        #expect(await service.plan("move")?.kinds.all.isEmpty == true)
        await second.close()
    }
}
