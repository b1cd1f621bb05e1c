import HTTPWire
import Testing

/// RFC 9113 8.3.2: an HTTP/2 answer becomes the head of an HTTP/1.1 response, or none; and a request the other way round.
@Suite struct HTTP2AnswerTests {
    private struct Result: Equatable {
        var verdict: AnswerFields.Verdict
        var head: String
    }

    private func write(
        _ fields: [(String, String)], limits: HeadLimits = HeadLimits(requestLine: 512, bytes: 2_048, count: 20),
        webSocketAnswer: [UInt8]? = nil
    ) -> Result? {
        let room = UnsafeMutableRawBufferPointer.allocate(
            byteCount: AnswerFields.room(limit: limits.bytes), alignment: 8)
        defer { room.deallocate() }
        var writer = AnswerFields(room, limits: limits, webSocketAnswer: webSocketAnswer)
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { value in writer.add(name, value) }
            }
        }
        let verdict = writer.finish()
        guard case .head(let count) = verdict else { return Result(verdict: verdict, head: "") }
        return Result(verdict: verdict, head: String(decoding: room[0..<count], as: UTF8.self))
    }

    @Test func anAnswerBecomesAHeadThatTheOneParserReads() throws {
        let head = try #require(
            self.write([(":status", "200"), ("content-length", "5"), ("x-a", ""), ("set-cookie", "a=1")])?.head)
        #expect(head == "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: \r\nset-cookie: a=1\r\n\r\n")
        var table = FieldTable()
        let bytes = Array(head.utf8)
        let parsed = try HeadParser.response(
            bytes.span, to: .get, limits: HeadLimits(requestLine: 512, bytes: 2_048, count: 20), fields: &table)
        #expect(parsed?.framing == .length(5))
        #expect(parsed?.length == bytes.count)
        let interim = self.write([(":status", "103"), ("link", "</a>")])?.head
        #expect(interim == "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    }

    @Test(arguments: [
        [], [("x", "1")], [("x", "1"), (":status", "200")], [(":status", "200"), (":status", "200")],
        [(":status", "200"), (":path", "/")], [(":method", "GET")],
    ])
    func pseudoFieldsStandOnceAndFirst(_ fields: [(String, String)]) {
        #expect(self.write(fields)?.verdict == .malformed(.badPseudoField))
    }

    @Test(arguments: ["", "20", "2000", "2x0", "099", "600", "101", " 200"])
    func statusesAreThreeDigitsAndSwitchNothing(_ status: String) {
        #expect(self.write([(":status", status)])?.verdict == .malformed(.badStatus))
    }

    @Test(arguments: [
        ("X-Upper", "1", Malformation.badFieldName), ("", "1", .badFieldName), ("a b", "1", .badFieldName),
        ("x", "a\r\nb", .forbiddenByte), ("x", " a", .forbiddenByte), ("x", "\0", .forbiddenByte),
        ("connection", "close", .connectionField), ("transfer-encoding", "chunked", .connectionField),
        ("upgrade", "h2c", .connectionField), ("te", "trailers", .connectionField),
        ("keep-alive", "1", .connectionField), ("proxy-connection", "x", .connectionField),
    ])
    func fieldsAreStrict(_ name: String, _ value: String, _ fault: Malformation) {
        #expect(self.write([(":status", "200"), (name, value)])?.verdict == .malformed(fault))
    }

    @Test func tooMuchIsToldFromFarTooMuch() {
        let many = (0..<25).map { ("x-\($0)", "1") }
        #expect(self.write([(":status", "200")] + many)?.verdict == .tooLarge)
        #expect(self.write([(":status", "200"), ("x", String(repeating: "a", count: 2_100))])?.verdict == .tooLarge)
        #expect(self.write([(":status", "200")] + (0..<250).map { ("x-\($0)", "1") })?.verdict == .tooLarge)
        #expect(self.write([(":status", "200"), ("x", String(repeating: "a", count: 9_000))])?.verdict == .tooLarge)
    }

    @Test func aWebSocketIsOpenedAsA101() {
        let opened = self.write(
            [(":status", "200"), ("sec-websocket-protocol", "chat")], webSocketAnswer: [0x61, 0x62])
        #expect(
            opened?.head
                == "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: ab\r\nsec-websocket-protocol: chat\r\n\r\n")
        let fields = [("sec-websocket-accept", "x"), ("content-length", "9"), ("x-a", "b")]
        #expect(
            self.write([(":status", "200")] + fields, webSocketAnswer: [0x61])?.head
                == "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: a\r\nx-a: b\r\n\r\n")
        #expect(
            self.write([(":status", "403")] + fields, webSocketAnswer: [0x61])?.head
                == "HTTP/1.1 403 Forbidden\r\nsec-websocket-accept: x\r\ncontent-length: 9\r\nx-a: b\r\n\r\n")
        #expect(self.write([(":status", "403")], webSocketAnswer: [0x61])?.head == "HTTP/1.1 403 Forbidden\r\n\r\n")
        #expect(self.write([(":status", "101")], webSocketAnswer: [0x61])?.verdict == .malformed(.badStatus))
    }

    // MARK: requests

    private func lines(_ text: String) -> [String]? {
        var bytes = Array(text.utf8)
        return bytes.withUnsafeMutableBytes { room in
            guard var lines = RequestLines(room) else { return nil }
            let text = { (bytes: UnsafeRawBufferPointer) in String(decoding: bytes, as: UTF8.self) }
            var all = [text(lines.method), text(lines.path), text(lines.authority)]
            while let (name, value) = lines.fields.next() { all.append("\(text(name)): \(text(value))") }
            return all
        }
    }

    @Test func aRewrittenRequestComesApart() {
        #expect(
            self.lines(
                "POST /a?b HTTP/1.1\r\nHost: h:1\r\nX-Up: V\r\nTE: trailers\r\nConnection: te\r\nTransfer-Encoding: chunked\r\n\r\n"
            ) == ["POST", "/a?b", "h:1", "x-up: V", "te: trailers"])
        #expect(self.lines("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n") == ["OPTIONS", "*", ""])
        #expect(self.lines("GET / HTTP/1.1\r\nX: 1\r\n\r\n") == nil)
        #expect(self.lines("GET") == nil)
        #expect(self.lines("") == nil)
    }

    @Test func keysAndSecretsAreTold() {
        func told(_ name: String) -> (Bool, Bool) {
            Array(name.utf8).withUnsafeBytes { (RequestLines.isWebSocketKey($0), RequestLines.isSecret($0)) }
        }
        #expect(told("sec-websocket-key") == (true, false))
        #expect(told("sec-websocket-accept") == (true, false))
        #expect(told("cookie") == (false, true))
        #expect(told("authorization") == (false, true))
        #expect(told("x") == (false, false))
    }
}

