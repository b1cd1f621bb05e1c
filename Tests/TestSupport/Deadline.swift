import Glibc

/// A point in time by which something must have happened.
package struct Deadline: Sendable {
    private let end: UInt64

    package init(seconds: Double) {
        self.end = Self.now() + UInt64(seconds * 1_000_000)
    }

    package var remainingMilliseconds: Int32 {
        let now = Self.now()
        return now >= self.end ? 0 : Int32(clamping: (self.end - now) / 1_000 + 1)
    }

    package var hasPassed: Bool { Self.now() >= self.end }

    /// Microseconds of the monotonic clock.
    package static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}

/// Asks until the answer is yes; false if the deadline passes first. For facts of other processes, which no event tells.
///
/// Deadlines bound how long a failing test takes and say nothing about how fast anything must be: they are long enough for a
/// machine that has much else to do.
package func eventually(seconds: Double = 30, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(seconds: seconds)
    while true {
        if try condition() { return true }
        if deadline.hasPassed { return false }
        usleep(10_000)
    }
}

/// What went wrong in a test's own plumbing.
package struct TestFailure: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
