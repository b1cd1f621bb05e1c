import Testing

@testable import Traffic

/// The sliding window of successes beside a list of them all.
@Suite("Windows of successes") struct SuccessWindowTests {
    @Test(
        "Each success counts in its quarter and the three behind it, wherever a window begins",
        arguments: Seeds.first(20))
    func reference(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let window = SuccessWindow()
        var all: [UInt64] = []
        var quarter = UInt64(random.below(1_000)) + 1
        for _ in 0..<200 {
            if random.below(3) == 0 { quarter += UInt64(random.below(6)) }
            window.record(quarter: quarter)
            all.append(quarter)
            for end in quarter..<quarter + 6 {
                let expected = all.count { $0 <= end && end - $0 < SuccessWindow.quarters }
                #expect(SuccessWindow.successes(in: window.words, quarter: end) == UInt64(expected))
            }
        }
    }

    @Test("A quarter is a fourth of the window, and never 0")
    func quarters() {
        #expect(SuccessWindow.quarter(now: 0, window: 10_000) == 1)
        #expect(SuccessWindow.quarter(now: 2_499, window: 10_000) == 1)
        #expect(SuccessWindow.quarter(now: 2_500, window: 10_000) == 2)
        #expect(SuccessWindow.quarter(now: 7, window: 0) == 8)
        #expect(!SuccessWindow.covers(5, 0))
    }
}
