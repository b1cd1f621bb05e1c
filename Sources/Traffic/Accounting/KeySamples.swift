/// Lets one key count once a second: whoever asks a thousand times a second decides no more than others.
package struct KeySamples: Sendable {
    package static let size = 4_096

    /// Upper half of the key, and the second in which it counted last.
    private var cells: [UInt64]

    package init() { self.cells = [UInt64](repeating: .max, count: Self.size) }

    /// Whether it counts now. `now` in monotonic milliseconds. Two keys of one cell take turns, and count more often.
    package mutating func admit(_ key: UInt64, now: UInt64) -> Bool {
        let cell = key & ~0xFFFF_FFFF | (now / 1_000) & 0xFFFF_FFFF
        let place = Int(truncatingIfNeeded: key & UInt64(Self.size - 1))
        guard self.cells[place] != cell else { return false }
        self.cells[place] = cell
        return true
    }
}
