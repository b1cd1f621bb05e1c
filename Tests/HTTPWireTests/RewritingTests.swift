import HTTPWire
import Testing

@Suite("Rewriting")
struct RewritingTests {
    private func rewrite(
        _ text: String, path: RequestPolicy.Path = .keep, host: String? = nil, forwarded: Bool = false,
        edits: FieldEdits = .none, trusted: Bool = false, upgrades: Bool = false, peer: String = "192.0.2.7",
        sendsOrigin: Bool = true
    ) throws -> [String] {
        try Rewriting.request(
            text,
            policy: Rewriting.policy(
                path: path, host: host, forwarded: forwarded, edits: edits, sendsOrigin: sendsOrigin),
            trusted: trusted, upgrades: upgrades, peer: peer)
    }

    private let ours = Rewriting.ours

    @Test("Hop-by-hop fields and what Connection names go; the rest stays in order")
    func hopByHop() throws {
        let lines = try self.rewrite(
            "GET /a%2Fb?q#".dropLast() + " HTTP/1.1\r\nAccept: x\r\nConnection: keep-alive, X-Gone\r\nKeep-Alive: 5\r\n"
                + "TE: trailers\r\nX-Gone: 1\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
                + "Proxy-Authorization: secret\r\nHost: h\r\nX-Stay: 2\r\n\r\n")
        #expect(
            lines == ["GET /a%2Fb?q HTTP/1.1", "Host: h", "Accept: x", "X-Stay: 2"] + self.ours
                + ["TE: trailers", "Connection: te"])
    }

    @Test("What a stranger says about its origin is dropped; what a trusted proxy says is kept and continued")
    func origin() throws {
        let text =
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n"
            + "X-Forwarded-Host: pub\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /x\r\nX-Real-IP: 6.6.6.6\r\n"
            + "Forwarded: for=6.6.6.6\r\nX-Request-ID: mine\r\nVia: 1.1 edge\r\n\r\n"
        #expect(try self.rewrite(text) == ["GET / HTTP/1.1", "Host: h", "Via: 1.1 edge"] + self.ours)
        #expect(
            try self.rewrite(text, trusted: true) == [
                "GET / HTTP/1.1", "Host: h", "X-Forwarded-Proto: https", "X-Forwarded-Host: pub", "X-Forwarded-Port: 1",
                "X-Forwarded-Prefix: /x", "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Request-ID: mine",
                "Via: 1.1 edge", "Via: 1.1 balancer", "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 192.0.2.7",
            ])
    }

    @Test("Framing is made anew from what was understood")
    func framing() throws {
        let lines = try self.rewrite(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0042\r\nExpect: 100-continue\r\n\r\n")
        #expect(lines == ["POST / HTTP/1.1", "Host: h", "Expect: 100-continue"] + self.ours + ["Content-Length: 42"])
        let chunked = try self.rewrite("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n")
        #expect(chunked.last == "Transfer-Encoding: chunked")
        let upgrade = try self.rewrite(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", upgrades: true)
        #expect(upgrade.suffix(2) == ["Connection: upgrade", "Upgrade: websocket"])
    }

    @Test("Targets: origin-form to the upstream, whatever the client used")
    func targets() throws {
        #expect(
            try self.rewrite("GET http://pub:81/p?q HTTP/1.1\r\nHost: h\r\n\r\n")[0...1] == [
                "GET /p?q HTTP/1.1", "Host: pub:81",
            ])
        #expect(try self.rewrite("GET http://pub?q HTTP/1.1\r\nHost: h\r\n\r\n")[0] == "GET /?q HTTP/1.1")
        #expect(try self.rewrite("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")[0] == "OPTIONS * HTTP/1.1")
        #expect(try self.rewrite("GET / HTTP/1.0\r\n\r\n")[1...2] == ["Host:", "Via: 1.0 balancer"])
        #expect(try self.rewrite("GET / HTTP/1.1\r\nHost: h\r\n\r\n", host: "inner:9")[1] == "Host: inner:9")
    }

    @Test(
        "A prefix is stripped or replaced on a segment border, and the path stays a path",
        arguments: [
            ("/api/x", "/api", "", "/x"), ("/api", "/api", "", "/"), ("/api/", "/api", "", "/"),
            ("/api/x", "/api", "/v2", "/v2/x"), ("/api/x", "/api", "/v2/", "/v2/x"), ("/api", "/api", "/v2", "/v2"),
            ("/api/x/../%2f", "/api", "", "/x/../%2f"), ("/x", "/", "/root/", "/root/x"),
            ("/x", "/", "/root", "/root/x"),
            ("/x", "/", "", "/x"), ("/api/x", "/api/", "", "/x"), ("/api/x", "/api/", "/v2", "/v2/x"),
            ("/api/", "/api/", "/v2", "/v2"), ("http://h", "/", "/root", "/root"),
        ])
    func prefixes(path: String, prefix: String, replacement: String, expected: String) throws {
        let lines = try self.rewrite(
            "GET \(path)?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
            path: .replace(prefix: Array(prefix.utf8), with: Array(replacement.utf8)))
        #expect(lines[0] == "GET \(expected)?a=b HTTP/1.1")
    }

    @Test(
        "A path without the prefix is passed on as it is",
        arguments: [
            ("/b/c", "/a"), ("/ab", "/a"), ("/a", "/a/"), ("/A/c", "/a"), ("/", "/a"), ("/%61/c", "/a"), ("/b", "/b/c"),
        ])
    func otherPaths(path: String, prefix: String) throws {
        for replacement in ["", "/v2"] {
            let lines = try self.rewrite(
                "GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n",
                path: .replace(prefix: Array(prefix.utf8), with: Array(replacement.utf8)))
            #expect(lines[0] == "GET \(path) HTTP/1.1")
        }
    }

    @Test("Routes set and remove fields, in any case")
    func edits() throws {
        let edits = FieldEdits(set: [("X-Env", "new")], remove: ["cookie"])
        let lines = try self.rewrite(
            "GET / HTTP/1.1\r\nHost: h\r\nCookie: a\r\nx-env: old\r\nX-ENV: older\r\n\r\n", edits: edits)
        #expect(lines == ["GET / HTTP/1.1", "Host: h"] + self.ours + ["X-Env: new"])
    }

    @Test("What is not sent is not let through from a stranger either; a trusted proxy's stays as it is")
    func originNotSent() throws {
        let text =
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
            + "X-Request-ID: mine\r\n\r\n"
        #expect(
            try self.rewrite(text, sendsOrigin: false) == ["GET / HTTP/1.1", "Host: h", "Via: 1.1 balancer"])
        #expect(
            try self.rewrite(text, trusted: true, sendsOrigin: false) == [
                "GET / HTTP/1.1", "Host: h", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https",
                "X-Request-ID: mine", "Via: 1.1 balancer",
            ])
    }

    @Test("What a route sets or removes holds for our own fields too", arguments: [false, true])
    func ownFieldEdits(trusted: Bool) throws {
        let text =
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: pub\r\nVia: 1.1 edge\r\n"
            + "X-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: mine\r\n\r\n"
        let set = FieldEdits(
            set: [
                ("X-Forwarded-For", "a"), ("x-forwarded-proto", "b"), ("X-Forwarded-Host", "c"), ("VIA", "d"),
                ("Forwarded", "e"), ("X-Request-Id", "f"),
            ], remove: [])
        #expect(
            try self.rewrite(text, forwarded: true, edits: set, trusted: trusted) == [
                "GET / HTTP/1.1", "Host: h", "X-Balancer-Hops: 1", "X-Forwarded-For: a", "x-forwarded-proto: b",
                "X-Forwarded-Host: c", "VIA: d", "Forwarded: e", "X-Request-Id: f",
            ])
        let removed = FieldEdits(
            set: [],
            remove: ["via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "forwarded", "X-Request-ID"])
        #expect(
            try self.rewrite(text, forwarded: true, edits: removed, trusted: trusted) == [
                "GET / HTTP/1.1", "Host: h", "X-Balancer-Hops: 1",
            ])
    }

    @Test("Forwarded quotes what is no token")
    func forwardedField() throws {
        let lines = try self.rewrite("GET / HTTP/1.1\r\nHost: h:80\r\n\r\n", forwarded: true, peer: "2001:db8::1")
        #expect(lines.contains("Forwarded: for=\"[2001:db8::1]\";proto=http;host=\"h:80\""))
    }

    @Test("Responses lose what was for the hop and say what is so on ours")
    func responses() throws {
        #expect(
            try Rewriting.response(
                "HTTP/1.0 200 Fine\r\nServer: s\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nContent-Length: 3\r\n\r\n",
                framing: .length(3), persistence: .close)
                == ["HTTP/1.1 200 Fine", "Server: s", "Content-Length: 3", "Connection: close"])
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", framing: .untilClose)
                == ["HTTP/1.1 200 OK"])
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\nContent-Length: 0012\r\n\r\n", to: .head, framing: .none)
                == ["HTTP/1.1 200 OK", "Content-Length: 12"])
        #expect(
            try Rewriting.response(
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n", framing: .none)
                == ["HTTP/1.1 304 Not Modified", "Content-Length: 12"])
        #expect(
            try Rewriting.response(
                "HTTP/1.1 200 OK\r\nServer: old\r\nX-Powered-By: y\r\nContent-Length: 1\r\n\r\n", framing: .length(1),
                edits: FieldEdits(set: [("Server", "new")], remove: ["x-powered-by"]))
                == ["HTTP/1.1 200 OK", "Content-Length: 1", "Server: new"])
    }

    @Test(
        "An interim response and a 204 have no length (RFC 9110 8.6)", arguments: ["103 Early Hints", "204 No Content"])
    func noLength(status: String) throws {
        #expect(
            try Rewriting.response("HTTP/1.1 \(status)\r\nLink: </a>\r\nContent-Length: 0\r\n\r\n", framing: .none)
                == ["HTTP/1.1 \(status)", "Link: </a>"])
    }

    @Test("Only the balancer says why the balancer answered")
    func reason() throws {
        #expect(
            try Rewriting.response(
                "HTTP/1.1 200 OK\r\nX-Balancer-Reason: no-endpoint\r\nContent-Length: 1\r\n\r\n", framing: .length(1))
                == ["HTTP/1.1 200 OK", "Content-Length: 1"])
    }

    private static let date = DateField(seconds: 784_111_777)
    private static let dateLine = "Date: Sun, 06 Nov 1994 08:49:37 GMT"

    @Test("A final response without a date gets one (RFC 9110 6.6.1); one that has it keeps it")
    func dates() throws {
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", framing: .length(0), date: Self.date)
                == ["HTTP/1.1 200 OK", "A: b", Self.dateLine, "Content-Length: 0"])
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\ndate: x\r\n\r\n", framing: .untilClose, date: Self.date)
                == ["HTTP/1.1 200 OK", "date: x"])
        #expect(
            try Rewriting.response("HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n", framing: .none, date: Self.date)
                == ["HTTP/1.1 103 Hints", "Link: a"])
        for edits in [FieldEdits(set: [("Date", "mine")], remove: []), FieldEdits(set: [], remove: ["DATE"])] {
            let lines = try Rewriting.response(
                "HTTP/1.1 200 OK\r\n\r\n", framing: .untilClose, edits: edits, date: Self.date)
            #expect(!lines.contains(Self.dateLine))
        }
    }

    @Test("Upgrade of a 426 is kept (RFC 9110 15.5.22), and of no other response that is no 101")
    func upgradeRequired() throws {
        let text = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3\r\nConnection: upgrade\r\nupgrade: b\r\n\r\n"
        #expect(
            try Rewriting.response(text, framing: .length(0))
                == [
                    "HTTP/1.1 426 Upgrade Required", "Content-Length: 0", "Connection: upgrade", "Upgrade: TLS/1.3",
                    "Upgrade: b",
                ])
        #expect(
            try Rewriting.response(text, framing: .length(0), persistence: .close)[2] == "Connection: close, upgrade")
        #expect(
            try Rewriting.response(text, framing: .length(0), persistence: .keepAlive)[2]
                == "Connection: keep-alive, upgrade")
        #expect(
            try Rewriting.response(
                "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", framing: .length(0))
                == ["HTTP/1.1 200 OK", "Content-Length: 0"])
        #expect(
            try Rewriting.response(
                "HTTP/1.1 101 Switching\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\n", framing: .none,
                date: Self.date, upgrade: true)
                == ["HTTP/1.1 101 Switching", "Connection: upgrade", "Upgrade: ws"])
    }

    @Test("A response head that outgrows its room says so, whatever its status", arguments: [101, 103, 200])
    func overflow(status: Int) throws {
        let bytes = Parsing.bytes("HTTP/1.1 \(status) X\r\nUpgrade: ws\r\nConnection: upgrade\r\n\r\n")
        var fields = FieldTable()
        let parsed = try HeadParser.response(bytes.span, to: .get, limits: Parsing.limits, fields: &fields)
        let head = try #require(parsed)
        let edits = FieldEdits(set: [("A", "long enough")], remove: [])
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { buffer.deallocate() }
        func write(room: Int) -> (isWhole: Bool, count: Int) {
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
            let isWhole = ResponseRewriter.write(
                head, fields: fields, source: bytes.span, framing: .none, persistence: .close, upgrade: status == 101,
                edits: edits, into: &writer)
            return (isWhole, writer.count)
        }
        let (isWhole, count) = write(room: 4_096)
        #expect(isWhole)
        for room in 0...count { #expect(write(room: room).isWhole == (room == count), "\(room) of \(count)") }
    }

    @Test("Expect goes along once, and only where a body follows")
    func expect() throws {
        let lines = try self.rewrite(
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue, ,100-continue\r\nexpect:100-continue\r\nContent-Length: 1\r\n\r\n"
        )
        #expect(lines == ["POST / HTTP/1.1", "Host: h", "Expect: 100-continue", "Content-Length: 1"] + self.ours)
        for (framing, line) in [("", [String]()), ("Content-Length: 0\r\n", ["Content-Length: 0"])] {
            let lines = try self.rewrite("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\(framing)\r\n")
            #expect(lines == ["POST / HTTP/1.1", "Host: h"] + line + self.ours)
        }
        let removed = try self.rewrite(
            "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
            edits: FieldEdits(set: [], remove: ["expect"]))
        #expect(removed == ["POST / HTTP/1.1", "Host: h", "Content-Length: 1"] + self.ours)
    }

    @Test(
        "Max-Forwards of TRACE and OPTIONS is one less behind us; elsewhere it means nothing",
        arguments: [
            ("OPTIONS * ", "Max-Forwards: 7", "Max-Forwards: 6"), ("TRACE / ", "max-forwards: 1", "Max-Forwards: 0"),
            ("TRACE / ", "Max-Forwards: 99999999999", "Max-Forwards: 4294967294"),
            ("OPTIONS / ", "Max-Forwards: 3\r\nMax-Forwards: 2", "Max-Forwards: 1"),
            ("OPTIONS / ", "Max-Forwards: x", "Max-Forwards: x"), ("GET / ", "Max-Forwards: 7", "Max-Forwards: 7"),
        ])
    func maxForwards(start: String, field: String, expected: String) throws {
        let lines = try self.rewrite("\(start)HTTP/1.1\r\nHost: h\r\n\(field)\r\n\r\n")
        #expect(lines.filter { $0.lowercased().hasPrefix("max-forwards") } == [expected])
    }
}
