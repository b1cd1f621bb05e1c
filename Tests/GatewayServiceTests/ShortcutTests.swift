import Documents
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import GatewayService

/// The short cut in front of the HTTP codec.
@Suite("Short cut")
struct ShortcutTests {
    private func look(_ text: String) -> RequestPeek {
        RequestPeek.look(ByteBuffer(string: text).readableBytesSpan, from: 0)
    }

    @Test(arguments: [
        ("GET /a HTTP/1.1\r\n\r\n", 4..<6, true),
        ("GET /a?b=%20 HTTP/1.1\r\nHost: h\r\nX-Request-ID: 1\r\n\r\nGET /next", 4..<12, true),
        ("GET /a HTTP/1.1\r\nConnection:\tKeep-Alive \r\n\r\n", 4..<6, true),
        ("HEAD /a HTTP/1.1\r\n\r\n", 5..<7, false),
        ("get /a HTTP/1.1\r\n\r\n", 4..<6, false),
        ("GET /a HTTP/1.1\r\nconnection: close\r\n\r\n", 4..<6, false),
        ("GET /a HTTP/1.1\r\nIf-None-Match: *\r\n\r\n", 4..<6, false),
    ])
    func wholeRequests(text: String, target: Range<Int>, isPlain: Bool) throws {
        let end = try #require(text.utf8.firstRange(of: Array("\r\n\r\n".utf8))).upperBound
        let length = text.utf8.distance(from: text.startIndex, to: end)
        #expect(look(text) == .request(length: length, target: target, isPlain: isPlain))
    }

    @Test(arguments: [
        "GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/2.0\r\n\r\n", "GET  /a HTTP/1.1\r\n\r\n", "GET /a\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", "GET /a HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n",
        "GET /a HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", "GET /a HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
        "GET /a HTTP/1.1\nHost: h\n\n", "GET /a HTTP/1.1\r\nHost : h\r\n\r\n", "GET /a HTTP/1.1\r\n: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nA(b): c\r\n\r\n", "GET /a HTTP/1.1\r\nA\"b: c\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET /a HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\nConnection: close\r\n\r\n", "GET /a HTTP/1.1\r\nA: \u{0}\r\n\r\n",
        "GET /ä HTTP/1.1\r\n\r\n", "\r\nGET /a HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}",
    ])
    func leftToTheCodec(text: String) {
        #expect(look(text) == .unclear)
    }

    /// Two origins are one list, and what is not plain text has a form that only the codec knows.
    @Test func originsOfAllKinds() {
        for (fields, origin, isPlain) in [
            ("ORIGIN: \t https://a.b", "https://a.b", true), ("Origin: a\t", "a", false),
            ("Origin: null", "null", true), ("Origin:", "", true), ("Origin: \t", "", true),
            ("Origin:\r\nOrigin: a", "a", false), ("Origin: a\r\nOrigin: a", "a", false),
            ("Origin: a b", "a b", false), ("Origin: ä", "ä", false),
            ("Origin: " + String(repeating: "o", count: 256), String(repeating: "o", count: 256), true),
            ("Origin: " + String(repeating: "o", count: 257), String(repeating: "o", count: 257), false),
        ] {
            let text = "GET /a HTTP/1.1\r\n\(fields)\r\n\r\n"
            guard case .request(text.utf8.count, 4..<6, let plain, 0..<0, let range) = look(text) else {
                Issue.record("\(fields)")
                continue
            }
            #expect(plain == isPlain, "\(fields)")
            #expect(String(decoding: Array(text.utf8)[range], as: UTF8.self) == origin)
        }
    }

    @Test func everyBeginningIsIncomplete() {
        let text = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
        for length in 0..<text.utf8.count {
            #expect(look(String(text.prefix(length))) == .incomplete || text.prefix(length).last == "\r\n")
        }
        for length in 0..<text.utf8.count {
            var buffer = ByteBuffer(string: text)
            buffer.moveWriterIndex(to: length)
            #expect(RequestPeek.look(buffer.readableBytesSpan, from: 0) == .incomplete)
        }
    }

