import TestSupport
import Testing

/// Bodies larger than any buffer, and peers of different speed.
@Suite("Streaming", .serialized) struct StreamingScenarios {
    static let mebibyte = 1_048_576

    @Test("A slow reader stops a fast writer; memory stays bounded; the body is whole")
    func slowReader() throws {
        let size = 256 * Self.mebibyte
        let upstream = try ScriptedUpstream.sized(size)
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/warm", method: "HEAD").status == 200)
        let before = balancer.program.residentKilobytes
        let connections = try (0..<8).map { _ in
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            _ = connection.receive(atMost: 100, by: Deadline(seconds: 5))
            return connection
        }
        // Nobody reads: what the upstreams can push into us is what sockets and our buffers hold.
        var settled = -1
        #expect(
            eventually(seconds: 10) {
                settled = balancer.program.residentKilobytes
                return !eventually(seconds: 0.2) { balancer.program.residentKilobytes != settled }
            })
        #expect(settled - before < 8 * 1_024, "8 stalled responses of 256 MiB took \(settled - before) KiB")
        #expect(connections[1].count(atMost: .max, seconds: 60) >= size - 100, "the whole body comes when it is read")
    }

    @Test("A slow upstream stops a fast client")
    func slowUpstream() throws {
        let mayRead = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            // Reads when the test has seen the client stall.
            guard eventually(seconds: 30, { mayRead.value > 0 }) else { return }
            let early = reader.surplus.count
            let count = early + connection.count(atMost: 64 * 1_048_576 - early, seconds: 60)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: \("\(count)".utf8.count)\r\n\r\n\(count)")
        }
        let balancer = try BalancerProcess(before: upstream)
        let before = balancer.program.residentKilobytes
        let connection = try balancer.connect()
        let size = 64 * Self.mebibyte
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n")
        let progress = Progress()
        startThread {
            let chunk = [UInt8](repeating: 0x61, count: Self.mebibyte)
            for _ in 0..<64 {
                guard connection.send(chunk) else { return }
                progress.add(1)
            }
        }
        var last = -1
        #expect(
            eventually(seconds: 10) {
                defer { last = progress.value }
                return progress.value == last && !eventually(seconds: 0.3, { progress.value != last })
            })
        #expect(progress.value < 32, "the client is held back")
        #expect(balancer.program.residentKilobytes - before < 16 * 1_024)
        mayRead.add(1)
        var reader = MessageReader(connection)
        #expect(try reader.message(seconds: 60).text == "\(size)")
    }

    @Test("More than 4 GiB pass through: no counter overflows, memory stays where it was")
    func hugeBody() throws {
        let size = 4_096 * Self.mebibyte + 1
        let upstream = try ScriptedUpstream.sized(size)
        let balancer = try BalancerProcess(before: upstream)
        let before = balancer.program.residentKilobytes
        let connection = try balancer.connect()
        connection.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        var reader = MessageReader(connection)
        let head = try reader.head()
        #expect(head.field("content-length") == "\(size)")
        #expect(reader.surplus.count + connection.count(atMost: .max, seconds: 120) == size)
        #expect(balancer.program.residentKilobytes - before < 16 * 1_024)
    }

    @Test("A client that leaves in the middle of a response frees everything")
    func clientLeaves() throws {
        let upstream = try ScriptedUpstream.sized(64 * Self.mebibyte)
        let balancer = try BalancerProcess(before: upstream)
        for _ in 0..<20 {
            let connection = try balancer.connect()
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = connection.receive(by: Deadline(seconds: 5))
            connection.resetOnClose()
        }
        #expect(
            try eventually {
                let status = try balancer.json("/api/v1/status")
                return status["connections"] as? Int == 0 && status["exchanges"] as? Int == 0
            })
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("WebSocket tunnels: early data both ways, order, and half-close")
    func tunnel() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly-up;")
            var held = String(decoding: reader.surplus, as: UTF8.self)
            while !held.contains("early-down;later;") {
                guard case .data(let bytes) = connection.receive(by: Deadline(seconds: 10)) else { return }
                held += String(decoding: bytes, as: UTF8.self)
            }
            connection.send("got;")
            // The client's half-close ends our reading, not our writing.
            guard connection.receive(by: Deadline(seconds: 10)) == .closed else { return }
            connection.send("bye;")
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send(
            "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\nearly-down;"
        )
        let head = try #require(connection.read(until: "early-up;"))
        #expect(head.hasPrefix("HTTP/1.1 101 ") && head.contains("pgrade: websocket"))
        connection.send("later;")
        #expect(connection.read(until: "got;") != nil)
        connection.endOutput()
        #expect(connection.readAll() == ("bye;", .closed))
        #expect(upstream.requests.first?.field("upgrade") == "websocket")
    }

    @Test("Upgrades that a route does not allow reach the upstream as plain requests")
    func upgradeRefused() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            routes: "{\"name\": \"api\", \"match\": {\"path\": \"/\"}, \"split\": {\"core\": 1}, \"upgrade\": []}")
        let response = try balancer.exchange(
            "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", seconds: 0.5)
        #expect(response.text.hasPrefix("HTTP/1.1 200 "))
        #expect(upstream.requests.first?.field("upgrade") == nil)
    }

    @Test("10,000 idle connections cost little and do not slow the others")
    func idleConnections() throws {
        // One for each client and one for what it asks of an upstream, a thirty-second for copies, and some.
        let files = try raiseOpenFiles(to: 24_000)
        let count = min(10_000, (files - files / 32) / 2 - 200)
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request("/warm").status == 200)
        let before = balancer.program.residentKilobytes
        var idle: [RawConnection] = []
        idle.reserveCapacity(count)
        for number in 0..<count {
            let connection = try balancer.connect()
            // Each has served a request, as keep-alive connections have.
            connection.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
            guard connection.read(until: "/x") != nil else {
                Issue.record("connection \(number) got no answer")
                return
            }
            idle.append(connection)
        }
        let kilobytes = balancer.program.residentKilobytes - before
        #expect(kilobytes < count * 1_024 / 1_000, "\(kilobytes) KiB for \(count) idle connections")
        #expect(try balancer.request("/still").text == "/still")
        #expect(try balancer.json("/api/v1/status")["connections"] as? Int == count)
        idle.removeAll()
        #expect(try eventually { try balancer.json("/api/v1/status")["connections"] as? Int == 0 })
    }
}
