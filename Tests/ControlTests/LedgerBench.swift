@testable import Control
import Dispatch
import Glibc
import Ledger
import Reactor
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

/// A publisher on fakes with a ledger in a folder of its own; it can be left behind, as by kill -9, and begun again.
final class LedgerBench: Sendable {
    let folder: String
    let file: String
    private let ownsFolder: Bool
    let registry = EndpointRegistry()
    let dataPlane: StagedDataPlane
    let publisher: TablePublisher
    let store: LedgerStore
    private let thread: BlockingThreads

    /// `patience`: milliseconds that the ledger's disk has for an answer.
    init(folder: String? = nil, clock: ControlClock = .system, patience: UInt64 = LedgerStore.patience) throws {
        self.folder = folder ?? BalancerProcess.makeFolder()
        self.ownsFolder = folder == nil
        self.file = "\(self.folder)/state/ledger.sqlite"
        self.thread = try BlockingThreads(named: "test-ledger")
        self.store = LedgerStore(path: self.file, thread: self.thread, patience: patience)
        self.dataPlane = StagedDataPlane()
        self.publisher = TablePublisher(
            registry: self.registry, dataPlane: self.dataPlane, clock: clock, ledger: self.store, replica: "test")
    }

    deinit { if self.ownsFolder { BalancerProcess.removeFolder(self.folder) } }

    /// As a process starts.
    @discardableResult
    func start(_ configuration: BalancerConfiguration = Sample.configuration()) async throws -> LedgerBench {
        await self.publisher.openLedger(isSuccessor: false)
        _ = try await self.publisher.load(configuration, origin: ChangeOrigin(.start, who: "routes.json"))
        return self
    }

    /// The next process on the same file.
    func restarted(_ configuration: BalancerConfiguration = Sample.configuration()) async throws -> LedgerBench {
        await self.store.close()
        return try await LedgerBench(folder: self.folder).start(configuration)
    }

    /// What kill -9 would leave of the files now, in a folder of its own.
    func leftByKill() throws -> String {
        let copy = BalancerProcess.makeFolder()
        mkdir("\(copy)/state", 0o700)
        for suffix in ["", "-wal"] {
            guard let bytes = try? WholeFile.read(self.file + suffix) else { continue }
            let descriptor = open("\(copy)/state/ledger.sqlite\(suffix)", O_WRONLY | O_CREAT, 0o600)
            guard write(descriptor, bytes, bytes.count) == bytes.count else { throw TestFailure("cannot copy") }
            close(descriptor)
        }
        return copy
    }

    /// Puts the ledger's folder aside, and a file in its place: it cannot be opened.
    func hide() {
        #expect(rename("\(self.folder)/state", "\(self.folder)/aside") == 0)
        close(open("\(self.folder)/state", O_CREAT | O_WRONLY, 0o600))
    }

    /// Puts it back.
    func show() {
        #expect(unlink("\(self.folder)/state") == 0)
        #expect(rename("\(self.folder)/aside", "\(self.folder)/state") == 0)
    }

    @discardableResult
    func setWeights(
        _ core: UInt32, _ gateway: UInt32, route: String = "api", force: Bool = false, reason: String = "test"
    ) async throws -> WeightChangeOutcome {
        try await self.publisher.setWeights(
            WeightChange(route: route, weights: ["core": core, "gateway": gateway], reason: reason, force: force),
            origin: ChangeOrigin(.api, who: "127.0.0.1"))
    }

    func set(_ state: Administrative, _ port: UInt16, force: Bool = false) async throws {
        _ = try await self.publisher.setAdministrative(
            AdministrativeChange(
                state: state, addresses: [Sample.address(port)], name: "x", reason: "test", force: force),
            origin: ChangeOrigin(.api, who: "127.0.0.1"))
    }

    func undo(_ target: UndoRequest.Target, _ edit: (inout UndoRequest) -> Void = { _ in }) async throws -> UndoOutcome
    {
        var request = UndoRequest(target, reason: "back")
        edit(&request)
        return try await self.publisher.undo(request, origin: ChangeOrigin(.api, who: "127.0.0.1"))
    }

    /// The disk answers nothing until `body` has ended, and then all that it was asked. Waits until it has.
    func whileDiskHangs(_ body: () async throws -> Void) async rethrows {
        let gate = DispatchSemaphore(value: 0)
        await withCheckedContinuation { began in
            Task {
                await self.thread.run {
                    began.resume()
                    gate.wait()
                }
            }
        }
        do {
            try await body()
        } catch {
            gate.signal()
            throw error
        }
        gate.signal()
        await self.thread.run {}
        // What was given up is counted as come back a moment after it has.
        while (try? await self.store.read { _ throws(LedgerFailure) in true }) == nil { await Task.yield() }
    }

    func weights(_ route: String = "api") async -> [UInt32] {
        let weights = await self.publisher.current.table.spec.routes.first { $0.name == route }?.split?.weights ?? [:]
        return [weights["core"] ?? 0, weights["gateway"] ?? 0]
    }

    func administrative(_ port: UInt16, _ upstream: String = "gateway") -> Administrative {
        self.registry.endpoint(upstream: upstream, address: Sample.address(port), probed: true).administrative
    }

    func journal(_ limit: Int = 1_000) async -> [JournalEntry] { await self.publisher.page(limit: limit).entries }
}

/// Binds nothing, and lets a test do something while a table is on its way.
final class StagedDataPlane: DataPlane {
    let whilePublishing = Mutex<(@Sendable () async -> Void)?>(nil)

    func publish(_ table: RoutingTable) async {
        if let stage = self.whilePublishing.withLock({ $0 }) { await stage() }
    }
    func listen(on listeners: [ListenerSpec]) async throws {}
    func boundAddresses() async -> [String: SocketAddress] { [:] }
    func snapshots() async -> [WorkerSnapshot] { [] }
}
