/// The endpoints of one upstream that have already failed a request, by index. A request is tried a handful of times, so
/// a few places are enough; a value that costs no allocation and holds for upstreams of any size.
package struct TriedEndpoints: Sendable, Equatable {
    /// One more than the first attempt and the most retries that routes.json allows. What comes after is not noted.
    private static let capacity = 8

    private var indices = SIMD8<Int32>(repeating: -1)
    private var count = 0

    package init() {}

    package var isEmpty: Bool { self.count == 0 }

    package func contains(_ index: Int) -> Bool {
        self.count > 0 && any(self.indices .== SIMD8(repeating: Int32(truncatingIfNeeded: index)))
    }

    package mutating func insert(_ index: Int) {
        guard self.count < Self.capacity, !self.contains(index) else { return }
        self.indices[self.count] = Int32(truncatingIfNeeded: index)
        self.count += 1
    }

    package mutating func remove(_ index: Int) {
        for place in 0..<self.count where self.indices[place] == Int32(truncatingIfNeeded: index) {
            self.count -= 1
            self.indices[place] = self.indices[self.count]
            self.indices[self.count] = -1
            return
        }
    }

    /// Those among the 64 endpoints from `base` on, a bit each.
    package func mask(from base: Int) -> UInt64 {
        var mask: UInt64 = 0
        for place in 0..<self.count {
            let offset = Int(self.indices[place]) - base
            if (0..<64).contains(offset) { mask |= 1 << UInt64(offset) }
        }
        return mask
    }
}
