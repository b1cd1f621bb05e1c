import HTTPWire
import Testing

/// Small decisions that each stand in one place.
@Suite("Small decisions") struct WireDetailTests {
    private func whole(_ bytes: [UInt8]) -> ByteRange { ByteRange(lower: 0, upper: UInt32(bytes.count)) }

    private func text(_ bytes: [UInt8], _ range: ByteRange) -> String {
        String(decoding: bytes[range.bounds], as: UTF8.self)
    }

    @Test("Which methods are safe, and which may be sent again")
    func methods() {
        let all: [(HTTPMethod, Bool, Bool)] = [
            (.get, true, true), (.head, true, true), (.options, true, true), (.trace, true, true),
            (.put, false, true), (.delete, false, true), (.post, false, false), (.patch, false, false),
            (.connect, false, false), (.other, false, false),
        ]
        for (method, isSafe, isIdempotent) in all {
            #expect(method.isSafe == isSafe && method.isIdempotent == isIdempotent, "\(method)")
        }
    }

    @Test("Statuses of gRPC that are the server's fault, and those that stand for HTTP's")
    func grpc() {
        for status in Int8(-1)...17 {
            #expect(GRPC.isServerFault(status) == [2, 4, 13, 14, 15].contains(status), "\(status)")
        }
        let statuses: [(UInt16, UInt8)] = [
            (400, 13), (401, 16), (403, 7), (404, 12), (405, 12), (408, 4), (413, 8), (414, 8), (429, 8), (431, 8),
            (499, 1), (421, 14), (502, 14), (503, 14), (504, 14), (500, 13), (501, 13), (505, 13), (508, 13), (302, 2),
            (417, 2),
        ]
        for (http, status) in statuses { #expect(GRPC.status(ofHTTP: http) == status, "\(http)") }
        for (value, status) in [
            ("0", 0), ("16", 16), ("17", 17), ("18", 17), ("99", 17), ("", 17), ("100", 17), ("a", 17), ("1a", 17),
            ("07", 7),
        ] as [(String, UInt8)] {
            Array(value.utf8).withUnsafeBytes { #expect(GRPC.status($0) == status, "\(value)") }
        }
        for (lines, status) in [
            ("grpc-status: 5\r\n", 5), ("Grpc-Status:5\r\n", 5), ("a: b\r\ngrpc-status: 13\r\nc: d\r\n", 13),
            ("grpc-status-details: 5\r\n", nil), ("xgrpc-status: 5\r\n", nil), ("", nil), ("grpc-status", nil),
        ] as [(String, UInt8?)] {
            Array(lines.utf8).withUnsafeBytes { #expect(GRPC.status(inLines: $0) == status, "\(lines)") }
        }
    }

    @Test(
        "That a request has no body is said where its method usually has one",
        arguments: [
            ("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("HEAD", false), ("DELETE", false),
            ("OPTIONS", false), ("POS", false),
        ])
    func noBody(method: String, isSaid: Bool) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: RequestFields.room(limit: 512), alignment: 8)
        defer { room.deallocate() }
        var fields = RequestFields(room, limits: HeadLimits(requestLine: 512, bytes: 512, count: 9))
        for (name, value) in [(":method", method), (":scheme", "https"), (":path", "/"), (":authority", "h")] {
            let isTaken = Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { fields.add(name, $0) }
            }
            #expect(isTaken)
        }
        let (isHead, announced) = (fields.isHead, fields.announced)
        #expect(isHead == (method == "HEAD") && announced == nil)
        guard case .head(let count) = fields.finish(isEnd: true) else {
            Issue.record("no head")
            return
        }
        let head = String(decoding: room[0..<count], as: UTF8.self)
        #expect(head.contains("Content-Length: 0\r\n") == isSaid)
    }

    @Test("A host without its port, if it has one")
    func ports() {
        for (host, expected) in [
            ("h", "h"), ("h:80", "h"), ("h:", "h"), ("[::1]:443", "[::1]"), ("[::1]", "[::1]"), ("1", "1"),
            ("127.0.0.1:8080", "127.0.0.1"), ("h80", "h80"), ("a:b", "a:b"),
        ] {
            let bytes = Array("x\(host)".utf8)
            let range = ByteRange(lower: 1, upper: UInt32(bytes.count))
            #expect(self.text(bytes, HostSyntax.withoutPort(range, in: bytes.span)) == expected, "\(host)")
        }
    }

    @Test("Elements of a list stand between commas, blanks and tabs aside")
    func elements() {
        for (value, expected) in [
            ("a", ["a"]), ("a,b", ["a", "b"]), (" a ,\tb\t, c d ", ["a", "b", "c d"]), (",,a,,", ["a"]), ("", []),
            (" , ", []), ("a\t", ["a"]),
        ] {
            let bytes = Array(value.utf8)
            var list = ElementList(self.whole(bytes))
            var found: [String] = []
            while let element = list.next(in: bytes.span) { found.append(self.text(bytes, element)) }
            #expect(found == expected, "\(value)")
        }
    }

    @Test("A copy of a head has its fields, known names included, and may be given another parent or lose a field")
    func copies() throws {
        let parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        let bytes = Array(
            "PUT /a?b HTTP/1.1\r\nHost: h\r\nAccept: x\r\nTraceParent: \(parent)\r\nA: 1\r\na: 2\r\ntraceparent: x\r\n\r\n"
                .utf8)
        var table = FieldTable()
        let parsed = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        var block = HeadBlock()
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: HeadBlock.room(bytes: head.length, fields: table.count), alignment: 16)
        defer { memory.deallocate() }
        #expect(HeadCopy(block) == nil)
        let isKept = bytes.withUnsafeBytes { block.keep(head, fields: table, bytes: $0, in: memory) }
        try #require(isKept)
        #expect(HeadCopy.size(of: block) == bytes.count + 6 * MemoryLayout<Field>.stride)
        var copy = try #require(HeadCopy(block))
        #expect(copy.method == "PUT" && copy.target == "/a?b" && copy.head.length == bytes.count)
        func lines() -> [String] {
            copy.withFields { fields, source in
                (0..<fields.count).map { index in
                    String(decoding: source[fields[index].name.bounds], as: UTF8.self) + "="
                        + String(decoding: source[fields[index].value.bounds], as: UTF8.self)
                }
            }
        }
        let present = copy.withFields { fields, _ in
            (fields.first(.accept) != nil, fields.first(.host) != nil, fields.first(.cookie) != nil)
        }
        #expect(present == (true, true, false))
        copy.setTraceParent(0xFEDC_BA98_7654_3210)
        let other = "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01"
        #expect(lines() == ["Host=h", "Accept=x", "TraceParent=\(other)", "A=1", "a=2", "traceparent=x"])
        copy.remove("a")
        #expect(lines() == ["Host=h", "Accept=x", "TraceParent=\(other)", "traceparent=x"])
        copy.remove("traceparent")
        #expect(lines() == ["Host=h", "Accept=x"])
    }

