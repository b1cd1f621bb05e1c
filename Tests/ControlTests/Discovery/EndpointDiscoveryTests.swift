@testable import Control
import Foundation
import Logging
import RoutesFile
import Synchronization
import Testing
@testable import Traffic

/// A source that says what a test tells it to.
final class HandSource: EndpointSource {
    enum Saying: Sendable {
        case found([UInt16])
        case failed(String)
    }

    private let sayings: AsyncStream<(Saying, CheckedContinuation<Void, Never>)>
    private let continuation: AsyncStream<(Saying, CheckedContinuation<Void, Never>)>.Continuation
    private let state = Mutex((runs: 0, ends: 0, troubled: SourceListener?.none))

    init() { (self.sayings, self.continuation) = AsyncStream.makeStream() }

    var runs: Int { self.state.withLock { $0.runs } }
    var ends: Int { self.state.withLock { $0.ends } }
    var isTroubled: Bool {
        get async { await self.state.withLock { $0.troubled }?.isTroubled() ?? false }
    }

    func run(_ listener: SourceListener) async {
        self.state.withLock {
            $0.runs += 1
            $0.troubled = listener
        }
        for await (saying, done) in self.sayings {
            switch saying {
            case .found(let ports): await listener.found(ports.map(Sample.address))
            case .failed(let reason): await listener.failed(DiscoveryFailure(reason))
            }
            done.resume()
        }
        self.state.withLock { $0.ends += 1 }
    }

    /// Returns when it has been taken in.
    func say(_ saying: Saying) async {
        await withCheckedContinuation { _ = self.continuation.yield((saying, $0)) }
    }
}

@Suite("Discovery", .timeLimit(.minutes(2)))
struct EndpointDiscoveryTests {
    /// A control plane on fakes, with sources by the name of their look-up.
    private final class Rig: Sendable {
        let registry = EndpointRegistry()
        let dataPlane = FakeDataPlane()
        let publisher: TablePublisher
        let discovery: EndpointDiscovery
        let sources: [String: HandSource]
        let log = RecordedLog()
        /// Milliseconds that were asked for; all sleeps but the patience of a load end at once.
        let patience: Patience
        let running: Task<Void, Never>

        final class Patience: Sendable {
            let isOver = Mutex(false)
        }

        init(names: [String] = ["gateway.test"]) {
            let sources = Dictionary(uniqueKeysWithValues: names.map { ($0, HandSource()) })
            let patience = Patience()
            let system = ControlClock.system
            let clock = ControlClock(monotonic: system.monotonic, wall: system.wall) { milliseconds in
                guard milliseconds == EndpointDiscovery.patience else { return try await system.sleep(milliseconds) }
                while !patience.isOver.withLock({ $0 }) { try await system.sleep(5) }
            }
            let discovery = EndpointDiscovery(clock: clock, logger: self.log.logger) { spec in
                guard case .dns(let lookup, _) = spec, let source = sources[lookup.name] else { return HandSource() }
                return source
            }
            let publisher = TablePublisher(registry: self.registry, dataPlane: self.dataPlane) { table in
                await discovery.follow(table)
            }
            (self.sources, self.patience, self.discovery, self.publisher) = (sources, patience, discovery, publisher)
            self.running = Task { await discovery.run(publishing: publisher) }
        }

        deinit { self.running.cancel() }

        /// What the reloader does with a configuration.
        func load(_ configuration: BalancerConfiguration) async throws {
            await self.discovery.prepare(configuration.table)
            _ = try await self.publisher.load(configuration, origin: ChangeOrigin(.file, who: "routes.json"))
            await self.discovery.retain(only: await self.publisher.current.table.spec)
        }

        var gateway: Upstream {
            get async throws { try #require(await self.publisher.current.table.upstream(named: "gateway")) }
        }

        var ports: [UInt16] {
            get async throws { try await self.gateway.endpoints.map(\.address.port) }
        }

        func record() async throws -> DiscoveryRecord {
            try #require(await self.discovery.records.first { $0.key.upstream == "gateway" }?.value)
        }
    }

