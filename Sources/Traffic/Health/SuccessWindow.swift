import Synchronization

/// Counts successes within a sliding window, from any thread, for one load and one add a success. The window is four
/// slots, each a quarter of it long; a slot holds the number of its quarter in the upper half of a word and the count
/// in the lower. Two threads that turn a slot over at the same moment may lose one count, which a rate can bear.
struct SuccessWindow: ~Copyable, Sendable {
    static let quarters: UInt64 = 4

    private let first = Atomic<UInt64>(0)
    private let second = Atomic<UInt64>(0)
    private let third = Atomic<UInt64>(0)
    private let fourth = Atomic<UInt64>(0)

    /// Which quarter `now` lies in, both in milliseconds. Never 0, which marks an untouched slot.
    static func quarter(now: UInt64, window: UInt32) -> UInt64 {
        (now / max(UInt64(window) / Self.quarters, 1)) & 0x7FFF_FFFF + 1
    }

    func record(quarter: UInt64) {
        switch quarter % Self.quarters {
        case 0: Self.count(in: self.first, quarter)
        case 1: Self.count(in: self.second, quarter)
        case 2: Self.count(in: self.third, quarter)
        default: Self.count(in: self.fourth, quarter)
        }
    }

    /// All slots as they are. Two readings differ if a success was recorded between them.
    var words: SIMD4<UInt64> {
        SIMD4(
            self.first.load(ordering: .relaxed), self.second.load(ordering: .relaxed),
            self.third.load(ordering: .relaxed), self.fourth.load(ordering: .relaxed))
    }

    /// The successes that `words` holds for the window which ends with `quarter`.
    static func successes(in words: SIMD4<UInt64>, quarter: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for index in words.indices where Self.covers(quarter, words[index] >> 32) {
            sum += words[index] & 0xFFFF_FFFF
        }
        return sum
    }

    /// Whether the window that ends with `quarter` covers the slot of quarter `slot`.
    static func covers(_ quarter: UInt64, _ slot: UInt64) -> Bool {
        slot != 0 && slot <= quarter && quarter - slot < Self.quarters
    }

    private static func count(in slot: borrowing Atomic<UInt64>, _ quarter: UInt64) {
        let word = slot.load(ordering: .relaxed)
        if word >> 32 != quarter {
            let fresh = quarter << 32 | 1
            if slot.compareExchange(expected: word, desired: fresh, ordering: .relaxed).exchanged { return }
        }
        slot.wrappingAdd(1, ordering: .relaxed)
    }
}
