import Glibc
import TestSupport
import Testing

/// Clients that send their bodies slowly, and those who wait for the slots that they hold.
@Suite("Slow uploads", .serialized) struct SlowUploadScenarios {
    /// Sends `bytes` every `milliseconds` until the connection takes no more or `count` pieces are gone.
    private func drip(
        _ connection: RawConnection, _ bytes: Int, every milliseconds: UInt32, count: Int = .max,
        done: Progress = Progress()
    ) {
        let piece = [UInt8](repeating: 0x61, count: bytes)
        startThread {
            for _ in 0..<count {
                guard connection.send(piece) else { break }
                usleep(milliseconds * 1_000)
            }
            done.add(1)
        }
    }

    @Test("A byte now and then holds a slot no longer than requestBodyIdle: 408, and others get it")
    func byteByByte() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxOutstanding\": 4",
            top: "\"timeouts\": {\"requestBodyIdle\": \"1s\", \"queue\": \"60s\"}")
        let slow = try (0..<4).map { _ in
            let connection = try balancer.connect()
            connection.send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
            self.drip(connection, 1, every: 100)
            return connection
        }
        #expect(try eventually { try balancer.outstanding() == 4 })
        #expect(try balancer.request("/waiting", seconds: 60).text == "/waiting")
        for connection in slow { #expect(connection.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 408 ") == true) }
        #expect(upstream.requests.map(\.start) == ["GET /waiting HTTP/1.1"])
        #expect(try balancer.sum("balancer_ejections_total") == 0)
    }

    @Test("The rest of an upload behind an early answer is held to requestBodyRate too: others get its connection")
    func behindAnEarlyAnswer() throws {
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            _ = try reader.head()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            while case .data = connection.receive(by: Deadline(seconds: 60)) {}
        }
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxConnections\": 1",
            top: "\"timeouts\": {\"requestBodyIdle\": \"1s\", \"queue\": \"60s\"}")
        let holder = try balancer.connect()
        holder.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nx")
        #expect(holder.read(until: "\r\n\r\nok") != nil)
        let waiter = try balancer.connect()
        waiter.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        // A byte now and then, which never lets requestBodyIdle pass.
        self.drip(holder, 1, every: 200)
        #expect(waiter.read(until: "\r\n\r\nok", seconds: 10) != nil, "it waits for the connection still")
    }

    @Test("An upload that is slow but above requestBodyRate is taken, however long it lasts")
    func steady() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"timeouts\": {\"requestBodyIdle\": \"1s\"}")
        let connection = try balancer.connect()
        let pieces = 40
        connection.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(pieces * 500)\r\n\r\n")
        self.drip(connection, 500, every: 100, count: pieces)
        var reader = MessageReader(connection)
        let response = try reader.message(seconds: 60)
        #expect(response.status == 200 && response.body.count == pieces * 500)
    }

    @Test("With buffering.request 500 slow uploads neither reach the upstream nor keep a GET waiting")
    func buffered() throws {
        try raiseOpenFiles(to: 4_096)
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream, keys: "\"maxOutstanding\": 4",
            top: "\"buffering\": {\"request\": \"64KiB\"}, \"timeouts\": {\"requestBodyIdle\": \"2m\"}")
        let slow = try (0..<500).map { number in
            let connection = try balancer.connect()
            let framing = number % 2 == 0 ? "Content-Length: 6\r\n\r\nab" : "Transfer-Encoding: chunked\r\n\r\n6\r\nab"
            connection.send("POST /slow HTTP/1.1\r\nHost: h\r\n\(framing)")
            return connection
        }
        #expect(try eventually { try balancer.metric("balancer_exchanges_active") == 500 })
        for number in 0..<20 { #expect(try balancer.request("/\(number)").text == "/\(number)") }
        #expect(upstream.connections <= 1 && upstream.requests.count == 20)
        // Whole at last, they are requests like others.
        for (number, connection) in slow[..<2].enumerated() {
            connection.send(number == 0 ? "cdef" : "cdef\r\n0\r\n\r\n")
            var reader = MessageReader(connection)
            #expect(try reader.message().text == "abcdef")
        }
    }

    @Test("A client that waits for 100 Continue gets it before its endpoint is asked, where its body is taken in first")
    func expectation() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"buffering\": {\"request\": \"4KiB\"}")
        let connection = try balancer.connect()
        connection.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        #expect(connection.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 100 ") == true)
        #expect(upstream.connections == 0)
        connection.send("body")
        var reader = MessageReader(connection)
        let answer = try reader.message()
        #expect(answer.status == 200 && answer.text == "body")
        #expect(upstream.requests.count == 1)
    }

    @Test("A body larger than buffering.request goes on when that much has come, and passes whole")
    func larger() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream, top: "\"buffering\": {\"request\": \"4KiB\"}")
        for size in [0, 1, 4_095, 4_096, 4_097, 300_000] {
            let body = String(repeating: "abcdefgh", count: size / 8 + 1).prefix(size)
            let connection = try balancer.connect()
            connection.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n\(body)")
            var reader = MessageReader(connection)
            #expect(try reader.message().text == (size == 0 ? "/p" : String(body)), "\(size)")
            connection.send("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            if size > 0 { connection.send("\(String(size, radix: 16))\r\n\(body)\r\n") }
            connection.send("0\r\n\r\n")
            #expect(try reader.message().text == (size == 0 ? "/p" : String(body)), "\(size) in chunks")
        }
    }
}
