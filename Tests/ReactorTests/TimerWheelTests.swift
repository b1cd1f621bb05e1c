import Reactor
import Testing

@Suite("Timer wheel")
struct TimerWheelTests {
    private func expired(_ wheel: inout TimerWheel, at now: UInt64) -> [Int32] {
        var fired: ContiguousArray<Int32> = []
        wheel.advance(to: now, expired: &fired)
        return fired.sorted()
    }

    @Test(
        "Never fires early, and at most two ticks late",
        arguments: [1, 15, 16, 17, 100, 999, 16_384, 40_000] as [UInt64])
    func firesOnTime(delay: UInt64) {
        let start: UInt64 = 1_000_003
        var wheel = TimerWheel(now: start)
        wheel.schedule(7, at: start + delay)
        var now = start
        var firedAt: UInt64?
        while firedAt == nil, now < start + delay + 100 {
            now += 1
            if self.expired(&wheel, at: now) == [7] { firedAt = now }
        }
        #expect(firedAt.map { $0 >= start + delay && $0 <= start + delay + 32 } == true)
        #expect(wheel.count == 0)
    }

    @Test("Moving a deadline later, then earlier, counts as the last word")
    func moves() {
        var wheel = TimerWheel(now: 0)
        wheel.schedule(1, at: 100)
        wheel.schedule(1, at: 5_000)
        #expect(self.expired(&wheel, at: 200).isEmpty)
        wheel.schedule(1, at: 300)
        #expect(wheel.count == 1)
        #expect(self.expired(&wheel, at: 340) == [1])
        #expect(self.expired(&wheel, at: 10_000).isEmpty)
    }

    @Test("A cancelled entry does not fire, and its identifier can be used again")
    func cancels() {
        var wheel = TimerWheel(now: 0)
        wheel.schedule(1, at: 100)
        wheel.schedule(2, at: 100)
        wheel.cancel(1)
        wheel.cancel(1)
        wheel.cancel(99)
        #expect(self.expired(&wheel, at: 200) == [2])
        wheel.schedule(1, at: 300)
        #expect(self.expired(&wheel, at: 400) == [1])
    }

    @Test(
        "The next visit is found whichever bucket the wheel stands at",
        arguments: [0, 1, 62, 63, 64, 511, 1_022, 1_023])
    func nextVisit(tick: UInt64) {
        let start = tick << 4
        for delay in [UInt64(1), 16, 17, 900, 1_024, 8_000, 16_000, 16_352] {
            var wheel = TimerWheel(now: start)
            #expect(wheel.nextVisit(after: start) == nil)
            wheel.schedule(3, at: start + delay)
            #expect(
                wheel.nextVisit(after: start).map { ($0 >= delay, $0 < delay + 16) } ?? (false, false) == (true, true))
        }
        // Further ahead than the wheel reaches: the last bucket is visited, and the entry moved on.
        var wheel = TimerWheel(now: start)
        wheel.schedule(3, at: start + 60_000)
        #expect(wheel.nextVisit(after: start) == 1_023 << 4)
    }

    @Test("A jump of hours fires everything due, once")
    func longJump() {
        var wheel = TimerWheel(now: 0)
        for identifier in 0..<500 { wheel.schedule(identifier, at: UInt64(identifier) * 1_000) }
        #expect(self.expired(&wheel, at: 100_000_000).count == 500)
        #expect(wheel.nextVisit(after: 100_000_000) == nil)
    }

    /// Against a plain dictionary, with random schedules, moves, cancels and advances.
    @Test("Agrees with a plain model", arguments: 0..<20 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: UInt64) -> UInt64 {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return random % bound
        }
        var now: UInt64 = 10_000
        var wheel = TimerWheel(now: now)
        var model: [Int: UInt64] = [:]
        for _ in 0..<3_000 {
            let identifier = Int(next(50))
            switch next(10) {
            case 0..<5:
                let deadline = now + next(30_000)
                wheel.schedule(identifier, at: deadline)
                model[identifier] = deadline
            case 5:
                wheel.cancel(identifier)
                model[identifier] = nil
            default:
                let wait = wheel.nextVisit(after: now)
                if let earliest = model.values.min(), let wait {
                    // The loop sleeps until then: it must not sleep past a deadline by more than the tick allows.
                    #expect(now + wait <= max(earliest, now) + 32, "seed \(seed)")
                }
                now += next(400)
                let fired = self.expired(&wheel, at: now)
                for identifier in fired {
                    let deadline = model.removeValue(forKey: Int(identifier))
                    #expect(deadline.map { $0 <= now } == true, "seed \(seed): \(identifier) fired early or unasked")
                }
                for (identifier, deadline) in model where deadline + 32 < now {
                    Issue.record("seed \(seed): \(identifier) is late: \(deadline) at \(now)")
                }
            }
            #expect(wheel.count == model.count, "seed \(seed)")
        }
    }
}
