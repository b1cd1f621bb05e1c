import HTTPWire
import Testing

/// Readers of single field values.
@Suite("Field values")
struct FieldValueTests {
    private func text(_ bytes: [UInt8], _ range: ByteRange) -> String {
        String(decoding: bytes[range.bounds], as: UTF8.self)
    }

    private func whole(_ bytes: [UInt8]) -> ByteRange { ByteRange(lower: 0, upper: UInt32(bytes.count)) }

    @Test(
        "Accept: is a JSON type among those the client takes",
        arguments: [
            ("application/json", true), ("APPLICATION/JSON", true), ("application/problem+json", true),
            ("text/html, application/json;q=0.1", true), ("text/html,application/json; q=0", false),
            ("application/json;q=0.0, text/html", false), ("application/json;q=0.000;x=y", false),
            ("application/json;q=0, application/problem+json", true), ("*/*", false), ("text/html", false),
            ("", false), (",", false), ("jso", false),
        ])
    func accept(value: String, expected: Bool) {
        let bytes = Parsing.bytes(value)
        #expect(Accept.takesJSON(bytes.span, self.whole(bytes)) == expected)
    }

    @Test("Accept reads only its own range")
    func acceptRange() {
        let bytes = Parsing.bytes("json text/html json")
        let takes = Accept.takesJSON(bytes.span, ByteRange(lower: 5, upper: 14))
        #expect(!takes)
    }

    @Test(
        "Cookie: the first pair of that name, without quotes",
        arguments: [
            ("a=1", "a", "1"), ("b=2; a=1", "a", "1"), ("a=1; a=2", "a", "1"), ("a=\"x y\"", "a", "x y"),
            ("a=", "a", ""), ("a=\"\"", "a", ""), ("a=\"", "a", "\""), ("a=1=2", "a", "1=2"), (";; a=1 ;", "a", "1"),
            ("aa=1; xa=2; a=3", "a", "3"), ("A=1", "a", nil), ("a", "a", nil), ("", "a", nil), ("=1", "a", nil),
            ("b=a=1", "a", nil),
        ] as [(String, String, String?)])
    func cookie(value: String, name: String, expected: String?) {
        let bytes = Parsing.bytes(value)
        let found = Cookie.value(of: Array(name.utf8), in: bytes.span, self.whole(bytes))
        #expect(found.map { self.text(bytes, $0) } == expected)
    }

    @Test(
        "X-Forwarded-For from the right, nothing left out",
        arguments: [
            ("10.0.0.1", ["10.0.0.1"]), ("a, b ,\tc", ["c", "b", "a"]), ("a,,b", ["b", "", "a"]), ("", [""]),
            (" ", [""]), (",", ["", ""]), ("a,", ["", "a"]), ("unknown, [::1]:80", ["[::1]:80", "unknown"]),
        ])
    func forwardedFor(value: String, expected: [String]) {
        // In the middle of something, so that reading past either end would show.
        let bytes = Parsing.bytes("x,y\(value)z,w")
        var elements = ForwardedFor(ByteRange(lower: 3, upper: UInt32(3 + value.utf8.count)))
        var found: [String] = []
        while let element = elements.previous(in: bytes.span) { found.append(self.text(bytes, element)) }
        #expect(found == expected)
        let further = elements.previous(in: bytes.span)
        #expect(further == nil)
    }

    @Test(
        "Upgrade: protocols in order, with and without version",
        arguments: [
            ("websocket", ["websocket|websocket"]), ("h2c, websocket/13", ["h2c|h2c", "websocket/13|websocket"]),
            (" , a/1 ,, b ,", ["a/1|a", "b|b"]), ("", []), (" ,\t", []), ("/1", ["/1|"]),
        ])
    func upgrades(value: String, expected: [String]) {
        let bytes = Parsing.bytes(value)
        var list = UpgradeList(self.whole(bytes))
        var found: [String] = []
        while let next = list.next(in: bytes.span) {
            found.append("\(self.text(bytes, next))|\(self.text(bytes, UpgradeList.name(of: next, in: bytes.span)))")
        }
        #expect(found == expected)
    }

    @Test("Two ranges of different bytes compare without case")
    func comparison() {
        let first = Parsing.bytes("xWebSocket")
        let second = Parsing.bytes("websOCKET!")
        let equal = ASCII.equalsIgnoringCase(
            first.span, ByteRange(lower: 1, upper: 10), second.span, ByteRange(lower: 0, upper: 9))
        let shorter = ASCII.equalsIgnoringCase(
            first.span, ByteRange(lower: 1, upper: 9), second.span, ByteRange(lower: 0, upper: 9))
        let shifted = ASCII.equalsIgnoringCase(
            first.span, ByteRange(lower: 0, upper: 9), second.span, ByteRange(lower: 0, upper: 9))
        // `[` and `{` differ by the bit that tells the cases of letters apart.
        let brackets = ASCII.equalsIgnoringCase(
            Parsing.bytes("[").span, ByteRange(lower: 0, upper: 1), Parsing.bytes("{").span,
            ByteRange(lower: 0, upper: 1))
        #expect(equal && !shorter && !shifted && !brackets)
    }
}
