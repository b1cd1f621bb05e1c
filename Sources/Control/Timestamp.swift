import Glibc

/// Points in time as people and their tools read them.
package enum Timestamp {
    /// ISO 8601 in UTC with milliseconds, `2026-01-31T12:00:00.250Z`, from milliseconds since 1970.
    package static func iso8601(_ milliseconds: UInt64) -> String {
        var seconds = time_t(clamping: milliseconds / 1_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "" }
        let year = Self.padded(Int(parts.tm_year) + 1_900, 4)
        let month = Self.padded(Int(parts.tm_mon) + 1, 2)
        let day = Self.padded(Int(parts.tm_mday), 2)
        let hour = Self.padded(Int(parts.tm_hour), 2)
        let minute = Self.padded(Int(parts.tm_min), 2)
        let second = Self.padded(Int(parts.tm_sec), 2)
        let fraction = Self.padded(Int(milliseconds % 1_000), 3)
        return "\(year)-\(month)-\(day)T\(hour):\(minute):\(second).\(fraction)Z"
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Timestamp {
    /// Milliseconds since 1970 of a time as `iso8601` writes it; parts of a second may be missing. nil: it is none, or before 1970.
    package static func milliseconds(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z"), bytes[4] == UInt8(ascii: "-"),
            bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T"), bytes[13] == UInt8(ascii: ":"),
            bytes[16] == UInt8(ascii: ":")
        else { return nil }
        func number(_ range: Range<Int>) -> Int32? {
            var value: Int32 = 0
            for byte in bytes[range] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int32(byte - 0x30)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), year >= 1970, (1...12).contains(month),
            (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var fraction: Int32 = 0
        if bytes.count > 20 {
            guard bytes[19] == UInt8(ascii: "."), (22...24).contains(bytes.count),
                let digits = number(20..<bytes.count - 1)
            else { return nil }
            fraction = digits * [100, 10, 1][bytes.count - 22]
        }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (year - 1_900, month - 1, day)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        let seconds = timegm(&parts)
        // Brought into its bounds: a day that its month does not have lies in the next one, as a leap second may.
        guard parts.tm_mon == month - 1 || second == 60 else { return nil }
        return seconds < 0 ? nil : UInt64(seconds) * 1_000 + UInt64(fraction)
    }
}
