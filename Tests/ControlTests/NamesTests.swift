@testable import Control
import Glibc
import Logging
import Reactor
import RoutesFile
import Synchronization
import Testing
import Traffic

/// Endpoints that are given by host names: looked up at a load, tried again, and never in the way of the others.
@Suite(.timeLimit(.minutes(1)))
struct NamesTests {
    /// A name service that a test writes.
    private final class Zone: Sendable {
        private let answers = Mutex<[String: [IPAddress]]>([:])
        private let count = Mutex<[String: Int]>([:])

        func set(_ host: String, _ addresses: String...) {
            self.answers.withLock { $0[host] = addresses.compactMap { IPAddress(parsing: $0) } }
        }

        func remove(_ host: String) { self.answers.withLock { $0[host] = nil } }

        func asked(_ host: String) -> Int { self.count.withLock { $0[host] ?? 0 } }

        var resolver: HostResolver {
            HostResolver { host in
                self.count.withLock { $0[host, default: 0] += 1 }
                return self.answers.withLock { $0[host] }.map { .success($0) }
                    ?? .failure(LookUpFailure(reason: "no such name"))
            }
        }
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// A control plane on fakes, its file, and the task that looks names up.
    private final class Rig: Sendable {
        let bench = Bench()
        let directory: TemporaryDirectory
        let names: HostNames
        let reloader: ConfigurationReloader
        let running: Task<Void, Never>

        init(_ resolver: HostResolver, clock: ControlClock = .system, threads: Int = 4) throws {
            let directory = try TemporaryDirectory()
            let (bench, logger) = (self.bench, NamesTests.logger)
            let names = HostNames(
                resolver: resolver, threads: try BlockingThreads(named: "names", count: threads), clock: clock,
                logger: logger)
            self.directory = directory
            self.names = names
            self.reloader = ConfigurationReloader(
                path: "\(directory.path)/routes.json", publisher: bench.publisher, names: names, clock: clock,
                thread: SharedThread.files, logger: logger)
            self.running = Task { await names.run(publishing: bench.publisher) }
        }

        deinit { self.running.cancel() }

        /// Writes a file with these endpoints of `core` and loads it.
        func load(_ endpoints: String..., door: ChangeOrigin.Door = .signal) async throws -> Bool {
            let list = endpoints.map { "\"\($0)\"" }.joined(separator: ", ")
            try self.directory.write(
                """
                {"listeners": [{"name": "public", "address": "127.0.0.1:8080"}],
                 "upstreams": {"core": {"endpoints": [\(list)]}}, "routes": [{"name": "api", "split": {"core": 1}}]}
                """, to: "routes.json")
            return await self.reloader.reload(door)
        }

        var endpoints: [String] {
            get async {
                await self.bench.publisher.current.table.spec.upstreams.flatMap(\.endpoints).map(\.description)
            }
        }

        var unresolved: [String: String] {
            get async {
                Dictionary(
                    await self.bench.publisher.current.unresolved.map { ("\($0.name)", $0.reason) },
                    uniquingKeysWith: { first, _ in first })
            }
        }
    }

    /// Time does not pass between two tries.
    private static var impatient: ControlClock {
        var clock = ControlClock.system
        clock.sleep = { milliseconds in
            // The load's own patience is kept.
            try await Task.sleep(for: .milliseconds(milliseconds == HostNames.patience ? milliseconds : 1))
        }
        return clock
    }

    @Test("An upstream gets as many addresses of names as the file may give it, and each once")
    func bound() {
        var names = ResolvedNames()
        let many = (0..<1_500).map { IPAddress(v4: 0x0A00_0000 | UInt32($0)) }
        let hasChanged = [
            names.put(.success(Array(many.prefix(10))), host: "few"), names.put(.success(many), host: "many"),
        ]
        #expect(hasChanged == [true, true])
        var upstream = UpstreamSpec(name: "core")
        upstream.endpoints = [SocketAddress(ip: many[0], port: 80)]
        upstream.names = ["few", "Many"].enumerated().map { EndpointName(host: $1, port: 80, position: $0 + 1) }
        var spec = TableSpec()
        spec.upstreams = [upstream]
        let unresolved = names.fill(&spec, listeners: [])
        #expect(unresolved.isEmpty)
        #expect(spec.upstreams[0].endpoints == many.prefix(1_024).map { SocketAddress(ip: $0, port: 80) })
    }

    @Test("A name that is not found holds up nothing but its endpoint, which comes when the name does")
    func later() async throws {
        let zone = Zone()
        zone.set("core", "10.0.0.1", "10.0.0.2")
        let rig = try Rig(zone.resolver, clock: Self.impatient)
        #expect(try await rig.load("10.0.0.9:80", "core:80", "nowhere:81"))
        #expect(await rig.endpoints == ["10.0.0.9:80", "10.0.0.1:80", "10.0.0.2:80"])
        #expect(await rig.unresolved == ["nowhere:81": "no such name"])
        let generation = await rig.bench.publisher.current.table.generation
        zone.set("nowhere", "10.0.0.3")
        while await rig.endpoints.count < 4 { await Task.yield() }
        #expect(await rig.endpoints.last == "10.0.0.3:81")
        #expect(await rig.unresolved == [:])
        #expect(await rig.bench.publisher.current.table.generation == generation + 1)
        let entry = try #require(await rig.bench.publisher.entries.last)
        #expect(entry.what == .endpoints && entry.subject == "core" && entry.detail == "found 10.0.0.3:81")
        let asked = zone.asked("nowhere")
        #expect(try await rig.load("10.0.0.9:80", "core:80", "nowhere:81"))
        #expect(
            zone.asked("nowhere") == asked + 1, "each load asks again, and what is found is not asked for otherwise")
    }

