/// Keeps retries a fraction of requests, so that a failing upstream is not buried under them. One per worker and
/// upstream.
///
/// Every request puts in its percentage of a token, time puts in a few a second, a retry takes one. What can be saved up
/// is bounded: about ten seconds' worth.
package struct RetryBudget: Sendable {
    private static let window: UInt64 = 10
    /// Tokens are counted in thousandths.
    private static let unit: UInt64 = 1_000

    private let perRequest: UInt64
    private let perSecond: UInt64
    private var tokens: UInt64
    private var capacity: UInt64
    private var lastRefill: UInt64 = 0
    private var requestsThisSecond: UInt64 = 0

    package init(_ spec: RetrySpec) {
        self.perRequest = UInt64(spec.budgetPercent) * Self.unit / 100
        self.perSecond = UInt64(spec.minimumPerSecond) * Self.unit
        self.capacity = self.perSecond * Self.window
        self.tokens = self.capacity
    }

    /// A request begins.
    package mutating func deposit(now: UInt64) {
        self.refill(now: now)
        self.requestsThisSecond &+= 1
        self.tokens = min(self.capacity, self.tokens + self.perRequest)
    }

    /// Whether a retry may be made; takes it out.
    package mutating func withdraw(now: UInt64) -> Bool {
        self.refill(now: now)
        guard self.tokens >= Self.unit else { return false }
        self.tokens -= Self.unit
        return true
    }

    private mutating func refill(now: UInt64) {
        guard self.lastRefill > 0 else {
            self.lastRefill = max(1, now)
            return
        }
        let elapsed = now - min(now, self.lastRefill)
        guard elapsed >= 100 else { return }
        self.lastRefill = now
        // The rate of the last moments decides how much may be saved up.
        let rate = self.requestsThisSecond * 1_000 / elapsed
        self.requestsThisSecond = 0
        self.capacity = (rate * self.perRequest + self.perSecond) * Self.window
        self.tokens = min(self.capacity, self.tokens + self.perSecond * min(elapsed, 10_000) / 1_000)
    }
}
