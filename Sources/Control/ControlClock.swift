import Reactor

/// The control plane's notion of time, passed in so that tests decide what time it is.
package struct ControlClock: Sendable {
    /// Milliseconds since an arbitrary start; the clock of health, ejection and slow start.
    package var monotonic: @Sendable () -> UInt64
    /// Milliseconds since 1970, for what people read.
    package var wall: @Sendable () -> UInt64
    /// Waits that many milliseconds; throws `CancellationError` when the task is cancelled.
    package var sleep: @Sendable (UInt64) async throws -> Void

    package init(
        monotonic: @escaping @Sendable () -> UInt64, wall: @escaping @Sendable () -> UInt64,
        sleep: @escaping @Sendable (UInt64) async throws -> Void
    ) {
        self.monotonic = monotonic
        self.wall = wall
        self.sleep = sleep
    }

    package static let system = ControlClock(
        monotonic: { MonotonicClock.milliseconds() },
        wall: { MonotonicClock.wallMilliseconds() },
        sleep: { try await Task.sleep(for: .milliseconds($0)) })

    /// The wall-clock time of a moment on the monotonic clock. Exact as long as nobody set the wall clock in between.
    package func wall(ofMonotonic moment: UInt64) -> UInt64 {
        let now = self.monotonic()
        let age = now > moment ? now - moment : 0
        let wall = self.wall()
        return wall > age ? wall - age : 0
    }
}
