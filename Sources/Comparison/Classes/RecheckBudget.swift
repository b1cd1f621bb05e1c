/// How often the old side is asked again while it serves live traffic: so many times in any minute, and twice a class in any
/// second.
package struct RecheckBudget: Sendable {
    /// Milliseconds.
    private static let minute: Int64 = 60_000
    private static let second: Int64 = 1_000
    private static let perClass = 2

    /// Times of the latest rechecks, as many as a minute may have; `oldest` is the place of the first.
    private var times: [Int64] = []
    private var oldest = 0
    private let limit: Int
    private var classTimes: [ClassKey: [Int64]] = [:]

    /// `limit`: rechecks a minute; none with 0.
    package init(limit: Int) { self.limit = max(0, limit) }

    /// Whether the old side may be asked again now for a comparison that differs in these classes. One of them that may is
    /// enough; it counts for all. `now` in monotonic milliseconds.
    package mutating func take(_ classes: [ClassKey], now: Int64) -> Bool {
        guard self.limit > 0, self.times.count < self.limit || now - self.times[self.oldest] >= Self.minute else {
            return false
        }
        self.forget(now)
        guard classes.contains(where: { self.classTimes[$0, default: []].count < Self.perClass }) else { return false }
        for key in classes { self.classTimes[key, default: []].append(now) }
        if self.times.count < self.limit {
            self.times.append(now)
        } else {
            self.times[self.oldest] = now
            self.oldest = (self.oldest + 1) % self.limit
        }
        return true
    }

    /// Only classes of the last second are kept.
    private mutating func forget(_ now: Int64) {
        self.classTimes = self.classTimes.compactMapValues { times in
            let recent = times.filter { now - $0 < Self.second }
            return recent.isEmpty ? nil : recent
        }
    }
}
