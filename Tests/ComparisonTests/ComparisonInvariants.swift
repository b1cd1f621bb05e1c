import JSONText

@testable import Comparison

/// What holds for any rules and any two bodies. Shared by the unit tests and the fuzzer.
enum ComparisonInvariants {
    /// The input is a path pattern, a body and another one, parted by bytes 0xFF; its first byte says how they are compared.
    static func check(_ input: [UInt8]) {
        guard let options = input.first else { return }
        let parts = input.dropFirst().split(separator: 0xFF, maxSplits: 2, omittingEmptySubsequences: false).map(
            Array.init)
        guard parts.count == 3 else { return }
        let pattern = try? JSONPath(String(decoding: parts[0], as: UTF8.self))
        let hasPattern = options & 1 != 0
        let rules = ComparisonRules(
            ignore: hasPattern ? pattern.map { [$0] } ?? [] : [],
            unordered: hasPattern ? [] : pattern.map { [.init(path: $0, key: options & 2 != 0 ? "k" : nil)] } ?? [],
            absolute: options & 4 != 0 ? DecimalNumber("0.5") ?? .zero : .zero,
            relative: options & 8 != 0 ? DecimalNumber("0.01") ?? .zero : .zero)
        let redaction = Redaction(paths: pattern.map { [$0] } ?? [], key: 1)
        let comparison = AnswerComparison(rules: rules, redaction: redaction)
        let coding = ["identity", "gzip", "deflate", "br"][Int(options >> 4 & 3)]
        func answer(_ body: [UInt8]) -> Answer {
            Answer(
                status: 200, fields: [.init("content-type", "application/json"), .init("content-encoding", coding)],
                body: .whole(body))
        }
        let (old, new) = (answer(parts[1]), answer(parts[2]))
        let found = comparison.differences(method: "GET", old: old, new: new)
        let reversed = comparison.differences(method: "GET", old: new, new: old)
        precondition(found.count <= JSONComparison.differenceLimit + 1, "more differences than are told")
        precondition(found.isEmpty == reversed.isEmpty, "whether two bodies differ depends on which is the old one")
        precondition(comparison.differences(method: "GET", old: old, new: old).isEmpty, "a body differs from itself")
        for difference in found {
            precondition((difference.old ?? "").utf8.count <= Redaction.valueLimit + 8, "a value is not cut")
            _ = ClassKey(route: "", template: "/", kind: difference.kind, path: difference.path)
        }
        _ = redaction.target(String(decoding: parts[1], as: UTF8.self))
        guard let first = try? JSONReader.read(parts[1], nodes: JSONComparison.nodeLimit),
            let second = try? JSONReader.read(parts[2], nodes: JSONComparison.nodeLimit)
        else { return }
        let direct = JSONComparison.compare(old: first, new: second, rules: rules)
        precondition(
            JSONComparison.compare(old: first, new: first, rules: rules).isEmpty, "a value differs from itself")
        let isCut = direct.contains { $0.kind == .tooLarge }
        if let pattern, !isCut {
            for each in direct where hasPattern {
                precondition(
                    !each.steps.indices.contains { pattern.matches(Array(each.steps[...$0])) }, "it is ignored")
            }
        }
        // Whoever forgives more finds no more.
        let loose = ComparisonRules(
            ignore: rules.ignore, unordered: rules.unordered, absolute: DecimalNumber("1") ?? .zero,
            relative: DecimalNumber("0.02") ?? .zero)
        if direct.isEmpty {
            let kinds = JSONComparison.compare(old: first, new: second, rules: loose).map(\.kind)
            precondition(kinds.isEmpty || kinds == [.tooLarge], "a wider tolerance finds more")
        }
    }
}
