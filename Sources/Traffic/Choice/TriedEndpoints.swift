/// A few endpoints of one upstream, by index. A request is tried a handful of times, so a few places are enough; a value
/// that costs no allocation and holds for upstreams of any size.
package struct TriedEndpoints: Sendable, Equatable {
    /// More than the first attempt and the most retries that routes.json allows. What comes after is not noted.
    package static let capacity = 8

    /// From the front; -1 behind the last. An upstream has at most `Upstream.maximumEndpoints`.
    private var indices = SIMD8<Int16>(repeating: -1)

    package init() {}

    package var isEmpty: Bool { self.indices[0] < 0 }
    package var isFull: Bool { self.indices[Self.capacity - 1] >= 0 }

    package func contains(_ index: Int) -> Bool {
        any(self.indices .== SIMD8(repeating: Int16(truncatingIfNeeded: index)))
    }

    package mutating func insert(_ index: Int) {
        guard !self.contains(index) else { return }
        for place in 0..<Self.capacity where self.indices[place] < 0 {
            self.indices[place] = Int16(truncatingIfNeeded: index)
            return
        }
    }

    package mutating func remove(_ index: Int) {
        var found = false
        for place in 0..<Self.capacity {
            if self.indices[place] == Int16(truncatingIfNeeded: index) { found = true }
            guard found else { continue }
            self.indices[place] = place + 1 < Self.capacity ? self.indices[place + 1] : -1
        }
    }
}
