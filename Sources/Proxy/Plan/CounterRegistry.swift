import Synchronization

/// Numbers for series of counters: one for each pair of route and upstream that a table names. The same pair has the same
/// number in every table, so that counters go on across reloads, and in every worker, so that each keeps them in a plain
/// array.
///
/// A pair that no table has named for `grace` milliseconds is forgotten, and its number given out again: what comes and
/// goes by name must not stay in memory, nor in what is scraped, for ever.
final class CounterRegistry: Sendable {
    struct Series: Hashable, Sendable {
        var route: String
        var upstream: String
    }

    private struct State {
        var numbers: [Series: Int] = [:]
        var names: ContiguousArray<Series?> = []
        var unusedSince: [Int: UInt64] = [:]
        var free: [Int] = []
    }

    private let state = Mutex(State())
    /// Long enough for a scraper to read the last values, and for a route that is renamed back to go on counting.
    private let grace: UInt64

    init(grace: UInt64 = 300_000) {
        self.grace = grace
    }

    func series(route: String, upstream: String) -> Int {
        self.state.withLock { state in
            let key = Series(route: route, upstream: upstream)
            if let number = state.numbers[key] { return number }
            let number: Int
            if let reused = state.free.popLast() {
                number = reused
                state.names[number] = key
            } else {
                number = state.names.count
                state.names.append(key)
            }
            state.numbers[key] = number
            return number
        }
    }

    /// Names by number; nil where there is none now.
    var names: ContiguousArray<Series?> { self.state.withLock { $0.names } }

    /// Takes note of what the living tables use. Answers the numbers to forget now: every worker drops their counters, and
    /// then `release` may give them out again.
    func sweep(used: Set<Int>, now: UInt64) -> [Int] {
        self.state.withLock { state in
            var gone: [Int] = []
            for (series, number) in state.numbers {
                if used.contains(number) {
                    state.unusedSince[number] = nil
                } else if let since = state.unusedSince[number] {
                    guard now >= since + self.grace else { continue }
                    state.numbers[series] = nil
                    state.names[number] = nil
                    state.unusedSince[number] = nil
                    gone.append(number)
                } else {
                    state.unusedSince[number] = now
                }
            }
            return gone
        }
    }

    func release(_ numbers: [Int]) {
        self.state.withLock { $0.free.append(contentsOf: numbers) }
    }
}