    @Test("What a look-up fails to find changes nothing")
    func goes() async throws {
        let zone = Zone()
        zone.set("core", "10.0.0.1")
        let rig = try Rig(zone.resolver, clock: Self.impatient)
        #expect(try await rig.load("core:80"))
        zone.remove("core")
        #expect(try await rig.load("core:80"))
        #expect(await rig.endpoints == ["10.0.0.1:80"])
        #expect(await rig.unresolved == ["core:80": "no such name"])
        zone.set("core", "10.0.0.2")
        while await rig.endpoints != ["10.0.0.2:80"] { await Task.yield() }
    }

    @Test("Names are looked up beside each other")
    func sideBySide() async throws {
        // Each answers when all four have been asked for.
        let asked = Mutex(0)
        let resolver = HostResolver { _ in
            asked.withLock { $0 += 1 }
            while asked.withLock({ $0 }) < 4 { usleep(1_000) }
            return .success([IPAddress(v4: 0x0A00_0001)])
        }
        let rig = try Rig(resolver)
        #expect(try await rig.load("a:1", "b:2", "c:3", "d:4"))
        #expect(await rig.endpoints == ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "10.0.0.1:4"])
    }

    @Test("A load waits for a name that nobody answers, but not for long")
    func silent() async throws {
        let isOver = Mutex(false)
        let resolver = HostResolver { _ in
            while !isOver.withLock({ $0 }) { usleep(1_000) }
            return .success([IPAddress(v4: 0x0A00_0001)])
        }
        var clock = ControlClock.system
        clock.sleep = { _ in await Task.yield() }
        let rig = try Rig(resolver, clock: clock)
        #expect(try await rig.load("10.0.0.9:80", "core:80"))
        #expect(await rig.endpoints == ["10.0.0.9:80"])
        #expect(await rig.unresolved == ["core:80": "it is being looked up"])
        isOver.withLock { $0 = true }
        while await rig.endpoints.count < 2 { await Task.yield() }
    }

    @Test("An address counts once whichever names lead to it, and one of our own listeners is no endpoint")
    func shared() async throws {
        let zone = Zone()
        zone.set("core", "10.0.0.1", "10.0.0.2")
        zone.set("also", "10.0.0.2", "10.0.0.1")
        zone.set("self", "127.0.0.1")
        let rig = try Rig(zone.resolver, clock: Self.impatient)
        #expect(try await rig.load("core:8080", "also:8080", "self:8080"))
        #expect(await rig.endpoints == ["10.0.0.1:8080", "10.0.0.2:8080"])
        #expect(
            await rig.unresolved == [
                "self:8080": "127.0.0.1:8080 is the listener \"public\" of this balancer itself"
            ])
    }

    @Test("A process that takes over knows the names that its predecessor knew")
    func takeover() async throws {
        let zone = Zone()
        zone.set("core", "10.0.0.1")
        let rig = try Rig(zone.resolver, clock: Self.impatient)
        #expect(try await rig.load("Core:80"))
        #expect(await rig.endpoints == [], "names are asked for as they are written")
        zone.set("Core", "10.0.0.1")
        while await rig.endpoints.isEmpty { await Task.yield() }
        let state = try await rig.bench.publisher.beginHandOver()
        let next = try Rig(Zone().resolver, clock: Self.impatient)
        await next.bench.publisher.inherit(state, origin: ChangeOrigin(.takeover))
        #expect(try await next.load("Core:80", door: .start))
        #expect(await next.endpoints == ["10.0.0.1:80"])
        #expect(await next.unresolved == ["Core:80": "no such name"])
    }

    @Test("check tells what a balancer would find")
    func check() async throws {
        let zone = Zone()
        zone.set("core", "10.0.0.1")
        zone.set("also", "10.0.0.1")
        let text = """
            {"listeners": [{"name": "public", "address": "127.0.0.1:8080"}],
             "upstreams": {"core": {"endpoints": ["core:80", "10.0.0.2:80", "also:80", "nowhere:80"]}},
             "routes": [{"name": "api", "split": {"core": 1}}]}
            """
        let configuration = try RoutesFile.parse(Array(text.utf8))
        let warnings = await NameCheck.warnings(configuration, resolver: zone.resolver, threads: SharedThread.files)
        #expect(
            warnings.map(\.description) == [
                "$.upstreams.core.endpoints[3]: \"nowhere\": no such name",
                "$.upstreams.core.endpoints[2]: the endpoint 10.0.0.1:80 is also given as \"core:80\"",
            ])
    }

    @Test("The system knows where localhost is")
    func systemResolver() throws {
        let addresses = try HostResolver.system.addresses(of: "localhost")
        #expect(addresses.contains(IPAddress(v4: 0x7F00_0001)) || addresses.contains(IPAddress(high: 0, low: 1)))
        #expect(Set(addresses).count == addresses.count)
        // A label of 64 letters is refused without asking any server, so this does not wait for a network.
        let tooLong = String(repeating: "x", count: 64)
        #expect(throws: LookUpFailure.self) { try HostResolver.system.addresses(of: tooLong) }
    }
}
