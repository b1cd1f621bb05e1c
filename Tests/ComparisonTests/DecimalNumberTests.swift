import Comparison
import TestSupport
import Testing

@Suite("Decimal numbers")
struct DecimalNumberTests {
    private func number(_ text: String) throws -> DecimalNumber { try #require(DecimalNumber(text), "\(text)") }

    @Test(
        "What is written differently and is the same number is equal",
        arguments: [
            ["0", "-0", "0.0", "0e99999999999999999999", "-0.000e-7"], ["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+00"],
            ["-120", "-1.2e2", "-12E1", "-120.00"], ["18446744073709551617", "18446744073709551617.0"],
            ["1e-400", "0.1e-399", "10e-401"], ["1e400", "10e399"],
        ])
    func equal(texts: [String]) throws {
        for first in texts {
            for second in texts { #expect(try self.number(first) == self.number(second), "\(first) \(second)") }
        }
    }

    @Test(
        "Numbers that a double cannot tell apart are different",
        arguments: [
            ("18446744073709551617", "18446744073709551616"), ("0.1", "0.10000000000000000001"), ("1e400", "1e401"),
            ("1", "-1"), ("1e99999999999999999998", "1e99999999999999999999"), ("9007199254740993", "9007199254740992"),
            ("1e20", "1e99999999999999999999"), ("1e-99999999999999999999", "1e99999999999999999999"),
        ])
    func different(first: String, second: String) throws {
        #expect(try self.number(first) != self.number(second))
        #expect(try self.number(first) == self.number(first))
    }

    @Test(
        "What is no JSON number is none",
        arguments: ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", "NaN", "1 ", "--1"])
    func malformed(text: String) {
        #expect(DecimalNumber(text) == nil)
    }

    @Test(
        "Tolerances hold exactly to their edge",
        arguments: [
            ("100", "101", "1", "0", true), ("100", "101.0000000000000000001", "1", "0", false),
            ("100", "101", "0", "0.01", true), ("100", "101.02", "0", "0.01", false),
            ("1000000", "1000001", "0", "1e-6", true),
            ("1", "-1", "2", "0", true), ("1", "-1", "1.9", "0", false), ("0", "0.5", "0.5", "0", true),
            ("0", "0.5", "0", "0.5", false), ("-100", "-101", "0", "0.01", true), ("100", "103", "1", "0.02", true),
            ("100", "103.1", "1", "0.02", false), ("18446744073709551616", "18446744073709551617", "0.5", "0", false),
            ("1e300", "1.0000001e300", "0", "0.001", true), ("1e-300", "2e-300", "1e-300", "0", true),
            ("1e-300", "2e-300", "9e-301", "0", false), ("5e511", "5e-511", "1", "0", false),
            ("1e99999999999999999999", "1e99999999999999999998", "0", "1", false), ("7", "7.0", "0", "0", true),
        ])
    func tolerance(first: String, second: String, absolute: String, relative: String, expected: Bool) throws {
        let (first, second) = (try self.number(first), try self.number(second))
        let (absolute, relative) = (try self.number(absolute), try self.number(relative))
        #expect(first.isWithin(absolute: absolute, relative: relative, of: second) == expected)
        #expect(second.isWithin(absolute: absolute, relative: relative, of: first) == expected)
    }

    @Test("Against whole numbers, 20,000 seeded pairs")
    func reference() throws {
        var random = SplitMix(11)
        for _ in 0..<20_000 {
            // Of up to nine digits, with the point somewhere: hundredths of them are whole again.
            let values = (0..<4).map { _ in Int.random(in: -3_000...3_000, using: &random) }
            let texts = values.map { "\($0)e-2" }
            let (first, second) = (try self.number(texts[0]), try self.number(texts[1]))
            #expect((first == second) == (values[0] == values[1]))
            let (absolute, relative) = (abs(values[2]), abs(values[3]) / 100)
            let isWithin = first.isWithin(
                absolute: try self.number("\(absolute)e-2"), relative: try self.number("\(relative)e-2"), of: second)
            let room = absolute * 100 + relative * max(abs(values[0]), abs(values[1]))
            #expect(isWithin == (abs(values[0] - values[1]) * 100 <= room), "\(values)")
        }
    }
}
