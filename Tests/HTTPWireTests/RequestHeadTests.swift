import HTTPWire
import Testing

@Suite("Request heads")
struct RequestHeadTests {
    private static let accepted: [(String, String)] = [
        (
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET origin path=/ query= host=h 1.1 none persistent=true expect=false upgrade=false | Host=h [27]"
        ),
        (
            "\r\nGET /a/../b//c?x=%zz&y={|} HTTP/1.1\r\nHost:h:80 \r\n\r\n",
            "GET origin path=/a/../b//c query=x=%zz&y={|} host=h:80 1.1 none persistent=true expect=false "
                + "upgrade=false | Host=h:80 [53]"
        ),
        (
            "POST /p HTTP/1.1\r\nHost: h\r\ncontent-length:  12\t\r\n\r\n",
            "POST origin path=/p query= host=h 1.1 length(12) persistent=true expect=false upgrade=false | Host=h"
                + " | content-length=12 [51]"
        ),
        (
            "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n",
            "POST origin path=/p query= host=h 1.1 chunked persistent=false expect=false upgrade=false | Host=h"
                + " | Transfer-Encoding=Chunked | Connection=close [76]"
        ),
        (
            "GET http://other:8080/p?q HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET absolute path=/p query=q host=other:8080 1.1 none persistent=true expect=false upgrade=false"
                + " | Host=h [47]"
        ),
        (
            "GET HTTPS://other HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET absolute path= query= host=other 1.1 none persistent=true expect=false upgrade=false | Host=h [39]"
        ),
        (
            "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
            "OPTIONS asterisk path=* query= host=[::1]:80 1.1 none persistent=true expect=false upgrade=false"
                + " | Host=[::1]:80 [38]"
        ),
        (
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
            "CONNECT authority path= query= host=h:443 1.1 none persistent=true expect=false upgrade=false"
                + " | Host=h:443 [39]"
        ),
        (
            "GET / HTTP/1.0\r\n\r\n",
            "GET origin path=/ query= host= 1.0 none persistent=false expect=false upgrade=false [18]"
        ),
        (
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
            "GET origin path=/ query= host= 1.0 none persistent=true expect=false upgrade=false"
                + " | Connection=Keep-Alive [42]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n",
            "GET origin path=/ query= host=h 1.1 none persistent=false expect=false upgrade=false | Host=h"
                + " | Connection=keep-alive, close [58]"
        ),
        (
            "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 0\r\n\r\n",
            "PUT origin path=/ query= host=h 1.1 length(0) persistent=true expect=true upgrade=false | Host=h"
                + " | Expect=100-Continue | Content-Length=0 [68]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET origin path=/ query= host=h 1.1 none persistent=true expect=false upgrade=true | Host=h"
                + " | Connection=Upgrade | Upgrade=websocket (nominated) [68]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: X-A,,x-b , Host, content-length\r\nx-a: 1\r\nX-B:\r\nX-C: \u{e9}\r\n\r\n",
            "GET origin path=/ query= host=h 1.1 none persistent=true expect=false upgrade=false | Host=h"
                + " | Connection=X-A,,x-b , Host, content-length | x-a=1 (nominated) | X-B= (nominated) | X-C=\u{e9} [95]"
        ),
        (
            "BREW!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: h\r\n\r\n",
            "BREW!#$%&'*+-.^_`|~9 origin path=/ query= host=h 1.1 none persistent=true expect=false upgrade=false"
                + " | Host=h [44]"
        ),
    ]

    @Test("Legal heads are read, also byte by byte", arguments: Self.accepted.indices)
    func accepts(index: Int) {
        let (text, expected) = Self.accepted[index]
        // `Connection: upgrade` does not nominate; what it lists else does.
        let wanted = expected.replacing("websocket (nominated)", with: "websocket")
        let (verdict, fault) = Parsing.splitVerdict(Parsing.bytes(text)) { Parsing.request($0) }
        #expect(verdict == .request(wanted))
        #expect(fault == nil)
    }

    @Test(
        "What an Expect field comes to",
        arguments: [
            ("Expect:", false), ("Expect: ,", false), ("Expect: 100-continue, 100-continue", true),
            ("Expect: 100-continue\r\nExpect: 100-CONTINUE", true),
        ])
    func expectations(fields: String, expected: Bool) {
        let (verdict, fault) = Parsing.splitVerdict(
            Parsing.bytes("PUT / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n\r\n")
        ) { Parsing.request($0) }
        #expect(verdict.description.contains("expect=\(expected)"))
        #expect(fault == nil)
    }

