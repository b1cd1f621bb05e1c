import TestSupport
import Testing

/// What the upstream sees of a request, and the client of a response.
@Suite("Rewriting", .serialized) struct RewritingScenarios {
    private func seen(
        _ request: String, routes: String? = nil, top: String = ""
    ) throws -> (request: Message, response: Message) {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Powered-By: Koa\r\n\r\nok"
        }
        let balancer = try BalancerProcess(before: upstream, routes: routes, top: top)
        let connection = try balancer.connect()
        connection.send(request)
        var reader = MessageReader(connection)
        let response = try reader.message()
        return (try #require(upstream.requests.first), response)
    }

    @Test("Fields of the connection stay on it, in both directions; ours are set, and a client's are not believed")
    func hopByHop() throws {
        let (request, response) = try self.seen(
            "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: x-foo, keep-alive\r\nX-Foo: 1\r\nKeep-Alive: 300\r\n"
                + "Proxy-Connection: close\r\nTE: gzip\r\nX-Bar: 2\r\nX-Forwarded-For: 6.6.6.6\r\n"
                + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: mine\r\n\r\n"
        )
        for name in ["x-foo", "keep-alive", "proxy-connection", "te", "forwarded"] {
            #expect(request.field(name) == nil, "\(name)")
        }
        #expect(request.field("x-bar") == "2" && request.field("host") == "example.org")
        #expect(request.field("x-forwarded-for") == "127.0.0.1" && request.field("x-forwarded-proto") == "http")
        #expect(request.field("x-forwarded-host") == "example.org")
        #expect(request.field("via") == "1.1 balancer")
        let identifier = try #require(request.field("x-request-id"))
        #expect(identifier.count == 32 && identifier.allSatisfy(\.isHexDigit))
        #expect(response.field("x-hop") == nil && response.field("keep-alive") == nil)
        #expect(response.field("x-powered-by") == "Koa")
    }

    @Test("What Connection names never takes framing, Host or our own fields away")
    func nominations() throws {
        let (request, _) = try self.seen(
            "POST / HTTP/1.1\r\nHost: h\r\nConnection: content-length, host, transfer-encoding, via, x-forwarded-for, x-request-id\r\n"
                + "Content-Length: 3\r\n\r\nabc")
        #expect(request.text == "abc" && request.field("host") == "h")
        #expect(request.field("via") != nil && request.field("x-forwarded-for") != nil)
        #expect(request.field("x-request-id") != nil)
    }

    @Test("A trusted proxy's word on the client is passed on")
    func trustedProxies() throws {
        let (request, _) = try self.seen(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
                + "X-Forwarded-Host: public.example\r\nX-Request-ID: abc-123\r\n\r\n",
            top: "\"trustedProxies\": [\"127.0.0.0/8\"], \"forwarding\": {\"forwarded\": true}")
        #expect(request.field("x-forwarded-for") == "203.0.113.9, 127.0.0.1")
        #expect(request.field("x-forwarded-proto") == "https")
        #expect(request.field("x-forwarded-host") == "public.example")
        #expect(request.field("x-request-id") == "abc-123")
        #expect(request.field("forwarded")?.contains("for=") == true)
    }

    @Test("Per route: header edits, prefix, host")
    func routeEdits() throws {
        let (request, response) = try self.seen(
            "GET /api/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Debug: 1\r\nX-Tier: a\r\nX-Tier: b\r\n\r\n",
            routes: """
                {"name": "api", "match": {"path": "/api"}, "split": {"core": 1}, "rewrite": {"strip": "/api"},
                 "host": {"literal": "core.internal:3300"},
                 "requestHeaders": {"set": {"X-Tier": "public"}, "remove": ["X-Debug"]},
                 "responseHeaders": {"set": {"X-Served": "yes"}, "remove": ["X-Powered-By"]}}
                """)
        #expect(request.start == "GET /x?y=1 HTTP/1.1")
        #expect(request.field("host") == "core.internal:3300" && request.field("x-debug") == nil)
        #expect(request.fields.filter { $0.name.lowercased() == "x-tier" }.map(\.value) == ["public"])
        #expect(response.field("x-served") == "yes" && response.field("x-powered-by") == nil)
    }

