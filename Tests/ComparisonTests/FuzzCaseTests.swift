import Foundation
import JSONText
import TestSupport
import Testing

/// Inputs that fuzzing once found, or started from, again in every run.
@Suite("Saved fuzz cases of comparisons")
struct ComparisonFuzzCaseTests {
    private static var cases: [URL] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("FuzzCases/comparison")
        return ((try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? [])
            .sorted { $0.path < $1.path }
    }

    @Test("There are cases to replay")
    func present() { #expect(Self.cases.count >= 4) }

    @Test("Each keeps the invariants", arguments: Self.cases)
    func replay(file: URL) throws { ComparisonInvariants.check(Array(try Data(contentsOf: file))) }

    @Test("So do random values, 20,000 of them")
    func random() {
        var random = SplitMix(5)
        for seed in 0..<20_000 {
            var values = RandomJSON(seed: UInt64(seed))
            let old = values.value()
            let new = values.variant(old, percent: 15)
            let options = UInt8.random(in: 0...15, using: &random)
            let path = random.pick(["$", "$.a", "$..b", "$[*]", "$[*][*]", "$.a[*].b", "$..a..b"])
            ComparisonInvariants.check(
                [options] + Array(path.utf8) + [0xFF] + Array(Self.text(old).utf8) + [0xFF] + Array(Self.text(new).utf8)
            )
        }
    }

    private static func text(_ value: JSONValue) -> String {
        switch value.content {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let digits): digits
        case .string(let string): "\"\(string)\""
        case .array(let elements): "[" + elements.map(Self.text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\"\($0.name)\":\(Self.text($0.value))" }.joined(separator: ",") + "}"
        }
    }
}