    @Test(
        "Max-Forwards is read where it is a number",
        arguments: [("0", 0), ("10", 10), ("4294967296", .max), ("", nil), ("-1", nil), ("1 ", 1), ("1,2", nil)]
            as [(String, UInt32?)])
    func maxForwards(value: String, expected: UInt32?) throws {
        var fields = FieldTable()
        let bytes = Parsing.bytes("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: \(value)\r\n\r\n")
        let head = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &fields)
        #expect(head?.maxForwards == expected)
    }

    @Test(
        "An empty line is no request",
        arguments: [("", 0), ("\r", 1), ("\r\n", 2), ("\r\nGET", 2), ("\rG", 0), ("G\r\n", 0), ("\n", 0)])
    func emptyLine(text: String, expected: Int) {
        let count = HeadParser.leadingEmptyLine(Parsing.bytes(text).span)
        #expect(count == expected)
    }

    private static let refused: [(String, HeadError)] = [
        ("GET / HTTP/1.1\nHost: h\r\n\r\n", .malformed(.bareLF)),
        ("GET / HTTP/1.1\r\nHost: h\n\r\n", .malformed(.bareLF)),
        ("GET / HTTP/1.1\r\nHost: h\r\n\n", .malformed(.bareLF)),
        ("GET / HTTP/1.1\rHost: h\r\n\r\n", .malformed(.bareCR)),
        ("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", .malformed(.bareCR)),
        ("GET / HTTP/1.1\r\nHost: h\r\n\rX", .malformed(.bareCR)),
        ("\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.bareLF)),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badMethod)),
        ("\rGET / HTTP/1.1\r\n", .malformed(.bareCR)),
        (" GET / HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badMethod)),
        ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", .malformed(.badVersion)),
        ("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badVersion)),
        ("G(T / HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badMethod)),
        ("GET /\u{1} HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET x HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET http:///p HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", .malformed(.badTarget)),
        ("GET / http/1.1\r\nHost: h\r\n\r\n", .malformed(.badVersion)),
        ("GET / HTTP/11\r\nHost: h\r\n\r\n", .malformed(.badVersion)),
        ("GET / HTTP/1.x\r\nHost: h\r\n\r\n", .malformed(.badVersion)),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", .versionNotSupported),
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", .versionNotSupported),
        ("GET / HTTP/0.9\r\nHost: h\r\n\r\n", .versionNotSupported),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .versionNotSupported),
        ("GET / HTTP/1.1\r\nHost : h\r\n\r\n", .malformed(.spaceBeforeColon)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX\t: y\r\n\r\n", .malformed(.spaceBeforeColon)),
        ("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", .malformed(.obsFold)),
        ("GET / HTTP/1.1\r\n Host: h\r\n\r\n", .malformed(.obsFold)),
        ("GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", .malformed(.emptyName)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX-Foo\r\n\r\n", .malformed(.missingColon)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX-Foo\r: y\r\n\r\n", .malformed(.bareCR)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX-Foo\n\r\n", .malformed(.bareLF)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX(: v\r\n\r\n", .malformed(.forbiddenByte)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX\u{0}: v\r\n\r\n", .malformed(.forbiddenByte)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: \u{0}\r\n\r\n", .malformed(.forbiddenByte)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: \u{7f}\r\n\r\n", .malformed(.forbiddenByte)),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: \u{b}\r\n\r\n", .malformed(.forbiddenByte)),
        ("GET / HTTP/1.1\r\n\r\n", .malformed(.missingHost)),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", .malformed(.severalHosts)),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", .malformed(.severalHosts)),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: h:x\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: [zz]\r\n\r\n", .malformed(.badHost)),
        ("GET / HTTP/1.1\r\nHost: a,b c\r\n\r\n", .malformed(.badHost)),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            .malformed(.repeatedContentLength)
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            .malformed(.repeatedContentLength)
        ),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 1\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n", .malformed(.badContentLength)),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", .malformed(.badContentLength)),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .malformed(.lengthWithTransferEncoding)
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            .malformed(.lengthWithTransferEncoding)
        ),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", .malformed(.badTransferEncoding)),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", .malformed(.badTransferEncoding)),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            .malformed(.badTransferEncoding)
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed(.transferEncodingInHTTP10)),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\n\r\n", .expectationFailed),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue, x\r\n\r\n", .expectationFailed),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue;q=1\r\n\r\n", .expectationFailed),
    ]

    @Test("What two parsers could read differently is refused, also byte by byte", arguments: Self.refused.indices)
    func refuses(index: Int) {
        let (text, expected) = Self.refused[index]
        let (verdict, fault) = Parsing.splitVerdict(Parsing.bytes(text)) { Parsing.request($0) }
        #expect(verdict == .refused(expected), "\(text.debugDescription)")
        #expect(fault == nil, "\(text.debugDescription)")
    }

    @Test("Limits hold at the byte")
    func limits() {
        let limits = HeadLimits(requestLine: 32, bytes: 64, count: 2)
        let parse = { (text: String) in Parsing.request(Parsing.bytes(text), limits: limits) }
        let line = { (count: Int) in
            "GET /" + String(repeating: "a", count: count - 14) + " HTTP/1.1\r\nHost: h\r\n\r\n"
        }
        if case .request = parse(line(32)) {} else { Issue.record("a request line of exactly the limit is refused") }
        // Its CR is no byte of it, even while the LF is still to come.
        #expect(parse(String(line(32).prefix { $0 != "\r\n" }) + "\r") == .incomplete)
        #expect(parse(line(33)) == .refused(.requestLineTooLong))
        #expect(parse("GET /" + String(repeating: "a", count: 40)) == .refused(.requestLineTooLong))
        let block = { (count: Int) in
            "GET / HTTP/1.1\r\nHost: h\r\nX: " + String(repeating: "b", count: count - 32) + "\r\n\r\n"
        }
        if case .request = parse(block(64)) {} else { Issue.record("a head of exactly the limit is refused") }
        #expect(parse(block(65)) == .refused(.headTooLarge))
        #expect(parse(String(block(80).dropLast(4))) == .refused(.headTooLarge))
        #expect(parse("GET / HTTP/1.1\r\nHost: h\r\na: b\r\nc: d\r\n\r\n") == .refused(.tooManyFields))
    }

    @Test("Mutations of good heads never trap, and ranges stay inside", arguments: 0..<8 as Range<UInt64>)
    func mutations(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        for _ in 0..<4_000 {
            var bytes = Parsing.bytes(Self.accepted[next(Self.accepted.count)].0)
            for _ in 0...next(4) {
                let at = next(bytes.count)
                switch next(4) {
                case 0: bytes[at] = UInt8(next(256))
                case 1: bytes.insert(UInt8(next(256)), at: at)
                case 2: bytes.remove(at: at)
                default: bytes.insert(contentsOf: bytes[at...].prefix(next(10)), at: at)
                }
                if bytes.isEmpty { bytes = [0x47] }
            }
            _ = Parsing.request(bytes)
            _ = Parsing.response(bytes)
            // Whatever is refused at once is refused in pieces.
            if case .refused = Parsing.request(bytes) {
                #expect(Parsing.splitVerdict(bytes) { Parsing.request($0) }.fault == nil, "seed \(seed): \(bytes)")
            }
        }
    }

    @Test("A head has at most 64 Connection options, over all its Connection fields")
    func connectionOptions() throws {
        func head(_ counts: Int...) -> [UInt8] {
            let fields = counts.map { count in
                "Connection: " + (0..<count).map { "x\($0)" }.joined(separator: ", ,\t,") + "\r\n"
            }
            return Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields.joined())\r\n")
        }
        for accepted in [head(64), head(32, 32)] {
            guard case .request = Parsing.request(accepted) else {
                Issue.record("\(Parsing.request(accepted))")
                continue
            }
        }
        for refused in [head(65), head(64, 1), head(3_000)] {
            #expect(Parsing.request(refused) == .refused(.malformed(.tooManyConnectionOptions)))
        }
        // The usual ones alone in their fields are read in another way, and counted alike.
        func usual(_ word: String, _ count: Int) -> [UInt8] {
            let fields = String(repeating: "Connection: \(word)\r\n", count: count)
            return Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        }
        for word in ["close", "keep-alive", "upgrade", "x"] {
            guard case .request = Parsing.request(usual(word, 64)) else {
                Issue.record("\(word): \(Parsing.request(usual(word, 64)))")
                continue
            }
            #expect(Parsing.request(usual(word, 65)) == .refused(.malformed(.tooManyConnectionOptions)), "\(word)")
        }
        #expect(HeadError.malformed(.tooManyConnectionOptions).status == 400)
        let response = Parsing.bytes("HTTP/1.1 200 OK\r\n") + head(65).dropFirst(25)
        #expect(Parsing.response(response) == .refused(.malformed(.tooManyConnectionOptions)))
    }
}
