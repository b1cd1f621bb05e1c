import JSONText
import Testing

@Suite("JSON reader")
struct JSONReaderTests {
    private func read(_ text: String) throws -> JSONValue { try JSONReader.read(Array(text.utf8)) }

    @Test("Every kind of value, with the lines and the order they were written in")
    func values() throws {
        let value = try self.read("{\"b\": [true, false, null],\n \"a\":\r\n -0.5e+10 , \"a\" : \"x\"}\n")
        #expect(
            value
                == JSONValue(
                    .object([
                        JSONMember(
                            name: "b", line: 1,
                            value: JSONValue(
                                .array([
                                    JSONValue(.bool(true), line: 1), JSONValue(.bool(false), line: 1),
                                    JSONValue(.null, line: 1),
                                ]), line: 1)),
                        JSONMember(name: "a", line: 2, value: JSONValue(.number("-0.5e+10"), line: 3)),
                        JSONMember(name: "a", line: 3, value: JSONValue(.string("x"), line: 3)),
                    ]), line: 1))
    }

    @Test(
        "Strings",
        arguments: [
            (#""""#, ""), (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u20AC""#, "Aé€"),
            (#""\ud83d\ude00""#, "😀"), (#""\ud800\udc00\uDBFF\uDFFF""#, "\u{10000}\u{10FFFF}"),
            ("\"é€😀\u{7F}\"", "é€😀\u{7F}"), (#""a\nb\u00e9c\\""#, "a\nbéc\\"), (#""\tab""#, "\tab"),
            (#""\u0000""#, "\0"),
        ])
    func strings(text: String, expected: String) throws {
        #expect(try self.read(text).content == .string(expected))
    }

    @Test(
        "Numbers keep their digits",
        arguments: ["0", "-0", "10", "-1.50", "1e5", "1E-5", "123456789012345678901234567890", "0.1e+99999"])
    func numbers(text: String) throws {
        #expect(try self.read(" \(text)\n").content == .number(text))
    }

    @Test(
        "What is not JSON is refused where it goes wrong",
        arguments: [
            ("", 1, 1, "end of the document"), ("  \n ", 2, 2, "end of the document"),
            ("{\"a\":1,}", 1, 8, "name in double quotes"), ("[1,]", 1, 4, "expected a value"),
            ("{\"a\" 1}", 1, 6, "':'"), ("[1 2]", 1, 4, "',' or ']'"), ("{\"a\":1 \"b\":2}", 1, 8, "',' or '}'"),
            ("{a:1}", 1, 2, "name in double quotes"), ("'a'", 1, 1, "expected a value"),
            ("// x\n1", 1, 1, "expected a value"), ("1 2", 1, 3, "end of the document"), ("[1]]", 1, 4, "end of the"),
            ("01", 1, 2, "begin with 0"), ("-", 1, 2, "digit"), ("1.", 1, 3, "digit"), (".5", 1, 1, "expected a value"),
            ("+1", 1, 1, "expected a value"), ("1e", 1, 3, "digit"), ("1e+", 1, 4, "digit"),
            ("0x10", 1, 2, "end of the"),
            ("NaN", 1, 1, "expected a value"), ("True", 1, 1, "expected a value"), ("nul", 1, 1, "expected a value"),
            ("[\n\"a", 2, 1, "closing quote"), ("\"a\nb\"", 1, 3, "control character"),
            ("\"\u{1}\"", 1, 2, "control character"), (#""\x""#, 1, 3, "escape"), (#""\u12g4""#, 1, 6, "hexadecimal"),
            (#""\ud83d""#, 1, 8, "surrogate"), (#""\ud83dx""#, 1, 8, "surrogate"), (#""\ude00""#, 1, 8, "surrogate"),
            (#""\ud83d\ud83d""#, 1, 14, "surrogate"), ("\u{FEFF}{}", 1, 1, "byte order mark"), ("{", 1, 2, "name"),
            ("[", 1, 2, "expected a value"), ("{\"a\":", 1, 6, "expected a value"), ("\"\\", 1, 1, "closing quote"),
            ("[1\u{A0}]", 1, 3, "byte 0xc2"),
        ])
    func syntaxErrors(text: String, line: Int, column: Int, fragment: String) throws {
        let error = try #require(throws: JSONSyntaxError.self) { try self.read(text) }
        #expect(error.line == line)
        #expect(error.column == column)
        #expect(error.message.contains(fragment), "\(error.message)")
    }

    @Test(
        "Bytes that are not UTF-8 are refused",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xF5, 0x80, 0x80, 0x80]] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) throws {
        let error = try #require(throws: JSONSyntaxError.self) { try JSONReader.read([0x22] + bytes + [0x22]) }
        #expect(error.message.contains("UTF-8"))
    }

    @Test("64 levels are read, 65 are refused, and a million cost no stack")
    func depth() throws {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: UInt8(ascii: "["), count: depth) + [UInt8](repeating: UInt8(ascii: "]"), count: depth)
        }
        _ = try JSONReader.read(nested(64))
        #expect(throws: JSONSyntaxError.self) { try JSONReader.read(nested(65)) }
        #expect(throws: JSONSyntaxError.self) { try JSONReader.read(nested(1_000_000)) }
    }

    @Test("4 MiB are read, one byte more is refused")
    func size() throws {
        var bytes = [UInt8](repeating: 0x20, count: JSONReader.sizeLimit - 1) + [UInt8(ascii: "1")]
        #expect(try JSONReader.read(bytes).content == .number("1"))
        bytes.append(0x20)
        let error = try #require(throws: JSONSyntaxError.self) { try JSONReader.read(bytes) }
        #expect(error.message.contains("4194304 bytes") && error.isBeyondLimit)
    }

    @Test("As many values are read as were asked for, and one more is beyond the limit, not wrong")
    func nodes() throws {
        let text = Array(#"{"a": [1, null, {"b": ""}]}"#.utf8)
        _ = try JSONReader.read(text, nodes: 6)
        let error = try #require(throws: JSONSyntaxError.self) { try JSONReader.read(text, nodes: 5) }
        #expect(error.isBeyondLimit && error.message == "more than 5 values")
        #expect(error.column == 23)
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 65)
        #expect(try #require(throws: JSONSyntaxError.self) { try JSONReader.read(deep) }.isBeyondLimit)
        #expect(try !#require(throws: JSONSyntaxError.self) { try JSONReader.read([0x5B]) }.isBeyondLimit)
    }
}
