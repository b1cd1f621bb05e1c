import Synchronization

/// What came of asking the clients of a route who they are. All workers count here.
package final class AuthenticationCounts: Sendable {
    /// Allowed after a look at the password, and because that look was not long ago.
    package let allowed = Atomic<UInt64>(0)
    package let remembered = Atomic<UInt64>(0)
    package let denied = Atomic<UInt64>(0)
    /// Without credentials, or with what is none.
    package let missing = Atomic<UInt64>(0)
    package let malformed = Atomic<UInt64>(0)
    /// Not looked at: too many checks wait, or too many of the client's have failed.
    package let busy = Atomic<UInt64>(0)
    package let limited = Atomic<UInt64>(0)

    package init() {}

    /// With the names that metrics have for them.
    package var byResult: [(result: String, count: UInt64)] {
        [
            ("allowed", self.allowed.load(ordering: .relaxed)),
            ("remembered", self.remembered.load(ordering: .relaxed)),
            ("denied", self.denied.load(ordering: .relaxed)), ("missing", self.missing.load(ordering: .relaxed)),
            ("malformed", self.malformed.load(ordering: .relaxed)), ("busy", self.busy.load(ordering: .relaxed)),
            ("limited", self.limited.load(ordering: .relaxed)),
        ]
    }
}