/// What of gRPC is understood.
@Suite struct GRPCTests {
    @Test(arguments: [
        ("application/grpc", true), ("Application/GRPC+proto", true), ("application/grpc;x", true),
        ("application/grpc ", true), ("application/grpc-web", false), ("application/grp", false), ("text/plain", false),
        ("", false), ("application/grpcx", false),
    ])
    func types(_ text: String, _ isType: Bool) {
        let bytes = Array(text.utf8)
        #expect(GRPC.isType(bytes.span, ByteRange(lower: 0, upper: UInt32(bytes.count))) == isType)
    }

    @Test(
        arguments: [
            ("1H", UInt64(3_600_000)), ("2M", 120_000), ("3S", 3_000), ("4m", 4), ("5000u", 5), ("6000000n", 6),
            ("1u", 1),
            ("0S", 1), ("99999999H", 359_999_996_400_000), ("100000000S", nil), ("S", nil), ("1", nil), ("1x", nil),
            ("-1S", nil), ("", nil),
        ] as [(String, UInt64?)])
    func timeouts(_ text: String, _ milliseconds: UInt64?) {
        let bytes = Array(text.utf8)
        #expect(GRPC.timeout(bytes.span, ByteRange(lower: 0, upper: UInt32(bytes.count))) == milliseconds)
    }

    @Test(arguments: [("0", UInt8(0)), ("16", 16), ("17", 17), ("99", 17), ("", 17), ("100", 17), ("x", 17), ("07", 7)])
    func statuses(_ text: String, _ status: UInt8) {
        #expect(Array(text.utf8).withUnsafeBytes { GRPC.status($0) } == status)
    }

    @Test func statusesAmongTrailers() {
        func status(_ text: String) -> UInt8? { Array(text.utf8).withUnsafeBytes { GRPC.status(inLines: $0) } }
        #expect(status("x: 1\r\nGrpc-Status: 5\r\ny: 2\r\n") == 5)
        #expect(status("grpc-status:3\r\n") == 3)
        #expect(status("grpc-status-x: 5\r\n") == nil)
        #expect(status("") == nil)
    }

    @Test func messagesAreEscaped() {
        var room = [UInt8](repeating: 0, count: 64)
        let text = room.withUnsafeMutableBytes { room in
            var writer = ByteWriter(room)
            GRPC.writeMessage("50% ä\n", into: &writer)
            return String(decoding: room[0..<writer.count], as: UTF8.self)
        }
        #expect(text == "50%25 %C3%A4%0A")
    }

    @Test(arguments: [
        (UInt16(400), UInt8(13)), (401, 16), (403, 7), (404, 12), (408, 4), (413, 8), (429, 8), (502, 14), (503, 14),
        (504, 14),
    ])
    func refusals(_ status: UInt16, _ number: UInt8) {
        #expect(GRPC.status(ofHTTP: status) == number)
    }
}
