import JSONText
import TestSupport
import Testing

@testable import Comparison

@Suite("Path patterns")
struct JSONPathTests {
    @Test(
        "What a pattern selects",
        arguments: [
            ("$", "$", true), ("$", "$.a", false), ("$.a", "$.a", true), ("$.a", "$.a.b", false), ("$.a", "$.b", false),
            ("$['a']", "$.a", true), (#"$['it\'s']"#, "it's", true), ("$.a[0]", "$.a.0", true),
            ("$.a[0]", "$.a.1", false),
            ("$.a[*]", "$.a.7", true), ("$[*]", "$.a", true), ("$[*]", "$.a.b", false), ("$..a", "$.a", true),
            ("$..a", "$.x.0.a", true), ("$..a", "$.a.x", false), ("$..a.b", "$.x.a.b", true),
            ("$..a..b", "$.a.1.b", true),
            ("$..a..b", "$.b.a", false), ("$..a[*]", "$.a.3", true), ("$..a..a", "$.a.a.a", true),
            ("$.é_1", "$.é_1", true),
        ])
    func selects(pattern: String, place: String, expected: Bool) throws {
        let steps = place.split(separator: ".").filter { $0 != "$" }.map { step in
            Int(step).map(JSONStep.index) ?? .name(String(step))
        }
        let path = try JSONPath(pattern)
        #expect(path.matches(steps) == expected)
        var cursor = PathCursor([path])
        for step in steps { cursor.enter(step) }
        #expect((cursor.match != nil) == expected)
    }

    @Test(
        "What is no path of the subset is refused, and where",
        arguments: [
            ("", 1), ("a", 1), ("$a", 2), ("$.", 3), ("$.1a", 3), ("$.a-b", 4), ("$.*", 3), ("$..*", 4), ("$..[0]", 4),
            ("$[", 3),
            ("$[01]", 5), ("$[-1]", 3), ("$[1", 4), ("$['a]", 6), (#"$["a"]"#, 3), (#"$['\n']"#, 5), ("$[?@.a]", 3),
            ("$[0:1]", 4), ("$ .a", 2), ("$.a ", 4), ("$[9999999999999999]", 18), ("$['a','b']", 6),
        ])
    func malformed(text: String, column: Int) throws {
        let error = try #require(throws: JSONPath.Malformed.self) { try JSONPath(text) }
        #expect(error.column == column, "\(error.message)")
    }

    @Test("64 steps are taken, 65 are not; nor are more than 1,024 bytes")
    func limits() throws {
        _ = try JSONPath("$" + String(repeating: "[*]", count: 64))
        #expect(throws: JSONPath.Malformed.self) { try JSONPath("$" + String(repeating: "[*]", count: 65)) }
        #expect(throws: JSONPath.Malformed.self) { try JSONPath("$." + String(repeating: "a", count: 1_023)) }
    }

    @Test("A walk matches what trying all ways does, 20,000 seeded walks")
    func cursor() throws {
        var random = SplitMix(3)
        let segments = [".a", ".b", "[*]", "[0]", "[1]", "..a", "..b"]
        for _ in 0..<2_000 {
            let patterns = try (0..<4).map { _ in
                try JSONPath(
                    "$" + (0..<Int.random(in: 0...4, using: &random)).map { _ in random.pick(segments) }.joined())
            }
            var cursor = PathCursor(patterns)
            var steps: [JSONStep] = []
            for _ in 0..<10 {
                if steps.count == 6 || (!steps.isEmpty && random.chance(30)) {
                    steps.removeLast()
                    cursor.leave()
                } else {
                    steps.append(random.pick([.name("a"), .name("b"), .index(0), .index(1)]))
                    cursor.enter(steps[steps.count - 1])
                }
                #expect(cursor.match == patterns.firstIndex { $0.matches(steps) }, "\(patterns) \(steps)")
            }
        }
    }

    @Test("A pattern that matches in very many ways costs no more than one state a step")
    func ambiguity() throws {
        var cursor = PathCursor([try JSONPath("$" + String(repeating: "..a", count: 64))])
        for _ in 0..<63 { cursor.enter(.name("a")) }
        #expect(cursor.match == nil)
        #expect(cursor.width == 64)
        cursor.enter(.name("a"))
        #expect(cursor.match == 0)
    }

    @Test("Places as they are written")
    func rendering() {
        let steps: [JSONStep] = [.name("items"), .index(3), .name("a-b"), .name("it's"), .name("2x"), .name("")]
        #expect(steps.path(indices: true) == #"$.items[3]['a-b']['it\'s']['2x']['']"#)
        let long = [JSONStep](repeating: .name(String(repeating: "é", count: 1 << 20)), count: 64)
        #expect(long.path(indices: true).utf8.count < 700)
        #expect(long.path(indices: true).hasPrefix("$." + String(repeating: "é", count: 64) + "…."))
        #expect(steps.path(indices: false) == #"$.items[*]['a-b']['it\'s']['2x']['']"#)
    }
}
