import HTTPWire
import Testing

/// Fields that are meant for one connection, and what is made of them.
@Suite("Fields of one hop")
struct HopRuleTests {
    private static let start = ["GET / HTTP/1.1", "Host: h"]

    @Test(
        "Of TE only trailers goes on, with its Connection option (RFC 9110 10.1.4)",
        arguments: [
            ("TE: trailers", true), ("TE: deflate;q=0.5, Trailers", true), ("te: gzip\r\nTE: trailers", true),
            ("Connection: TE\r\nTE: trailers", true), ("TE: deflate", false), ("TE: trailers;q=1", false),
            ("TE:", false),
        ])
    func trailersWanted(fields: String, isKept: Bool) throws {
        let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n")
        #expect(lines == Self.start + Rewriting.ours + (isKept ? ["TE: trailers", "Connection: te"] : []))
        let upgrading = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: ws\r\n\(fields)\r\n\r\n", upgrades: true)
        #expect(
            upgrading == Self.start + Rewriting.ours
                + (isKept ? ["TE: trailers", "Connection: upgrade, te"] : ["Connection: upgrade"]) + ["Upgrade: ws"])
        // HTTP/1.0 has no trailers.
        let old = try Rewriting.request("GET / HTTP/1.0\r\nHost: h\r\n\(fields)\r\n\r\n")
        #expect(!old.contains("TE: trailers"))
    }

    @Test("Proxy credentials and challenges are for one hop, both ways")
    func proxyAuthentication() throws {
        let fields = "Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: x\r\nProxy-Authorization: Basic x"
        #expect(try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n") == Self.start + Rewriting.ours)
        #expect(
            try Rewriting.response("HTTP/1.1 407 No\r\n\(fields)\r\nA: b\r\n\r\n", framing: .length(0))
                == ["HTTP/1.1 407 No", "A: b", "Content-Length: 0"])
    }

    @Test("Only balancers write the balancer's fields")
    func own() throws {
        let fields = "X-Balancer-Reason: made-up\r\nX-Balancer-Hops: 1"
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n", framing: .length(0))
                == ["HTTP/1.1 200 OK", "Content-Length: 0"])
        let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\nX-Balancer-Reason: x\r\n\r\n")
        #expect(lines == Self.start + Rewriting.ours)
    }

    @Test("Lines that are not as we would write them are written anew; the others are copied")
    func spelling() throws {
        #expect(
            try Rewriting.request(
                "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB:2\r\nC: 3 \r\nD:  4\r\nE:\t5\r\nF:\r\nG: \r\nI: 6\r\n\r\n")
                == Self.start + ["A: 1", "B: 2", "C: 3", "D: 4", "E: 5", "F: ", "G: ", "I: 6"] + Rewriting.ours)
        #expect(
            try Rewriting.request("GET / HTTP/1.1\r\nhost:h\r\nA: 1\r\n\r\n") == Self.start + ["A: 1"] + Rewriting.ours)
        #expect(
            try Rewriting.request("GET / HTTP/1.1\r\nA: 1\r\nHost: h\r\nB: 2\r\n\r\n")
                == Self.start + ["A: 1", "B: 2"] + Rewriting.ours)
        #expect(
            try Rewriting.request("\r\nGET / HTTP/1.1\r\nHost: h\r\nA: 1\r\n\r\n") == Self.start + ["A: 1"]
                + Rewriting.ours)
    }

    @Test("A length is kept in its place only where it reads as we would write it")
    func lengths() throws {
        let request = { (length: String) in
            try Rewriting.request("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\(length)\r\nA: 1\r\n\r\n")
        }
        let start = ["PUT / HTTP/1.1", "Host: h"]
        #expect(try request(" 12") == start + ["Content-Length: 12", "A: 1"] + Rewriting.ours)
        #expect(try request(" 0") == start + ["Content-Length: 0", "A: 1"] + Rewriting.ours)
        for odd in [" 012", "12", " 12 ", "\t12"] {
            #expect(try request(odd) == start + ["A: 1"] + Rewriting.ours + ["Content-Length: 12"])
        }
        // As the body goes out differently from how it came, its framing is written by that.
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", framing: .length(7))
                == ["HTTP/1.1 200 OK", "Content-Length: 7"])
        #expect(
            try Rewriting.response("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", framing: .chunked)
                == ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"])
    }

    @Test(
        "Status lines go on as they came, in HTTP/1.1",
        arguments: [
            ("HTTP/1.1 200 Fine", "HTTP/1.1 200 Fine"), ("HTTP/1.1 200 ", "HTTP/1.1 200 "),
            ("HTTP/1.1 200", "HTTP/1.1 200 "), ("HTTP/1.0 404 No such \u{e9}", "HTTP/1.1 404 No such \u{e9}"),
        ])
    func statusLine(line: String, expected: String) throws {
        #expect(try Rewriting.response("\(line)\r\nA: b\r\n\r\n", framing: .untilClose) == [expected, "A: b"])
    }

    // MARK: trailers

    private func trailers(_ lines: String, rules: TrailerRules) throws -> String {
        let bytes = Parsing.bytes("0\r\n\(lines)\r\n\r\n")
        var reader = BodyReader(.chunked, extensionLimit: 0, trailerLimit: 4_096)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        let frames = UnsafeMutableRawBufferPointer.allocate(
            byteCount: BodyFrames.room(trailerLimit: 4_096), alignment: 1)
        defer {
            buffer.deallocate()
            frames.deallocate()
        }
        buffer.copyBytes(from: bytes)
        let piece = try reader.take(buffer, frames: frames, trailers: rules)
        let from = BodyFrames.trailerOffset
        return String(decoding: frames[from..<from + piece.trailerBytes], as: UTF8.self)
    }

    @Test("No trailer says what only a head or a proxy may, in either direction")
    func forbiddenTrailers() throws {
        let names = [
            "Transfer-Encoding", "Content-Length", "Host", "Connection", "TE", "Trailer", "Upgrade", "Keep-Alive",
            "Proxy-Connection", "Content-Encoding", "Content-Type", "Content-Range", "Authorization", "Set-Cookie",
            "Cookie", "Expect", "Max-Forwards", "Cache-Control", "X-Forwarded-For", "X-Forwarded-Proto",
            "X-Forwarded-Whatever", "Forwarded", "Via", "X-Request-ID", "X-Real-IP", "True-Client-IP",
            "X-Balancer-Reason", "X-Balancer-Hops", "Location", "WWW-Authenticate", "If-None-Match", "Range", "Date",
        ]
        let policy = Rewriting.policy(edits: FieldEdits(set: [("X-Set", "1")], remove: ["x-removed"]))
        let edited = ["X-Set", "X-Removed"]
        for rules in [TrailerRules(requests: policy), TrailerRules(edits: policy.edits)] {
            for name in names + edited { #expect(try self.trailers("\(name): v", rules: rules) == "", "\(name)") }
            #expect(
                try self.trailers("grpc-status:0\r\nDigest: x\r\nServer-Timing: a", rules: rules)
                    == "grpc-status: 0\r\nDigest: x\r\nServer-Timing: a\r\n")
        }
    }

    @Test("Names with a _ are no trailers of requests, unless they are kept")
    func disguisedTrailers() throws {
        let lines = "my_field: 1\r\nX_Real_IP: 2"
        for policy in [Rewriting.policy(), Rewriting.policy(underscores: .refuse)] {
            #expect(try self.trailers(lines, rules: TrailerRules(requests: policy)) == "")
        }
        #expect(
            try self.trailers(lines, rules: TrailerRules(requests: Rewriting.policy(underscores: .keep)))
                == "my_field: 1\r\n")
        #expect(try self.trailers(lines, rules: TrailerRules()) == "my_field: 1\r\n")
    }
}
