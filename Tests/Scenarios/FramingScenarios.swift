import TestSupport
import Testing

/// HTTP/1.1 and HTTP/1.0 as clients and upstreams see it, byte for byte.
@Suite("Framing", .serialized) struct FramingScenarios {
    @Test("Pipelined requests are answered in order, whatever pieces they come in", arguments: [1, 7, 4_096])
    func pipelining(piece: Int) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send(
            "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                + "POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n2;x=\"y\"\r\ngh\r\n0\r\n\r\n"
                + "GET /4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", pieces: piece)
        var reader = MessageReader(connection)
        #expect(try reader.message().text == "/1")
        #expect(try reader.message().text == "abc")
        #expect(try reader.message().text == "defgh")
        let last = try reader.message()
        #expect(last.text == "/4" && last.closes)
        #expect(connection.readAll().end == .closed)
    }

    @Test("Chunks and trailers pass both ways")
    func chunkedBothWays() throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nabcde\r\n1;e\r\nf\r\n0\r\nX-T: 1\r\n\r\n"
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send(
            "POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-U\r\n\r\n"
                + "4\r\nwiki\r\n0\r\nX-U: 2\r\n\r\n")
        var reader = MessageReader(connection)
        let response = try reader.message()
        #expect(response.text == "abcdef" && response.trailers == ["X-T: 1"])
        #expect(upstream.requests.first?.text == "wiki")
        #expect(upstream.requests.first?.trailers == ["X-U: 2"])
    }

    @Test(
        "Bodies of each kind that have none: HEAD, 204, 304",
        arguments: [
            ("HEAD", "200 OK\r\nContent-Length: 5"), ("GET", "204 No Content"),
            ("GET", "204 No Content\r\nContent-Length: 0"),
            ("GET", "304 Not Modified\r\nContent-Length: 10\r\nETag: \"x\""),
        ])
    func noBody(method: String, head: String) throws {
        let upstream = try ScriptedUpstream.answering { _, _ in "HTTP/1.1 \(head)\r\n\r\n" }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for _ in 0..<3 {
            connection.send("\(method) / HTTP/1.1\r\nHost: h\r\n\r\n")
            let response = try reader.message(toHEAD: method == "HEAD")
            #expect(response.start == "HTTP/1.1 " + head.prefix { $0 != "\r\n" })
            // A 204 never says a length (RFC 9110 8.6).
            #expect(response.status != 204 || response.field("content-length") == nil)
        }
        #expect(reader.surplus.isEmpty)
        #expect(upstream.connections == 1, "a response without a body leaves its connection fit for the next request")
    }

    @Test(
        "A body that the upstream ends by closing goes on as it is; the client is told that the close will end it",
        arguments: ["GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"])
    func closeDelimited(request: String) throws {
        let upstream = try ScriptedUpstream.once { $0.send("HTTP/1.0 200 OK\r\n\r\nabc") }
        let balancer = try BalancerProcess(before: upstream)
        let (text, end) = try balancer.exchange(request)
        #expect(text.withoutDate == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        #expect(end == .closed)
    }

    @Test("A reset in a body that a close would end is not a clean end")
    func resetIsNoEnd() throws {
        let received = Progress()
        let upstream = try ScriptedUpstream.once { connection in
            connection.send("HTTP/1.1 200 OK\r\n\r\nabc")
            // The reset must not overtake the bytes: the client says when it has them.
            _ = eventually { received.value > 0 }
            connection.resetOnClose()
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        let text = try #require(connection.read(until: "abc"))
        received.add(1)
        let (rest, end) = connection.readAll()
        #expect(rest.isEmpty)
        #expect(text.withoutDate == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        #expect(end == .reset)
    }

    @Test("HTTP/1.0 clients: closed after one, kept when they ask")
    func oldClients() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let (once, end) = try balancer.exchange("GET /1 HTTP/1.0\r\n\r\n")
        #expect(once.hasPrefix("HTTP/1.1 200 OK\r\n") && once.hasSuffix("\r\n\r\n/1") && end == .closed)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        for target in ["/1", "/2"] {
            connection.send("GET \(target) HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let response = try reader.message()
            #expect(response.text == target && response.field("connection")?.lowercased() == "keep-alive")
        }
    }

    @Test(
        "The last request of a connection brings its body, whatever else comes behind it",
        arguments: [
            ("HTTP/1.1", "Connection: close\r\n"), ("HTTP/1.0", ""),
        ])
    func lastRequestBody(version: String, field: String) throws {
        for body in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
            // HTTP/1.0 knows no chunks: a request that has them is refused.
            if version == "HTTP/1.0", body.hasPrefix("T") { continue }
            for method in ["POST", "PUT"] {
                let upstream = try ScriptedUpstream.echoing()
                let balancer = try BalancerProcess(before: upstream)
                let (text, end) = try balancer.exchange(
                    "\(method) / \(version)\r\nHost: h\r\n\(field)\(body)GET /more HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(text.hasSuffix("\r\n\r\nhello") && end == .closed)
                #expect(upstream.requests.count == 1)
            }
        }
    }

    @Test(
        "Targets pass unchanged: odd escapes, dots, empty segments and queries",
        arguments: [
            "/a/../b//c/%2e%2E/%zz?x=%00&&y=?/", "/%F0%9F%A6%80;v=1", "/?", "/a?b=c%23d",
        ])
    func targetsUnchanged(target: String) throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        #expect(try balancer.request(target).text == target)
    }

    @Test("Absolute form is routed and forwarded by its own host; OPTIONS * passes; CONNECT does not")
    func otherForms() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let absolute = try balancer.exchange("GET http://other:80/p?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(absolute.text.hasPrefix("HTTP/1.1 200"))
        let seen = try #require(upstream.requests.first)
        #expect(seen.field("host") == "other:80" && seen.start.contains("/p?q"))
        _ = try balancer.exchange("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        #expect(upstream.requests.last?.start == "OPTIONS * HTTP/1.1")
        let refused = try balancer.exchange("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        #expect(refused.text.hasPrefix("HTTP/1.1 405") && refused.end == .closed)
        #expect(upstream.requests.count == 2)
    }

    @Test("Interim responses pass to 1.1 clients as they came, before the answer; 1.0 clients get none of them")
    func interimResponses() throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 103 Early Hints\r\nLink: </1>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                + "HTTP/1.1 103 Early Hints\r\nLink: </2>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let balancer = try BalancerProcess(before: upstream)
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        let (new, _) = try balancer.exchange("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        // Only the answer says when.
        #expect(new.components(of: "Date: ") == 1)
        #expect(
            new.withoutDate == "HTTP/1.1 103 Early Hints\r\nLink: </1>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                + "HTTP/1.1 103 Early Hints\r\nLink: </2>\r\n\r\n" + answer)
        let (old, _) = try balancer.exchange("GET / HTTP/1.0\r\n\r\n")
        #expect(old.withoutDate == answer)
    }

    @Test("Expect: 100-continue: the upstream's word decides, and the body follows it")
    func expectContinue() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            var request = try reader.head()
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            request.body = Array((connection.read(until: "body") ?? "").utf8)
            upstream.record(request)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        #expect(connection.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 100 ") == true)
        connection.send("body")
        #expect(connection.read(until: "ok")?.hasPrefix("HTTP/1.1 200") == true)
        #expect(upstream.requests.first?.field("expect")?.lowercased() == "100-continue")
    }

    @Test("A response that comes before the request has ended reaches the client, and the connection ends")
    func earlyResponse() throws {
        let upstream = try ScriptedUpstream { connection, upstream in
            var reader = MessageReader(connection)
            upstream.record(try reader.head())
            connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            _ = connection.readAll()
        }
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc")
        let (text, end) = connection.readAll()
        #expect(text.hasPrefix("HTTP/1.1 403") && text.hasSuffix("no") && end != .timeout)
        #expect(try balancer.request("/2", method: "POST", body: "x").status == 403)
        #expect(upstream.connections == 2, "a connection with half a request is not used again")
    }

    @Test("A client that half-closes after its request gets its answer")
    func halfClose() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let connection = try balancer.connect()
        connection.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        connection.endOutput()
        let (text, end) = connection.readAll()
        #expect(text.hasSuffix("/x") && end == .closed)
    }
}

extension String {
    /// Without the field that says when.
    fileprivate var withoutDate: String { self.replacing(/Date: [^\r]*\r\n/, with: "") }
}
