import CZlib
import JSONText
import TestSupport
import Testing

@testable import Comparison

@Suite("Answers")
struct AnswerComparisonTests {
    private let comparison = AnswerComparison(
        rules: ComparisonRules(headers: ["Content-Type", "location", "set-cookie", "Date", "content-length"]),
        redaction: Redaction(key: 1))

    private func answer(
        _ body: String, _ status: UInt16 = 200, type: String = "application/json", _ fields: (String, String)...
    )
        -> Answer
    {
        Answer(
            status: status, fields: [.init("Content-Type", type)] + fields.map { .init($0.0, $0.1) },
            body: .whole(Array(body.utf8)))
    }

    private func kinds(_ old: Answer?, _ new: Answer?, method: String = "GET") -> [String] {
        self.comparison.differences(method: method, old: old, new: new).map {
            $0.kind.name + ($0.path.isEmpty ? "" : " " + $0.path)
        }
    }

    @Test("The status comes first, and what goes with an error is not told besides")
    func status() {
        #expect(self.kinds(self.answer("{}"), self.answer("oops", 500, type: "text/plain")) == ["status 200 → 500"])
        #expect(self.kinds(self.answer("{}"), nil) == ["no-answer"])
        #expect(self.kinds(nil, self.answer("{}")) == ["no-answer"])
        #expect(self.kinds(nil, nil) == [])
    }

