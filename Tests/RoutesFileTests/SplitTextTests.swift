import RoutesFile
import Testing

@Suite("Weights in a file's text") struct SplitTextTests {
    private static let text = """
        {
          "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
          "upstreams": {"core": {"endpoints": ["127.0.0.1:1"]}, "gateway": {"endpoints": ["127.0.0.1:2"]}},
          "routes": [
            {"name": "other", "match": {"path": "/x"}, "split": {"core": 90, "gateway": 10}},
            {"name": "api",   "split": { "core":90 ,\t"gateway"  :  10 }, "sticky": {"by": "header", "name": "x-split"}}
          ]
        }\r\n
        """

    private static func replace(_ weights: [String: UInt32], of route: String = "api", in text: String = Self.text)
        throws -> String
    {
        String(decoding: try SplitText.replacing(weights, ofRoute: route, in: Array(text.utf8)), as: UTF8.self)
    }

    @Test("Nothing but the digits of that route differs")
    func digits() throws {
        let changed = try Self.replace(["core": 7, "gateway": 1_000_000])
        let expected = Self.text.replacing(
            "{ \"core\":90 ,\t\"gateway\"  :  10 }", with: "{ \"core\":7 ,\t\"gateway\"  :  1000000 }")
        #expect(changed == expected && changed != Self.text)
        let first = try Self.replace(["core": 90, "gateway": 0], of: "other")
        #expect(first == Self.text.replacing("\"core\": 90, \"gateway\": 10}", with: "\"core\": 90, \"gateway\": 0}"))
        #expect(
            try Self.replace(["core": 90, "gateway": 10]) == Self.text, "as it is, also where it is written otherwise")
    }

    @Test("A route that has no name has the one that it goes by")
    func unnamed() throws {
        let text = Self.text.replacing("\"name\": \"api\",  ", with: "")
        #expect(
            try Self.replace(["core": 1, "gateway": 2], of: "route-2", in: text).contains(
                "\"core\":1 ,\t\"gateway\"  :  2"))
    }

    @Test(
        "What does not fit is refused with its reason",
        arguments: [
            (["core": UInt32(1), "gateway": 2], "nope", "no route \"nope\""), (["core": 1], "api", "other sides"),
            (["core": 1, "gateway": 2, "third": 3], "api", "other sides"),
            (["core": 1_000_001, "gateway": 2], "api", "not good"),
        ])
    func unfit(weights: [String: UInt32], route: String, reason: String) {
        #expect { try Self.replace(weights, of: route) } throws: { error in
            (error as? SplitText.Unfit)?.reason.contains(reason) == true
        }
    }
}
