import HTTPWire
import Testing

/// RFC 9113 8.2 and 8.3: an HTTP/2 request becomes the head of an HTTP/1.1 request, or none.
@Suite struct HTTP2FieldTests {
    private static let get = [(":method", "GET"), (":scheme", "http"), (":path", "/a?b"), (":authority", "h")]

    private struct Result: Equatable {
        var verdict: RequestFields.Verdict
        var head: String
    }

    private func write(
        _ fields: [(String, String)], isEnd: Bool = true,
        limits: HeadLimits = HeadLimits(requestLine: 512, bytes: 2_048, count: 20), key: WebSocketKey? = nil
    ) -> Result? {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: RequestFields.room(limit: limits.bytes), alignment: 8)
        defer { room.deallocate() }
        var writer = RequestFields(room, limits: limits, allowsProtocol: key != nil)
        for (name, value) in fields {
            let isTaken = Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { value in writer.add(name, value) }
            }
            if !isTaken { return nil }
        }
        if let key, writer.isWebSocket { writer.open(key) }
        let verdict = writer.finish(isEnd: isEnd)
        guard case .head(let count) = verdict else { return Result(verdict: verdict, head: "") }
        return Result(verdict: verdict, head: String(decoding: room[0..<count], as: UTF8.self))
    }

    @Test func aRequestBecomesAHead() {
        #expect(self.write(Self.get)?.head == "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n")
        let fields =
            Self.get + [("accept", "*/*"), ("cookie", "a=1"), ("x", ""), ("cookie", "b=2"), ("te", "trailers")]
        #expect(
            self.write(fields)?.head
                == "GET /a?b HTTP/1.1\r\nHost: h\r\naccept: */*\r\nx: \r\nte: trailers\r\nCookie: a=1; b=2\r\n\r\n")
    }

    @Test func whatIsWrittenIsReadByTheOneParser() throws {
        let head = try #require(self.write(Self.get + [("host", "h"), ("content-length", "5")], isEnd: false)?.head)
        var table = FieldTable()
        let bytes = Array(head.utf8)
        let parsed = try HeadParser.request(
            bytes.span, limits: HeadLimits(requestLine: 512, bytes: 2_048, count: 20), fields: &table)
        #expect(parsed?.framing == .length(5))
        #expect(parsed?.length == bytes.count)
        #expect(parsed?.method == .get)
    }

    @Test func bodiesAreFramed() {
        func head(_ method: String, _ fields: [(String, String)] = [], isEnd: Bool) -> String? {
            self.write([(":method", method)] + Self.get.dropFirst() + fields, isEnd: isEnd)?.head
        }
        #expect(head("POST", isEnd: true)?.contains("Content-Length: 0\r\n") == true)
        // A length that the client has given is not said again.
        #expect(
            head("POST", [("content-length", "0")], isEnd: true)
                == "POST /a?b HTTP/1.1\r\nHost: h\r\ncontent-length: 0\r\n\r\n")
        #expect(head("GET", isEnd: true)?.contains("Content-Length") == false)
        #expect(head("POST", isEnd: false)?.contains("Transfer-Encoding: chunked\r\n") == true)
        #expect(head("POST", [("content-length", "7")], isEnd: false)?.contains("Transfer-Encoding") == false)
        #expect(
            self.write(Self.get + [("content-length", "7")], isEnd: true)?.verdict == .malformed(.badContentLength))
    }

    @Test func aWebSocketIsAnUpgradeToTheEndpoint() {
        let key = WebSocketKey((0x7468_6520_7361_6D70, 0x6C65_206E_6F6E_6365))
        let asked = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"),
            (":authority", "h"),
        ]
        let upgrade =
            "GET /chat HTTP/1.1\r\nHost: h\r\n%Connection: Upgrade\r\nUpgrade: websocket\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        func head(_ fields: [(String, String)]) -> String? { self.write(fields, isEnd: false, key: key)?.head }
        #expect(head(asked) == upgrade.replacing("%", with: ""))
        #expect(
            head(asked + [("sec-websocket-version", "13"), ("sec-websocket-key", "theirs")])
                == upgrade.replacing("%", with: "sec-websocket-version: 13\r\n"))
        // Another protocol is a CONNECT like any other, which nobody grants.
        #expect(
            head([asked[0], (":protocol", "other")] + asked[2...])?.hasPrefix("CONNECT h HTTP/1.1\r\n") == true)
        for wrong in [
            [(":method", "GET")] + asked[1...], Array(asked[..<4]), asked + [(":protocol", "websocket")],
            [asked[0], asked[1], asked[2], asked[4]], asked + [("upgrade", "websocket")],
        ] {
            #expect(head(wrong)?.isEmpty != false, "\(wrong)")
        }
        #expect(
            self.write(asked + [("content-length", "3")], isEnd: false, key: key)?.verdict
                == .malformed(.badContentLength))
        #expect(self.write(asked, isEnd: false)?.verdict == .malformed(.badPseudoField))
    }

    @Test func connectHasAnAuthorityAlone() {
        #expect(
            self.write([(":method", "CONNECT"), (":authority", "h:1")])?.head
                == "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n")
        #expect(
            self.write([(":method", "CONNECT"), (":authority", "h:1"), (":path", "/")])?.verdict
                == .malformed(.badPseudoField))
    }

    @Test(
        arguments: [
            // Missing, twice, unknown, empty, behind a field, of answers.
            [(":method", "GET"), (":scheme", "http"), (":authority", "h")], [(":method", "GET"), (":path", "/")],
            [(":scheme", "http"), (":path", "/")], [], Self.get + [(":path", "/")],
            Self.get + [(":protocol", "websocket")],
            [(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "h")],
            [("x", "y")] + Self.get, Self.get + [(":status", "200")], Self.get + [(":", "x")],
            // Another request in the place of a value.
            [(":method", "GET / HTTP/1.1\r\nx: y"), (":scheme", "http"), (":path", "/"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/ HTTP/1.1\r\nx: y"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/a b"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "a"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/#a"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "http://other/"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "u@h")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "h/x")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "h,i")],
            [(":method", "GET"), (":scheme", "http"), (":path", "/é"), (":authority", "h")],
            // Names and values.
            Self.get + [("X-Upper", "y")], Self.get + [("", "y")], Self.get + [("a b", "y")], Self.get + [("a:b", "y")],
            Self.get + [("x", "a\r\nb")], Self.get + [("x", "a\u{0}")], Self.get + [("x", " a")],
            Self.get + [("x", "a\t")],
            // Of another connection (8.2.2).
            Self.get + [("connection", "close")], Self.get + [("keep-alive", "1")], Self.get + [("upgrade", "h2c")],
            Self.get + [("proxy-connection", "x")], Self.get + [("transfer-encoding", "chunked")],
            Self.get + [("te", "gzip")], Self.get + [("te", "trailers, gzip")],
            // Two words on one thing.
            Self.get + [("host", "other")], Self.get + [("host", "h"), ("host", "h")],
            Self.get + [("content-length", "0"), ("content-length", "0")], Self.get + [("content-length", "+0")],
            Self.get + [("content-length", "")], Self.get + [("content-length", "99999999999999999999")],
        ] as [[(String, String)]])
    func whatIsNoRequestIsMalformed(_ fields: [(String, String)]) {
        guard case .malformed = self.write(fields)?.verdict else {
            Issue.record("\(fields) was taken")
            return
        }
    }

    @Test func moreThanMayComeIsRefusedAndFarMoreEndsTheConnection() {
        func many(_ count: Int) -> [(String, String)] { Self.get + (0..<count).map { ("x\($0)", "y") } }
        #expect(self.write(many(60))?.verdict == .tooLarge)
        #expect(self.write(many(250)) == nil)
        #expect(self.write(Self.get + [("x", String(repeating: "y", count: 2_100))])?.verdict == .tooLarge)
        #expect(self.write(Self.get + (0..<5).map { ("x\($0)", String(repeating: "y", count: 2_000)) }) == nil)
    }

    /// Browsers cut a cookie into many fields.
    @Test func crumbsCountTogether() {
        let crumbs = (0..<90).map { _ in ("cookie", "a=b") }
        guard case .head = self.write(Self.get + crumbs)?.verdict else { return #expect(Bool(false)) }
        #expect(self.write(Self.get + (0..<9_000).map { _ in ("cookie", "") }) == nil)
    }

    @Test func trailersKeepToTheirRules() {
        let frames = UnsafeMutableRawBufferPointer.allocate(byteCount: BodyFrames.room(trailerLimit: 256), alignment: 8)
        defer { frames.deallocate() }
        func write(_ fields: [(String, String)]) -> String? {
            var writer = TrailerFields(frames: frames, limit: 256)
            for (name, value) in fields {
                _ = Array(name.utf8).withUnsafeBytes { name in
                    Array(value.utf8).withUnsafeBytes { value in writer.add(name, value, rules: TrailerRules()) }
                }
            }
            return writer.finish().map {
                String(decoding: frames[BodyFrames.trailerOffset..<BodyFrames.trailerOffset + $0], as: UTF8.self)
            }
        }
        #expect(
            write([("x-sum", "1"), ("content-length", "3"), ("authorization", "x"), ("y", "2")])
                == "x-sum: 1\r\ny: 2\r\n")
        #expect(write([]) == "")
        #expect(write([(":path", "/")]) == nil)
        #expect(write([("X", "1")]) == nil)
        #expect(write([("x", String(repeating: "y", count: 300))]) == nil)
    }

    @Test(arguments: [(99, true), (100, true), (101, false)])
    func trailersHaveAHundredFieldsAtMost(count: Int, arePassed: Bool) {
        let frames = UnsafeMutableRawBufferPointer.allocate(
            byteCount: BodyFrames.room(trailerLimit: 4_096), alignment: 8)
        defer { frames.deallocate() }
        var writer = TrailerFields(frames: frames, limit: 4_096)
        let name = Array("x".utf8)
        for _ in 0..<count {
            let isTaken = name.withUnsafeBytes { writer.add($0, $0, rules: TrailerRules()) }
            #expect(isTaken)
        }
        #expect(writer.finish() == (arePassed ? count * "x: x\r\n".utf8.count : nil))
    }

    @Test func linesComeBackAsFields() {
        var bytes = Array(
            "HTTP/1.1 200 OK\r\nServer: A b\r\nTransfer-Encoding: chunked\r\nX:\r\nTE: x\r\n\r\nY: z\r\n".utf8)
        var read: [String] = []
        bytes.withUnsafeMutableBytes { bytes in
            var lines = FieldLines(bytes, startsWithLine: true)
            while let (name, value) = lines.next() {
                read.append(String(decoding: name, as: UTF8.self) + "=" + String(decoding: value, as: UTF8.self))
            }
        }
        #expect(read == ["server=A b", "x="])
    }
}
