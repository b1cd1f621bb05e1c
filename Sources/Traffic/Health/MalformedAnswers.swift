/// Judges an endpoint by answers that were refused for their form. Pure and bounded; successes are counted elsewhere and
/// handed in.
///
/// It trips only when as many *different* pages as failures in a row would eject (at least two, at most eight) were
/// answered so within the window, and nothing succeeded in between: one page that is always malformed, however often it
/// is visited, says nothing about the others.
struct MalformedAnswers: Sendable {
    private static let capacity = 8

    private struct Page: Sendable {
        var hash: UInt64 = 0
        /// As in `SuccessWindow`; 0: an empty place.
        var quarter: UInt64 = 0
    }

    private var pages = InlineArray<8, Page>(repeating: Page())
    private var lastSuccesses = SIMD4<UInt64>()

    /// Counts an answer to `page`, a hash of route and path. Answers how many pages got nothing else, if those are enough.
    mutating func note(
        page: UInt64, quarter: UInt64, successes: SIMD4<UInt64>, policy: PassiveSpec
    ) -> UInt32? {
        if successes != self.lastSuccesses {
            self.reset()
            self.lastSuccesses = successes
        }
        var distinct: UInt32 = 1
        var place = 0
        var oldest = UInt64.max
        var isKnown = false
        for index in 0..<Self.capacity {
            let held = self.pages[index]
            let counts = SuccessWindow.covers(quarter, held.quarter)
            if counts, held.hash == page {
                (place, isKnown) = (index, true)
            } else if counts {
                distinct += 1
            }
            let age = counts ? held.quarter : 0
            if !isKnown, age < oldest { (place, oldest) = (index, age) }
        }
        self.pages[place] = Page(hash: page, quarter: quarter)
        let needed = min(max(policy.consecutiveFailures, 2), UInt32(Self.capacity))
        return distinct >= needed ? min(distinct, UInt32(Self.capacity)) : nil
    }

    mutating func reset() { self = MalformedAnswers() }
}
