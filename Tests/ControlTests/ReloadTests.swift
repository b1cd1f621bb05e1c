@testable import Control
import Foundation
import Glibc
import Logging
import RoutesFile
import Synchronization
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

    @Test("A touched file with the same bytes is no load at all; a missing or an empty one is told when it stays so")
    func untouched() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        #expect(await rig.reloader.reload(.file))
        for (empty, reason) in [(true, "it is empty"), (false, "there is no such file")] {
            if empty { try rig.write("") } else { try FileManager.default.removeItem(atPath: rig.path) }
            #expect(await rig.reloader.reload(.file), "it may be being replaced")
            rig.bench.time.advance(ReloadTrouble.grace)
            #expect(await rig.reloader.reload(.file) == false)
            #expect(await rig.reloader.report.problems.map(\.message) == ["cannot read \(rig.path): \(reason)"])
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
            try rig.write(Self.routes(core: 90))
            #expect(await rig.reloader.reload(.file), "the file in force is in place again")
            #expect(await rig.reloader.report.problems == [])
        }
        #expect(await rig.reloader.report.successes == 1)
        #expect(await rig.reloader.report.failures == 2)
        #expect(await rig.bench.publisher.entries.map(\.what) == [.load, .loadRejected, .loadRejected])
    }

    @Test("A directory, a link that leads to itself or a pipe in the file's place is told and changes nothing")
    func wrongKind() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        for (place, reason) in [
            ({ _ = mkdir($0, 0o700) }, "it is a directory"),
            ({ _ = symlink("routes.json", $0) }, "stat: Too many levels of symbolic links"),
            ({ _ = mkfifo($0, 0o600) }, "it is a pipe, which is read at the start only"),
        ] as [((String) -> Void, String)] {
            try FileManager.default.removeItem(atPath: rig.path)
            place(rig.path)
            #expect(await rig.reloader.reload(.file) == false)
            #expect(await rig.reloader.report.problems.map(\.message) == ["cannot read \(rig.path): \(reason)"])
            #expect(await rig.bench.weights == ["core": 90, "gateway": 10])
        }
        try FileManager.default.removeItem(atPath: rig.path)
        try rig.write(Self.routes(core: 90))
        #expect(await rig.reloader.reload(.file))
    }

    @Test("The bad file's place taken by the one in force makes all well, without a load")
    func putBack() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        try rig.write("{bad")
        #expect(await rig.reloader.reload(.file) == false)
        #expect(await rig.reloader.reload(.file) == false)
        #expect(await rig.reloader.report.failures == 1, "what has failed by its own fault is not tried again")
        try rig.write(Self.routes(core: 90))
        #expect(await rig.reloader.reload(.file))
        #expect(await rig.reloader.report.successes == 1)
    }

    @Test(
        "A good file that failed for a cause that passed is tried again, whatever the cause", arguments: [true, false])
    func passing(takeover: Bool) async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        if takeover {
            _ = try await rig.bench.publisher.beginHandOver()
        } else {
            rig.bench.dataPlane.state.withLock { $0.refusesToListen = true }
        }
        try rig.write(Self.routes(core: 60).replacingOccurrences(of: ":8080", with: ":8081"))
        #expect(await rig.reloader.reload(.file) == false)
        rig.bench.time.advance(ReloadTrouble.firstPause)
        #expect(await rig.reloader.reload(.file) == false)
        #expect(await rig.reloader.report.failures == 2)
        #expect(await rig.bench.publisher.entries.map(\.what) == [.load, .loadRejected], "told once")
        if takeover {
            await rig.bench.publisher.abandonHandOver()
        } else {
            rig.bench.dataPlane.state.withLock { $0.refusesToListen = false }
        }
        #expect(await rig.reloader.reload(.file) == false, "not before its time")
        rig.bench.time.advance(2 * ReloadTrouble.firstPause)
        #expect(await rig.reloader.reload(.file))
        #expect(await rig.bench.weights["core"] == 60)
    }

    @Test("Nobody has to ask for the further try")
    func byItself() async throws {
        let bench = Bench()
        let directory = try TemporaryDirectory()
        let tries = Mutex(0)
        var clock = bench.time.clock
        clock.sleep = { milliseconds in
            await Task.yield()
            bench.time.advance(milliseconds)
            let number = tries.withLock { number in
                number += 1
                return number
            }
            if number == 3 { bench.dataPlane.state.withLock { $0.refusesToListen = false } }
        }
        let reloader = ConfigurationReloader(
            path: "\(directory.path)/routes.json", publisher: bench.publisher, clock: clock,
            thread: SharedThread.files, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try directory.write(Self.routes(core: 90), to: "routes.json")
        #expect(await reloader.reload(.start))
        bench.dataPlane.state.withLock { $0.refusesToListen = true }
        try directory.write(Self.routes(core: 60).replacingOccurrences(of: ":8080", with: ":8081"), to: "routes.json")
        _ = await reloader.reload(.file)
        while await reloader.report.successes < 2 { await Task.yield() }
        #expect(await bench.weights["core"] == 60)
        #expect(tries.withLock { $0 } == 3)
    }

    @Test("What a running process cannot change is told")
    func needsRestart() async throws {
        let rig = try Rig()
        try rig.write(Self.routes(core: 90))
        _ = await rig.reloader.reload(.start)
        let changed = """
            {"workers": 3, "accessLog": {"enabled": false}, "batching": {"enabled": false}, \
            "operationalLog": {"level": "error"}, "takeover": {"path": "/tmp/other.sock"}, \
            "admin": {"address": "127.0.0.1:9"},
            """
        try rig.write(changed + Self.routes(core: 90).dropFirst())
        #expect(await rig.reloader.reload(.file))
        #expect(
            await rig.reloader.report.needsRestart == [
                "$.admin", "$.accessLog", "$.operationalLog", "$.batching", "$.workers", "$.takeover",
            ])
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

    /// Ways in which a file changes that a watch on its inode, or on its directory, would miss.
    enum Change: CaseIterable, Sendable {
        case inPlace
        case rename
        case linkSwap
        case directorySwap
        case linkAbove
    }

    @Test("A change is seen however it is written, and the next one in what is there then", arguments: Change.allCases)
    func watching(change: Change) async throws {
        let directory = try TemporaryDirectory()
        let top = directory.path
        let (bench, files) = (Bench(), FileManager.default)
        var name = "routes.json"
        switch change {
        case .inPlace, .rename: break
        case .linkSwap:
            // As Kubernetes mounts a ConfigMap: routes.json → ..data/routes.json, ..data → ..1.
            for generation in [1, 2] {
                try files.createDirectory(atPath: "\(top)/..\(generation)", withIntermediateDirectories: false)
            }
            try files.createSymbolicLink(atPath: "\(top)/..data", withDestinationPath: "..1")
            try files.createSymbolicLink(atPath: "\(top)/routes.json", withDestinationPath: "..data/routes.json")
        case .directorySwap:
            try files.createDirectory(atPath: "\(top)/etc/balancer", withIntermediateDirectories: true)
            try files.createDirectory(atPath: "\(top)/new", withIntermediateDirectories: false)
            name = "etc/balancer/routes.json"
        case .linkAbove:
            // As git-sync and deployments with releases do: current → releases/1.
            for generation in [1, 2] {
                try files.createDirectory(
                    atPath: "\(top)/releases/\(generation)/config", withIntermediateDirectories: true)
            }
            try files.createSymbolicLink(atPath: "\(top)/current", withDestinationPath: "releases/1")
            name = "current/config/routes.json"
        }
        try directory.write(Self.routes(core: 90), to: name)
        let reloader = ConfigurationReloader(
            path: "\(top)/\(name)", publisher: bench.publisher, thread: SharedThread.files,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(await reloader.reload(.start))
        let watcher = try ConfigurationWatcher(path: "\(top)/\(name)", reloader: reloader)
        let task = Task { await watcher.run() }
        switch change {
        case .inPlace: try directory.write(Self.routes(core: 70), to: name)
        case .rename:
            try directory.write(Self.routes(core: 70), to: "new")
            #expect(rename("\(top)/new", "\(top)/routes.json") == 0)
        case .linkSwap:
            try directory.write(Self.routes(core: 70), to: "..2/routes.json")
            try files.createSymbolicLink(atPath: "\(top)/..tmp", withDestinationPath: "..2")
            #expect(rename("\(top)/..tmp", "\(top)/..data") == 0)
        case .directorySwap:
            try directory.write(Self.routes(core: 70), to: "new/routes.json")
            #expect(rename("\(top)/etc/balancer", "\(top)/old") == 0)
            #expect(rename("\(top)/new", "\(top)/etc/balancer") == 0)
        case .linkAbove:
            try directory.write(Self.routes(core: 70), to: "releases/2/config/routes.json")
            try files.createSymbolicLink(atPath: "\(top)/next", withDestinationPath: "releases/2")
            #expect(rename("\(top)/next", "\(top)/current") == 0)
        }
        while await bench.weights["core"] != 70 { await Task.yield() }
        // In place, where the file is now.
        try directory.write(Self.routes(core: 50), to: name)
        while await bench.weights["core"] != 50 { await Task.yield() }
        task.cancel()
        await task.value
    }

    @Test("A change of rights is a change")
    func rights() async throws {
        let directory = try TemporaryDirectory()
        try directory.write("x", to: "routes.json")
        let watch = try PathWatch(file: "\(directory.path)/routes.json")
        #expect(chmod("\(directory.path)/routes.json", 0o644) == 0)
        for await _ in watch.changes { break }
        #expect(chmod(directory.path, 0o755) == 0)
        for await _ in watch.changes { break }
        watch.stop()
    }
}
