import Testing

@testable import GatewayService

@Suite("JavaScript numbers")
struct JavaScriptNumberTests {
    @Test(
        arguments: [
            (0, "0"), (-0.0, "0"), (1, "1"), (-1, "-1"), (1e16, "10000000000000000"),
            (1.2345678901234568e20, "123456789012345680000"),
            (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e21, "1.5e+21"), (-1e21, "-1e+21"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"), (1.25e-7, "1.25e-7"), (0.1, "0.1"), (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3, "0.3333333333333333"),
            (.leastNonzeroMagnitude, "5e-324"), (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (9_007_199_254_740_992, "9007199254740992"),
            (9_007_199_254_740_994, "9007199254740994"), (123.456, "123.456"), (-123.456, "-123.456"),
            (1_731_499_200_000, "1731499200000"),
            (4.35, "4.35"), (100, "100"), (1e-5, "0.00001"), (12345e-10, "0.0000012345"), (.nan, "null"),
            (.infinity, "null"),
            (-.infinity, "null"), (2.5e15, "2500000000000000"), (0.5e-6, "5e-7"), (0.0001, "0.0001"),
            (-0.000_123_45, "-0.00012345"), (0.000_099_9, "0.0000999"),
            (4_503_599_627_370_495.5, "4503599627370495.5"),
        ] as [(Double, String)])
    func printed(value: Double, text: String) {
        var bytes: [UInt8] = []
        JavaScriptNumber.write(value, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    /// Whatever is printed reads back as the very same double.
    @Test func printedTextReadsBack() {
        var state: UInt64 = 42
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = Double(bitPattern: state)
            guard value.isFinite else { continue }
            var bytes: [UInt8] = []
            JavaScriptNumber.write(value, to: &bytes)
            #expect(Double(String(decoding: bytes, as: UTF8.self)) == value)
        }
    }

    /// Between 0.000001 and 1e21 JavaScript prints no exponent, and never a point without digits after it.
    @Test func everydayNumbersArePlain() {
        var state: UInt64 = 7
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let exponent = UInt64(1023 - 19 + state % 88)
            let value = Double(bitPattern: state >> 12 | exponent << 52)
            var bytes: [UInt8] = []
            JavaScriptNumber.write(value, to: &bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(!text.contains("e") && !text.hasSuffix(".0") && text.first != ".", "\(value)")
            #expect(Double(text) == value)
        }
    }

    @Test(
        arguments: [
            ("7", 7), (" 7 ", 7), ("", 0), (" ", 0), ("\t\n", 0), ("\u{A0}\u{FEFF}", 0), ("1e3", 1000), ("0x10", 16),
            ("0XfF", 255),
            ("0b1", 1), ("0o17", 15), ("-5", -5), ("+5", 5), ("1.5", 1.5), (".5", 0.5), ("5.", 5),
            ("Infinity", .infinity),
            ("-Infinity", -.infinity), ("007", 7), ("1E+2", 100), ("1e-2", 0.01), ("1e999", .infinity),
        ] as [(String, Double)])
    func parsed(text: String, value: Double) {
        #expect(JavaScriptNumber.parse(text) == value)
    }

    @Test(arguments: [
        "abc", "12abc", "null", "true", "NaN", "infinity", "inf", "0x", "0xg", "-0x10", "1e", "1e+", ".", "-", "+",
        "1_000", "1,5",
        "1 2", "0b2", "e5", "--1", "0x1p3", "Infinityx",
    ])
    func noNumbers(text: String) {
        #expect(JavaScriptNumber.parse(text).isNaN)
    }

    @Test(
        arguments: [("12abc", 12), (" 1.5e2x", 150), ("1e", 1), ("Infinityx", .infinity), ("5.x", 5)]
            as [(String, Double)])
    func parsedPrefix(text: String, value: Double) {
        #expect(JavaScriptNumber.parsePrefix(text) == value)
    }
}
