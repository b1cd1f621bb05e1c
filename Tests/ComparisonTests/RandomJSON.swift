import JSONText
import TestSupport

/// Small values from few letters, so that alike ones and nearly alike ones are frequent.
struct RandomJSON {
    var random: SplitMix

    init(seed: UInt64) { self.random = SplitMix(seed) }

    mutating func value(depth: Int = 0) -> JSONValue {
        let kinds = depth >= 3 ? 4 : 7
        switch Int.random(in: 0..<kinds, using: &self.random) {
        case 0: return JSONValue(.null, line: 1)
        case 1: return JSONValue(.bool(self.random.chance(50)), line: 1)
        case 2:
            return JSONValue(.number(self.random.pick(["0", "-0", "1", "1.0", "10e-1", "1.1", "2", "0.2e1"])), line: 1)
        case 3: return JSONValue(.string(self.random.pick(["", "a", "b", "é", "e\u{301}"])), line: 1)
        case 4, 5:
            let count = Int.random(in: 0...4, using: &self.random)
            return JSONValue(.array((0..<count).map { _ in self.value(depth: depth + 1) }), line: 1)
        default: return JSONValue(.object(self.members(depth: depth)), line: 1)
        }
    }

    private mutating func members(depth: Int) -> [JSONMember] {
        (0..<Int.random(in: 0...4, using: &self.random)).map { _ in
            JSONMember(name: self.random.pick(["a", "b", "c", "k"]), line: 1, value: self.value(depth: depth + 1))
        }
    }

    /// The same value with some of it changed, moved or left out.
    mutating func variant(_ value: JSONValue, percent: Int) -> JSONValue {
        if self.random.chance(percent) { return self.value(depth: 2) }
        switch value.content {
        case .array(var elements):
            if self.random.chance(percent) { elements.shuffle(using: &self.random) }
            if self.random.chance(percent), !elements.isEmpty { elements.removeLast() }
            return JSONValue(.array(elements.map { self.variant($0, percent: percent) }), line: 1)
        case .object(var members):
            if self.random.chance(50), Set(members.map(\.name)).count == members.count {
                members.shuffle(using: &self.random)
            }
            if self.random.chance(percent), !members.isEmpty { members.removeLast() }
            return JSONValue(
                .object(
                    members.map {
                        JSONMember(name: $0.name, line: 1, value: self.variant($0.value, percent: percent))
                    }), line: 1)
        default: return value
        }
    }
}
