/// A hash of all that a value says. It reads the value's reflected text, so a property that is added to a specification
/// is part of it without anybody thinking of it: a forgotten one would make a reload look like no change.
enum Fingerprint {
    /// 32 hexadecimal digits.
    static func of<Value>(_ value: Value) -> String {
        var first = KeyHash.start
        var second = ~KeyHash.start
        for byte in String(reflecting: value).utf8 {
            first = (first ^ UInt64(byte)) &* KeyHash.factor
            second = SplitMix64.mix(second &+ UInt64(byte) &+ 1)
        }
        return Self.hexadecimal(SplitMix64.mix(first)) + Self.hexadecimal(second)
    }

    private static func hexadecimal(_ bits: UInt64) -> String {
        let digits = String(bits, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
