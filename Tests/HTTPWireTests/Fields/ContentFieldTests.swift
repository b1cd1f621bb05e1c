import HTTPWire
import Testing

/// What decides about the form of a body, and what its head says then.
@Suite("Contents and their forms")
struct ContentFieldTests {
    private func weight(_ fields: String, _ token: StaticString = "br") throws -> Int {
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\n\(fields)\r\n")
        var table = FieldTable()
        _ = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        return AcceptEncoding.weight(of: token, alias: "x-br", table.list, bytes.span)
    }

    @Test(
        "Accept-Encoding: weights, blanks, other names and the asterisk",
        arguments: [
            ("br", 1_000), ("BR", 1_000), ("gzip, br", 1_000), ("br;q=0.5", 500), ("br ; Q=0.25", 250),
            ("br;q=0.001", 1), ("br;q=1.000", 1_000), ("br;q=0", 0), ("br;q=0.000", 0), ("gzip", 0), ("", 0),
            ("*", 1_000), ("*;q=0.3", 300), ("br;q=0.1, *", 100), ("*, br;q=0", 0), ("*;q=0", 0), ("x-br;q=0.7", 700),
            ("identity", 0), ("brr", 0), ("b", 0), ("br;q=", 0), ("br;q=2", 0), ("br;q=1.5", 0), ("br;q=0.1234", 0),
            ("br;q=-1", 0), ("br;x=1", 0), ("br x", 0), (", ,br", 1_000),
        ])
    func weights(value: String, expected: Int) throws {
        #expect(try self.weight("Accept-Encoding: \(value)\r\n") == expected)
    }

    @Test("Without the field nothing but identity is wanted; several fields are one list")
    func fields() throws {
        #expect(try self.weight("") == 0)
        #expect(try self.weight("Accept-Encoding: gzip\r\naccept-encoding: br;q=0.4\r\n") == 400)
    }

    private func content(_ fields: String) throws -> (content: ContentFields, type: String?) {
        let bytes = Parsing.bytes("HTTP/1.1 200 OK\r\n\(fields)\r\n")
        var table = FieldTable()
        _ = try HeadParser.response(bytes.span, to: .get, limits: Parsing.limits, fields: &table)
        let content = ContentFields(table.list, bytes.span)
        return (content, content.type.map { String(decoding: bytes[$0.bounds], as: UTF8.self) })
    }

    @Test("A response's fields, in any case")
    func responses() throws {
        #expect(try self.content("content-type: Text/HTML; charset=utf-8\r\n").type == "Text/HTML")
        for parameters in ["", ";charset=utf-8", " ;charset=utf-8", "\t; charset=utf-8"] {
            #expect(try self.content("Content-Type: text/html\(parameters)\r\n").type == "text/html")
        }
        #expect(try self.content("Content-Type: text/html\r\nContent-Type: text/css\r\n").type == nil)
        #expect(try self.content("").type == nil)
        #expect(try self.content("Content-Encoding: gzip\r\n").content.isEncoded)
        #expect(try self.content("Content-Encoding: Identity\r\n").content.isEncoded == false)
        #expect(try self.content("Content-Range: bytes 0-1/2\r\n").content.isPart)
        #expect(try self.content("Cache-Control: public, No-Transform\r\n").content.mustStay)
        #expect(try self.content("Cache-Control: no-transformation\r\n").content.mustStay == false)
        #expect(try self.content("Vary: Cookie, accept-encoding\r\n").content.varies)
        #expect(try self.content("Vary: *\r\n").content.varies)
        #expect(try self.content("Vary: Cookie\r\n").content.varies == false)
    }

    private func edit(_ text: String, to method: HTTPMethod = .get, _ form: ResponseEditor.Form) throws -> [String] {
        let bytes = Parsing.bytes(text)
        var table = FieldTable()
        let parsed = try HeadParser.response(bytes.span, to: method, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        ResponseEditor.write(head, fields: table.list, source: bytes.span, form: form, into: &writer)
        return String(decoding: room[..<writer.count], as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    private static let described =
        "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\nA:b\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\nDigest: d\r\n"
        + "Content-Digest: e\r\nRepr-Digest: f\r\nContent-MD5: g\r\nContent-Encoding: identity\r\nVary: Cookie\r\n\r\n"

    @Test("What was true of the body's bytes goes with them; what is true of the answer stays")
    func edits() throws {
        #expect(
            try self.edit(Self.described, .init(coding: "gzip", weakens: true, varies: true)) == [
                "HTTP/1.1 200 Fine", "A: b", "ETag: W/\"x\"", "Vary: Cookie", "Content-Encoding: gzip",
                "Transfer-Encoding: chunked", "Vary: Accept-Encoding",
            ])
        #expect(
            try self.edit(Self.described, .init(weakens: true, varies: true)) == [
                "HTTP/1.0 200 Fine", "Content-Length: 5", "A: b", "ETag: W/\"x\"", "Accept-Ranges: bytes", "Digest: d",
                "Content-Digest: e", "Repr-Digest: f", "Content-MD5: g", "Content-Encoding: identity", "Vary: Cookie",
                "Vary: Accept-Encoding",
            ])
        let weak = try self.edit("HTTP/1.1 404 \r\nETag: W/\"x\"\r\n\r\n", .init(weakens: true))
        #expect(weak == ["HTTP/1.1 404 ", "ETag: W/\"x\""])
    }

    @Test("A HEAD is told what a GET would be, without a framing that nothing follows")
    func heads() throws {
        #expect(
            try self.edit(Self.described, to: .head, .init(coding: "gzip", weakens: true, varies: true)) == [
                "HTTP/1.1 200 Fine", "A: b", "ETag: W/\"x\"", "Vary: Cookie", "Content-Encoding: gzip",
                "Vary: Accept-Encoding",
            ])
    }

