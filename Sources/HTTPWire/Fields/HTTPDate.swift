/// Dates without a calendar library: the proleptic Gregorian calendar in UTC from seconds since 1970.
package enum HTTPDate {
    private struct Civil {
        var year: UInt64
        var month: UInt64
        var day: UInt64
        var weekday: Int
        var hour: UInt64
        var minute: UInt64
        var second: UInt64

        init(seconds: UInt64) {
            let days = seconds / 86_400
            let rest = seconds % 86_400
            self.hour = rest / 3_600
            self.minute = rest % 3_600 / 60
            self.second = rest % 60
            // 1970-01-01 was a Thursday.
            self.weekday = Int((days + 4) % 7)
            // Counted in eras of 400 years from 0000-03-01, so that the leap day ends a year.
            let shifted = days + 719_468
            let era = shifted / 146_097
            let dayOfEra = shifted % 146_097
            let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
            let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
            let shiftedMonth = (5 * dayOfYear + 2) / 153
            self.day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
            self.month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
            self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        }
    }

    /// Bytes of an IMF-fixdate of the years up to 9999.
    package static let length = 29

    /// The last second of the year 9999.
    static let lastSecond: UInt64 = 253_402_300_799

    /// IMF-fixdate (RFC 9110 5.6.7).
    package static func write(seconds: UInt64, into writer: inout ByteWriter) {
        let civil = Civil(seconds: seconds)
        switch civil.weekday {
        case 0: writer.append("Sun, ")
        case 1: writer.append("Mon, ")
        case 2: writer.append("Tue, ")
        case 3: writer.append("Wed, ")
        case 4: writer.append("Thu, ")
        case 5: writer.append("Fri, ")
        default: writer.append("Sat, ")
        }
        Self.two(civil.day, into: &writer)
        writer.append(Self.month(civil.month))
        writer.append(decimal: civil.year)
        writer.append(0x20)
        Self.clock(civil, into: &writer)
        writer.append(" GMT")
    }

    /// ISO 8601 with milliseconds.
    package static func writeISO(milliseconds: UInt64, into writer: inout ByteWriter) {
        let civil = Civil(seconds: milliseconds / 1_000)
        writer.append(decimal: civil.year)
        writer.append("-")
        Self.two(civil.month, into: &writer)
        writer.append("-")
        Self.two(civil.day, into: &writer)
        writer.append("T")
        Self.clock(civil, into: &writer)
        writer.append(".")
        let rest = milliseconds % 1_000
        writer.append(UInt8(0x30 + rest / 100))
        Self.two(rest % 100, into: &writer)
        writer.append("Z")
    }

    private static func clock(_ civil: Civil, into writer: inout ByteWriter) {
        Self.two(civil.hour, into: &writer)
        writer.append(":")
        Self.two(civil.minute, into: &writer)
        writer.append(":")
        Self.two(civil.second, into: &writer)
    }

    private static func two(_ value: UInt64, into writer: inout ByteWriter) {
        writer.append(UInt8(truncatingIfNeeded: 0x30 + value / 10))
        writer.append(UInt8(truncatingIfNeeded: 0x30 + value % 10))
    }

    private static func month(_ month: UInt64) -> StaticString {
        switch month {
        case 1: " Jan "
        case 2: " Feb "
        case 3: " Mar "
        case 4: " Apr "
        case 5: " May "
        case 6: " Jun "
        case 7: " Jul "
        case 8: " Aug "
        case 9: " Sep "
        case 10: " Oct "
        case 11: " Nov "
        default: " Dec "
        }
    }
}
