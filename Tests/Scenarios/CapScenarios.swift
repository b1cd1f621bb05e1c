import Foundation
import Glibc
import TestSupport
import Testing

/// What has run out, here or at an endpoint, and who is told to suffer for it.
@Suite("Caps and shortages", .serialized) struct CapScenarios {
    @Test("Connections that other workers keep idle do not use up an endpoint's cap")
    func capAcrossWorkers() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxConnections\": 1", top: "\"timeouts\": {\"queue\": \"5s\"}", workers: 2)
        // Connections of their own: the kernel spreads them over the workers.
        for number in 0..<40 {
            #expect(try balancer.request("/\(number)").text == "/\(number)")
        }
        #expect(upstream.requests.count == 40)
    }

    @Test("Beyond the cap requests wait; the endpoint sees one connection, and each request is counted once")
    func cap() throws {
        let (most, now) = (Progress(), Progress())
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                upstream.record(try reader.message(seconds: 60))
                now.add(1)
                if now.value > most.value { most.add(now.value - most.value) }
                // Time for the others to want a connection too.
                _ = connection.readAll(seconds: 0.05)
                now.add(-1)
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxConnections\": 1", top: "\"timeouts\": {\"queue\": \"20s\"}", workers: 2)
        let waiting = try (0..<8).map { _ in
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return connection
        }
        for connection in waiting {
            var reader = MessageReader(connection)
            #expect(try reader.message(seconds: 20).status == 200)
        }
        #expect(upstream.requests.count == 8)
        #expect(most.value == 1, "one connection, so one request at a time")
        let page = try balancer.admin("/metrics").text
        let counted = page.split(separator: "\n").filter { $0.hasPrefix("balancer_endpoint_requests_total{") }
        #expect(counted.count == 1 && counted[0].hasSuffix(" 8"), "\(counted)")
    }

    @Test("Running out of descriptors is our fault and not the endpoints': none is ejected or called down")
    func descriptors() throws {
        let upstream = try ScriptedUpstream.echoing()
        let folder = BalancerProcess.makeFolder()
        defer { BalancerProcess.removeFolder(folder) }
        try BalancerProcess.write(
            Routes.configuration(
                upstreams: [("core", [upstream.port])],
                upstreamKeys: "\"health\": {\"path\": \"/\", \"interval\": \"100ms\"}"), to: folder + "/routes.json")
        let program = try Program(
            path: "/usr/bin/prlimit",
            [
                "--nofile=96:96", Program.path("balancer"), "serve", "--config", folder + "/routes.json", "--workers",
                "1",
            ])
        func port(_ prefix: String) throws -> UInt16 {
            try program.await { line in
                line.hasPrefix(prefix) ? line.split(separator: ":").last.flatMap { UInt16($0) } : nil
            }
        }
        let (admin, listener) = (try port("admin "), try port("listening public "))
        _ = try program.await { $0 == "ready" ? true : nil }
        #expect(program.errors.contains { $0.contains("limit of open files allows fewer connections") })

        func state() throws -> (availability: String, ejected: Bool) {
            let connection = try RawConnection(port: admin)
            connection.send("GET /api/v1/upstreams HTTP/1.1\r\nHost: 127.0.0.1:\(admin)\r\nConnection: close\r\n\r\n")
            var reader = MessageReader(connection)
            let body = try reader.message().body
            let object = try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
            let upstreams = object?["upstreams"] as? [[String: Any]] ?? []
            let endpoint = (upstreams.first?["endpoints"] as? [[String: Any]])?.first ?? [:]
            return (endpoint["availability"] as? String ?? "?", endpoint["ejected"] as? Bool ?? true)
        }
        #expect(try eventually { try state().availability == "up" })
        let before = try state()
        // Clients that connect and say nothing, as many as come in, and then some.
        let idle = (0..<90).compactMap { _ in try? RawConnection(port: listener) }
        #expect(idle.count == 90)
        var served = 0
        for connection in idle {
            connection.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
            let text = connection.readAll(seconds: 0.05).text
            // Answered, or told that we have no room, or not let in.
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 200 ") || text.hasPrefix("HTTP/1.1 503 "), "\(text)")
            served += text.hasPrefix("HTTP/1.1 200 ") ? 1 : 0
        }
        #expect(served > 0)
        #expect(try state() == before, "the endpoint is what it was")
        for connection in idle { connection.hangUp() }
        #expect(
            eventually {
                guard let connection = try? RawConnection(port: listener) else { return false }
                connection.send("GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                return connection.readAll(seconds: 1).text.hasSuffix("/after")
            })
        program.signal(SIGTERM)
        #expect(program.awaitExit() == 0)
    }

    @Test("A raised retry budget takes effect with the reload")
    func budgetReload() throws {
        // Reads a request and hangs up without a word.
        let silent = try ScriptedUpstream.once { _ in }
        let keys = { (minimum: Int) in
            "\"passive\": {\"enabled\": false}, "
                + "\"retry\": {\"attempts\": 1, \"budgetPercent\": 0, \"minimumPerSecond\": \(minimum)}"
        }
        let balancer = try BalancerProcess(before: silent, keys: keys(0))
        #expect(try balancer.request("/a").status == 502)
        #expect(silent.requests.count == 1)
        try BalancerProcess.write(
            Routes.configuration(upstreams: [("core", [silent.port])], upstreamKeys: keys(1_000)), to: balancer.file)
        #expect(try eventually { try balancer.json("/api/v1/status")["generation"] as? Int == 2 })
        #expect(try balancer.request("/b").status == 502)
        #expect(silent.requests.count == 3, "the request and one retry")
    }

    @Test(
        "Only what a route allows is asked for, and only what was asked for is accepted",
        arguments: [
            ("websocket", "websocket", 101), ("WebSocket", "websocket", 101),
            ("websocket, websocket/13", "websocket", 101),
            ("websocket, h2c", "h2c", 0), ("h2c, websocket", "websocket", 0), ("websocket", "h2c", 502),
            ("websocket", "websocket, h2c", 502), ("websocket", "", 502),
        ])
    func upgrades(wish: String, answer: String, status: Int) throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            let request = try reader.message()
            upstream.record(request)
            guard request.field("upgrade") != nil else {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            }
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \(answer)\r\n\r\n")
            _ = connection.readAll(seconds: 5)
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: \(wish)\r\n\r\n")
        var reader = MessageReader(connection)
        let head = try reader.head()
        // 0: the wish is not granted, and the request goes on as an ordinary one.
        #expect(head.status == (status == 0 ? 200 : status))
        #expect((upstream.requests.first?.field("upgrade") == nil) == (status == 0))
    }

    @Test("An override from named addresses: the client decides, whoever speaks for it")
    func overrideFrom() throws {
        let (core, gateway) = (try ScriptedUpstream.plain("core"), try ScriptedUpstream.plain("gateway"))
        let route = """
            {"name": "api", "match": {"path": "/"}, "split": {"core": 1, "gateway": 0},
             "override": {"header": "X-Balancer-Upstream", "from": ["10.0.0.1"]}}
            """
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [core.port]), ("gateway", [gateway.port])], routes: route,
                top: "\"trustedProxies\": [\"127.0.0.1\"]"))
        for (client, expected) in [("10.0.0.1", "gateway"), ("9.9.9.9", "core"), ("10.0.0.1, 9.9.9.9", "core")] {
            let fields = "X-Balancer-Upstream: gateway\r\nX-Forwarded-For: \(client)\r\n"
            #expect(try balancer.request("/", fields: fields).text == expected, "\(client)")
        }
        #expect(try balancer.request("/", fields: "X-Balancer-Upstream: gateway\r\n").text == "core")
    }

    @Test("A tunnel's life is not counted as the time of an answer")
    func tunnelDuration() throws {
        let upstream = try ScriptedUpstream.once { connection in
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            _ = connection.readAll(seconds: 10)
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(connection.read(until: "\r\n\r\n") != nil)
        // The tunnel lives longer than any answer took.
        #expect(connection.staysOpen(seconds: 1.2))
        connection.hangUp()
        var sum: Double?
        #expect(
            try eventually {
                let line = try balancer.admin("/metrics").text.split(separator: "\n").first {
                    $0.hasPrefix("balancer_request_duration_seconds_sum{") && $0.contains("upstream=\"core\"")
                }
                sum = line?.split(separator: " ").last.flatMap { Double($0) }
                return (sum ?? 0) > 0
            })
        #expect((sum ?? 9) < 1)
    }
}
