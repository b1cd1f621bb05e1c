/// What became of the requests that a plan gave to one side, by their first attempts.
package struct ArmCounters: Sendable, Equatable {
    /// All of them.
    package var samples: UInt64 = 0
    /// 5xx, refused, timed out, reset, bad or cut, even where a retry saved the client.
    package var errors: UInt64 = 0
    /// 4xx.
    package var clientErrors: UInt64 = 0
    /// The client left.
    package var cancelled: UInt64 = 0

    package init() {}

    package mutating func merge(_ other: ArmCounters) {
        self.samples &+= other.samples
        self.errors &+= other.errors
        self.clientErrors &+= other.clientErrors
        self.cancelled &+= other.cancelled
    }
}
