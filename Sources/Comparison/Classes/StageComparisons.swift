/// The comparisons of one stage's run: how many there were, and in how many something stands against the new side.
///
/// What stands changes when a class turns out to be noise, or is accepted: the latest 10,000 comparisons are judged by what is known
/// of their classes now, older ones by what was known when they became too old.
package struct StageComparisons: Sendable {
    /// Comparisons that are judged anew.
    package static let window = 10_000
    /// Classes of each that are kept.
    private static let kept = 8

    private struct Entry {
        /// Places in the book.
        var classes: InlineArray<8, UInt16> = .init(repeating: 0)
        var count: UInt8 = 0
        /// There were more than are kept: it stands whatever becomes of these.
        var hasMore = false
    }

    package private(set) var count: UInt64 = 0
    /// Confirmed comparisons of this run, by the class's place in the book.
    package private(set) var confirmed: [Int: UInt64] = [:]
    private var settled: UInt64 = 0
    private var ring: [Entry] = []
    private var oldest = 0

    package init() {}

    /// `uncleared`: the classes in which the two sides differ and no recheck said otherwise; `confirmed`: those of them in which
    /// one said that the old side agrees with itself. `oldestStands`: as it answers now.
    mutating func record(uncleared: [Int], confirmed: [Int], oldestStands: Bool) {
        self.count += 1
        for place in confirmed { self.confirmed[place, default: 0] += 1 }
        var entry = Entry()
        for place in uncleared.prefix(Self.kept) {
            entry.classes[Int(entry.count)] = UInt16(clamping: place)
            entry.count += 1
        }
        entry.hasMore = uncleared.count > Self.kept
        if self.ring.count < Self.window {
            self.ring.append(entry)
        } else {
            if oldestStands { self.settled += 1 }
            self.ring[self.oldest] = entry
            self.oldest = (self.oldest + 1) % Self.window
        }
    }

    /// Whether something stands in the comparison that the next one takes the place of. Asked before, not within, the change: a
    /// question that reads the book while the stage is changed would have all of it copied.
    func oldestStands(counts: (Int) -> Bool) -> Bool {
        self.ring.count == Self.window && Self.stands(self.ring[self.oldest], counts)
    }

    /// S: comparisons with a difference in a class that counts. `counts`: whether the class is open or real.
    func standing(counts: (Int) -> Bool) -> UInt64 {
        self.ring.reduce(self.settled) { $0 + (Self.stands($1, counts) ? 1 : 0) }
    }

    private static func stands(_ entry: Entry, _ counts: (Int) -> Bool) -> Bool {
        if entry.hasMore { return true }
        for index in 0..<Int(entry.count) where counts(Int(entry.classes[index])) { return true }
        return false
    }
}
