import Control
@testable import Reactor
import RoutesFile
import Synchronization
import Traffic

/// Waits until something holds that no event tells; false if it does not come to pass within half a minute.
func happens(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<6_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return try await condition()
}

/// Remembers what it was told; binds nothing.
final class FakeDataPlane: DataPlane {
    struct State {
        var generations: [UInt64] = []
        var tables: [RoutingTable] = []
        var listeners: [[ListenerSpec]] = []
        var refusesToListen = false
        var workers: [WorkerSnapshot] = [WorkerSnapshot(worker: 0, generation: 0)]
        var stages: [StageCounts] = []
        var needs: [NeedCount] = []
        /// Runs once, while stages are being counted.
        var beforeStageCounts: (@Sendable () async -> Void)?
    }

    let state = Mutex(State())

    func publish(_ table: RoutingTable) async {
        // Gives a second change the chance to overtake, which it must not.
        await Task.yield()
        self.state.withLock {
            $0.generations.append(table.generation)
            $0.tables.append(table)
        }
    }

    func listen(on listeners: [ListenerSpec]) async throws {
        try self.state.withLock {
            if $0.refusesToListen {
                throw ListenerRefused(
                    name: listeners.last?.name ?? "", cause: "bind 127.0.0.1:80: Permission denied")
            }
            $0.listeners.append(listeners)
        }
    }

    func boundAddresses() async -> [String: SocketAddress] {
        self.state.withLock { state in
            Dictionary(
                (state.listeners.last ?? []).map { ($0.name, $0.address) }, uniquingKeysWith: { first, _ in first })
        }
    }

    func snapshots() async -> [WorkerSnapshot] { self.state.withLock { $0.workers } }

    func stageCounts() async -> [StageCounts] {
        if let body = self.state.withLock({ $0.beforeStageCounts.take() }) { await body() }
        return self.state.withLock { $0.stages }
    }

    func takeNeeds() async -> [NeedCount] {
        self.state.withLock { state in
            defer { state.needs = [] }
            return state.needs
        }
    }

    var generations: [UInt64] { self.state.withLock { $0.generations } }
}

/// Threads for calls that block, kept for the whole run.
enum SharedThread {
    static let files: BlockingThreads = {
        do {
            return try BlockingThreads(named: "test-files")
        } catch {
            preconditionFailure("\(error)")
        }
    }()
}

/// Time that moves when a test says so. Sleeps end only by cancellation.
final class ManualClock: Sendable {
    let now = Mutex<UInt64>(10_000)
    private let setBack = Mutex<UInt64>(0)

    var clock: ControlClock {
        ControlClock(
            monotonic: { self.now.withLock { $0 } },
            // 2026-01-02T03:04:05Z at monotonic 0.
            wall: { 1_767_323_045_000 + self.now.withLock { $0 } - self.setBack.withLock { $0 } },
            sleep: { _ in try await Task.sleep(for: .seconds(3_600)) })
    }

    /// Sets the wall clock back.
    func setWall(back milliseconds: UInt64) { self.setBack.withLock { $0 = milliseconds } }

    func advance(_ milliseconds: UInt64) { self.now.withLock { $0 += milliseconds } }
}

/// Answers probes from a script by address; without one, 200.
final class FakeProbeTransport: ProbeTransport {
    struct Call: Sendable {
        var address: SocketAddress
        var request: [UInt8]
        var milliseconds: UInt32
        /// The name that is asked for and demanded by TLS; nil: plain.
        var secureName: String?
    }

    private struct State {
        var answers: [SocketAddress: DialResult] = [:]
        var calls: [Call] = []
        var beforeAnswer: (@Sendable () async -> Void)?
    }

    private let state = Mutex(State())

    var calls: [Call] { self.state.withLock { $0.calls } }

    /// Runs once, while the next probe is under way.
    func beforeAnswer(_ body: @escaping @Sendable () async -> Void) { self.state.withLock { $0.beforeAnswer = body } }

    func answer(_ address: SocketAddress, _ end: DialResult.End, _ text: String = "") {
        let result = DialResult(end: end, bytes: Array(text.utf8), microseconds: 1_500)
        self.state.withLock { $0.answers[address] = result }
    }