    @Test("Behind what did not fit nothing is written, however short it is")
    func overflow() {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { room.deallocate() }
        for write: (inout ByteWriter) -> Void in [
            { $0.append("123456") }, { $0.append(decimal: 123_456) }, { $0.append(hex: 0x12_3456) },
            { $0.append(paddedHex: 1) }, { $0.append(bytes: [1, 2, 3, 4, 5, 6]) }, { $0.append(utf8: "123456") },
        ] {
            var writer = ByteWriter(room)
            writer.append("abcde")
            write(&writer)
            let count = writer.count
            writer.append(0x78)
            writer.append("")
            let (after, hasOverflowed) = (writer.count, writer.overflowed)
            #expect(hasOverflowed && after == count && count < 9)
        }
        var full = ByteWriter(room)
        full.append("12345678")
        full.append("")
        let (count, hasOverflowed) = (full.count, full.overflowed)
        #expect(count == 8 && !hasOverflowed)
    }

    @Test("Lines that came by themselves are joined where they continue a list, empty ones left out")
    func forwardedFor() throws {
        let lines = try Rewriting.request(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: a\r\nX-Forwarded-For:\r\nX-Forwarded-For: b, c\r\n\r\n",
            trusted: true)
        #expect(lines.filter { $0.hasPrefix("X-Forwarded-For") } == ["X-Forwarded-For: a, b, c, 192.0.2.7"])
    }

    @Test("Names are told apart in all of their bytes")
    func names() throws {
        // Each of these differs from a known name in its middle alone.
        for name in [
            "x-original-forwarbed-for", "x-cluster-cliant-ip", "proxy-authentikation-info", "transfer-encobing",
        ] {
            let lines = try Rewriting.request("GET / HTTP/1.1\r\nHost: h\r\n\(name): x\r\n\r\n")
            #expect(lines.contains("\(name): x"), "\(name)")
        }
    }

    @Test("Answers without a body say its length where it informs, and in one form")
    func lengths() throws {
        func lines(_ text: String, to method: HTTPMethod, framing: BodyFraming) throws -> [String] {
            try Rewriting.response(text, to: method, framing: framing).filter { $0.hasPrefix("Content-Length") }
        }
        let head = "Content-Length: 007\r\n\r\n"
        #expect(try lines("HTTP/1.1 200 OK\r\n\(head)", to: .head, framing: .none) == ["Content-Length: 7"])
        #expect(try lines("HTTP/1.1 304 X\r\n\(head)", to: .get, framing: .none) == ["Content-Length: 7"])
        #expect(try lines("HTTP/1.1 200 OK\r\n\(head)", to: .get, framing: .length(7)) == ["Content-Length: 7"])
        #expect(
            try lines("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", to: .get, framing: .length(9)) == [
                "Content-Length: 9"
            ])
        #expect(try lines("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", to: .get, framing: .none).isEmpty)
        #expect(try lines("HTTP/1.1 200 OK\r\n\(head)", to: .get, framing: .chunked).isEmpty)
        #expect(try lines("HTTP/1.1 200 OK\r\n\(head)", to: .get, framing: .untilClose).isEmpty)
    }

    @Test("A path that an absolute target leaves out is the root, also where its prefix is replaced")
    func roots() throws {
        for (target, replacement, expected) in [
            ("http://h", "/new", "/new"), ("http://h?q", "/new", "/new?q"), ("http://h/", "/new", "/new"),
            ("http://h/a", "/new", "/new/a"), ("http://h", "", "/"), ("/a", "/new/", "/new/a"), ("/", "", "/"),
        ] {
            let policy = Rewriting.policy(path: .replace(prefix: Array("/".utf8), with: Array(replacement.utf8)))
            let lines = try Rewriting.request("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n", policy: policy)
            #expect(lines[0] == "GET \(expected) HTTP/1.1", "\(target)")
        }
    }

    @Test("Fields of a line end where the value does, whatever blanks stand before it")
    func fieldLines() {
        var bytes = Array("HTTP/1.1 200 OK\r\nA:\tb\r\nC: \t d\r\nX-Up: E f\r\n".utf8)
        var read: [String] = []
        bytes.withUnsafeMutableBytes { bytes in
            var lines = FieldLines(bytes, startsWithLine: true)
            while let (name, value) = lines.next() {
                read.append(String(decoding: name, as: UTF8.self) + "=" + String(decoding: value, as: UTF8.self))
            }
        }
        #expect(read == ["a=b", "c=d", "x-up=E f"])
    }
}
