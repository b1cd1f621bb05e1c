import JSONText
import Testing

@Suite("Places in a JSON text") struct JSONPlaceTests {
    private static let text = """
        {"a": [1, {"b\\u0062": -2.5e3 , "c": "x,]}\\""}, [] ], "n": null,
         "o": {} , "d": {"core"  :  90,"gateway":10}}
        """

    private static func find(_ path: JSONPlace.Step...) -> String? {
        let bytes = Array(Self.text.utf8)
        return JSONPlace.range(of: path, in: bytes).map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    @Test("Values are found by name and number, with nothing around them")
    func found() {
        #expect(Self.find(.member("d"), .member("core")) == "90")
        #expect(Self.find(.member("d"), .member("gateway")) == "10")
        #expect(Self.find(.member("a"), .element(0)) == "1")
        #expect(Self.find(.member("a"), .element(1), .member("bb")) == "-2.5e3", "a name written with an escape")
        #expect(Self.find(.member("a"), .element(1), .member("c")) == "\"x,]}\\\"\"")
        #expect(Self.find(.member("a"), .element(2)) == "[]")
        #expect(Self.find(.member("n")) == "null" && Self.find(.member("o")) == "{}")
        #expect(Self.find() == Self.text)
    }

    @Test("What is not there is not found")
    func missing() {
        #expect(Self.find(.member("b")) == nil && Self.find(.member("a"), .element(3)) == nil)
        #expect(Self.find(.member("a"), .element(2), .element(0)) == nil)
        #expect(Self.find(.member("o"), .member("x")) == nil && Self.find(.member("n"), .member("x")) == nil)
        #expect(Self.find(.element(0)) == nil && Self.find(.member("a"), .member("b")) == nil)
    }

    @Test("Any text, JSON or not, is gone through without a trap")
    func robust() {
        let bytes = Array(Self.text.utf8)
        for end in 0...bytes.count {
            for path in [
                [JSONPlace.Step.member("d"), .member("gateway")], [.member("a"), .element(2)], [.element(9)],
            ] {
                _ = JSONPlace.range(of: path, in: Array(bytes[..<end]))
                _ = JSONPlace.range(of: path, in: Array(bytes[end...]))
            }
        }
    }
}
