/// Who may come, by address.
package struct AccessSpec: Sendable, Equatable {
    /// nil: everybody whom nothing denies.
    package var allow: [AddressBlock]?
    /// Wins over `allow`.
    package var deny: [AddressBlock] = []

    package init() {}

    /// Nobody is refused.
    package var isOpen: Bool { self.allow == nil && self.deny.isEmpty }
}

/// How many requests may come with one key.
package struct RateLimitSpec: Sendable, Equatable {
    /// Unique among the rules of its route.
    package var name: String
    package var key: RateKey
    package var rate: RateSpec
    /// Addresses of one such block are one client.
    package var ipv4Prefix: UInt8 = 32
    package var ipv6Prefix: UInt8 = 64
    /// Keys that are short of tokens at a time.
    package var entries: UInt32 = 65_536
    /// A refusal tells of the limit in `RateLimit-Policy` and `RateLimit`.
    package var tells = true
    /// Counted and logged, but not refused.
    package var dryRun = false
    /// Clients for which it does not hold.
    package var except: [AddressBlock] = []

    package init(name: String, key: RateKey, rate: RateSpec) {
        self.name = name
        self.key = key
        self.rate = rate
    }
}

package enum RateKey: Sendable, Equatable {
    case clientAddress
    /// Lower-case field name. A request without it is counted by its client's address.
    case header(String)
    case cookie(String)
    /// All requests together.
    case all
}