    /// Every byte at every place of a target, a name and a value, however many bytes are looked at together.
    @Test func everyByteInItsPlace() {
        func isTaken(_ before: String, _ text: [UInt8], _ after: String) -> Bool {
            let bytes = ByteBuffer(bytes: Array(before.utf8) + text + Array(after.utf8))
            return RequestPeek.look(bytes.readableBytesSpan, from: 0) != .unclear
        }
        var wrong: [(String, byte: UInt8, place: Int)] = []
        for byte in UInt8.min...UInt8.max {
            let isOfToken =
                0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte
                || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            for place in 0..<20 {
                var text = Array(repeating: UInt8(ascii: "a"), count: 20)
                text[place] = byte
                if isTaken("GET /", text, " HTTP/1.1\r\n\r\n") != (0x21...0x7E ~= byte) {
                    wrong.append(("target", byte, place))
                }
                // A colon ends a name; before it there must be one.
                let isName = byte == UInt8(ascii: ":") ? place > 0 : isOfToken
                if isTaken("GET / HTTP/1.1\r\n", text, ": b\r\n\r\n") != isName { wrong.append(("name", byte, place)) }
                let isValue = byte >= 0x20 && byte != 0x7F || byte == 9
                if isTaken("GET / HTTP/1.1\r\nA: ", text, "\r\n\r\n") != isValue {
                    wrong.append(("value", byte, place))
                }
            }
        }
        #expect(wrong.isEmpty, "\(wrong)")
    }

    /// The codec refuses a head of very many fields: it has to see one.
    @Test func manyFieldsAreNotPlain() {
        for count in [1, 64, 65, 300] {
            let text = "GET /a HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: count) + "\r\n"
            #expect(look(text) == .request(length: text.utf8.count, target: 4..<6, isPlain: count <= 64))
        }
    }

