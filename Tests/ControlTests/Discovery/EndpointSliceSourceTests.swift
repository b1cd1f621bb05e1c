@testable import Control
import Foundation
import Synchronization
import TestSupport
import Testing
import Traffic

/// What a source told, and a way to wait for it.
final class Listening: Sendable {
    enum Told: Sendable, Equatable {
        case found([String])
        case failed(String)
    }

    private let told = Mutex<[Told]>([])

    var all: [Told] { self.told.withLock { $0 } }
    var failures: [String] {
        self.all.compactMap { if case .failed(let reason) = $0 { reason } else { nil } }
    }

    var listener: SourceListener {
        SourceListener(
            found: { endpoints in
                self.told.withLock { $0.append(.found(endpoints.map(\.description).sorted())) }
            },
            failed: { failure in self.told.withLock { $0.append(.failed(failure.description)) } },
            isTroubled: { false })
    }

    /// Until `condition` holds of what was told; false if that takes more than ten seconds.
    func wait(_ condition: @Sendable ([Told]) -> Bool) async -> Bool {
        for _ in 0..<1_000 {
            if condition(self.all) { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Until the last set found is this one.
    func wait(for endpoints: [String]) async -> Bool {
        await self.wait { $0.last { if case .found = $0 { true } else { false } } == .found(endpoints) }
    }
}

/// An API server whose answers are scripted: lists and watches by how many of each came before.
final class FakeAPIServer: Sendable {
    let upstream: ScriptedUpstream
    private let asked: Asked

    private final class Asked: Sendable {
        let targets = Mutex<[(target: String, token: String?)]>([])
    }

    var targets: [String] { self.asked.targets.withLock { $0.map(\.target) } }
    var tokens: [String?] { self.asked.targets.withLock { $0.map(\.token) } }
    var lists: Int { self.targets.count { !$0.contains("watch=1") } }
    /// Versions that watches began from.
    var versions: [String] {
        self.targets.filter { $0.contains("watch=1") }.compactMap { target in
            target.components(separatedBy: "resourceVersion=").last
        }
    }
    var url: String { "http://127.0.0.1:\(self.upstream.port)" }

    /// `list` gives a status and a body by the number of the list, `watch` plays on the connection of a watch by its
    /// number; the connection ends when it returns.
    init(
        list: @escaping @Sendable (Int) -> (status: Int, body: String),
        watch: @escaping @Sendable (Int, Watch) -> Void
    ) throws {
        let asked = Asked()
        self.asked = asked
        self.upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(seconds: 60)
                let target = String(request.start.split(separator: " ")[1])
                let isWatch = target.contains("watch=1")
                let number = asked.targets.withLock { targets in
                    targets.append((target, request.field("authorization")))
                    return targets.count { $0.target.contains("watch=1") == isWatch } - 1
                }
                if isWatch {
                    watch(number, Watch(connection: connection))
                    return
                }
                let (status, body) = list(number)
                connection.send(
                    "HTTP/1.1 \(status) Status\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
            }
        }
    }

    struct Watch: Sendable {
        let connection: RawConnection

        // It says that the connection ends, or the next request might be sent on one that is about to close.
        func begin() {
            self.connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        }
        func send(_ text: String) {
            self.connection.send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n")
        }
        func end() { self.connection.send("0\r\n\r\n") }
        func refuse(_ status: Int) {
            self.connection.send("HTTP/1.1 \(status) Status\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }
        /// Until the peer leaves or a minute has passed.
        func hold() { _ = self.connection.readAll(seconds: 60) }
    }
}

@Suite("Endpoints by a watch of EndpointSlices")
struct EndpointSliceSourceTests {
    /// Runs a source against the server for as long as `body` takes.
    private func follow(
        _ server: FakeAPIServer, tokenFile: String? = nil, clock: ControlClock = .system,
        _ body: (Listening) async throws -> Void
    ) async throws {
        var lookup = EndpointSliceLookup(service: "gateway", port: .name("http"))
        lookup.namespace = "here"
        lookup.server = server.url
        lookup.tokenFile = tokenFile
        let source = EndpointSliceSource(
            lookup, access: ClusterAccess(lookup, environment: [:], directory: "/nonexistent"), clock: clock)
        let listening = Listening()
        let running = Task { await source.run(listening.listener) }
        do {
            try await body(listening)
        } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        await running.value
        server.upstream.stop()
    }

    @Test("Lists, then watches from the list's version; events add, drain and remove")
    func plain() async throws {
        let next = Mutex(0)
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { _, watch in
                watch.begin()
                let events = [
                    Slices.event("ADDED", Slices.slice("b", 11, hosts: [2])),
                    Slices.event(
                        "MODIFIED",
                        Slices.slice(
                            "a", 12,
                            members: [("10.0.0.1", "{\"ready\": false, \"serving\": true, \"terminating\": true}")])),
                    Slices.event("DELETED", Slices.slice("a", 13, hosts: [1])),
                ]
                for (number, event) in events.enumerated() {
                    _ = eventually { next.withLock { $0 > number } }
                    watch.send(event)
                }
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.1:3301"]))
            next.withLock { $0 = 1 }
            #expect(await listening.wait(for: ["10.0.0.1:3301", "10.0.0.2:3301"]))
            next.withLock { $0 = 2 }
            #expect(await listening.wait(for: ["10.0.0.2:3301"]))
            next.withLock { $0 = 3 }
            #expect(await listening.wait { $0.count { $0 == .found(["10.0.0.2:3301"]) } == 2 })
            #expect(listening.failures.isEmpty)
        }
        let path =
            "/apis/discovery.k8s.io/v1/namespaces/here/endpointslices"
            + "?labelSelector=kubernetes.io%2Fservice-name%3Dgateway"
        #expect(server.targets.first == path)
        #expect(server.targets.last?.hasPrefix(path + "&watch=1&allowWatchBookmarks=true&timeoutSeconds=") == true)
        #expect(server.versions == ["10"])
    }

    @Test("Slices without a ready pod are told as none, in a list and by an event")
    func empty() async throws {
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                watch.begin()
                if number == 0 { watch.send(Slices.event("DELETED", Slices.slice("a", 11, hosts: [1]))) }
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: []))
            #expect(listening.failures.isEmpty)
        }
        let bare = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [])) },
            watch: { _, watch in
                watch.begin()
                watch.hold()
            })
        try await self.follow(bare) { listening in #expect(await listening.wait(for: [])) }
    }

    @Test("An event that is cut off comes again: the next watch goes on from the version before it")
    func cut() async throws {
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                watch.begin()
                let event = Slices.event("MODIFIED", Slices.slice("a", 12, hosts: [7]))
                guard number == 0 else {
                    watch.send(event)
                    return watch.hold()
                }
                watch.send(Slices.event("MODIFIED", Slices.slice("a", 11, hosts: [2])))
                watch.send(String(event.prefix(60)))
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.7:3301"]))
            #expect(listening.failures.count == 1)
            #expect(!listening.all.contains(.found([])))
        }
        #expect(server.versions == ["10", "11"] && server.lists == 1)
    }

    @Test("A watch that the server ends in order is no failure and goes on from the last bookmark")
    func ended() async throws {
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                watch.begin()
                if number == 0 {
                    watch.send(Slices.event("BOOKMARK", "{\"metadata\": {\"resourceVersion\": \"77\"}}"))
                    return watch.end()
                }
                watch.send(Slices.event("ADDED", Slices.slice("b", 78, hosts: [2])))
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.1:3301", "10.0.0.2:3301"]))
            #expect(listening.failures.isEmpty)
        }
        #expect(server.versions == ["10", "77"] && server.lists == 1)
    }

    @Test("410, as a status or as an event, begins with a new list", arguments: [true, false])
    func expired(asStatus: Bool) async throws {
        let server = try FakeAPIServer(
            list: { number in (200, Slices.list(10 + number * 10, [Slices.slice("a", 5, hosts: [1 + number])])) },
            watch: { number, watch in
                if number == 0, asStatus { return watch.refuse(410) }
                watch.begin()
                guard number == 0 else { return watch.hold() }
                watch.send(Slices.event("ERROR", "{\"kind\": \"Status\", \"code\": 410, \"message\": \"too old\"}"))
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.2:3301"]))
            #expect(listening.failures.isEmpty)
        }
        #expect(server.lists == 2)
    }

    @Test("Garbage in the watch is a failure that loses nothing")
    func garbage() async throws {
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                watch.begin()
                if number == 0 { watch.send("}}} no JSON\n") }
                if number == 1 { watch.send(Slices.event("ERROR", "{\"code\": 500, \"message\": \"etcd\"}")) }
                if number == 2 { watch.send(Slices.event("ADDED", Slices.slice("b", 11, hosts: [2]))) }
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.1:3301", "10.0.0.2:3301"]))
            #expect(
                listening.failures == ["an event of the watch is not understood", "the watch ends: etcd"])
            #expect(!listening.all.contains(.found([])))
        }
        #expect(server.versions == ["10", "10", "10"])
    }

    @Test("A list that fails is tried again, later and later")
    func failingList() async throws {
        let server = try FakeAPIServer(
            list: { number in
                switch number {
                case 0: (403, "{}")
                case 1: (200, "not JSON")
                case 2: (200, "{\"items\": []}")
                default: (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])]))
                }
            },
            watch: { _, watch in
                watch.begin()
                watch.hold()
            })
        try await self.follow(server) { listening in
            #expect(await listening.wait(for: ["10.0.0.1:3301"]))
            #expect(listening.failures.count == 3)
            #expect(listening.failures.first == "listing is answered by 403 Forbidden")
            #expect(listening.failures.last == "the list has no resource version")
        }
    }

    @Test("Behind a watch that held for a while the waits begin anew, and the next watch follows at once")
    func longWatch() async throws {
        let time = ManualClock()
        let waits = Mutex<[UInt64]>([])
        let clock = ControlClock(
            monotonic: time.clock.monotonic, wall: time.clock.wall,
            sleep: { milliseconds in waits.withLock { $0.append(milliseconds) } })
        let server = try FakeAPIServer(
            list: { number in number < 4 ? (503, "{}") : (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                if number == 1 { return watch.refuse(500) }
                watch.begin()
                if number > 1 { return watch.hold() }
                time.advance(1_000)
                watch.end()
            })
        try await self.follow(server, clock: clock) { listening in
            #expect(await happens { listening.failures.count == 5 && waits.withLock { $0.count } == 5 })
        }
        let longest: [UInt64] = [200, 400, 800, 1_600, 200]
        for (wait, most) in zip(waits.withLock { $0 }, longest) { #expect(wait >= most / 2 && wait <= most) }
    }

    @Test("The token is read again for each request")
    func token() async throws {
        let path = "/tmp/token-\(UInt64.random(in: .min ... .max))"
        try "first\n".write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let server = try FakeAPIServer(
            list: { _ in (200, Slices.list(10, [Slices.slice("a", 5, hosts: [1])])) },
            watch: { number, watch in
                watch.begin()
                guard number == 0 else { return watch.hold() }
                try? "second\n".write(toFile: path, atomically: true, encoding: .utf8)
                watch.end()
            })
        try await self.follow(server, tokenFile: path) { listening in
            #expect(await listening.wait { _ in server.targets.count >= 3 })
        }
        #expect(server.tokens == ["Bearer first", "Bearer first", "Bearer second"])
    }

    @Test("In a cluster: the server from the environment, account files from their directory")
    func inCluster() throws {
        let directory = "/tmp/account-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try "secret".write(toFile: directory + "/token", atomically: true, encoding: .utf8)
        try "shop".write(toFile: directory + "/namespace", atomically: true, encoding: .utf8)
        var lookup = EndpointSliceLookup(service: "gateway", port: .number(1))
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        let inside = ClusterAccess(lookup, environment: environment, directory: directory)
        #expect(try inside.server() == "https://[fd00::1]:443")
        #expect(inside.namespace == "shop")
        #expect(try inside.token() == "secret")
        let outside = ClusterAccess(lookup, environment: [:], directory: "/nonexistent")
        #expect(throws: DiscoveryFailure.self) { try outside.server() }
        #expect(outside.namespace == "default")
        #expect(try outside.token() == nil)
        // The pod's own token is not for plain HTTP, and a token that was named must be there.
        lookup.server = "http://127.0.0.1:8001"
        #expect(try ClusterAccess(lookup, environment: [:], directory: directory).token() == nil)
        lookup.tokenFile = "/nonexistent"
        #expect(throws: DiscoveryFailure.self) {
            try ClusterAccess(lookup, environment: [:], directory: directory).token()
        }
    }
}