    private func configuration(
        _ name: String = "gateway.test", gateway: UInt32 = 10, probed: Bool = true, slowStart: UInt32 = 0
    ) -> BalancerConfiguration {
        var configuration = Sample.configuration(gateway: gateway)
        configuration.table.upstreams[1].endpoints = []
        configuration.table.upstreams[1].discovery = .dns(NameLookup(name: name), port: 3_301)
        configuration.table.upstreams[1].slowStart = slowStart
        if !probed { configuration.table.upstreams[1].health = nil }
        return configuration
    }

    private func source(_ rig: Rig, _ name: String = "gateway.test") throws -> HandSource {
        try #require(rig.sources[name])
    }

    @Test("An upstream has as many endpoints as the file may name, however many are found")
    func most() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found(Array(1...1_100)))
        try await loaded
        #expect(await rig.publisher.current.table.spec.upstreams[1].endpoints.count == EndpointDiscovery.endpointLimit)
    }

    @Test("A load waits for the first answer, which serves before it is probed, as named endpoints do")
    func first() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_302, 3_301, 3_301]))
        try await loaded
        #expect(try await rig.ports == [3_301, 3_302])
        #expect(try await rig.gateway.endpoints.allSatisfy { $0.isSelectable(now: 0) })
        #expect(await rig.publisher.current.table.generation == 1)
        #expect(try await !rig.record().isStale)
    }

    @Test("Without an answer a load goes on with no endpoints; those found later wait for their probe")
    func late() async throws {
        let rig = Rig()
        rig.patience.isOver.withLock { $0 = true }
        try await rig.load(self.configuration(slowStart: 10_000))
        #expect(try await rig.ports.isEmpty)
        #expect(try await rig.record().isStale)
        try await self.source(rig).say(.found([3_301]))
        #expect(try await rig.ports == [3_301])
        let endpoint = try #require(try await rig.gateway.endpoints.first)
        #expect(!endpoint.isSelectable(now: 0) && endpoint.operational == .joining)
        endpoint.setOperational(.up, now: 1_000)
        #expect(endpoint.isSelectable(now: 1_000))
        #expect(endpoint.share(now: 6_000, slowStart: 10_000) == 512)
    }

    @Test("Without probes an endpoint found later serves at once, from a small share")
    func unprobed() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration(probed: false, slowStart: 60_000))
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        try await self.source(rig).say(.found([3_301, 3_302]))
        let now = ControlClock.system.monotonic()
        let endpoints = try await rig.gateway.endpoints
        #expect(endpoints.map { $0.isSelectable(now: now) } == [true, true])
        #expect(endpoints[0].share(now: now, slowStart: 60_000) == 1_024)
        #expect(endpoints[1].share(now: now, slowStart: 60_000) < 512)
    }

    @Test("What cannot be found leaves the last good set in force, and is reported")
    func stale() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        let before = try await rig.record()
        try await self.source(rig).say(.failed("NXDOMAIN"))
        #expect(try await rig.ports == [3_301])
        var record = try await rig.record()
        #expect(record.isStale && record.failure == "NXDOMAIN" && record.failures == 1)
        #expect(record.lastSuccess == before.lastSuccess)
        try await self.source(rig).say(.found([3_301]))
        record = try await rig.record()
        #expect(!record.isStale && record.failure.isEmpty && record.failures == 1)
        #expect(await rig.publisher.current.table.generation == 1)
    }

    @Test("A source that finds none is sure: the upstream is empty at once, although its endpoints still answered")
    func empty() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        try await rig.gateway.endpoints[0].setOperational(.up, now: 1)
        try await self.source(rig).say(.found([]))
        #expect(try await rig.ports.isEmpty)
        #expect(try await !rig.record().isStale)
        #expect(await rig.publisher.entries.last?.detail == "gone 127.0.0.1:3301")
        // Said when it begins to be so, not at each answer that says so again.
        let line = "warning there is no endpoint that takes requests upstream=gateway"
        for _ in 0..<3 { try await self.source(rig).say(.found([])) }
        #expect(await happens { rig.log.lines.contains(line) }, "\(rig.log.lines)")
        #expect(rig.log.lines.count { $0 == line } == 1)
        try await self.source(rig).say(.found([3_301]))
        #expect(try await rig.ports == [3_301])
        try await self.source(rig).say(.found([]))
        #expect(await happens { rig.log.lines.count { $0 == line } == 2 }, "\(rig.log.lines)")
    }

    @Test("An answer is used for `staleFor` after it came, then no longer; without it, for ever")
    func expired() async throws {
        for staleFor in [UInt32(300), nil] {
            let rig = Rig()
            var configuration = self.configuration()
            var lookup = NameLookup(name: "gateway.test")
            lookup.staleFor = staleFor
            configuration.table.upstreams[1].discovery = .dns(lookup, port: 3_301)
            async let loaded: Void = rig.load(configuration)
            try await self.source(rig).say(.found([3_301]))
            try await loaded
            let began = ControlClock.system.monotonic()
            try await self.source(rig).say(.failed("SERVFAIL"))
            #expect(try await rig.ports == [3_301])
            guard staleFor != nil else {
                try await Task.sleep(for: .milliseconds(600))
                #expect(try await rig.ports == [3_301])
                continue
            }
            #expect(try await happens { try await rig.ports.isEmpty })
            #expect(ControlClock.system.monotonic() - began >= 250)
            #expect(try await rig.record().failure == "SERVFAIL")
            let line = "error endpoints were found too long ago and are no longer used cause=SERVFAIL upstream=gateway"
            #expect(await happens { rig.log.lines.contains(line) }, "\(rig.log.lines)")
            try await self.source(rig).say(.found([3_301]))
            #expect(try await rig.ports == [3_301])
        }
    }

    @Test("A new set is a new table that keeps live weights, health and positions, and is journalled")
    func change() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301, 3_302]))
        try await loaded
        _ = try await rig.publisher.setWeights(
            WeightChange(route: "api", weights: ["gateway": 90]), origin: ChangeOrigin(.api, who: "test"))
        let kept = try #require(try await rig.gateway.endpoints.first)
        kept.setOperational(.up, now: 1)
        let position = try #require(await rig.publisher.current.table.route(named: "api")).nextPosition()

        try await self.source(rig).say(.found([3_301, 3_303]))
        let view = await rig.publisher.current
        #expect(view.table.generation == 3)
        #expect(view.table.spec.routes.first?.split?.weights == ["core": 90, "gateway": 90])
        #expect(view.fileWeights(of: "api") == ["core": 90, "gateway": 10])
        let upstream = try await rig.gateway
        #expect(upstream.endpoints.map(\.address.port) == [3_301, 3_303])
        #expect(upstream.endpoints[0] === kept && kept.operational == .up)
        #expect(upstream.endpoints.map { $0.isSelectable(now: 2) } == [true, false])
        #expect(view.table.route(named: "api")?.nextPosition() == position + 1)
        let entry = try #require(await rig.publisher.entries.last)
        #expect(entry.what == .endpoints && entry.origin == .discovery && entry.who == "dns gateway.test:3301")
        #expect(entry.detail == "found 127.0.0.1:3303; gone 127.0.0.1:3302")

        // A live change keeps what was found.
        _ = try await rig.publisher.setWeights(
            WeightChange(route: "api", weights: ["gateway": 50]), origin: ChangeOrigin(.api, who: "test"))
        #expect(try await rig.ports == [3_301, 3_303])
    }

    @Test("The same set in another order makes no new table")
    func order() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301, 3_302]))
        try await loaded
        try await self.source(rig).say(.found([3_302, 3_301]))
        #expect(await rig.publisher.current.table.generation == 1)
    }

    @Test("When all endpoints are replaced, the old ones serve until a new one is up")
    func bridge() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        try await rig.gateway.endpoints[0].setOperational(.up, now: 1)
        async let said: Void = self.source(rig).say(.found([3_302]))
        #expect(try await happens { try await rig.ports == [3_302, 3_301] })
        let both = try await rig.gateway
        #expect(both.endpoints.map { $0.isSelectable(now: 2) } == [false, true])
        both.endpoints[0].setOperational(.up, now: 3)
        try await said
        #expect(try await rig.ports == [3_302])
    }

    @Test("A reload that leaves the section alone keeps endpoints and source; one that drops it ends the source")
    func reload() async throws {
        let rig = Rig(names: ["gateway.test", "other.test"])
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        try await rig.load(self.configuration(gateway: 20))
        #expect(try await rig.ports == [3_301])
        #expect(try self.source(rig).runs == 1 && self.source(rig).ends == 0)
        #expect(
            rig.dataPlane.state.withLock { state in
                state.tables.allSatisfy { $0.upstream(named: "gateway")?.endpoints.count == 1 }
            })

        // Another section: what is in use stays until its source has an answer.
        rig.patience.isOver.withLock { $0 = true }
        try await rig.load(self.configuration("other.test", gateway: 20))
        #expect(try await rig.ports == [3_301])
        #expect(try await rig.record().isStale)
        try await self.source(rig, "other.test").say(.found([3_301, 3_302]))
        #expect(try await rig.ports == [3_301, 3_302])
        #expect(await rig.discovery.records.count == 1)
        #expect(try await happens { try self.source(rig).ends > 0 })

        _ = try await rig.load(Sample.configuration())
        #expect(await rig.discovery.records.isEmpty)
        #expect(try await happens { try self.source(rig, "other.test").ends > 0 })
    }

    @Test("A process that takes over begins with what the other had found, if it finds nothing itself")
    func takeOver() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301, 3_302]))
        try await loaded
        let state = try await rig.publisher.beginHandOver()
        // Discovery goes on while the other process starts.
        try await self.source(rig).say(.found([3_302]))
        #expect(try await rig.ports == [3_302])

        let carried = try JSONDecoder().decode(LiveState.self, from: try JSONEncoder().encode(state))
        let next = Rig()
        next.patience.isOver.withLock { $0 = true }
        await next.publisher.inherit(carried, origin: ChangeOrigin(.takeover))
        try await next.load(self.configuration())
        #expect(try await next.ports == [3_301, 3_302])
        #expect(try await next.record().isStale)
        try await self.source(next).say(.found([3_302]))
        #expect(try await next.ports == [3_302])

        let old = try JSONDecoder().decode(
            LiveState.self, from: Data("{\"generation\": 1, \"weights\": [], \"administrative\": []}".utf8))
        #expect(old.discovered == nil)
    }

    @Test("Failures of endpoints in use are trouble, once each")
    func trouble() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found([3_301]))
        try await loaded
        let source = try self.source(rig)
        #expect(await !source.isTroubled)
        let upstream = try await rig.gateway
        upstream.endpoints[0].report(
            .failure, trial: false, policy: upstream.spec.passive, now: 1)
        #expect(await source.isTroubled)
        #expect(await !source.isTroubled)
        upstream.endpoints[0].report(
            .success, trial: false, policy: upstream.spec.passive, now: 2)
        #expect(await !source.isTroubled)
        upstream.endpoints[0].setOperational(.down, now: 3)
        #expect(await source.isTroubled)
    }

    @Test("The number of endpoints is bounded")
    func bound() async throws {
        let rig = Rig()
        async let loaded: Void = rig.load(self.configuration())
        try await self.source(rig).say(.found((1...2_000).map { UInt16($0) }))
        try await loaded
        #expect(try await rig.ports == (1...1_024).map { UInt16($0) })
    }
}

struct BackoffTests {
    @Test("Each pause lies between a half and the whole, which doubles up to the limit and begins anew")
    func pauses() {
        var backoff = Backoff(first: 100, limit: 700)
        for _ in 0..<2 {
            for whole: UInt64 in [100, 200, 400, 700, 700, 700] {
                #expect(((whole / 2)...whole).contains(backoff.next()), "\(whole)")
            }
            // However often: nothing overflows.
            for _ in 0..<100 { #expect((350...700).contains(backoff.next())) }
            backoff.reset()
        }
        var short = Backoff(first: 1_000, limit: 250)
        #expect((125...250).contains(short.next()))
    }
}
