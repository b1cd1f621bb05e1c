@testable import Control
import Foundation
import Logging
import RoutesFile
import Testing
import Traffic

/// A directory of its own, gone when the test is.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("balancer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(self.path)/\(name)"))
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ReloadTests {
    private static func routes(core: Int) -> String {
        """
        {"listeners": [{"name": "public", "address": "127.0.0.1:8080"}],
         "upstreams": {"core": {"endpoints": ["127.0.0.1:3300"]}, "gateway": {"endpoints": ["127.0.0.1:3301"]}},
         "routes": [{"name": "api", "match": {"path": "/"}, "split": {"core": \(core), "gateway": 10}}]}
        """
    }

    private struct Rig {
        let bench = Bench()
        let directory: TemporaryDirectory
        let reloader: ConfigurationReloader
        var path: String { "\(self.directory.path)/routes.json" }

        init() throws {
            self.directory = try TemporaryDirectory()
            self.reloader = ConfigurationReloader(
                path: "\(self.directory.path)/routes.json", publisher: self.bench.publisher,
                clock: self.bench.time.clock, thread: SharedThread.files,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        func write(_ text: String) throws { try self.directory.write(text, to: "routes.json") }
    }

    @Test("A good file is put in force, a bad one changes nothing and is told by line and path")
    func reload() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        #expect(await rig.reloader.reload(.start))
        #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        try rig.write(Self.routes(core: 90).replacingOccurrences(of: "\"gateway\": 10", with: "\"gatway\": 10"))
        #expect(await rig.reloader.reload(.signal) == false)
        let report = await rig.reloader.report
        #expect(!report.ok && report.successes == 1 && report.failures == 1)
        #expect(report.problems.map(\.path) == ["$.routes[0].split.gatway"])
        #expect(report.problems.first?.line == 3)
        #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        #expect(await rig.bench.publisher.entries.map(\.what) == [.load, .loadRejected])
        try rig.write(Self.routes(core: 80))
        #expect(await rig.reloader.reload(.file))
        #expect(await rig.reloader.report.ok)
        #expect(await rig.bench.weights == ["core": 80, "gateway": 10])
    }

    @Test("A touched file with the same bytes is no load at all, nor is an empty or a missing one")
    func untouched() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        #expect(await rig.reloader.reload(.file))
        try rig.write("")
        #expect(await rig.reloader.reload(.file))
        try FileManager.default.removeItem(atPath: rig.path)
        #expect(await rig.reloader.reload(.file))
        #expect(await rig.reloader.report.successes == 1)
        #expect(await rig.reloader.report.failures == 0)
        // Asked for by name, the missing file is a problem.
        #expect(await rig.reloader.reload(.signal) == false)
    }

    @Test("What a running process cannot change is told")
    func needsRestart() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        let changed = """
            {"workers": 3, "accessLog": {"enabled": false}, "batching": {"enabled": false}, \
            "operationalLog": {"level": "error"},
            """
        try rig.write(changed + Self.routes(core: 90).dropFirst())
        #expect(await rig.reloader.reload(.file))
        #expect(
            await rig.reloader.report.needsRestart == ["$.accessLog", "$.operationalLog", "$.batching", "$.workers"])
    }

    @Test("A file that changed between its first reading and the watch is not missed")
    func changedBeforeWatch() async throws {
        let rig = try Rig()
        let first = Array(Self.routes(core: 90).utf8)
        try rig.write(Self.routes(core: 60))
        #expect(await rig.reloader.start(try RoutesFile.parse(first), bytes: first))
        #expect(await rig.bench.weights["core"] == 90)
        let watcher = try ConfigurationWatcher(path: rig.path, reloader: rig.reloader, clock: rig.bench.time.clock)
        let task = Task { await watcher.run() }
        while await rig.reloader.report.successes < 2 { await Task.yield() }
        #expect(await rig.bench.weights["core"] == 60)
        task.cancel()
        await task.value
    }

    /// Ways in which a file changes that a watch on its inode would miss.
    enum Change: CaseIterable, Sendable {
        case inPlace
        case rename
        case linkSwap
    }

    @Test("A change is seen however it is written", arguments: Change.allCases)
    func watching(change: Change) async throws {
        let rig = try Rig()
        let directory = rig.directory
        if change == .linkSwap {
            // As Kubernetes mounts a ConfigMap: routes.json → ..data/routes.json, ..data → ..1.
            for generation in [1, 2] {
                try FileManager.default.createDirectory(
                    atPath: "\(directory.path)/..\(generation)", withIntermediateDirectories: false)
            }
            try directory.write(Self.routes(core: 90), to: "..1/routes.json")
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory.path)/..data", withDestinationPath: "..1")
            try FileManager.default.createSymbolicLink(atPath: rig.path, withDestinationPath: "..data/routes.json")
        } else {
            try rig.write(Self.routes(core: 90))
        }
        #expect(await rig.reloader.reload(.start))
        let watcher = try ConfigurationWatcher(path: rig.path, reloader: rig.reloader)
        let task = Task { await watcher.run() }
        switch change {
        case .inPlace: try rig.write(Self.routes(core: 70))
        case .rename:
            try directory.write(Self.routes(core: 70), to: "new")
            #expect(rename("\(directory.path)/new", rig.path) == 0)
        case .linkSwap:
            try directory.write(Self.routes(core: 70), to: "..2/routes.json")
            try FileManager.default.createSymbolicLink(
                atPath: "\(directory.path)/..tmp", withDestinationPath: "..2")
            #expect(rename("\(directory.path)/..tmp", "\(directory.path)/..data") == 0)
        }
        while await rig.reloader.report.successes < 2 { await Task.yield() }
        #expect(await rig.bench.weights["core"] == 70)
        task.cancel()
        await task.value
    }
}