    private static let last = "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    /// The three ways to an answer (made, kept and seen by the codec, kept and sent at once) say the same, byte for byte.
    @Test(arguments: ["/blockindex", "/candidates", "/healthcheck", "/livez"])
    func allWaysSayTheSame(path: String) async throws {
        try await RunningServer.run({ $0.identity = "one" }) { server async throws in
            let plain = "GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n"
            let seen = "GET \(path) HTTP/1.1\r\nHost: h\r\n\(RunningServer.manyFields)\r\n"
            let asked = "GET \(path) HTTP/1.1\r\nHost: h\r\nOrigin: *\r\n\r\n"
            let end = "GET /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            var answers: [(head: Set<String>, body: String)] = []
            for request in [plain, plain, seen, asked, asked, plain, plain] {
                let text = try await server.exchange(request, end)
                let first = RunningServer.Answer(
                    String(text[..<(try #require(text.firstRange(of: "HTTP/1.1 404")).lowerBound)]))
                answers.append((Set(first.headers + [first.status]), first.body))
            }
            #expect(answers[0].head.contains("X-Served-By: one"))
            for answer in answers {
                #expect(answer.head == answers[0].head)
                #expect(answer.body == answers[0].body)
            }
        }
    }

    /// The same of answers that are longer than the kernel takes at once, in each form: made, kept and read, known by its
    /// bytes, kept and seen by the codec, and behind another one.
    @Test func largeAnswersGoAlike() async throws {
        let sample = try EmbeddedStore(reading: .memory)
        try sample.insert(SampleData().documents())
        try await RunningServer.run({ $0.identity = "one" }, store: sample) { server async throws in
            for field in ["", "Accept-Encoding: gzip\r\n", "Accept-Encoding: zstd, br\r\n"] {
                try await server.connect().executeThenClose { inbound, outbound in
                    var reader = ResponseReader(inbound)
                    let plain = "GET /candidates HTTP/1.1\r\nHost: h\r\n\(field)\r\n"
                    let seen = "GET /candidates HTTP/1.1\r\nHost: h\r\n\(field)\(RunningServer.manyFields)\r\n"
                    var answers: [(head: String, body: ByteBuffer)] = []
                    let page = "GET /candidates HTTP/1.1\r\nHost: h\r\nOrigin: *\r\n\(field)\r\n"
                    for (request, count) in [
                        (plain, 1), (plain, 1), (plain, 1), (seen, 1), (plain + plain, 2), (page, 1), (page, 1),
                        (plain, 1),
                    ] {
                        try await outbound.write(ByteBuffer(string: request))
                        for _ in 0..<count {
                            let (head, body) = try #require(try await reader.next())
                            answers.append((head.replacing(#/Date: [A-Za-z0-9,: ]+/#, with: "Date: D"), body))
                        }
                    }
                    #expect(answers[0].head.contains("\r\nContent-Encoding: ") == !field.isEmpty)
                    #expect(answers[0].body.readableBytes > 64 * 1024)
                    for answer in answers { #expect(answer == answers[0]) }
                }
            }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="/candidates",status="200"} 27"#))
            #expect(metrics.contains(#"gateway_cache_hits_total{route="/candidates"} 26"#))
        }
    }

    /// A request that has just been answered is answered past the channel when it comes again; what goes through it keeps its
    /// turn, and a connection that has said its last says no more.
    @Test(arguments: [("/blockindex", 62), ("/livez", 6), ("/nominators", 0)])
    func theSameAgainAndOthersBetween(path: String, length: Int) async throws {
        try await RunningServer.run { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                var bodies: Set<ByteBuffer> = []
                for extra in [
                    "", "", "", "Origin: x\r\n", "Origin: x\r\n", "Origin: y\r\n", "Origin: x\r\n", "", "X: 1\r\n", "",
                    "Origin: y\r\n\(RunningServer.manyFields)", "If-None-Match: x\r\n", "", "",
                ] {
                    let request = "GET \(path) HTTP/1.1\r\nHost: h\r\n\(extra)\r\n"
                    try await outbound.write(ByteBuffer(string: request))
                    let answer = try #require(try await reader.next())
                    #expect(answer.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
                    let origin = extra.hasPrefix("Origin: ") ? String(extra.dropFirst(8).prefix(1)) : "*"
                    #expect(answer.head.contains("\r\nAccess-Control-Allow-Origin: \(origin)\r\n"))
                    bodies.insert(answer.body)
                }
                #expect(bodies.count == 1)
                if length > 0 { #expect(bodies.first?.readableBytes == length) }
                try await outbound.write(ByteBuffer(string: Self.last))
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 404 ") == true)
                #expect(try await reader.head() == nil)
            }
        }
    }

    /// What the codec refuses ends the connection: no kept answer goes before the refusal, and none comes after it.
    @Test func nothingOvertakesARefusal() async throws {
        try await RunningServer.run { server async throws in
            try await server.connect().executeThenClose { inbound, outbound in
                var reader = ResponseReader(inbound)
                let known = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
                for _ in 0..<2 {
                    try await outbound.write(ByteBuffer(string: known))
                    #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 200 ") == true)
                }
                try await outbound.write(ByteBuffer(string: "FOO / HTTP/1.1\r\nHost: h\r\n\r\n" + known))
                #expect(try await reader.next()?.head.hasPrefix("HTTP/1.1 400 ") == true)
                #expect(try await reader.head() == nil)
            }
        }
    }

    /// A request in as many reads as it has bytes, behind one that was answered at once, before one with a body.
    @Test func requestsInPieces() async throws {
        try await RunningServer.run { server async throws in
            let get = "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n"
            let post =
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            for cut in stride(from: 1, to: get.utf8.count, by: 3) {
                let begin = String(decoding: get.utf8.prefix(cut), as: UTF8.self)
                let rest = String(decoding: get.utf8.dropFirst(cut), as: UTF8.self)
                let text = try await server.exchange(get + begin, rest + get, post + get + Self.last)
                let statuses = text.matches(of: #/HTTP/1.1 (\d+) /#).map { String($0.1) }
                #expect(statuses == ["200", "200", "200", "200", "200", "404"], "cut after \(cut) bytes")
                #expect(text.ranges(of: "Good!").count == 4)
            }
        }
    }

    /// Answers are counted alike whichever way they leave.
    @Test func hitsAreCounted() async throws {
        try await RunningServer.run { server async throws in
            let get = "GET /blockindex HTTP/1.1\r\nHost: h\r\n\r\n"
            let health = "GET /healthcheck HTTP/1.1\r\nHost: h\r\n\r\n"
            _ = try await server.send("GET", "/blockindex")
            for _ in 0..<3 { _ = try await server.exchange(get + health + Self.last) }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(metrics.contains(#"gateway_requests_total{route="/blockindex",status="200"} 4"#))
            #expect(metrics.contains(#"gateway_cache_hits_total{route="/blockindex"} 3"#))
            #expect(metrics.contains(#"gateway_requests_total{route="/healthcheck",status="200"} 3"#))
            #expect(!metrics.contains(#"gateway_cache_hits_total{route="/healthcheck"}"#))
        }
    }

    @Test func aKeptAnswerIsNotGivenAfterItsTime() async throws {
        try await RunningServer.run({ $0.cacheLifetime = .nanoseconds(1) }) { server async throws in
            let get = "GET /blockindex HTTP/1.1\r\nHost: h\r\n\r\n"
            for _ in 0..<3 { _ = try await server.exchange(get, Self.last) }
            let metrics = try await server.send("GET", "/metrics").body
            #expect(!metrics.contains("gateway_cache_hits_total{"))
        }
    }
}

/// What leaves together with what.
@Suite("Pieces of an answer")
struct PieceTests {
    private static func bytes(_ text: String) -> HTTPServerResponsePart { .body(.byteBuffer(ByteBuffer(string: text))) }

    /// The last piece waits for the end: a client that has the whole answer may send its next request at once, and then this
    /// one must be over.
    @Test func theLastPieceLeavesWithTheEnd() throws {
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        let state = ConnectionState()
        let answers = KeptAnswers(
            cache: nil, fixed: [:], ledger: Ledger(metrics: GatewayMetrics(), log: nil), drain: Drain(.zero),
            identity: nil)
        try channel.pipeline.syncOperations.addHandler(
            ExchangeHandler(answers, state, ConnectionLimits(GatewayConfiguration())))
        try channel.writeInbound(
            HTTPServerRequestPart.head(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/x")))
        try channel.writeInbound(HTTPServerRequestPart.end(nil))
        #expect(state.outstanding == 1)
        func sent() throws -> HTTPServerResponsePart? { try channel.readOutbound(as: HTTPServerResponsePart.self) }

        let head = HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok))
        try channel.writeOutbound(head)
        #expect(try sent() == head)
        channel.writeAndFlush(Self.bytes("a"), promise: nil)
        #expect(try sent() == nil)
        channel.writeAndFlush(Self.bytes("b"), promise: nil)
        #expect(try sent() == Self.bytes("a"))
        #expect(try sent() == nil)
        try channel.writeOutbound(HTTPServerResponsePart.end(nil))
        #expect(state.outstanding == 0)
        #expect(try sent() == Self.bytes("b"))
        #expect(try sent() == .end(nil))
    }

    /// A piece that nobody will send any more is told so.
    @Test func aPieceIsGivenUpWithItsConnection() throws {
        let channel = EmbeddedChannel()
        let answers = KeptAnswers(
            cache: nil, fixed: [:], ledger: Ledger(metrics: GatewayMetrics(), log: nil), drain: Drain(.zero),
            identity: nil)
        try channel.pipeline.syncOperations.addHandler(
            ExchangeHandler(answers, ConnectionState(), ConnectionLimits(GatewayConfiguration())))
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.writeAndFlush(Self.bytes("a"), promise: promise)
        _ = try channel.finish(acceptAlreadyClosed: true)
        #expect(throws: ChannelError.ioOnClosedChannel) { try promise.futureResult.wait() }
    }
}
