import Migration
import Testing

@Suite("The tilt")
struct TiltTests {
    @Test(
        "Worked examples",
        arguments: [
            (15, 3_000, 0.001, Evidence.Direction.above, 9.1198), (0, 4_050, 0.001, .below, 3.0402),
            (0, 4_000, 0.001, .below, 2.9955), (0, 15, 0.5, .below, 8.9679), (0, 14, 0.5, .below, 8.2947),
        ] as [(UInt64, UInt64, Double, Evidence.Direction, Double)])
    func examples(bad: UInt64, count: UInt64, rate: Double, direction: Evidence.Direction, expected: Double) {
        let value = Evidence.tilt(Arm(bad: bad, count: count), rate: rate, direction)
        #expect(abs(value - expected) < 0.001, "\(value)")
    }

    @Test("Nothing seen is no evidence, and no input makes it infinite")
    func edges() {
        for rate in [0, 1e-300, 0.5, 1] {
            for direction in [Evidence.Direction.above, .below] {
                #expect(Evidence.tilt(Arm(bad: 0, count: 0), rate: rate, direction) == 0)
                for bad in [0, 1, UInt64.max] {
                    #expect(Evidence.tilt(Arm(bad: bad, count: .max), rate: rate, direction).isFinite)
                }
            }
        }
    }
}