    @Test("A prefix is replaced on segment borders only")
    func replacedPrefix() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            routes: """
                {"name": "v1", "match": {"path": "/v1"}, "split": {"core": 1}, "rewrite": {"replace": {"prefix": "/v1", "with": "/api"}}},
                {"name": "all", "match": {"path": "/"}, "split": {"core": 1}}
                """)
        #expect(try balancer.request("/v1/a?b").text == "/api/a?b")
        #expect(try balancer.request("/v1").text == "/api")
        #expect(try balancer.request("/v1?x").text == "/api?x")
        #expect(try balancer.request("/v12/a").text == "/v12/a")
    }

    @Test("A path without the prefix that the route strips is passed on as it is")
    func otherPrefix() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            routes: #"""
                {"name": "both", "match": {"path": ["/a", "/b"]}, "split": {"core": 1}, "rewrite": {"strip": "/a"}}
                """#)
        #expect(try balancer.request("/a/c").text == "/c")
        #expect(try balancer.request("/b/c").text == "/b/c")
        #expect(try balancer.request("/b").text == "/b")
    }

    @Test("With xForwarded and requestID off, a stranger's word on its origin is still not passed on")
    func notForwarded() throws {
        let text =
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: e\r\n"
            + "X-Request-ID: mine\r\nX-Bar: 1\r\n\r\n"
        let off = #""forwarding": {"xForwarded": false, "requestID": false}"#
        let (stranger, _) = try self.seen(text, top: off)
        #expect(stranger.fields.map { $0.name.lowercased() }.sorted() == ["host", "via", "x-bar"])
        let (trusted, _) = try self.seen(text, top: off + #", "trustedProxies": ["127.0.0.1"]"#)
        #expect(trusted.field("x-forwarded-for") == "6.6.6.6" && trusted.field("x-request-id") == "mine")
    }

    @Test("What a route sets or removes holds for our own fields too, once each")
    func ownFieldEdits() throws {
        let (request, _) = try self.seen(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
            routes: """
                {"name": "api", "split": {"core": 1}, "requestHeaders": {
                 "set": {"X-Forwarded-For": "192.0.2.1", "X-Request-ID": "mine"}, "remove": ["Via", "X-Forwarded-Proto"]}}
                """)
        let fields = request.fields.map { "\($0.name.lowercased()): \($0.value)" }.sorted()
        // Without Via a pass is counted by a field of our own, which no route can change.
        #expect(
            fields == [
                "host: h", "x-balancer-hops: 1", "x-forwarded-for: 192.0.2.1", "x-forwarded-host: h",
                "x-request-id: mine",
            ])
    }

    @Test("X-Balancer-Reason is the balancer's word, not its upstream's")
    func upstreamReason() throws {
        let upstream = try ScriptedUpstream.answering { _, _ in
            "HTTP/1.1 503 Busy\r\nX-Balancer-Reason: no-endpoint\r\nContent-Length: 0\r\n\r\n"
        }
        let balancer = try BalancerProcess(before: upstream)
        let response = try balancer.request()
        #expect(response.start == "HTTP/1.1 503 Busy" && response.field("x-balancer-reason") == nil)
    }

    @Test("What is wrong with a head is named")
    func headFaults() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(before: upstream)
        let options = (0..<65).map { "x\($0)" }.joined(separator: ",")
        for (fields, reason) in [
            ("X-Foo\r\n", "missing-colon"), ("Connection: \(options)\r\n", "too-many-connection-options"),
        ] {
            let answer = try balancer.exchange("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n").text
            #expect(
                answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("X-Balancer-Reason: \(reason)\r\n"), "\(answer)")
        }
        #expect(upstream.requests.isEmpty)
    }

    @Test("Redirects")
    func redirects() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            routes: """
                {"name": "old", "match": {"path": "/old"}, "redirect": {"status": 301, "scheme": "https", "host": "example.org"}},
                {"name": "api", "match": {"path": "/"}, "split": {"core": 1}}
                """)
        let response = try balancer.request("/old/x?y=1")
        #expect(response.status == 301 && response.field("location") == "https://example.org/old/x?y=1")
        #expect(upstream.requests.isEmpty)
    }

    @Test("A route may answer by itself; a body that it did not read ends the connection")
    func responds() throws {
        let upstream = try ScriptedUpstream.echoing()
        let balancer = try BalancerProcess(
            before: upstream,
            routes: """
                {"name": "private", "match": {"path": "/metrics"}, "respond": {"status": 404}},
                {"name": "gone", "match": {"path": "/v0"}, "respond": {"status": 410}},
                {"name": "api", "match": {"path": "/"}, "split": {"core": 1}}
                """)
        let connection = try balancer.connect()
        var reader = MessageReader(connection)
        connection.send("GET /metrics/x HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n")
        let missing = try reader.message()
        #expect(missing.status == 404 && missing.field("x-balancer-reason") == "answered-by-route")
        #expect(missing.text == #"{"status":404,"error":"Not Found","reason":"answered-by-route"}"# + "\n")
        connection.send("HEAD /v0 HTTP/1.1\r\nHost: h\r\n\r\n")
        let gone = try reader.message(toHEAD: true)
        #expect(gone.status == 410 && gone.start.hasSuffix("410 Gone"))
        connection.send(
            "POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /metricsx HTTP/1.1\r\nHost: h\r\n\r\n"
        )
        let refused = try reader.message()
        #expect(refused.status == 404 && refused.closes)
        #expect(throws: (any Error).self) { try reader.message() }
        #expect(upstream.requests.isEmpty)
        let routes = try balancer.command("routes").output
        #expect(routes.contains("answers 404") && routes.contains("answers 410"))
        #expect(try balancer.command("explain", "/v0/a").output.contains("the balancer answers 410 itself"))
    }
}
