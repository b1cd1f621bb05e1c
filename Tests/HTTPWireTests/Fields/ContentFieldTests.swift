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

    private func edit(_ text: String, coding: StaticString?, weakens: Bool, varies: Bool) throws -> [String] {
        let bytes = Parsing.bytes(text)
        var table = FieldTable()
        let parsed = try HeadParser.response(bytes.span, to: .get, limits: Parsing.limits, fields: &table)
        let head = try #require(parsed)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 1)
        defer { room.deallocate() }
        var writer = ByteWriter(room)
        ResponseEditor.write(
            head, fields: table.list, source: bytes.span, coding: coding, weakens: weakens, varies: varies,
            into: &writer)
        return String(decoding: room[..<writer.count], as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    @Test("What was true of the body's bytes goes with them; what is true of the answer stays")
    func edits() throws {
        let text =
            "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\nA:b\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\nDigest: d\r\n"
            + "Content-Digest: e\r\nRepr-Digest: f\r\nContent-MD5: g\r\nContent-Encoding: identity\r\nVary: Cookie\r\n\r\n"
        #expect(
            try self.edit(text, coding: "gzip", weakens: true, varies: true) == [
                "HTTP/1.1 200 Fine", "A: b", "ETag: W/\"x\"", "Vary: Cookie", "Content-Encoding: gzip",
                "Transfer-Encoding: chunked", "Vary: Accept-Encoding",
            ])
        #expect(
            try self.edit(text, coding: nil, weakens: true, varies: true) == [
                "HTTP/1.0 200 Fine", "Content-Length: 5", "A: b", "ETag: W/\"x\"", "Accept-Ranges: bytes", "Digest: d",
                "Content-Digest: e", "Repr-Digest: f", "Content-MD5: g", "Content-Encoding: identity", "Vary: Cookie",
                "Vary: Accept-Encoding",
            ])
        let weak = try self.edit("HTTP/1.1 404 \r\nETag: W/\"x\"\r\n\r\n", coding: nil, weakens: true, varies: false)
        #expect(weak == ["HTTP/1.1 404 ", "ETag: W/\"x\""])
    }
}