    @Test("Fields that were asked for, trimmed; never those of the connection")
    func fields() {
        let old = self.answer(
            "{}", 200, type: " application/json\t", ("Date", "a"), ("Content-Length", "2"), ("X-A", "1"))
        #expect(self.kinds(old, self.answer("{}", 200, type: "application/json", ("date", "b"), ("X-A", "2"))) == [])
        #expect(self.kinds(old, self.answer("{}", 200, type: "text/json")) == ["header:content-type"])
        let twice = self.answer("{}", 200, type: "application/json", ("Location", "a"), ("location", "b"))
        #expect(
            self.kinds(twice, self.answer("{}", 200, type: "application/json", ("Location", "a"))) == [
                "header:location"
            ])
        let secret = self.comparison.differences(
            method: "GET", old: self.answer("{}", 200, type: "application/json", ("Set-Cookie", "sid=abc")),
            new: self.answer("{}"))
        #expect(secret.map(\.kind) == [.header("set-cookie")])
        #expect(secret[0].old?.hasPrefix("‹7 bytes, #") == true)
        #expect(secret[0].new == nil)
    }

    @Test("JSON by structure, all else by bytes; no body of HEAD, 204 and 304")
    func bodies() {
        let old = self.answer(#"{"a":1,"b":2}"#)
        let new = self.answer(#"{"b":3, "a":1}"#)
        #expect(self.kinds(old, new) == ["value $.b"])
        #expect(self.kinds(old, new, method: "HEAD") == [])
        for status in [204, 304] as [UInt16] {
            #expect(self.kinds(self.answer("1", status), self.answer("2", status)) == [])
        }
        #expect(self.kinds(self.answer("{}", type: "a/b+json; x=y"), self.answer("{ }", type: "a/b+json; x=y")) == [])
        #expect(self.kinds(self.answer("{}", type: "text/html"), self.answer("{ }", type: "text/html")) == ["value"])
        #expect(self.kinds(self.answer("{"), self.answer("{}")) == ["value"])
    }

    @Test("Bodies beyond the limits are too large unless they are the same")
    func tooLarge() {
        func cut(_ length: UInt64, _ hash: UInt64) -> Answer {
            Answer(
                status: 200, fields: [.init("content-type", "application/json")],
                body: .digest(length: length, hash: hash))
        }
        #expect(self.kinds(cut(9, 1), cut(9, 1)) == [])
        #expect(self.kinds(cut(9, 1), cut(9, 2)) == ["too-large"])
        #expect(self.kinds(cut(9, 1), self.answer("{}")) == ["too-large"])
        let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(self.kinds(self.answer(deep), self.answer("[]")) == ["too-large"])
        let wide = "[" + String(repeating: "0,", count: 100_000) + "0]"
        #expect(self.kinds(self.answer(wide), self.answer("[]")) == ["too-large"])
        #expect(self.kinds(self.answer(wide), self.answer(wide)) == [])
    }

    @Test("gzip and deflate are undone; other codings must be the same bytes")
    func codings() throws {
        let (old, new) = (Array(#"{"a":[1,2,3]}"#.utf8), Array(#"{"a":[1,2,4]}"#.utf8))
        func coded(_ bytes: [UInt8], _ coding: String) -> Answer {
            Answer(
                status: 200, fields: [.init("content-type", "application/json"), .init("Content-Encoding", coding)],
                body: .whole(bytes))
        }
        for (coding, window) in [("gzip", 31), ("GZIP", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)] {
            let (first, second) = (
                try Self.deflate(old, window: Int32(window)), try Self.deflate(new, window: Int32(window))
            )
            #expect(self.kinds(coded(first, coding), coded(second, coding)) == ["value $.a[*]"], "\(coding) \(window)")
            #expect(self.kinds(coded(first, coding), coded(old, "identity")) == [])
            #expect(self.kinds(coded(Array(first.dropLast()), coding), coded(old, "identity")) == ["encoding"])
            #expect(self.kinds(coded(first + [0], coding), coded(old, "identity")) == ["encoding"])
        }
        #expect(self.kinds(coded(old, "br"), coded(new, "br")) == ["encoding"])
        #expect(self.kinds(coded(old, "br"), coded(old, "br")) == [])
        #expect(self.kinds(coded(old, "br"), coded(old, "zstd")) == ["encoding"])
        // A bomb: more than a hundred times its size, or more than 4 MiB.
        let bomb = try Self.deflate([UInt8](repeating: 0x20, count: 1 << 20), window: 31)
        #expect(self.kinds(coded(bomb, "gzip"), coded(old, "identity")) == ["too-large"])
        var random = SplitMix(1)
        let noise = (0..<(5 << 20)).map { _ in UInt8.random(in: 0...15, using: &random) }
        let large = try Self.deflate(noise, window: 31)
        #expect(large.count * 100 > noise.count)
        #expect(self.kinds(coded(large, "gzip"), coded(old, "identity")) == ["too-large"])
    }

    private static func deflate(_ bytes: [UInt8], window: Int32) throws -> [UInt8] {
        var stream = z_stream()
        let status = deflateInit2_(
            &stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        try #require(status == Z_OK)
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: bytes.count + 1_024)
        let count = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                _ = CZlib.deflate(&stream, Z_FINISH)
                return output.count - Int(stream.avail_out)
            }
        }
        return Array(output[..<count])
    }
}

@Suite("Redaction")
struct RedactionTests {
    private func difference(_ old: String, _ new: String, paths: [String] = []) throws -> [Difference] {
        func answer(_ text: String) -> Answer {
            Answer(status: 200, fields: [.init("content-type", "application/json")], body: .whole(Array(text.utf8)))
        }
        let redaction = Redaction(paths: try paths.map { try JSONPath($0) }, key: 7)
        return AnswerComparison(rules: ComparisonRules(), redaction: redaction)
            .differences(method: "GET", old: answer(old), new: answer(new))
    }

    @Test(
        "Names that are somebody's own, in any case and inside others",
        arguments: [
            "password", "userPasswd", "SECRET", "token", "api_key", "apiKey", "sessionId", "email", "mail", "e-mail",
            "Phone",
            "IBAN", "authorization", "Cookie", "x-api-key",
        ])
    func names(name: String) throws {
        #expect(Redaction.isPrivate(name))
        let found = try self.difference("{\"\(name)\":\"hunter2\"}", "{\"\(name)\":\"hunter3\"}")
        #expect(found.count == 1)
        #expect(found[0].old?.hasPrefix("‹7 bytes, #") == true)
        #expect(found[0].old != found[0].new)
        #expect(!"\(found)".contains("hunter"))
    }

    @Test("Also what is inside a private value, and what is private inside a value that is shown")
    func nested() throws {
        let inside = try self.difference(#"{"session":{"id":"hunter2"}}"#, #"{"session":{"id":"hunter3"}}"#)
        #expect(!"\(inside)".contains("hunter"))
        let around = try self.difference(#"{"user":{"name":"ann","Email":"a@b","list":[{"token":"hunter2"}]}}"#, "{}")
        let shown = try #require(around.first?.old)
        #expect(shown.contains("ann") && !shown.contains("hunter") && !shown.contains("a@b"))
        let link = try self.difference(
            #"{"next":"/items?page=2&token=hunter2"}"#, #"{"next":"/items?page=3&token=hunter3"}"#)
        #expect(
            !"\(link)".contains("hunter") && link.first?.old?.hasPrefix(#""/items?page=2&token=‹7 bytes, #"#) == true)
        let byPath = try self.difference(#"{"a":{"b":["hunter2"]}}"#, #"{"a":{"b":["hunter3"]}}"#, paths: ["$.a.b"])
        #expect(!"\(byPath)".contains("hunter"))
        #expect(!"\(try self.difference(#"["hunter2"]"#, #"["hunter3"]"#, paths: ["$"]))".contains("hunter"))
    }

    @Test("Values of private names in a query")
    func query() {
        let redaction = Redaction(query: ["Ref"], key: 7)
        #expect(redaction.target("/a?x=1&y") == "/a?x=1&y")
        let covered = redaction.target("/a?Token=hunter2&x=1&ref=hunter2&%74oken=hunter2&=&y")
        #expect(covered.hasPrefix("/a?Token=‹7 bytes, #") && covered.hasSuffix("&=&y") && !covered.contains("hunter"))
    }

    @Test("Also where one is sent on to, behind any mark, and however the mark is written")
    func targets() throws {
        let redaction = Redaction(key: 7)
        for target in [
            "https://a.test/cb#access_token=hunter2&state=1", "/a;x?b=1;token=hunter2", "/a?b=1#c?token=hunter2",
            "/a?\u{301}token=hunter2", "/a?x=1&\u{301}&token=hunter2", "https://ann:hunter2@a.test/b?c=1",
            "a:b https://hunter2@a.test", "https://ann@hunter2:x@a.test#b",
        ] {
            #expect(!redaction.target(target).contains("hunter"), "\(target)")
        }
        for plain in ["/a;b=1#c", "https://a.test:1/@b?c=@", "a:b/c@d", "https://a.test"] {
            #expect(redaction.target(plain) == plain)
        }
        func answer(_ location: String) -> Answer {
            Answer(status: 302, fields: [.init("Location", location)], body: .whole([]))
        }
        let found = AnswerComparison(rules: ComparisonRules(), redaction: redaction).differences(
            method: "GET", old: answer("/cb?code=1&token=hunter2"), new: answer("/cb?code=2&token=hunter3"))
        #expect(found.map(\.kind) == [.header("location")])
        #expect(found.first?.old?.hasPrefix("/cb?code=1&token=‹7 bytes, #") == true && !"\(found)".contains("hunter"))
    }

    @Test("Names inside what is private are private too, wherever they are shown")
    func names() throws {
        let found = try self.difference(
            #"{"sessions":{"hunter2":{"a":1}},"a":{"hunter2":{"b":1}}}"#, #"{"sessions":{},"a":{"hunter2":{"b":2}}}"#,
            paths: ["$.a"])
        #expect(Set(found.map(\.path)) == ["$.sessions[*]", "$.a[*][*]"])
        #expect(!"\(found)".contains("hunter"))
    }

    @Test("Values are cut at 256 bytes, in whole characters")
    func cut() throws {
        let long = String(repeating: "é", count: 5_000)
        let shown = try #require(self.difference("{\"a\":\"\(long)\"}", "{}").first?.old)
        #expect(shown.utf8.count <= 256 + "…".utf8.count && shown.hasSuffix("é…"))
    }
}
