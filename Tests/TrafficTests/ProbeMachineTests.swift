import Testing
import Traffic

@Suite("Probe verdicts")
struct ProbeMachineTests {
    private func machine(rise: UInt32 = 2, fall: UInt32 = 3) -> ProbeMachine {
        var spec = ProbeSpec()
        spec.rise = rise
        spec.fall = fall
        return ProbeMachine(spec)
    }

    private func result(_ cause: ProbeCause, at: UInt64 = 0, status: UInt16 = 200) -> ProbeResult {
        ProbeResult(at: at, wallClock: at, cause: cause, status: status, microseconds: 5)
    }

    /// Feeds a machine `+` for a passing and `-` for a failing probe; answers `U`, `D` or `.` for each.
    private func verdicts(_ probes: String, rise: UInt32 = 2, fall: UInt32 = 3) -> String {
        var machine = self.machine(rise: rise, fall: fall)
        return String(
            probes.map { probe -> Character in
                switch machine.record(self.result(probe == "+" ? .ok : .refused)) {
                case .up: "U"
                case .down: "D"
                case nil: "."
                }
            })
    }

    @Test(
        "First answer decides, then rise and fall in a row",
        arguments: [
            ("+", "U"), ("-", "D"), ("+---", "U..D"), ("+--+---", "U.....D"), ("-++", "D.U"), ("-+-++", "D...U"),
            ("+-----++", "U..D...U"), ("--++", "D..U"), ("+---+-+-+-++", "U..D.......U"),
        ])
    func sequences(probes: String, expected: String) {
        #expect(self.verdicts(probes) == expected)
    }

    @Test("Another probe goes on where the old one stood, with its own thresholds")
    func adopted() {
        var machine = self.machine()
        var spec = ProbeSpec()
        (spec.rise, spec.fall) = (1, 2)
        #expect(machine.record(self.result(.ok)) == .up)
        #expect(machine.record(self.result(.refused)) == nil)
        machine.adopt(spec)
        #expect(machine.history.count == 2 && machine.operational == .up)
        #expect(machine.explanation == "the connection was refused; 1 more failing probe would take it down")
        #expect(machine.record(self.result(.refused)) == .down)
        (spec.rise, spec.fall) = (3, 3)
        machine.adopt(spec)
        #expect(machine.record(self.result(.ok)) == nil)
        (spec.rise, spec.fall) = (1, 1)
        machine.adopt(spec)
        #expect(machine.explanation.hasSuffix("1 more passing probe would bring it back"))
        #expect(machine.record(self.result(.ok)) == .up)
    }

    @Test("Thresholds of one, and of none, flip at once")
    func one() {
        #expect(self.verdicts("+-+-", rise: 1, fall: 1) == "UDUD")
        #expect(self.verdicts("+-+-", rise: 0, fall: 0) == "UDUD")
    }

    @Test("The last 64 results are kept, oldest first")
    func history() {
        var machine = self.machine()
        for time in 0..<UInt64(100) { _ = machine.record(self.result(.ok, at: time)) }
        #expect(machine.history.map(\.at) == Array(36..<100))
    }

    @Test("It says why, since when, and what would bring it back")
    func explanation() {
        var machine = self.machine()
        #expect(machine.explanation == "no probe has answered yet")
        #expect(machine.since == nil)
        _ = machine.record(self.result(.ok, at: 5))
        #expect(machine.explanation == "probes pass")
        _ = machine.record(self.result(.status, at: 6, status: 500))
        #expect(machine.explanation == "the answer's status was 500; 2 more failing probes would take it down")
        #expect(machine.since == 5)
        _ = machine.record(self.result(.status, at: 7, status: 500))
        _ = machine.record(self.result(.responseTimeout, at: 8, status: 0))
        #expect(machine.operational == .down)
        #expect(machine.since == 8)
        #expect(machine.explanation == "no answer came in time; 2 more passing probes would bring it back")
        _ = machine.record(self.result(.ok, at: 9))
        #expect(machine.explanation == "no answer came in time; 1 more passing probe would bring it back")
        _ = machine.record(self.result(.ok, at: 10))
        #expect(machine.operational == .up)
    }

    @Test("Causes keep the words that operators script against")
    func causes() {
        let words: [(ProbeCause, String)] = [
            (.ok, "ok"), (.refused, "refused"), (.connectTimeout, "connect-timeout"), (.unreachable, "unreachable"),
            (.reset, "reset"), (.responseTimeout, "response-timeout"), (.status, "status"), (.body, "body"),
            (.malformed, "malformed"),
        ]
        for (cause, word) in words { #expect(cause.rawValue == word) }
    }
}
