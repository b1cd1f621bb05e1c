import HTTPWire
import Testing

@Suite("Response heads")
struct ResponseHeadTests {
    @Test(
        "Legal heads are read with the framing their request and status give",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HTTPMethod.get, "200 OK 1.1 length(5) persistent=true"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", .head, "200 OK 1.1 none persistent=true"),
            ("HTTP/1.1 200\r\n\r\n", .get, "200  1.1 untilClose persistent=true"),
            ("HTTP/1.1 200 \r\n\r\n", .get, "200  1.1 untilClose persistent=true"),
            (
                "HTTP/1.1 404 Nicht gefünden\r\nTransfer-Encoding: chunked\r\n\r\n", .get,
                "404 Nicht gefünden 1.1 chunked persistent=true"
            ),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", .get, "204 No Content 1.1 none persistent=true"),
            (
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", .get,
                "304 Not Modified 1.1 none persistent=true"
            ),
            ("HTTP/1.1 100 Continue\r\n\r\n", .post, "100 Continue 1.1 none persistent=true"),
            ("HTTP/1.0 200 OK\r\n\r\n", .get, "200 OK 1.0 untilClose persistent=false"),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", .get,
                "200 OK 1.0 length(1) persistent=true"
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n", .get,
                "200 OK 1.1 length(1) persistent=false"
            ),
        ])
    func accepts(text: String, method: HTTPMethod, expected: String) {
        #expect(Parsing.response(Parsing.bytes(text), to: method) == .response(expected))
        for count in 0..<text.utf8.count {
            #expect(Parsing.response(Array(Parsing.bytes(text)[..<count]), to: method) == .incomplete)
        }
    }

    @Test(
        "What cannot be trusted is refused",
        arguments: [
            ("HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\n", HeadError.malformed(.bareLF)),
            ("HTTP/1.1 20 OK\r\n\r\n", .malformed(.badStatus)),
            ("HTTP/1.1 2000 OK\r\n\r\n", .malformed(.badStatus)),
            ("HTTP/1.1 099 X\r\n\r\n", .malformed(.badStatus)),
            ("HTTP/1.1 600 X\r\n\r\n", .malformed(.badStatus)),
            ("HTTP/1.1  200 OK\r\n\r\n", .malformed(.badStatus)),
            ("ICY 200 OK\r\n\r\n", .malformed(.badVersion)),
            ("HTTP/2.0 200 OK\r\n\r\n", .versionNotSupported),
            ("HTTP/1.1 200 O\u{0}K\r\n\r\n", .malformed(.badStatus)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .malformed(.repeatedContentLength)),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                .malformed(.lengthWithTransferEncoding)
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .malformed(.badTransferEncoding)),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed(.transferEncodingInHTTP10)),
            ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed(.bodyNotAllowed)),
            ("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", .malformed(.bodyNotAllowed)),
            ("HTTP/1.1 103 Hints\r\nContent-Length: 3\r\n\r\n", .malformed(.bodyNotAllowed)),
            ("HTTP/1.1 200 OK\r\n folded\r\n\r\n", .malformed(.obsFold)),
            ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", .malformed(.spaceBeforeColon)),
        ])
    func refuses(text: String, expected: HeadError) {
        #expect(Parsing.response(Parsing.bytes(text)) == .refused(expected))
    }
}
