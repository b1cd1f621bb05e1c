import JSONText
import TestSupport
import Testing

@testable import Comparison

@Suite("JSON by structure")
struct JSONComparisonTests {
    static func parse(_ text: String) throws -> JSONValue { try JSONReader.read(Array(text.utf8)) }

    /// `kind path`, in the order in which they were found.
    private func differences(
        _ old: String, _ new: String, ignore: [String] = [], unordered: [(String, String?)] = [], absolute: String = "0"
    ) throws -> [String] {
        let rules = ComparisonRules(
            ignore: try ignore.map { try JSONPath($0) },
            unordered: try unordered.map { .init(path: try JSONPath($0.0), key: $0.1) },
            absolute: try #require(DecimalNumber(absolute)))
        let found = JSONComparison.compare(old: try Self.parse(old), new: try Self.parse(new), rules: rules)
        return found.map { "\($0.kind.name) \($0.steps.path(indices: true))" }
    }

    @Test(
        "What differs, and where",
        arguments: [
            (#"{"a":1,"b":[true,null]}"#, #"{ "b" : [ true , null ], "a" : 1.0 }"#, []),
            (#"{"a":1}"#, #"{"a":2}"#, ["value $.a"]), (#"{"a":1}"#, #"{"a":"1"}"#, ["type $.a"]),
            (#"{"a":null}"#, #"{}"#, ["missing $.a"]), (#"{}"#, #"{"a":null}"#, ["extra $.a"]),
            (#"[1,2]"#, #"[1,2,3]"#, ["length $"]), (#"[1,2,3]"#, #"[3,1,2]"#, ["order $"]),
            (#"[1,2,3]"#, #"[1,2,4]"#, ["value $[2]"]), (#"[[1,2],[3]]"#, #"[[2,1],[3]]"#, ["order $[0]"]),
            (#"[{"a":1},{"a":2}]"#, #"[{"a":2},{"a":1}]"#, ["order $"]), (#""é""#, "\"e\u{301}\"", ["value $"]),
            (#"{"é":1}"#, "{\"e\u{301}\":1}", ["missing $.é", "extra $.e\u{301}"]),
            (#"{"a":1,"a":2}"#, #"{"a":1,"a":2}"#, []), (#"{"a":1,"a":2}"#, #"{"a":2}"#, ["duplicate $.a"]),
            (#"{"a":1,"a":2}"#, #"{"a":2,"a":1}"#, ["duplicate $.a"]),
            (#"{"a":2}"#, #"{"a":1,"a":2}"#, ["duplicate $.a"]),
            ("18446744073709551617", "18446744073709551616", ["value $"]), ("true", "false", ["value $"]),
            (#"{"a":{"b":[{"c":1},{"c":2}]}}"#, #"{"a":{"b":[{"c":1},{"c":3}]}}"#, ["value $.a.b[1].c"]),
        ])
    func kinds(old: String, new: String, expected: [String]) throws {
        #expect(try self.differences(old, new) == expected)
    }

    @Test("What is ignored is neither compared nor missed, with all that is in it")
    func ignored() throws {
        let old = #"{"at":1,"meta":{"id":"x","n":1},"list":[{"at":1,"v":1}]}"#
        let new = #"{"meta":{"id":"y","n":1},"list":[{"at":2,"v":1}],"at":"later"}"#
        #expect(try self.differences(old, new, ignore: ["$..at", "$.meta.id"]) == [])
        #expect(try self.differences(old, new, ignore: ["$.at", "$.meta"]) == ["value $.list[0].at"])
        #expect(try self.differences("[1,2]", "[1,2,3]", ignore: ["$[2]"]) == [])
        #expect(try self.differences("[1,2]", "[1,2,3]", ignore: ["$[1]"]) == ["length $"])
        #expect(try self.differences("1", "{}", ignore: ["$"]) == [])
    }

    @Test("Lists without order")
    func unordered() throws {
        let all: [(String, String?)] = [("$", nil)]
        #expect(try self.differences("[1,2,2,3]", "[2,3,1,2.0]", unordered: all) == [])
        #expect(try self.differences("[1,2,2]", "[1,1,2]", unordered: all) == ["value $[2]"])
        #expect(
            try self.differences("[1,2,3]", "[3,4,5,1]", unordered: all) == [
                "missing $[1]", "extra $[1]", "extra $[2]",
            ])
        #expect(
            try self.differences(#"[{"a":1},{"a":[1,2]}]"#, #"[{"a":[2,1]},{"a":1}]"#, unordered: all) == [
                "order $[1].a"
            ])
        #expect(
            try self.differences(
                #"[{"a":1},{"a":[1,2]}]"#, #"[{"a":[2,1]},{"a":1}]"#, unordered: all + [("$[*].a", nil)]) == [])
        // A pairing that takes the first that fits leaves 1.0 without a partner.
        #expect(try self.differences("[1.0,1.4]", "[1.5,0.6]", unordered: all, absolute: "0.5") == [])
        #expect(try self.differences("[1.4,1.0]", "[1.0,1.4]", unordered: all, absolute: "0.5") == [])
        #expect(try self.differences("[1.0,1.4]", "[1.5,0.4]", unordered: all, absolute: "0.5") != [])
    }

    @Test("Lists by key")
    func keyed() throws {
        let rule: [(String, String?)] = [("$.items", "id")]
        func items(_ text: String) -> String { "{\"items\":[\(text)]}" }
        let old = items(#"{"id":1,"v":1},{"id":2,"v":2},{"id":"2","v":3}"#)
        #expect(
            try self.differences(old, items(#"{"id":"2","v":3},{"id":2.0,"v":2},{"id":1,"v":1}"#), unordered: rule)
                == [])
        #expect(
            try self.differences(old, items(#"{"id":"2","v":3},{"id":2,"v":9},{"id":4,"v":1}"#), unordered: rule)
                == ["missing $.items[0]", "value $.items[1].v", "extra $.items[2]"])
        // Keys that occur twice, and elements without one, are matched as wholes.
        let doubled = items(#"{"id":1,"v":1},{"id":1,"v":2},7"#)
        #expect(try self.differences(doubled, items(#"7,{"id":1,"v":2},{"id":1,"v":1}"#), unordered: rule) == [])
        #expect(
            try self.differences(doubled, items(#"7,{"id":1,"v":2},{"id":1,"v":3}"#), unordered: rule) == [
                "value $.items[0].v"
            ])
    }

    @Test("64 differences are told, and that there are more")
    func differenceLimit() throws {
        func list(_ offset: Int, _ count: Int) -> String {
            "[" + (0..<count).map { "\($0 * 2 + offset)" }.joined(separator: ",") + "]"
        }
        #expect(try self.differences(list(0, 64), list(1, 64)).count == 64)
        let many = try self.differences(list(0, 90_000), list(1, 90_000))
        #expect(many.count == 65)
        #expect(many.last == "too-large $")
    }

    @Test("Work is bounded where every element is sought among all others")
    func workLimit() throws {
        func list(_ letter: String) -> String {
            "[" + (0..<40_000).map { "{\"\(letter)\":\($0)}" }.joined(separator: ",") + "]"
        }
        // Without a bound these would be 1,600 million comparisons.
        let found = try self.differences(list("a"), list("b"), unordered: [("$", nil)], absolute: "0.5")
        #expect(found.last == "too-large $")
    }
}

@Suite("Properties of the JSON comparison")
struct JSONComparisonPropertyTests {
    private static let ignore = ["$.a", "$..b", "$[*].c", "$.a[*].b"]
    private static let unordered = ["$", "$.a", "$..b", "$[*]", "$[*][*]"]

    @Test("It finds something if and only if trying all ways does; whichever side is old", arguments: 0..<8)
    func reference(block: Int) throws {
        var random = SplitMix(UInt64(block))
        var unlike = 0
        for round in 0..<2_500 {
            var values = RandomJSON(seed: UInt64(block * 10_000 + round))
            let old = values.value()
            let new = values.variant(old, percent: random.pick([0, 5, 20, 100]))
            var reference = ReferenceComparison()
            if random.chance(50) { reference.ignore = [try JSONPath(random.pick(Self.ignore))] }
            if random.chance(50) { reference.unordered = [.init(path: try JSONPath(random.pick(Self.unordered)))] }
            if random.chance(30) { reference.absolute = 100_000 }
            let rules = ComparisonRules(
                ignore: reference.ignore, unordered: reference.unordered,
                absolute: try #require(DecimalNumber(reference.absolute == 0 ? "0" : "0.1")))
            let expected = reference.areAlike(old, new)
            let found = JSONComparison.compare(old: old, new: new, rules: rules)
            let reversed = JSONComparison.compare(old: new, new: old, rules: rules)
            #expect(found.isEmpty == expected, "\(old) \(new) \(rules.ignore) \(rules.unordered)")
            #expect(reversed.isEmpty == expected)
            #expect(JSONComparison.compare(old: old, new: old, rules: rules).isEmpty)
            unlike += expected ? 0 : 1
        }
        // Neither answer may be the rule.
        #expect((500...2_000).contains(unlike))
    }

    @Test("Shuffled lists are alike where order does not count, and one `order` where it does")
    func shuffled() throws {
        for seed in 0..<500 {
            var values = RandomJSON(seed: UInt64(seed))
            let elements = (0..<6).map { index in
                JSONValue(.array([JSONValue(.number("\(index)"), line: 1), values.value()]), line: 1)
            }
            let moved = elements[1...] + elements[..<1]
            let (old, new) = (JSONValue(.array(elements), line: 1), JSONValue(.array(Array(moved)), line: 1))
            let anyOrder = ComparisonRules(unordered: [.init(path: try JSONPath("$"))])
            #expect(JSONComparison.compare(old: old, new: new, rules: anyOrder).isEmpty)
            #expect(JSONComparison.compare(old: old, new: new, rules: ComparisonRules()).map(\.kind) == [.order])
        }
    }
}
