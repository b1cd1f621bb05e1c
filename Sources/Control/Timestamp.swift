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
