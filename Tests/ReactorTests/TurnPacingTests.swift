import Testing

@testable import Reactor

@Suite("Turn pacing")
struct TurnPacingTests {
    private let pacing = TurnPacing(spacing: 100)

    @Test("A busy loop pauses for what is left of the spacing, and not at all once a turn took that long")
    func restOfSpacing() {
        #expect(self.pacing.pause(events: 8, inFlight: 64, elapsed: 0) == 100)
        #expect(self.pacing.pause(events: 8, inFlight: 64, elapsed: 40) == 60)
        #expect(self.pacing.pause(events: 8, inFlight: 64, elapsed: 90) == 10)
        for elapsed in [91, 100, 101, 5_000, UInt64.max] {
            #expect(self.pacing.pause(events: 8, inFlight: 64, elapsed: elapsed) == 0, "after \(elapsed) µs")
        }
    }

    @Test("Few requests in flight, or events that come singly, are served at once", arguments: [0, 1, 15])
    func quiet(inFlight: Int) {
        #expect(self.pacing.pause(events: 8, inFlight: inFlight, elapsed: 0) == 0)
        #expect(self.pacing.pause(events: 0, inFlight: 64, elapsed: 0) == 0)
        #expect(self.pacing.pause(events: 1, inFlight: 64, elapsed: 0) == 0)
        #expect(self.pacing.pause(events: 2, inFlight: 16, elapsed: 0) == 100)
    }

    @Test("Switched off it never pauses")
    func off() {
        #expect(TurnPacing.off.pause(events: 100, inFlight: 1_000, elapsed: 0) == 0)
    }

    @Test("Never longer than the spacing, whatever it is told")
    func bounded() {
        for spacing in [UInt32(0), 1, 9, 10, 11, 100, 999] {
            for elapsed in UInt64(0)...1_100 {
                let pause = TurnPacing(spacing: spacing).pause(events: 9, inFlight: 99, elapsed: elapsed)
                #expect(UInt64(pause) + (pause > 0 ? elapsed : 0) <= UInt64(spacing))
            }
        }
    }
}
