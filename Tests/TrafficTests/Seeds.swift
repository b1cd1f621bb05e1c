import Glibc
import Traffic

/// Seeds of property tests. `SIM_SEED=n` replays one; a failure's comment names it.
enum Seeds {
    static func first(_ count: Int) -> [UInt64] {
        if let text = getenv("SIM_SEED").map({ String(cString: $0) }), let seed = UInt64(text) { return [seed] }
        return (1...count).map { UInt64($0) }
    }
}

extension SplitMix64 {
    mutating func chance(_ part: Int, of whole: Int) -> Bool { self.below(whole) < part }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[self.below(elements.count)] }
}
