@testable import Control
import RoutesFile
import Synchronization
import Testing
import Traffic

struct TablePublisherTests {
    @Test("The first load publishes before it listens, and counts generations from 1")
    func firstLoad() async throws {
        let bench = Bench()
        #expect(await !bench.publisher.current.isInForce)
        let outcome = try await bench.load(Sample.configuration(), .start)
        #expect(outcome == LoadOutcome(generation: 1, changed: true))
        #expect(bench.dataPlane.generations == [1])
        #expect(bench.dataPlane.state.withLock { $0.listeners } == [[Sample.public8080]])
        let view = await bench.publisher.current
        #expect(view.isInForce && view.listenersBound)
    }

    @Test("Loading what is in force already keeps the generation and publishes nothing")
    func noOp() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let before = await bench.publisher.current.etag
        let again = try await bench.load(Sample.configuration())
        #expect(again == LoadOutcome(generation: 1, changed: false))
        #expect(bench.dataPlane.generations == [1])
        #expect(await bench.publisher.current.etag == before)
    }

    @Test("An operator's judgement of a difference is in the journal, with whose and why")
    func difference() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let replicas = try await bench.publisher.judge(
            "c1", of: "move", accepts: true, reason: "a field's order", origin: ChangeOrigin(.api, who: "ann"))
        #expect(replicas == nil, "there are no others")
        let entry = try #require(await bench.publisher.entries.last)
        #expect(entry.what == .difference && entry.subject == "move" && entry.detail == "c1 accepted")
        #expect(entry.reason == "a field's order" && entry.who == "ann")
    }

    @Test("What is gone is forgotten after its grace although nothing changes any more")
    func forgetting() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let before = bench.registry.counts
        var other = Sample.configuration()
        for index in other.table.routes.indices { other.table.routes[index].name += "-renamed" }
        _ = try await bench.load(other)
        #expect(bench.registry.counts.routes == 2 * before.routes)
        bench.time.advance(EndpointRegistry.grace - 1)
        await bench.publisher.forgetDeparted()
        #expect(bench.registry.counts.routes == 2 * before.routes)
        bench.time.advance(1)
        await bench.publisher.forgetDeparted()
        #expect(bench.registry.counts == before)
    }

    @Test("A listener that cannot be bound rejects the whole load and leaves everything as it was")
    func bindFailure() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        bench.dataPlane.state.withLock { $0.refusesToListen = true }
        var other = Sample.configuration(core: 1, gateway: 1)
        other.listeners.append(ListenerSpec(name: "second", address: Sample.address(80)))
        await #expect(
            throws: ChangeRefused.invalid([
                ControlProblem(path: "$.listeners[1].address", message: "bind 127.0.0.1:80: Permission denied")
            ])
        ) { try await bench.load(other) }
        #expect(bench.dataPlane.generations == [1])
        #expect(await bench.weights == ["core": 90, "gateway": 10])
        // Nor does the refused file count as known: the same weights over it are still those of the old file.
        #expect(await bench.publisher.current.fileWeights(of: "api") == ["core": 90, "gateway": 10])
    }

    @Test("A first configuration whose listeners cannot be bound is not in force; the next one is the first again")
    func firstBindFailure() async throws {
        let bench = Bench()
        bench.dataPlane.state.withLock { $0.refusesToListen = true }
        await #expect(throws: ChangeRefused.self) { try await bench.load(Sample.configuration(), .start) }
        #expect(await !bench.publisher.current.isInForce)
        bench.dataPlane.state.withLock { $0.refusesToListen = false }
        _ = try await bench.load(Sample.configuration(), .start)
        let view = await bench.publisher.current
        #expect(view.isInForce && view.listenersBound)
    }

    @Test("A live change publishes one table and answers the shares before and after")
    func liveChange() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let outcome = try await bench.setWeights(["gateway": 30])
        #expect(outcome.changed && !outcome.dryRun)
        #expect(outcome.generation == 2)
        #expect(outcome.before.map(\.share) == [0.9, 0.1])
        #expect(outcome.after.map(\.share) == [0.75, 0.25])
        #expect(bench.dataPlane.generations == [1, 2])
        #expect(await bench.weights == ["core": 90, "gateway": 30])
        #expect(await bench.publisher.current.etag == outcome.etag)
    }

    @Test("A change to the weights in force already changes nothing")
    func sameWeights() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let outcome = try await bench.setWeights(["core": 90])
        #expect(!outcome.changed)
        #expect(bench.dataPlane.generations == [1])
    }

    @Test("A dry run answers like the real change and changes nothing")
    func dryRun() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let tag = await bench.publisher.current.etag
        let dry = try await bench.setWeights(["core": 50, "gateway": 50], dryRun: true)
        #expect(dry.dryRun && dry.changed)
        #expect(dry.generation == 1 && dry.etag == tag)
        #expect(await bench.weights == ["core": 90, "gateway": 10])
        #expect(bench.dataPlane.generations == [1])
        #expect(await bench.publisher.entries.count == 1)
        let real = try await bench.setWeights(["core": 50, "gateway": 50])
        #expect(real.after == dry.after && real.before == dry.before)
    }

    @Test("A dry run warns when the side that is to receive more has no available endpoint")
    func dryRunWarns() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        for port: UInt16 in [3301, 3302] {
            bench.registry.endpoint(upstream: "gateway", address: Sample.address(port), probed: true)
                .setOperational(.down, now: 0)
        }
        let outcome = try await bench.setWeights(["gateway": 90], dryRun: true)
        #expect(
            outcome.warnings == [
                "gateway is to receive more but has no available endpoint: its share goes to the others until it has one"
            ])
        let receiving = try #require(outcome.after.last)
        #expect(!receiving.available && receiving.availableEndpoints == 0 && receiving.endpoints == 2)
        #expect(receiving.share == 0.5 && receiving.effectiveShare == 0)
        #expect(outcome.after.first?.effectiveShare == 1)
    }

    @Test(
        "No warning of a side without endpoints that is to receive no more than before", arguments: [5, 10] as [UInt32])
    func dryRunAwayFromDeadSide(weight: UInt32) async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        for port: UInt16 in [3301, 3302] {
            bench.registry.endpoint(upstream: "gateway", address: Sample.address(port), probed: true)
                .setOperational(.down, now: 0)
        }
        bench.registry.endpoint(upstream: "core", address: Sample.address(3300), probed: true)
            .setOperational(.up, now: 0)
        let outcome = try await bench.setWeights(["gateway": weight], dryRun: true)
        #expect(outcome.warnings.isEmpty)
    }

    @Test("Without failover the share of a dead side is lost, not moved")
    func dryRunWithoutFailover() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration(failover: false))
        for port: UInt16 in [3301, 3302] {
            bench.registry.endpoint(upstream: "gateway", address: Sample.address(port), probed: true)
                .setOperational(.down, now: 0)
        }
        let outcome = try await bench.setWeights(["gateway": 90], dryRun: true)
        #expect(outcome.after.map(\.effectiveShare) == [0.5, 0])
        #expect(outcome.warnings.first?.contains("answered 503") == true)
    }

    @Test("Weights that leave nobody are refused, in a dry run too, and taken with a warning if they are forced")
    func allZero() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let refused = ChangeRefused.needsForce([
            ControlProblem(
                path: "$.weights",
                message: "leaves no upstream of route \"api\" a weight: every request would be answered 503")
        ])
        await #expect(throws: refused) { try await bench.setWeights(["core": 0, "gateway": 0]) }
        await #expect(throws: refused) { try await bench.setWeights(["core": 0, "gateway": 0], dryRun: true) }
        // One step at a time leads there just as well.
        _ = try await bench.setWeights(["core": 0])
        await #expect(throws: refused) { try await bench.setWeights(["gateway": 0]) }
        #expect(await bench.weights == ["core": 0, "gateway": 10])
        let outcome = try await bench.setWeights(["core": 0, "gateway": 0], force: true)
        // It is so already: nothing is left to refuse.
        #expect(try await !bench.setWeights(["core": 0]).changed)
        #expect(outcome.warnings.contains("every weight is 0: the route will answer 503"))
        #expect(outcome.after.map(\.share) == [0, 0])
    }

    @Test("If-Match lets a change through only while the tag is in force")
    func ifMatch() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let tag = await bench.publisher.current.etag
        let first = try await bench.setWeights(["core": 80], ifMatch: ["\"other\"", tag])
        await #expect(throws: ChangeRefused.stale(current: first.etag)) {
            try await bench.setWeights(["core": 70], ifMatch: [tag])
        }
        await #expect(throws: ChangeRefused.stale(current: first.etag)) {
            try await bench.setWeights(["core": 70], ifMatch: ["W/" + first.etag])
        }
        #expect(await bench.weights["core"] == 80)
        _ = try await bench.setWeights(["core": 60], ifMatch: ["*"])
        #expect(await bench.weights["core"] == 60)
    }

    @Test("Going back to earlier weights does not bring the earlier tag back")
    func tagsAreNotReused() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let tag = await bench.publisher.current.etag
        _ = try await bench.setWeights(["core": 80])
        _ = try await bench.setWeights(["core": 90])
        #expect(await bench.publisher.current.etag != tag)
    }

    @Test("Unknown names, redirects and unknown routes are refused, all problems at once")
    func refusals() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        await #expect(
            throws: ChangeRefused.invalid([
                ControlProblem(
                    path: "$.weights.core", message: "expected a whole number from 0 to 1000000"),
                ControlProblem(
                    path: "$.weights.gatway", message: "not an upstream of route \"api\", which has core, gateway"),
            ])
        ) { try await bench.setWeights(["gatway": 1, "core": 1_000_001]) }
        let origin = ChangeOrigin(.api)
        await #expect(throws: ChangeRefused.notFound("no route \"nope\"")) {
            try await bench.publisher.setWeights(WeightChange(route: "nope", weights: ["core": 1]), origin: origin)
        }
        await #expect(throws: ChangeRefused.self) {
            try await bench.publisher.setWeights(WeightChange(route: "old", weights: ["core": 1]), origin: origin)
        }
        #expect(bench.dataPlane.generations == [1])
    }

    // MARK: live changes and reloads

    @Test("Live weights survive a reload that says nothing new about the route")
    func overlaySurvives() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        _ = try await bench.setWeights(["core": 50, "gateway": 50])
        var file = Sample.configuration()
        file.table.timeouts.keepAlive = 1_234
        let outcome = try await bench.load(file)
        #expect(outcome.changed)
        #expect(await bench.weights == ["core": 50, "gateway": 50])
        let view = await bench.publisher.current
        #expect(view.fileWeights(of: "api") == ["core": 90, "gateway": 10])
        #expect(view.table.spec.timeouts.keepAlive == 1_234)
    }

    @Test("A file that changes the route's weights wins over the live ones")
    func fileWins() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        _ = try await bench.setWeights(["core": 50, "gateway": 50])
        _ = try await bench.load(Sample.configuration(core: 70, gateway: 30))
        #expect(await bench.weights == ["core": 70, "gateway": 30])
        // Going back to the first file does not revive the live weights.
        _ = try await bench.load(Sample.configuration())
        #expect(await bench.weights == ["core": 90, "gateway": 10])
    }

    @Test("Weights changed 50 times concurrently end in one table a change, in order")
    func concurrentChanges() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        try await withThrowingTaskGroup(of: WeightChangeOutcome.self) { group in
            for weight in 1...50 { group.addTask { try await bench.setWeights(["core": UInt32(100 + weight)]) } }
            var generations: Set<UInt64> = []
            for try await outcome in group { generations.insert(outcome.generation) }
            #expect(generations.count == 50)
        }
        #expect(bench.dataPlane.generations == Array(1...51))
    }

    // MARK: administrative states

    @Test("An administrative state is set wherever the address is an endpoint, and journalled")
    func administrative() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        let upstreams = try await bench.publisher.setAdministrative(
            .drain, of: Sample.address(3301), reason: "upgrade", origin: ChangeOrigin(.api, who: "127.0.0.1"))
        #expect(upstreams == ["gateway"])
        let endpoint = bench.registry.endpoint(upstream: "gateway", address: Sample.address(3301), probed: true)
        #expect(endpoint.administrative == .drain)
        let entry = try #require(await bench.publisher.entries.last)
        #expect(entry.what == .administrative && entry.subject == "127.0.0.1:3301")
        #expect(entry.detail == "gateway: ready→drain" && entry.reason == "upgrade")
        await #expect(throws: ChangeRefused.notFound("no endpoint 127.0.0.1:9")) {
            try await bench.publisher.setAdministrative(.ready, of: Sample.address(9), origin: ChangeOrigin(.api))
        }
        await #expect(throws: ChangeRefused.self) {
            try await bench.publisher.setAdministrative(
                .ready, of: Sample.address(3301), upstream: "core", origin: ChangeOrigin(.api))
        }
        // A reload forgets nothing.
        _ = try await bench.load(Sample.configuration(core: 1))
        #expect(await bench.publisher.current.table.upstreams[1].endpoints[0].administrative == .drain)
    }

    // MARK: journal

    @Test("The journal tells who changed what and when, with generations")
    func journal() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration(), .start)
        bench.time.advance(1_000)
        _ = try await bench.setWeights(["core": 50, "gateway": 50])
        await bench.publisher.noteRejected(
            [ControlProblem(path: "$.routes", message: "is missing", line: 3)], origin: ChangeOrigin(.file, who: "f"))
        let entries = await bench.publisher.entries
        #expect(entries.map(\.what) == [.load, .weights, .loadRejected])
        #expect(entries.map(\.sequence) == [1, 2, 3])
        #expect(entries.map(\.generationAfter) == [1, 2, 2])
        let change = entries[1]
        #expect(change.at == "2026-01-02T03:04:16.000Z")
        #expect(change.origin == .api && change.who == "127.0.0.1" && change.reason == "test")
        #expect(change.subject == "api" && change.detail == "core 90→50, gateway 10→50")
        #expect(entries[2].detail.contains("line 3: $.routes: is missing"))
    }

    @Test("The journal keeps the last 256 entries and bounds what it is told")
    func journalBound() {
        var journal = Journal()
        for index in 0..<300 {
            journal.record(
                at: 0, origin: ChangeOrigin(.api), what: .weights, subject: "\(index)", detail: "",
                reason: String(repeating: "x", count: 10_000), generationBefore: 0, generationAfter: 0)
        }
        // One character may have any number of bytes.
        journal.record(
            at: 0, origin: ChangeOrigin(.api, who: "e" + String(repeating: "\u{301}", count: 500_000)), what: .weights,
            subject: "44", detail: String(repeating: "é", count: 300), reason: String(repeating: "😀", count: 128),
            generationBefore: 0, generationAfter: 0)
        let last = journal.entries.last
        // The last one stays whole, in front of the mark.
        #expect(last?.who.utf8.count == 512)
        #expect(last?.who.unicodeScalars.suffix(2).map(\.value) == [0x301, 0x2026])
        #expect(last?.detail == String(repeating: "é", count: 254) + "…")
        #expect(last?.reason == String(repeating: "😀", count: 128))
        #expect(journal.entries.count == Journal.capacity)
        #expect(journal.entries.first?.subject == "45" && journal.entries.first?.sequence == 46)
        #expect(journal.entries.allSatisfy { $0.reason.utf8.count <= Journal.textLimit })
    }

    // MARK: take-over

    @Test("What operators did passes to the successor; the predecessor takes no more changes")
    func handOver() async throws {
        let old = Bench()
        _ = try await old.load(Sample.configuration())
        _ = try await old.setWeights(["core": 25, "gateway": 75])
        _ = try await old.publisher.setAdministrative(
            .maintenance, of: Sample.address(3302), origin: ChangeOrigin(.api))
        let state = try await old.publisher.beginHandOver()
        await #expect(throws: ChangeRefused.handingOver) { try await old.setWeights(["core": 1]) }

        let new = Bench()
        await new.publisher.inherit(state, origin: ChangeOrigin(.takeover))
        #expect(await !new.publisher.current.isInForce)
        _ = try await new.load(Sample.configuration(), .start)
        #expect(await new.weights == ["core": 25, "gateway": 75])
        #expect(await new.publisher.current.table.generation == 3)
        #expect(await new.publisher.current.table.upstreams[1].endpoints[1].administrative == .maintenance)

        await old.publisher.abandonHandOver()
        _ = try await old.setWeights(["core": 1])
    }

    @Test("Live weights that the file has overruled are not handed over")
    func handOverForgetsOverruled() async throws {
        let bench = Bench()
        _ = try await bench.load(Sample.configuration())
        _ = try await bench.setWeights(["core": 25])
        _ = try await bench.load(Sample.configuration(core: 70, gateway: 30))
        #expect(try await bench.publisher.beginHandOver().weights.isEmpty)
    }
}
