/// So many at once, and so many a second afterwards.
struct TokenBucket: Sendable {
    private let capacity: Int
    private let perSecond: Int
    /// In thousandths.
    private var tokens: Int
    private var last: UInt64

    /// `now` in milliseconds.
    init(capacity: Int, perSecond: Int, now: UInt64) {
        self.capacity = capacity * 1_000
        self.perSecond = perSecond
        self.tokens = capacity * 1_000
        self.last = now
    }

    /// Gives one.
    mutating func give() { self.tokens = min(self.capacity, self.tokens + 1_000) }

    /// Takes one; false if there is none.
    mutating func take(now: UInt64) -> Bool {
        // An hour fills any bucket; what comes behind it cannot overflow.
        let elapsed = Int(min(now &- self.last, 3_600_000))
        self.last = now
        self.tokens = min(self.capacity, self.tokens + elapsed * self.perSecond)
        guard self.tokens >= 1_000 else { return false }
        self.tokens -= 1_000
        return true
    }
}
