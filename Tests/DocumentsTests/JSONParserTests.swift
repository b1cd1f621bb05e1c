import Testing

@testable import Documents

@Suite("JSON")
struct JSONParserTests {
    @Test(
        arguments: [
            ("null", .null), ("true", .bool(true)), (" -0.5e1 ", .number(-5)), ("\"\\u0041\\n\\/\"", .string("A\n/")),
            (#""\ud83d\ude00""#, .string("😀")), (#""\ud83dx""#, .string("\u{FFFD}x")), ("[]", .array([])),
            ("[1,[2]]", .array([.number(1), .array([.number(2)])])), ("1e999", .number(.infinity)),
        ] as [(String, JSONValue)])
    func valid(text: String, value: JSONValue) throws {
        #expect(try JSONParser.parse(Array(text.utf8)) == value)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\":1,}", "01", "1.", "+1", ".5", "nul", "truex", "\"\u{1}\"", "\"\\x\"", "\"\\u12g4\"",
        "'a'",
        "{a:1}", "[1] 2", "// c\n1", "NaN", "\"open",
    ])
    func refused(text: String) {
        #expect(throws: JSONSyntaxError.self) { try JSONParser.parse(Array(text.utf8)) }
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONSyntaxError(offset: 256, message: "nested too deeply")) {
            try JSONParser.parse(Array(deep.utf8))
        }
    }

    @Test func theLastOfRepeatedKeysCounts() throws {
        let value = try JSONParser.parse(Array(#"{"a":1,"a":2}"#.utf8))
        #expect(value[key: "a"] == .number(2))
        #expect(value[key: "b"] == nil)
    }

    @Test func candidatesFileIsReadWithItsVariants() throws {
        let text = #"""
            {"candidates":[
              {"slotId":0,"name":"🎠 One","stash":"Cabc","riotHandle":"@a:b","kyc":true},
              {"slotId":2,"name":"Two","stash":"1abc","riotHandle":["@a:b","@c:d"],"kyc":false,"kusamaStash":"Cxyz","skipSelfStake":true}]}
            """#
        let candidates = try CandidatesFile.parse(Array(text.utf8))
        #expect(candidates.map(\.slotId) == [0, 2])
        #expect(candidates.map(\.handles) == [["@a:b"], ["@a:b", "@c:d"]])
        #expect(candidates.map(\.kusamaStash) == ["", "Cxyz"])
        #expect(candidates.map(\.skipSelfStake) == [false, true])
    }

    @Test(arguments: [
        (#"{"candidates":{}}"#, "$.candidates"),
        (#"{"candidates":[{"name":"a","stash":"b"}]}"#, "$.candidates[0].slotId"),
        (#"{"candidates":[{"slotId":1.5,"name":"a","stash":"b"}]}"#, "$.candidates[0].slotId"),
        (#"{"candidates":[{"slotId":1,"name":2,"stash":"b"}]}"#, "$.candidates[0].name"),
    ])
    func candidatesFileProblemsNameTheirPlace(text: String, path: String) {
        #expect {
            try CandidatesFile.parse(Array(text.utf8))
        } throws: { error in
            (error as? CandidatesFile.Problem)?.path == path
        }
    }
}
