import Glibc
import TestSupport
import Testing

/// Peers that take bytes slowly, or stop: what was answered is given whole, and what was cut shows that it was cut.
@Suite("Slow peers", .serialized) struct SlowPeerScenarios {
    private static let size = 8 * 1_048_576

    /// A connection that has a small receive buffer and has asked for something it does not read yet.
    private func asking(
        _ balancer: BalancerProcess, _ request: String, receiveBuffer: Int32 = 65_536
    ) throws -> RawConnection {
        let connection = try balancer.connect()
        connection.limitReceiveBuffer(to: receiveBuffer)
        connection.send(request)
        return connection
    }

    /// The balancer's own work for it is over: the upstream has said everything, and the client has not read it.
    private func isHeldBack(_ balancer: BalancerProcess) throws -> Bool {
        try eventually { try balancer.outstanding() == 0 && balancer.json("/api/v1/status")["exchanges"] as? Int == 1 }
    }

    @Test(
        "An answer that waits for its client outlives the keep-alive deadline and a drain",
        arguments: [false, true])
    func answerIsGivenWhole(draining: Bool) throws {
        let upstream = try ScriptedUpstream.sized(16_384)
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"keepAlive\": \"200ms\", \"drain\": \"30s\"}")
        let connection = try self.asking(
            balancer, String(repeating: "GET / HTTP/1.1\r\nHost: h\r\n\r\n", count: 600))
        #expect(try self.isHeldBack(balancer))
        if draining {
            balancer.program.signal(SIGTERM)
            #expect(eventually { balancer.program.errors.contains { $0.contains("draining") } })
        }
        // Longer than the keep-alive deadline, and than the grace of idle connections in a drain.
        #expect(connection.staysOpen(seconds: 1.5))
        connection.limitReceiveBuffer(to: 1_048_576)
        var reader = MessageReader(connection)
        var answers = 0
        while let message = try? reader.message(seconds: 10) {
            #expect(message.body.count == 16_384)
            answers += 1
        }
        #expect(draining ? answers >= 1 : answers == 600)
        #expect(reader.surplus.isEmpty, "no answer is cut")
        if draining { #expect(balancer.program.awaitExit() == 0) }
    }

    @Test("A client of HTTP/1.0 that stops reading is reset: a body that ends with the connection must not seem whole")
    func stalledCloseDelimited() throws {
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.message()
            let chunk = String(repeating: "a", count: 65_536)
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in 0..<128 { guard connection.send("10000\r\n\(chunk)\r\n") else { return } }
            connection.send("0\r\n\r\n")
        }
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"responseBodyIdle\": \"400ms\"}", accessLog: true)
        let connection = try self.asking(balancer, "GET / HTTP/1.0\r\n\r\n")
        #expect(
            try balancer.program.await { line in line.contains("\"reason\":\"response-truncated\"") ? true : nil })
        #expect(connection.readAll().end == .reset)
    }

    @Test("What the drain deadline cuts is reset, if its end would have been the connection's")
    func cutByDrain() throws {
        let upstream = try ScriptedUpstream.once { connection in
            connection.send("HTTP/1.1 200 OK\r\n\r\nhello")
            _ = connection.readAll(seconds: 30)
        }
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"drain\": \"300ms\"}")
        let connection = try balancer.connect()
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(connection.read(until: "hello") != nil)
        balancer.program.signal(SIGTERM)
        #expect(connection.readAll() == ("", .reset))
        #expect(balancer.program.awaitExit() == 0)
    }

    @Test("A reset in a tunnel is passed on as a reset, in both directions", arguments: [true, false])
    func tunnelReset(byUpstream: Bool) throws {
        let seen = Locked<RawConnection.End?>(nil)
        let upstream = try ScriptedUpstream.once { connection in
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
            guard connection.read(until: "go") != nil else { return }
            if byUpstream {
                connection.resetOnClose()
                connection.hangUp()
            } else {
                connection.send("gone")
                let end = connection.readAll(seconds: 10).end
                seen.change { $0 = end }
            }
        }
        let balancer = try BalancerProcess(before: upstream)
        var connection: RawConnection? = try balancer.connect()
        connection?.send("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(connection?.read(until: "hi") != nil)
        connection?.send("go")
        if byUpstream {
            #expect(connection?.readAll().end == .reset)
        } else {
            // A reset overtakes what was sent before it: it must have arrived.
            #expect(connection?.read(until: "gone") != nil)
            connection?.resetOnClose()
            connection = nil
            #expect(eventually { seen.value == .reset })
        }
        #expect(try eventually { try balancer.outstanding() == 0 })
    }

    @Test("A client that reads steadily, however slowly, is not taken for one that stopped")
    func steadyReader() throws {
        let upstream = try ScriptedUpstream.sized(Self.size)
        // A fraction of what the whole takes, and far more than a reader's pause.
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"responseBodyIdle\": \"2s\"}")
        let connection = try self.asking(
            balancer, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        // Some 64 KiB every 60 ms: the kernel's buffer never empties enough to call the socket writable in time.
        var total = 0
        let deadline = Deadline(seconds: 60)
        reading: while !deadline.hasPassed, total < Self.size {
            let goal = total + 65_536
            while total < goal {
                guard case .data(let bytes) = connection.receive(by: Deadline(seconds: 10)) else { break reading }
                total += bytes.count
            }
            // The pace is the matter of the test, not a wait for something.
            usleep(60_000)
        }
        total += connection.count(atMost: .max, seconds: 10)
        #expect(total > Self.size, "\(total) of \(Self.size)")
    }

    @Test("A request's body may be late by what the request had to wait in our own queue")
    func queuedUpload() throws {
        let release = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            while true {
                let request = try reader.message(seconds: 60)
                upstream.record(request)
                if request.start.contains("/hold") { _ = eventually(seconds: 30) { release.value > 0 } }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxOutstanding\": 1",
            top: "\"timeouts\": {\"queue\": \"20s\", \"requestBodyIdle\": \"300ms\"}")
        let holder = try balancer.connect()
        holder.send("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(eventually { upstream.requests.count == 1 })
        let waiting = try balancer.connect()
        waiting.send("POST /w HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n")
        #expect(try eventually { try balancer.json("/api/v1/status")["exchanges"] as? Int == 2 })
        // Behind its head, while it waits.
        waiting.send("body")
        #expect(waiting.staysOpen(seconds: 0.8), "it is not refused while it waits")
        release.add(1)
        var reader = MessageReader(waiting)
        #expect(try reader.message().status == 200)
        #expect(upstream.requests.last?.text == "body")
    }
}
