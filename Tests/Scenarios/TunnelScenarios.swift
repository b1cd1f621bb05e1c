import Glibc
import TestSupport
import Testing

/// Upgrades: when they become a tunnel, how long it lives, and what is counted.
@Suite("Tunnels", .serialized) struct TunnelScenarios {
    private static let wish = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    private static let switched =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    @Test(
        "What came behind an upgrade, trusting in it, goes through the tunnel although nothing follows",
        arguments: [0, 20])
    func trustingUpgrade(cut: Int) throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send(Self.switched)
            if connection.read(until: "early", seconds: 10) == "early" { connection.send("late") }
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send(String(Self.wish.prefix(cut)))
        if cut > 0 { usleep(50_000) }
        connection.send(Self.wish.dropFirst(cut) + "early")
        #expect(connection.read(until: "\r\n\r\nlate", seconds: 15)?.hasPrefix("HTTP/1.1 101 ") == true)
    }

    @Test("What came behind an upgrade that the upstream refuses is not read as a request", arguments: [true, false])
    func refusedUpgrade(atOnce: Bool) throws {
        let release = Progress()
        let upstream = try ScriptedUpstream.answering { request, _ in
            if request.start.contains("/ws") { _ = eventually(seconds: 30) { release.value > 0 } }
            return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        // It may be meant for a tunnel.
        let early = "GET /early HTTP/1.1\r\nHost: h\r\n\r\n"
        connection.send(Self.wish + (atOnce ? early : ""))
        #expect(eventually { upstream.requests.count == 1 })
        if !atOnce { connection.send(early) }
        release.add(1)
        let (text, end) = connection.readAll(seconds: 2)
        #expect(text.hasPrefix("HTTP/1.1 200 "))
        #expect(text.components(of: "HTTP/1.1 ") == 1, "an answer for each: \(text)")
        #expect(end != .timeout, "the connection goes on")
        #expect(upstream.requests.map(\.start) == ["GET /ws HTTP/1.1"])
    }

    @Test("What came behind an upgrade that the balancer itself refuses is not read as a request", arguments: [0, 20])
    func refusedHere(cut: Int) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno" }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [upstream.port])],
                routes: """
                    {"name": "away", "match": {"path": "/ws"}, "respond": {"status": 404}},
                    {"name": "api", "match": {"path": "/"}, "split": {"core": 1}}
                    """))
        let connection = try balancer.connect()
        connection.send(String(Self.wish.prefix(cut)))
        if cut > 0 { usleep(50_000) }
        connection.send(Self.wish.dropFirst(cut) + "GET /early HTTP/1.1\r\nHost: h\r\n\r\n")
        let (text, end) = connection.readAll(seconds: 2)
        #expect(text.hasPrefix("HTTP/1.1 404 "))
        #expect(text.components(of: "HTTP/1.1 ") == 1, "an answer for each: \(text)")
        #expect(end != .timeout, "the connection goes on")
        #expect(upstream.requests.isEmpty)
        // Without bytes behind it the connection goes on.
        let other = try balancer.connect()
        other.send(Self.wish)
        #expect(other.read(until: "\r\n\r\n") != nil)
        #expect(other.staysOpen(seconds: 0.3))
    }

    @Test("A tunnel in which bytes go one way only outlives tunnelIdle", arguments: [true, false])
    func busy(upwards: Bool) throws {
        let received = Progress()
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.head()
            connection.send(Self.switched)
            while true {
                if upwards {
                    guard case .data(let bytes) = connection.receive(by: Deadline(seconds: 30)) else { return }
                    received.add(bytes.count)
                } else {
                    guard connection.send(".") else { return }
                    usleep(100_000)
                }
            }
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"tunnelIdle\": \"1500ms\"}")
        let connection = try balancer.connect()
        connection.send(Self.wish)
        #expect(connection.read(until: "\r\n\r\n") != nil)
        // The time is the matter of the test: more than twice what an idle tunnel gets.
        let end = Deadline(seconds: 4)
        while !end.hasPassed {
            if upwards {
                let before = received.value
                connection.send(".")
                try #require(eventually { received.value > before }, "cut")
                usleep(100_000)
            } else {
                guard case .data = connection.receive(by: Deadline(seconds: 10)) else {
                    Issue.record("cut")
                    return
                }
            }
        }
    }

    @Test("A tunnel in which nothing moves ends when tunnelIdle is over, not before")
    func idle() throws {
        let upstream = try ScriptedUpstream.once { connection in
            connection.send(Self.switched)
            _ = connection.readAll(seconds: 30)
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"tunnelIdle\": \"700ms\"}")
        let connection = try balancer.connect()
        connection.send(Self.wish)
        #expect(connection.read(until: "\r\n\r\n") != nil)
        let began = Deadline.now()
        #expect(connection.readAll(seconds: 20).end != .timeout)
        #expect(Deadline.now() - began > 600_000)
    }

    @Test("tunnels_active counts those that are open, whoever ends them")
    func count() throws {
        let upstream = try ScriptedUpstream.once { connection in
            connection.send(Self.switched)
            guard connection.read(until: "end", seconds: 60) != nil else { return }
        }
        let balancer = try BalancerProcess(before: upstream)
        var tunnels = try (0..<6).map { _ in
            let connection = try balancer.connect()
            connection.send(Self.wish)
            #expect(connection.read(until: "\r\n\r\n") != nil)
            return connection
        }
        func active() throws -> Double { try balancer.metric("balancer_tunnels_active") }
        #expect(try active() == 6)
        // Ended by the upstream, by the client, and by the client with a reset.
        for tunnel in tunnels[..<2] { tunnel.send("end") }
        for tunnel in tunnels[..<2] { #expect(tunnel.readAll().end == .closed) }
        tunnels.removeFirst(2)
        #expect(try eventually { try active() == 4 })
        tunnels.removeFirst()
        #expect(try eventually { try active() == 3 })
        tunnels[0].resetOnClose()
        tunnels.removeFirst()
        #expect(try eventually { try active() == 2 })
        upstream.stop()
        for tunnel in tunnels { #expect(tunnel.readAll().end == .closed) }
        tunnels.removeAll()
        #expect(try eventually { try active() == 0 })
        #expect(try balancer.metric("balancer_connections_active") == 0)
        #expect(try balancer.metric("balancer_exchanges_active") == 0)
    }
}