    @Test("What Connection names was of the upstream's connection: read again, it must not take away what is added")
    func connections() throws {
        let text =
            "HTTP/1.1 200 OK\r\nConnection: close, Vary, Content-Encoding, X-Own\r\nX-Own: 1\r\nKeep-Alive: 5\r\n"
            + "Vary: Cookie\r\nX: 2\r\nContent-Length: 5\r\n\r\n"
        #expect(
            try self.edit(text, .init(coding: "br", weakens: true, varies: true)) == [
                "HTTP/1.1 200 OK", "X: 2", "Content-Encoding: br", "Transfer-Encoding: chunked",
                "Vary: Accept-Encoding",
            ])
        let upgrade = "HTTP/1.1 426 Upgrade\r\nConnection: upgrade\r\nUpgrade: TLS/1.3\r\nContent-Length: 0\r\n\r\n"
        #expect(
            try self.edit(upgrade, .init()) == ["HTTP/1.1 426 Upgrade", "Upgrade: TLS/1.3", "Content-Length: 0"])
    }

    @Test(
        "Trailers that speak of the bytes as they came, whether somebody announced them or not",
        arguments: [
            ("A: 1\r\nDigest: x\r\nB: 2\r\n", "A: 1\r\nB: 2\r\n"), ("content-digest: x\r\n", ""), ("", ""),
            ("Repr-Digest: x\r\nETag: \"a\"\r\nContent-MD5:\r\nZ: digest\r\n", "Z: digest\r\n"),
            ("Digests: x\r\nETags: y\r\n", "Digests: x\r\nETags: y\r\n"),
        ])
    func trailers(lines: String, kept: String) {
        var bytes = Array(lines.utf8)
        let count = bytes.withUnsafeMutableBytes { ResponseEditor.dropDigests($0) }
        #expect(String(decoding: bytes[..<count], as: UTF8.self) == kept)
    }

    @Test("What a response says of its length, its tag and what follows it")
    func further() throws {
        #expect(try self.content("Content-Length: 12\r\n").content.length == 12)
        #expect(try self.content("").content.length == nil)
        #expect(try self.content("Trailer: X, Repr-Digest\r\n").content.mustStay)
        #expect(try self.content("Trailer: X-Digest\r\n").content.mustStay == false)
        #expect(try self.content("ETag: \"a\"\r\n").content.strongTag != nil)
        for other in ["ETag: W/\"a\"\r\n", "ETag: \"a\"\r\nETag: \"b\"\r\n", "ETag:\r\n"] {
            #expect(try self.content(other).content.strongTag == nil, "\(other)")
        }
    }

    @Test(
        "A tag is known weakly to a client that shows it so",
        arguments: [
            (#"W/"a""#, true), (#""b", W/"a""#, true), (#"W/"b",W/"a","c""#, true), (#""a""#, false), ("*", false),
            (#"W/"ab""#, false), (#"W/"b""#, false), (#"w/"a""#, false), ("", false),
        ])
    func known(value: String, expected: Bool) throws {
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\nIf-None-Match: \(value)\r\n\r\n")
        var table = FieldTable()
        _ = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        let tag = Array(#""a""#.utf8)
        #expect(ContentFields.isKnownWeakly(tag.span, table.list, bytes.span) == expected)
    }

    @Test(
        "The body as it is has a weight too: less wanted codings go after it, and it may be refused",
        arguments: [
            ("br", true, false), ("br, identity", true, false), ("br;q=0.5, identity", false, false),
            ("br;q=0.5, identity;q=0.5", true, false), ("br, identity;q=0", true, true), ("br, *;q=0", true, true),
            ("*", true, false), ("br;q=0.2, *;q=0.3", false, false), ("identity;q=0", false, true),
            ("*;q=0", false, true), ("", false, false), ("gzip", false, false),
            ("br, *;q=0, identity;q=0.5", true, false), ("br, identity;q=0, *;q=0.5", true, true),
        ])
    func identity(value: String, isCoded: Bool, refuses: Bool) throws {
        let bytes = Parsing.bytes("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: \(value)\r\n\r\n")
        var table = FieldTable()
        _ = try HeadParser.request(bytes.span, limits: Parsing.limits, fields: &table)
        var choice = CodingChoice(identity: AcceptEncoding.identityWeight(table.list, bytes.span))
        #expect(choice.refusesIdentity == refuses)
        #expect(choice.offer(AcceptEncoding.weight(of: "br", table.list, bytes.span)) == isCoded)
        // Who asks for an explanation has the value alone: it is read alike.
        let alone = Array(value.utf8)
        let whole = ByteRange(lower: 0, upper: UInt32(alone.count))
        var told = CodingChoice(identity: AcceptEncoding.identityWeight(in: whole, alone.span))
        #expect(told.refusesIdentity == refuses)
        #expect(told.offer(AcceptEncoding.weight(of: "br", in: whole, alone.span)) == isCoded)
    }
}
