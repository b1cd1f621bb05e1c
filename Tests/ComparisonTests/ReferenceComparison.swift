import Comparison
import JSONText

/// Says slowly, and by trying all ways, whether two values are alike under the rules.
struct ReferenceComparison {
    var ignore: [JSONPath] = []
    var unordered: [ComparisonRules.Unordered] = []
    /// Millionths.
    var absolute = 0

    func areAlike(_ old: JSONValue, _ new: JSONValue) -> Bool {
        self.isIgnored([]) || self.areAlike(old, [], new, [])
    }

    private func isIgnored(_ steps: [JSONStep]) -> Bool { self.ignore.contains { $0.matches(steps) } }

    private func areAlike(_ old: JSONValue, _ at: [JSONStep], _ new: JSONValue, _ newAt: [JSONStep]) -> Bool {
        switch (old.content, new.content) {
        case (.null, .null): return true
        case (.bool(let first), .bool(let second)): return first == second
        case (.string(let first), .string(let second)): return Array(first.utf8) == Array(second.utf8)
        case (.number(let first), .number(let second)):
            return abs(Self.millionths(first) - Self.millionths(second)) <= self.absolute
        case (.array(let first), .array(let second)):
            let old = first.indices.map { (at + [.index($0)], first[$0]) }.filter { !self.isIgnored($0.0) }
            let new = second.indices.map { (newAt + [.index($0)], second[$0]) }.filter { !self.isIgnored($0.0) }
            guard old.count == new.count else { return false }
            if self.unordered.contains(where: { $0.path.matches(at) }) { return self.areAlikeInSomeOrder(old, new) }
            return zip(old, new).allSatisfy { self.areAlike($0.1, $0.0, $1.1, $1.0) }
        case (.object(let first), .object(let second)):
            let names = Set((first + second).map { Array($0.name.utf8) })
            return names.allSatisfy { name in
                let step = JSONStep.name(String(decoding: name, as: UTF8.self))
                if self.isIgnored(at + [step]) { return true }
                let old = first.filter { Array($0.name.utf8) == name }
                let new = second.filter { Array($0.name.utf8) == name }
                return old.count == new.count
                    && zip(old, new).allSatisfy { self.areAlike($0.value, at + [step], $1.value, newAt + [step]) }
            }
        default: return false
        }
    }

    private typealias Placed = (steps: [JSONStep], value: JSONValue)

    private func areAlikeInSomeOrder(_ old: [Placed], _ new: [Placed]) -> Bool {
        guard let first = old.first else { return true }
        return new.indices.contains { index in
            guard self.areAlike(first.value, first.steps, new[index].value, new[index].steps) else { return false }
            var rest = new
            rest.remove(at: index)
            return self.areAlikeInSomeOrder(Array(old.dropFirst()), rest)
        }
    }

    /// Of the few numbers that `RandomJSON` makes.
    private static func millionths(_ text: String) -> Int { Int((Double(text) ?? .nan) * 1_000_000) }
}
