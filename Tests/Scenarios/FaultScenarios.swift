import Glibc
import TestSupport
import Testing

/// Upstreams that misbehave: the client gets the right status or sees the truncation, and nothing wrong is used again.
@Suite("Upstream faults", .serialized) struct FaultScenarios {
    static let quick =
        "\"timeouts\": {\"responseHeader\": \"300ms\", \"connect\": \"300ms\", \"responseBodyIdle\": \"400ms\"}"
    static let unwatched = "\"passive\": {\"enabled\": false}"

    @Test("Nobody listens: 502 with the reason, as text or as JSON")
    func refused() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        upstream.stop()
        let text = try balancer.request()
        #expect(text.status == 502 && text.field("x-balancer-reason")?.isEmpty == false)
        #expect(text.field("content-type")?.hasPrefix("text/plain") == true)
        let json = try balancer.request(fields: "Accept: application/json\r\n")
        #expect(json.status == 502 && json.field("content-type")?.hasPrefix("application/json") == true)
        #expect(json.text.hasPrefix("{"))
    }

    @Test("Reasons can be switched off")
    func withoutReason() throws {
        let upstream = try ScriptedUpstream.plain("x")
        let balancer = try BalancerProcess(
            before: upstream, keys: Self.unwatched, top: "\"errors\": {\"reason\": false}")
        upstream.stop()
        #expect(try balancer.request().field("x-balancer-reason") == nil)
    }

    @Test("A server that hangs up without an answer: a GET is tried again, a POST never")
    func closesWithoutAnswer() throws {
        let upstream = try ScriptedUpstream.once { _ in }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        let answer = try balancer.request("/get")
        #expect(answer.status == 502)
        #expect(upstream.requests.filter { $0.start.contains("/get") }.count > 1)
        #expect(try balancer.request("/post", method: "POST", body: "x").status == 502)
        #expect(upstream.requests.filter { $0.start.contains("/post") }.count == 1)
    }

    @Test("A pooled connection that the upstream closes under a request: the GET is answered on a fresh one")
    func staleConnection() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.message())
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            // The second request is read and met with a reset.
            _ = try reader.message(seconds: 60)
            connection.resetOnClose()
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        for _ in 0..<5 { #expect(try balancer.request().text == "ok") }
        let post = try balancer.request(method: "POST", body: "x")
        #expect(post.status == 502, "what was sent and may have been done is not sent again")
    }

    @Test("No answer in time: 504")
    func noAnswer() throws {
        let upstream = try ScriptedUpstream.once { _ = $0.readAll(seconds: 30) }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched, top: Self.quick)
        let response = try balancer.request(method: "POST", body: "x")
        #expect(response.status == 504 && response.field("x-balancer-reason") != nil)
        #expect(upstream.requests.count == 1)
    }

    @Test("Connect that hangs: 504")
    func connectHangs() throws {
        // A full accept queue: the kernel drops further attempts.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 0) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        #expect(bound)
        let port = UInt16(bigEndian: address.sin_port)
        let held = try RawConnection(port: port)
        let balancer = try BalancerProcess(
            Routes.configuration(upstreams: [("core", [port])], upstreamKeys: Self.unwatched, top: Self.quick))
        #expect(try balancer.request().status == 504)
        held.hangUp()
    }

    @Test(
        "Truncation stays visible, by length and by chunks",
        arguments: [
            "Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-T: 1\r\n",
            "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n",
        ])
    func truncated(rest: String) throws {
        let upstream = try ScriptedUpstream.once { $0.send("HTTP/1.1 200 OK\r\n" + rest) }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        let connection = try balancer.connect()
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
        let (text, end) = connection.readAll()
        #expect(text.hasPrefix("HTTP/1.1 200") && end != .timeout)
        #expect(!text.hasSuffix("0\r\n\r\n"), "no clean end is made up")
        #expect(text.components(of: "HTTP/1.1 ") == 1, "nothing follows a cut response")
    }

    @Test("A body that stops in the middle ends the connection when its deadline passes")
    func stalledBody() throws {
        let upstream = try ScriptedUpstream.once { connection in
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            _ = connection.readAll(seconds: 30)
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched, top: Self.quick)
        let (text, end) = try balancer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        #expect(text.hasSuffix("abc") && end != .timeout)
    }

    @Test("Surplus bytes after a response are not taken for the next one's answer")
    func surplus() throws {
        let upstream = try ScriptedUpstream.answering { request, _ in
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for _ in 0..<5 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().text == "ok")
        }
        #expect(upstream.connections == 5)
        #expect(reader.surplus.isEmpty)
    }

    @Test("Nor are those that come with a body's end, its beginning having been passed on: the connection goes")
    func lateSurplus() throws {
        let begun = Progress()
        let upstream = try ScriptedUpstream { connection, _ in
            var reader = MessageReader(connection)
            while true {
                _ = try reader.message(seconds: 60)
                let before = begun.value
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
                _ = eventually { begun.value > before }
                connection.send("kHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            }
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        let connection = try balancer.connect()
        for number in 1...3 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            try #require(connection.read(until: "\r\n\r\no") != nil)
            begun.add(1)
            #expect(connection.read(until: "k") == "k")
            #expect(upstream.connections == number)
        }
    }

    @Test("A body where none is allowed is not passed on", arguments: ["204 No Content", "304 Not Modified"])
    func bodyWhereNoneIs(status: String) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 \(status)\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        }
        let balancer = try BalancerProcess(before: upstream, keys: Self.unwatched)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for _ in 0..<3 {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try reader.message().start == "HTTP/1.1 " + status)
        }
    }

    @Test("Another endpoint answers for one that hangs up")
    func otherEndpoint() throws {
        let bad = try ScriptedUpstream.once { $0.resetOnClose() }
        let good = try ScriptedUpstream.plain("good")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [bad.port, good.port])],
                upstreamKeys: "\"balance\": \"round-robin\", \"retry\": {\"budgetPercent\": 100}"))
        for _ in 0..<20 { #expect(try balancer.request().text == "good") }
        #expect(bad.connections > 0)
    }

    @Test("No descriptor for a dial: the answer is 503, and no endpoint is blamed for it")
    func ownShortage() throws {
        let upstreams = try (0..<2).map { _ in try ScriptedUpstream.plain("ok") }
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", upstreams.map(\.port))],
                upstreamKeys: "\"idleConnections\": 0, \"passive\": {\"consecutiveFailures\": 1}"))
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        func ask() throws -> Message {
            connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return try reader.message()
        }
        #expect(try ask().status == 200)
        // What is open stays open; there is no more to be had.
        try Listening.limitFiles(of: balancer.program, to: 0)
        for _ in 0..<3 {
            let refused = try ask()
            #expect(refused.status == 503 && refused.field("x-balancer-reason") == "limit")
        }
        try Listening.limitFiles(of: balancer.program, to: 1_024)
        #expect(try ask().status == 200)
        #expect(try balancer.sum("balancer_ejections_total") == 0)
        #expect(try balancer.sum("balancer_endpoint_connect_failures_total") == 0)
    }

    @Test("Failures in a row eject an endpoint; one trial request brings it back")
    func ejection() throws {
        let upstream = try ScriptedUpstream.answering { request, _ in
            request.start.contains("/bad")
                ? "HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let other = try ScriptedUpstream.plain("other")
        let balancer = try BalancerProcess(
            Routes.configuration(
                upstreams: [("core", [upstream.port, other.port])],
                upstreamKeys: """
                    "balance": {"hash": {"by": "header", "name": "X-Key"}}, "retry": {"attempts": 0},
                    "passive": {"consecutiveFailures": 3, "baseEjection": "300ms", "maxEjection": "300ms", "maxEjectedShare": 50}
                    """))
        // A key that the hash sends to the scripted endpoint.
        let key = try #require(try (0..<64).first { try balancer.request(fields: "X-Key: \($0)\r\n").text == "ok" })
        for _ in 0..<3 { #expect(try balancer.request("/bad", fields: "X-Key: \(key)\r\n").status == 502) }
        #expect(try balancer.request(fields: "X-Key: \(key)\r\n").text == "other")
        let shown = try balancer.command("upstreams").output
        #expect(shown.contains("ejected"), "\(shown)")
        #expect(try eventually { try balancer.request(fields: "X-Key: \(key)\r\n").text == "ok" })
    }
}
