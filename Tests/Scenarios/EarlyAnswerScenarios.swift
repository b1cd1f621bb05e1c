import Glibc
import TestSupport
import Testing

/// Answers that come before the request has ended: what becomes of its rest, and how the client gets to read them.
@Suite("Early answers", .serialized) struct EarlyAnswerScenarios {
    private static let mebibyte = 1_048_576

    @Test("While the upstream reads, an upload goes on to it although the answer is whole", arguments: [200, 202, 403])
    func goesOn(status: Int) throws {
        let received = Progress()
        let answered = Progress()
        let size = 4 * Self.mebibyte
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send("HTTP/1.1 \(status) Early\r\nContent-Length: 2\r\n\r\nok")
            // Its reading begins when the client has the answer.
            _ = eventually(seconds: 60) { answered.value > 0 }
            let early = reader.surplus.count
            received.add(early + connection.count(atMost: size - early, seconds: 60))
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n")
        connection.send([UInt8](repeating: 0x61, count: 1_000))
        var reader = MessageReader(connection)
        #expect(try reader.message().status == status)
        answered.add(1)
        connection.send([UInt8](repeating: 0x61, count: size - 1_000))
        #expect(eventually { received.value == size }, "\(received.value) of \(size) bytes")
    }

    @Test("An upstream that sends more than its answer while the upload goes on gets no other request there")
    func surplus() throws {
        let answered = Progress()
        let sent = Progress()
        let closed = Progress()
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            var request = try reader.head()
            guard request.start.hasPrefix("POST") else {
                connection.send("HTTP/1.1 204 None\r\n\r\n")
                return
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            _ = eventually { answered.value > 0 }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
            sent.add(1)
            try reader.body(of: &request, seconds: 60)
            upstream.record(request)
            if connection.readAll(seconds: 60).end != .timeout { closed.add(1) }
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nbegin")
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "ok")
        answered.add(1)
        #expect(eventually { sent.value > 0 })
        // The one worker has read it before it answers this.
        #expect(try balancer.request("/").status == 204)
        connection.send(" end")
        #expect(eventually { upstream.requests.first?.text == "begin end" })
        #expect(eventually(seconds: 10) { closed.value == 1 })
    }

    @Test("A client that uploads steadily is not cut by the idle limits, though the answer has begun")
    func steadyUpload() throws {
        let pieces = 30
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            var request = try reader.head()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")
            try reader.body(of: &request, seconds: 60)
            upstream.record(request)
            connection.send("5\r\nended\r\n0\r\n\r\n")
        }
        let balancer = try BalancerProcess(
            before: upstream, top: "\"timeouts\": {\"requestBodyIdle\": \"1s\", \"responseBodyIdle\": \"1s\"}")
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(pieces * 1_000)\r\n\r\n")
        for _ in 0..<pieces {
            // The pace is the matter of the test: three times as long in all as either limit.
            usleep(100_000)
            connection.send([UInt8](repeating: 0x61, count: 1_000))
        }
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "begunended")
        #expect(upstream.requests.first?.body.count == pieces * 1_000)
    }

    @Test("Once the upstream has closed, the rest of an upload is thrown away, and the answer is read")
    func upstreamCloses() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        }
        let balancer = try BalancerProcess(before: upstream)
        try self.expectToBeRead(balancer, 403, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n")
    }

    @Test("A body that is too large: a client that writes all of it before it reads still gets its 413")
    func tooLarge() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"limits\": {\"body\": 1000}")
        try self.expectToBeRead(balancer, 413, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n")
        #expect(upstream.requests.isEmpty)
    }

    /// Writes 8 MiB at once, then reads.
    private func expectToBeRead(_ balancer: BalancerProcess, _ status: Int, _ head: String) throws {
        let connection = try balancer.connect()
        connection.send(head)
        let chunk = [UInt8](repeating: 0x61, count: Self.mebibyte)
        for number in 0..<8 {
            let isSent = connection.send(chunk)
            try #require(isSent, "the connection breaks behind \(number) MiB")
        }
        var reader = MessageReader(connection)
        let response = try reader.message()
        #expect(response.status == status && response.closes)
    }

    @Test("So does one that writes 20 KB a second for four seconds", arguments: [true, false])
    func slowly(ours: Bool) throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            _ = try reader.head()
            connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        }
        let balancer = try BalancerProcess(before: upstream, top: ours ? "\"limits\": {\"body\": 1000}" : "")
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n")
        let piece = [UInt8](repeating: 0x61, count: 2_000)
        for number in 0..<40 {
            let isSent = connection.send(piece)
            try #require(isSent, "the connection breaks after \(Double(number) / 10) s")
            // The pace is the matter of the test.
            usleep(100_000)
        }
        var reader = MessageReader(connection)
        let response = try reader.message()
        #expect(response.status == 413 && response.closes)
    }

    @Test(
        "timeouts.linger bounds it: a client that never ends is let go, whether it goes on sending or not",
        arguments: [false, true])
    func bounded(sending: Bool) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, top: "\"limits\": {\"body\": 1000}, \"timeouts\": {\"linger\": \"500ms\"}")
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\nabc")
        #expect(connection.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 413 ") == true)
        #expect(
            try eventually {
                if sending { connection.send("x") }
                return try balancer.metric("balancer_connections_active") == 0
            })
    }
    @Test("A graceful stop leaves a second to a client that only goes on sending")
    func drained() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            top: "\"limits\": {\"body\": 1000}, \"timeouts\": {\"linger\": \"30s\", \"drain\": \"30s\"}")
        let connection = try balancer.connect()
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\nabc")
        #expect(connection.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 413 ") == true)
        balancer.program.signal(SIGTERM)
        let isOver = Locked(false)
        startThread {
            while !isOver.value {
                connection.send("x")
                // Often enough that no pause between two of them ends the wait.
                usleep(50_000)
            }
        }
        #expect(balancer.program.awaitExit(seconds: 15) == 0)
        isOver.change { $0 = true }
    }
}
