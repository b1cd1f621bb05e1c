/// When a busy loop waits a moment before it looks for events again, so that more of them come in one batch.
///
/// A loop that is busy but not saturated is woken for every event or two: it goes to sleep and is woken again, by an
/// interrupt from the processor that the peer runs on, thousands of times a second, and both sides pay. Network cards
/// moderate their interrupts for the same reason. Here turns start at least `spacing` apart while the loop is busy:
/// a saturated loop, whose turns take longer than that, never waits, and neither does one with little to do, whose
/// clients would only notice the wait. See `docs/decisions/0007-turn-pacing.md` for the figures.
package struct TurnPacing: Sendable {
    /// Microseconds between the starts of two turns of a busy loop: the most that an event may be late by. 0: off.
    package let spacing: UInt32
    /// Fewer requests in flight than this cannot fill a batch; their clients wait for each answer and would feel it.
    private static let leastInFlight = 16
    /// A turn that found a single event says that they come too slowly to gather.
    private static let leastEvents = 2
    /// What is left below this many microseconds is not worth the two system calls of a sleep.
    private static let shortestPause: UInt64 = 10

    package static let off = TurnPacing(spacing: 0)
    package static let standard = TurnPacing(spacing: 100)

    package init(spacing: UInt32) {
        self.spacing = spacing
    }

    /// Microseconds to pause after a turn that had `events` events, left `inFlight` requests unanswered and took
    /// `elapsed` microseconds; 0: go on at once.
    @inline(__always)
    package func pause(events: Int, inFlight: Int, elapsed: UInt64) -> UInt32 {
        guard events >= Self.leastEvents, inFlight >= Self.leastInFlight,
            elapsed < UInt64(self.spacing), UInt64(self.spacing) - elapsed >= Self.shortestPause
        else { return 0 }
        return self.spacing - UInt32(elapsed)
    }
}

/// What a turn of a loop wants before the next one.
package struct NextTurn {
    /// Milliseconds that the wait for events may last; -1: for ever.
    package var timeout: Int32
    /// Microseconds to sleep before that wait, deaf to events; below a thousand.
    package var pause: UInt32

    package init(timeout: Int32, pause: UInt32 = 0) {
        self.timeout = timeout
        self.pause = pause
    }
}
