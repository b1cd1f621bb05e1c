@testable import Control
import Foundation
import NIOCore
import RoutesFile
import Synchronization
import TestSupport
import Testing
import Traffic

@Suite("Events", .serialized) struct EventTests {
    private static func request(_ token: String? = nil, method: String = "GET") -> String {
        let credentials = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        return "\(method) /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\(credentials)\r\n"
    }

    /// Ticks until the body has ended; the rig's own clock stands. Whoever does not get to read within eight ticks is cut.
    private static func ticking<Value: Sendable>(
        _ rig: AdminRig, limits: AdminLimits = AdminLimits(), milliseconds: Int = 2,
        _ body: @escaping @Sendable (UInt16) throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    await rig.plane.events.tick()
                    try? await Task.sleep(for: .milliseconds(milliseconds))
                }
            }
            defer { group.cancelAll() }
            return try await rig.serve(limits: limits, body)
        }
    }

    private static func body(_ text: String, _ event: String) throws -> [String: Any] {
        let parts = text.components(separatedBy: "event: \(event)\ndata: ")
        let line = try #require(parts.dropFirst().first?.components(separatedBy: "\n").first)
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test("A stream begins with who we are and how things are, and goes on every second")
    func stream() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await Self.ticking(rig) { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.request())
            let text = try #require(connection.read(until: "\"sequence\":3,"))
            #expect(
                text.hasPrefix("HTTP/1.1 200 ") && text.lowercased().contains("content-type: text/event-stream\r\n"))
            let welcome = try Self.body(text, "welcome")
            #expect(welcome["role"] as? String == "operator" && welcome["tokens"] as? Bool == false)
            let state = try Self.body(text, "state")
            #expect(state["generation"] as? Int == 1 && state["journal"] as? Int == 1)
            let sentence = try #require(state["sentence"] as? [String: Any])
            #expect((sentence["text"] as? String)?.contains("core 90 %, gateway 10 % as set.") == true)
            let routes = try #require(state["routes"] as? [[String: Any]])
            #expect(routes.map { $0["name"] as? String } == ["api"], "what is not split is not told")
            #expect(rig.plane.events.clients.count == 1)
            connection.hangUp()
            #expect(eventually { rig.plane.events.clients.count == 0 })
        }
    }

    @Test("A side that is out has its share as set, and none in effect; the other has all")
    func shares() async throws {
        let rig = AdminRig()
        try await rig.load()
        for port: UInt16 in [3301, 3302] {
            rig.bench.registry.endpoint(upstream: "gateway", address: Sample.address(port), probed: true)
                .setOperational(.down, now: 0)
        }
        let state = await rig.plane.events.state()
        let sides = try #require(state.routes.first).sides
        #expect(sides.map(\.upstream) == ["core", "gateway"] && sides.map(\.weight) == [90, 10])
        #expect(sides.map(\.share) == [0.9, 0.1] && sides.map(\.effectiveShare) == [1, 0])
        #expect(sides.map(\.available) == [true, false])
        #expect(state.sides.map(\.endpoints) == [1, 2] && state.sides.map(\.availableEndpoints) == [1, 0])
        #expect(state.sides.map(\.isWeighted) == [true, true])
    }

    @Test("The seventeenth who would follow is told that all places are taken, until one is free")
    func bounded() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await Self.ticking(rig, milliseconds: 100) { port in
            let followers = try (0..<EventClients.limit).map { _ in try RawConnection(port: port) }
            for follower in followers {
                follower.send(Self.request())
                #expect(follower.read(until: "event: state") != nil)
            }
            func ask() throws -> Message {
                let late = try RawConnection(port: port)
                late.send(Self.request())
                var reader = MessageReader(late)
                return try reader.head()
            }
            let refused = try ask()
            #expect(refused.status == 503 && refused.field("retry-after") == "5")
            let other = try RawConnection(port: port)
            other.send("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            var reader = MessageReader(other)
            #expect(try reader.message().status == 200, "everything else is answered")
            followers[3].hangUp()
            #expect(eventually { rig.plane.events.clients.count < EventClients.limit })
            #expect(try ask().status == 200)
        }
    }

    @Test("HEAD tells the form and takes no place")
    func head() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await Self.ticking(rig) { port in
            let connection = try RawConnection(port: port)
            connection.send(Self.request(method: "HEAD"))
            var reader = MessageReader(connection)
            #expect(try reader.message(toHEAD: true).field("content-type") == "text/event-stream")
            #expect(eventually { rig.plane.events.clients.count == 0 })
        }
    }

    /// What a message of a second weighs is little: a large one stands for the many of a day.
    private static func hasCut(_ clients: EventClients) -> Bool {
        if clients.count > 0 {
            clients.broadcast(ByteBuffer(string: "event: filler\ndata: \(String(repeating: "x", count: 1 << 20))\n\n"))
        }
        return clients.cutCount == 1
    }

    @Test("Who does not read is cut; who reads goes on")
    func slow() async throws {
        let rig = AdminRig()
        try await rig.load()
        try await Self.ticking(rig) { port in
            let slow = try RawConnection(port: port)
            slow.limitReceiveBuffer(to: 4_096)
            slow.send(Self.request())
            #expect(eventually { rig.plane.events.clients.count == 1 })
            #expect(eventually { Self.hasCut(rig.plane.events.clients) })
            #expect(eventually { rig.plane.adminConnections.counts.active == 0 }, "its connection is closed")
            let reading = try RawConnection(port: port)
            reading.send(Self.request())
            #expect(reading.read(until: "event: state") != nil)
            #expect(rig.plane.events.clients.count == 1)
        }
    }

    @Test("A backlog is each client's own: one that is full is cut, the others get every message")
    func backlog() async throws {
        let clients = EventClients()
        let cuts = Progress()
        let slow = try #require(clients.admit { cuts.add(1) })
        let fast = try #require(clients.admit { cuts.add(100) })
        var iterator = fast.messages.makeAsyncIterator()
        for number in 0..<20 {
            clients.broadcast(ByteBuffer(integer: number))
            let message = await iterator.next()
            #expect(message == ByteBuffer(integer: number))
        }
        #expect(cuts.value == 1 && clients.cutCount == 1 && clients.count == 1)
        var kept = 0
        for await _ in slow.messages { kept += 1 }
        #expect(kept == EventClients.backlog)
        withExtendedLifetime(fast) {}
    }

    @Test("A deadline of answers cuts nobody who reads, and everybody who takes nothing")
    func deadline() async throws {
        let rig = AdminRig()
        try await rig.load()
        var limits = AdminLimits()
        limits.answer = .milliseconds(300)
        try await Self.ticking(rig, limits: limits) { port in
            let reading = try RawConnection(port: port)
            reading.send(Self.request())
            let slow = try RawConnection(port: port)
            slow.limitReceiveBuffer(to: 4_096)
            #expect(eventually { rig.plane.adminConnections.counts.active == 2 })
            slow.send(Self.request())
            #expect(eventually { rig.plane.events.clients.count == 2 })
            let deadline = Deadline(seconds: 1)
            while !deadline.hasPassed {
                guard case .data = reading.receive(by: Deadline(seconds: 5)) else {
                    Issue.record("a stream that is read was cut")
                    return
                }
            }
            #expect(reading.read(until: "event: state") != nil)
        }
    }

    @Test("With tokens: 401 without, viewers may follow; other tokens end the streams")
    func tokens() async throws {
        let rig = AdminRig()
        try await rig.load()
        let viewer = AdminToken(name: "victor", role: .viewer, sha256: SHA256.hash("victors".utf8))
        let other = AdminToken(name: "alice", role: .operator, sha256: SHA256.hash("alices".utf8))
        rig.plane.access.set([viewer], metrics: nil)
        try await Self.ticking(rig) { port in
            func follow(_ token: String?) throws -> RawConnection {
                let connection = try RawConnection(port: port)
                connection.send(Self.request(token))
                return connection
            }
            var stranger = MessageReader(try follow(nil))
            #expect(try stranger.head().status == 401)
            let victor = try follow("victors")
            let text = try #require(victor.read(until: "event: state"))
            let welcome = try Self.body(text, "welcome")
            #expect(welcome["role"] as? String == "viewer" && welcome["name"] as? String == "victor")
            // The same tokens again, as with a load of something else, end nothing.
            rig.plane.access.set([viewer], metrics: nil)
            #expect(victor.read(until: "event: state") != nil)
            rig.plane.access.set([other], metrics: nil)
            #expect(victor.read(until: "0\r\n\r\n") != nil, "the stream has its end")
            var denied = MessageReader(try follow("victors"))
            #expect(try denied.head().status == 401)
            let alice = try #require(try follow("alices").read(until: "event: state"))
            #expect(try Self.body(alice, "welcome")["role"] as? String == "operator")
        }
    }
}