    func exchange(
        with address: SocketAddress, tls: DialTLS?, request: [UInt8], connectMilliseconds: UInt32,
        milliseconds: UInt32, limit: Int, isComplete: @escaping @Sendable ([UInt8]) -> Bool
    ) async -> DialResult {
        if let body = self.state.withLock({ $0.beforeAnswer.take() }) { await body() }
        return self.state.withLock {
            $0.calls.append(
                Call(address: address, request: request, milliseconds: milliseconds, secureName: tls?.name))
            return $0.answers[address]
                ?? DialResult(end: .complete, bytes: Array("HTTP/1.1 200 OK\r\n\r\n".utf8), microseconds: 900)
        }
    }
}

enum Sample {
    static func address(_ port: UInt16) -> SocketAddress {
        SocketAddress(ip: IPAddress(v4: 0x7F00_0001), port: port)
    }

    static let public8080 = ListenerSpec(name: "public", address: Sample.address(8080))

    /// core on 3300, gateway on 3301 and 3302, both probed; route `api` splits 90 to 10, `old` redirects.
    static func table(core: UInt32 = 90, gateway: UInt32 = 10, failover: Bool = true) -> TableSpec {
        var table = TableSpec()
        var coreSpec = UpstreamSpec(name: "core")
        coreSpec.endpoints = [Sample.address(3300)]
        coreSpec.health = ProbeSpec()
        var gatewaySpec = UpstreamSpec(name: "gateway")
        gatewaySpec.endpoints = [Sample.address(3301), Sample.address(3302)]
        gatewaySpec.health = ProbeSpec()
        table.upstreams = [coreSpec, gatewaySpec]
        var api = RouteSpec(
            name: "api",
            action: .split([
                SplitEntry(upstream: "core", weight: core), SplitEntry(upstream: "gateway", weight: gateway),
            ]))
        api.match.paths = [.prefix("/")]
        api.failover = failover
        var old = RouteSpec(name: "old", action: .redirect(RedirectSpec()))
        old.match.paths = [.exact("/old")]
        table.routes = [api, old]
        return table
    }

    static func configuration(core: UInt32 = 90, gateway: UInt32 = 10, failover: Bool = true) -> BalancerConfiguration {
        BalancerConfiguration(
            listeners: [Self.public8080], table: Self.table(core: core, gateway: gateway, failover: failover))
    }
}

/// A control plane on fakes.
struct Bench: Sendable {
    let registry = EndpointRegistry()
    let dataPlane = FakeDataPlane()
    let time = ManualClock()
    let publisher: TablePublisher

    init() {
        self.publisher = TablePublisher(registry: self.registry, dataPlane: self.dataPlane, clock: self.time.clock)
    }

    func load(_ configuration: BalancerConfiguration, _ door: ChangeOrigin.Door = .file) async throws -> LoadOutcome {
        try await self.publisher.load(configuration, origin: ChangeOrigin(door, who: "routes.json"))
    }

    func setWeights(
        _ weights: [String: UInt32], ifMatch: [String] = [], dryRun: Bool = false, force: Bool = false
    ) async throws -> WeightChangeOutcome {
        try await self.publisher.setWeights(
            WeightChange(
                route: "api", weights: weights, reason: "test", ifMatch: ifMatch, dryRun: dryRun, force: force),
            origin: ChangeOrigin(.api, who: "127.0.0.1"))
    }

    var weights: [String: UInt32] {
        get async {
            await self.publisher.current.table.spec.routes.first { $0.name == "api" }?.split?.weights ?? [:]
        }
    }
}

extension TablePublisher {
    func setAdministrative(
        _ state: Administrative, of address: SocketAddress, upstream: String? = nil, reason: String = "",
        origin: ChangeOrigin
    ) async throws(ChangeRefused) -> [String] {
        try await self.setAdministrative(
            AdministrativeChange(
                state: state, addresses: [address], name: "\(address)", upstream: upstream, reason: reason),
            origin: origin
        ).upstreams
    }
}
