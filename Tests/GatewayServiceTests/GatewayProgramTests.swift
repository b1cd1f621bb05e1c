import Documents
import Foundation
import TestSupport
import Testing

@testable import GatewayService

/// The program itself, with outputs that nobody reads.
@Suite("Program")
struct GatewayProgramTests {
    private static let program: String = {
        if let path = ProcessInfo.processInfo.environment["GATEWAY_BINARY"] { return path }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.appendingPathComponent(".build/debug/gateway").path
    }()

    /// A small database file, and a configuration for it.
    private func withConfiguration(_ body: (_ path: String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gateway-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let database = folder.appendingPathComponent("small.sqlite").path
        let store = try EmbeddedStore(writing: database)
        try store.insert(SampleData(shape: .small).documents())
        await store.close()
        let text =
            #"{"server":{"port":0,"host":"127.0.0.1","drain":0,"requestLog":true},"db":{"uri":"sqlite:\#(database)"}}"#
        let file = folder.appendingPathComponent("main.json")
        try Data(text.utf8).write(to: file)
        try await body(file.path)
    }

    /// Starts the program by a shell, which can close descriptors. The pipes' ends are the program's alone.
    private func start(_ redirections: String, _ arguments: [String], output: Pipe? = nil, errors: Pipe? = nil) throws
        -> Process
    {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", #"exec "$0" "$@" \#(redirections)"#, Self.program] + arguments
        process.environment = ["LOG_LEVEL": "debug", "PATH": "/usr/bin:/bin"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output ?? FileHandle.nullDevice
        process.standardError = errors ?? FileHandle.nullDevice
        try Launcher.run(process)
        return process
    }

    /// Waits until the program answers. Returns its port.
    private func awaitLife(_ process: Process) async throws -> Int {
        let port = Int(try listeningPort(of: process.processIdentifier))
        let probe = HealthProbe(host: "127.0.0.1", port: port)
        let end = ContinuousClock.now + .seconds(60)
        while await !probe.isAlive(within: .seconds(5)) {
            try #require(process.isRunning && .now < end, "the gateway does not answer")
            try await Task.sleep(for: .milliseconds(20))
        }
        return port
    }

    private func answer(_ port: Int, _ target: String) async throws -> String {
        try await RunningServer(port: port, stop: {}).send("GET", target).status
    }

    /// Requests that fail, each of its own route, then one that does not, then the end.
    private func expectsToServeAndEnd(_ process: Process) async throws {
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let port = try await awaitLife(process)
        for target in ["/score/x/y", "/scoremetadata/y", "/locationstats/y", "/nominatorstake/x/y"] {
            #expect(try await answer(port, target) == "HTTP/1.1 500 Internal Server Error")
        }
        #expect(try await answer(port, "/blockindex") == "HTTP/1.1 200 OK")
        #expect(process.isRunning)
        process.terminate()
        let end = ContinuousClock.now + .seconds(20)
        while process.isRunning, .now < end { try await Task.sleep(for: .milliseconds(20)) }
        try #require(!process.isRunning, "the gateway does not end")
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 0)
    }

    @Test(arguments: [">&-", "2>&-", ">&- 2>&- <&-"])
    func closedOutputs(redirections: String) async throws {
        try await withConfiguration { path in
            let process = try start(redirections, ["serve", "--config", path])
            try await expectsToServeAndEnd(process)
        }
    }

    /// A process that is confined to one processor has one event loop, unless the environment asks for more.
    @Test(arguments: [("", 1), ("NIO_SINGLETON_GROUP_LOOP_COUNT=3 ", 3)])
    func eventLoopsForTheProcessorsThatThereAre(environment: String, count: Int) async throws {
        try await withConfiguration { path in
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            // The first processor that this process may run on itself.
            process.arguments = [
                "-c", #"\#(environment)exec taskset -c $(taskset -cp $$ | grep -o '[0-9]*' | sed -n 2p) "$0" "$@""#,
                Self.program, "serve", "--config", path,
            ]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try Launcher.run(process)
            defer {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            _ = try await awaitLife(process)
            let tasks = "/proc/\(process.processIdentifier)/task"
            let names = try FileManager.default.contentsOfDirectory(atPath: tasks).compactMap {
                try? String(contentsOfFile: "\(tasks)/\($0)/comm", encoding: .utf8)
            }
            #expect(names.filter { $0.hasPrefix("NIO-SGLTN") }.count == count)
        }
    }

    @Test(arguments: [
        ("Name:\tgateway\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n", 2),
        ("Cpus_allowed:\tff,ffffffff\n", 40), ("Cpus_allowed:\t00000000,00000010\n", 1), ("Cpus_allowed:\t0\n", nil),
        ("", nil),
    ])
    func processorsByTheKernelsWord(status: String, count: Int?) {
        #expect(EventLoops.allowed(status) == count)
    }

    /// The page as the program serves it: everything comes from itself.
    @Test func thePageAndItsFiles() async throws {
        try await withConfiguration { path in
            let process = try start("", ["serve", "--config", path])
            defer {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            let port = try await awaitLife(process)
            let server = RunningServer(port: port, stop: {})
            let page = try await server.send("GET", "/docs/")
            #expect(page.headers.contains("Content-Type: text/html; charset=utf-8"))
            let sources = page.body.matches(of: #/(?:src|href) ?= ?"([^"]*)"/#).map { String($0.1) }
            #expect(sources.contains("/swagger-ui/swagger-ui-bundle.js"))
            #expect(sources.allSatisfy { $0.hasPrefix("/") && !$0.hasPrefix("//") }, "\(sources)")
            for (path, type, least) in [
                ("/swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8", 500_000),
                ("/swagger-ui/swagger-ui.css", "text/css; charset=utf-8", 50_000), ("/favicon.png", "image/png", 60),
            ] {
                let file = try await server.send("GET", path)
                #expect(file.status == "HTTP/1.1 200 OK", "\(path)")
                #expect(file.headers.contains("Content-Type: \(type)"), "\(path)")
                #expect(file.body.utf8.count >= least, "\(path)")
            }
            #expect(try await server.send("POST", "/favicon.png").headers.contains("Content-Type: image/png"))
            let description = try await server.send("GET", "/openapi.json").body
            #expect(description.hasPrefix(#"{"openapi":"3"#))
            #expect(page.body.contains(description.replacing("</", with: "<\\/")))
        }
    }

    /// Killed in the middle, refused by `serve`, taken up again, and served from.
    @Test(.enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
    func aSnapshotIsTakenUpAgain() async throws {
        let database = try WireServer()
        for collection in [Collection.candidates, .validators] {
            try MongoWriter(uri: database.uri("otv")).insert(
                ExtendedJSON.batch((1...1200).map { #"{"n":\#($0)}"# }, identified: true), into: collection,
                database: "otv")
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("gateway-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("copy.sqlite").path
        let arguments = ["snapshot", "--from", database.uri("otv"), "--to", file]

        try database.command("testDelay", 50)
        let output = Pipe()
        let first = try start("", arguments, output: output)
        // A line for each collection that is done.
        #expect(
            String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("candidates: 1200\n"))
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
        #expect(throws: StoreError.self) { try EmbeddedStore(reading: .file(file)) }

        try database.command("testDelay", 0)
        // On a terminal a bar, which ends full.
        let second = Process()
        second.executableURL = URL(fileURLWithPath: "/usr/bin/script")
        second.arguments = [
            "-qec", ([Self.program] + arguments).map { "'\($0)'" }.joined(separator: " "), "/dev/null",
        ]
        let terminal = Pipe()
        second.standardInput = FileHandle.nullDevice
        second.standardOutput = terminal
        try Launcher.run(second)
        let shown = String(decoding: terminal.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        second.waitUntilExit()
        #expect(second.terminationStatus == 0)
        #expect(
            shown.contains("validators") && shown.contains("[##############################] 1200/1200"), "\(shown)")
        #expect(!shown.contains("candidates "), "what was done is done again: \(shown)")

        let store = try EmbeddedStore(reading: .file(file))
        #expect(try await store.find(Query(.candidates)).count == 1200)
        #expect(try await store.find(Query(.validators)).count == 1200)
        await store.close()

        // Complete: not to be written to again.
        let third = try start("", arguments)
        third.waitUntilExit()
        #expect(third.terminationStatus == 1)
    }

    @Test func readersThatHaveGoneAway() async throws {
        try await withConfiguration { path in
            let (output, errors) = (Pipe(), Pipe())
            let process = try start("", ["serve", "--config", path], output: output, errors: errors)
            try output.fileHandleForReading.close()
            try errors.fileHandleForReading.close()
            try output.fileHandleForWriting.close()
            try errors.fileHandleForWriting.close()
            try await expectsToServeAndEnd(process)
        }
    }

    /// Both pipes are full from the beginning.
    @Test func readersThatDoNotRead() async throws {
        try await withConfiguration { path in
            let (output, errors) = (Pipe(), Pipe())
            for pipe in [output, errors] {
                let descriptor = pipe.fileHandleForWriting.fileDescriptor
                let flags = fcntl(descriptor, F_GETFL)
                _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
                let filler = [UInt8](repeating: UInt8(ascii: "\n"), count: 4096)
                while write(descriptor, filler, filler.count) > 0 {}
                _ = fcntl(descriptor, F_SETFL, flags)
            }
            let process = try start("", ["serve", "--config", path], output: output, errors: errors)
            try await expectsToServeAndEnd(process)
            try output.fileHandleForReading.close()
        }
    }

    /// What the program says of connection strings whose passwords are not escaped, at its most talkative.
    @Test(arguments: [
        "mongodb://u:hunter2:more@127.0.0.1:9/otv", "mongodb://u:hun@hunter2@127.0.0.1:9/otv",
        "mongodb://127.0.0.1:9/otv?tlsCertificateKeyFilePassword=hunter2&maxPoolSize=hunter2",
        "mongodb://127.0.0.1:9/otv?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:hunter2",
    ])
    func passwordsAreNotRepeated(uri: String) async throws {
        let (output, errors) = (Pipe(), Pipe())
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = ["serve", "--port", "0"]
        process.environment = ["LOG_LEVEL": "trace", "GATEWAY_DB_URI": uri]
        process.standardOutput = output
        process.standardError = errors
        try Launcher.run(process)
        // Its first line, or the end without any.
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        var ready = ""
        if let port = line.firstMatch(of: #/127\.0\.0\.1:(\d+):/#).flatMap({ Int($0.1) }) {
            ready = try await RunningServer(port: port, stop: {}).send("GET", "/readyz").body
            #expect(!ready.contains("hunter2"))
            #expect(line.hasSuffix(": mongodb://127.0.0.1:9/otv\n"))
        }
        process.terminate()
        let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(!(line + text).contains("hunter2"))
        // It says something: of the string, or of the server that is not there.
        #expect(text.contains("GATEWAY_DB_URI: ") || ready.hasPrefix("not ready: database: "))
        if ready.isEmpty { #expect(process.terminationStatus == 78) }
    }

    /// Runs the program to its end.
    private func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String, errors: String) {
        let (output, errors) = (Pipe(), Pipe())
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = arguments
        // Killed processes leave the driver's counters behind; one that gets the number of one of these would warn of it.
        process.environment = environment.merging(["MONGOC_DISABLE_SHM": "1"]) { given, _ in given }
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        let failure = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text, failure)
    }

    /// A connection string wherever something else belongs.
    @Test(arguments: [
        ["serve", "--host", "URI"], ["serve", "--port", "URI"], ["serve", "--config", "URI"], ["serve", "URI"],
        ["serve", "--role", "URI"], ["serve", "--identify", "URI"], ["URI"], ["health", "--port", "URI"],
        ["health", "--url", "URI"], ["sample", "--to", "URI"], ["import-candidates", "URI", "--to", "/nowhere/x"],
        ["snapshot", "--from", "sqlite:URI", "--to", "/nowhere/x"], ["snapshot", "--from", "x", "--to", "URI"],
        ["serve", "--db=URI"],
    ])
    func credentialsInAWrongPlaceAreNotPrinted(arguments: [String]) throws {
        for secret in ["hunter2", "hun@ter2 and@hunter2"] {
            let uri = "mongodb://user:\(secret)@127.0.0.1:9/otv"
            let end = try run(arguments.map { $0.replacing("URI", with: uri) }, environment: ["LOG_LEVEL": "trace"])
            #expect(end.status != 0)
            #expect(!end.errors.isEmpty)
            #expect(!(end.output + end.errors).contains("hunter2"), "\(end)")
        }
    }

    @Test func theVersionIsTold() throws {
        let end = try run(["--version"])
        #expect(end.status == 0)
        #expect(end.output.wholeMatch(of: #/\d+\.\d+\.\d+\n/#) != nil, "\(end)")
    }

    /// What others use to have files read or opened again ends nothing.
    @Test func otherSignalsEndNothing() async throws {
        try await withConfiguration { path in
            let process = try start("", ["serve", "--config", path])
            defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
            let port = try await awaitLife(process)
            for signal in [SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2] {
                kill(process.processIdentifier, signal)
                #expect(try await answer(port, "/blockindex") == "HTTP/1.1 200 OK")
            }
            #expect(process.isRunning)
            process.terminate()
            process.waitUntilExit()
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == 0)
        }
    }

    /// A body that never comes holds the graceful end; a second signal does not wait for it.
    @Test func aSecondSignalEndsAtOnce() async throws {
        try await withConfiguration { path in
            let text = try String(contentsOfFile: path, encoding: .utf8).replacing(
                #""drain":0"#, with: #""drain":60000"#)
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let process = try start("", ["serve", "--config", path])
            defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
            let port = try await awaitLife(process)
            process.terminate()
            while try await answer(port, "/readyz") != "HTTP/1.1 503 Service Unavailable" { await Task.yield() }
            #expect(process.isRunning)
            let start = ContinuousClock.now
            process.terminate()
            process.waitUntilExit()
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(process.terminationStatus == 130)
        }
    }

    @Test func aTakenPortIsNamed() async throws {
        try await withConfiguration { path in
            let first = try start("", ["serve", "--config", path])
            defer {
                kill(first.processIdentifier, SIGKILL)
                first.waitUntilExit()
            }
            let port = try await awaitLife(first)
            let second = try run(["serve", "--config", path, "--port", "\(port)"])
            #expect(second.status == 1)
            #expect(second.errors.contains("cannot listen on 127.0.0.1:\(port): another process listens there\n"))
        }
    }

    @Test func healthSaysWhy() async throws {
        let port = try ReservedPort().number
        let end = try run(["health", "--port", "\(port)"])
        #expect(end.status == 1)
        #expect(end.errors.hasPrefix("not alive: 127.0.0.1:\(port) does not accept connections: "), "\(end)")
        try await withConfiguration { path in
            let process = try start("", ["serve", "--config", path])
            defer {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            let port = try await awaitLife(process)
            #expect(try run(["health", "--port", "\(port)"]).errors == "")
            let missing = try run(["health", "--url", "http://127.0.0.1:\(port)/nope"])
            #expect(missing.errors == "not alive: 127.0.0.1:\(port) answers 404 to /nope\n")
        }
    }

    /// A name that is almost right: the copy of nothing is none.
    @Test(.enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
    func aSnapshotOfNothingIsAnError() throws {
        let database = try WireServer()
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).sqlite").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let end = try run(["snapshot", "--from", database.uri("otv_"), "--to", file])
        #expect(end.status == 1)
        #expect(end.errors.contains("nothing to copy: 127.0.0.1:\(database.port)/otv_"), "\(end)")
        #expect(throws: StoreError.self) { try EmbeddedStore(reading: .file(file)) }
    }

    /// The newline that a Secret's file ends with, and a database that is not the one that was meant.
    @Test(.enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
    func theDatabaseThatWasMeant() async throws {
        let database = try WireServer()
        try MongoWriter(uri: database.uri("otv")).insert(
            ExtendedJSON.batch([#"{"stash":"a","valid":true}"#], identified: true), into: .candidates, database: "otv")
        for (name, isReady) in [("otv?maxPoolSize=2\n", true), ("otv_?maxPoolSize=2", false)] {
            let (output, errors) = (Pipe(), Pipe())
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Self.program)
            process.arguments = ["serve", "--port", "0"]
            process.environment = ["GATEWAY_DB_URI": "mongodb://127.0.0.1:\(database.port)/\(name)"]
            process.standardOutput = output
            process.standardError = errors
            try process.run()
            defer { process.waitUntilExit() }
            let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
            let port = try #require(line.firstMatch(of: #/127\.0\.0\.1:(\d+):/#).flatMap { Int($0.1) })
            let ready = try await RunningServer(port: port, stop: {}).send("GET", "/readyz")
            #expect(ready.status.contains("200") == isReady, "\(ready)")
            process.terminate()
            let text = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            #expect(text.contains("not ready: the database has not what it must have") == !isReady, "\(text)")
        }
    }
}
