/// A set of endpoints of one upstream, a bit for each: on the stack, whatever the upstream's size.
struct EndpointMask {
    static let capacity = 1_024

    private var words = InlineArray<16, UInt64>(repeating: 0)
    private(set) var count = 0

    init() {}

    /// `index` is below `capacity` and not in the set.
    mutating func insert(_ index: Int) {
        self.words[index >> 6] |= 1 << UInt64(index & 63)
        self.count += 1
    }

    /// `index` is in the set.
    mutating func remove(_ index: Int) {
        self.words[index >> 6] &= ~(1 << UInt64(index & 63))
        self.count -= 1
    }

    /// The member that has `rank` smaller ones; `rank` is below `count`.
    func member(_ rank: Int) -> Int {
        var left = rank
        for place in 0..<16 {
            let word = self.words[place]
            let held = word.nonzeroBitCount
            if left < held { return place << 6 + word.offsetOfBit(left) }
            left -= held
        }
        return 0
    }
}

extension UInt64 {
    /// Where the `rank`th set bit is, counted from 0. There must be more than `rank` set bits.
    fileprivate func offsetOfBit(_ rank: Int) -> Int {
        var bits = self
        for _ in 0..<rank { bits &= bits - 1 }
        return bits.trailingZeroBitCount
    }
}
