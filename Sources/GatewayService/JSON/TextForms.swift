import Glibc
import Synchronization

/// Dates as JavaScript's `toISOString` prints them.
enum DateText {
    /// Appends the date in quotes, or null where JavaScript's calendar ends: 8.64e15 ms either side of 1970.
    static func write(milliseconds: Int64, to bytes: inout [UInt8]) {
        guard milliseconds.magnitude <= 8_640_000_000_000_000 else {
            bytes.append(contentsOf: "null".utf8)
            return
        }
        let (dayCount, inDay) = floored(milliseconds, 86_400_000)
        let (year, month, day) = civil(dayCount)
        bytes.append(UInt8(ascii: "\""))
        if (0...9999).contains(year) {
            pad(year, 4, to: &bytes)
        } else {
            bytes.append(UInt8(ascii: year < 0 ? "-" : "+"))
            pad(Int64(year.magnitude), 6, to: &bytes)
        }
        bytes.append(UInt8(ascii: "-"))
        pad(month, 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        pad(day, 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        pad(inDay / 3_600_000, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        pad(inDay / 60_000 % 60, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        pad(inDay / 1000 % 60, 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        pad(inDay % 1000, 3, to: &bytes)
        bytes.append(contentsOf: "Z\"".utf8)
    }

    /// The same without quotes.
    static func iso(milliseconds: Int64) -> String {
        var bytes: [UInt8] = []
        write(milliseconds: milliseconds, to: &bytes)
        return String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
    }

    private static func floored(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Day count since 1970 to the proleptic Gregorian calendar, in eras of 400 years that begin on 1 March.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floored(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private static func pad(_ value: Int64, _ width: Int, to bytes: inout [UInt8]) {
        var digits: [UInt8] = []
        JavaScriptNumber.write(value, to: &digits)
        bytes.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, width - digits.count)))
        bytes.append(contentsOf: digits)
    }
}

extension DateText {
    /// The Date header (RFC 9110, section 5.6.7), made once a second.
    final class HeaderClock: Sendable {
        private let last = Mutex<(second: Int, text: String)>((0, ""))

        /// Seconds since 1970.
        static func second() -> Int {
            // The coarse clock, without a system call.
            time(nil)
        }

        func now() -> String {
            let second = Self.second()
            return last.withLock { last in
                if last.second != second { last = (second, DateText.header(second: Int64(second))) }
                return last.text
            }
        }
    }

    static func header(second: Int64) -> String {
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let (dayCount, inDay) = floored(second, 86_400)
        let (year, month, day) = civil(dayCount)
        var bytes = Array("\(days[Int(floored(dayCount, 7).remainder)]), ".utf8)
        pad(day, 2, to: &bytes)
        bytes.append(contentsOf: " \(months[Int(month) - 1]) ".utf8)
        pad(year, 4, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        pad(inDay / 3600, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        pad(inDay / 60 % 60, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        pad(inDay % 60, 2, to: &bytes)
        return String(decoding: bytes, as: UTF8.self) + " GMT"
    }
}

/// Base64 with padding (RFC 4648, section 4).
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func write(_ source: Span<UInt8>, to bytes: inout [UInt8]) {
        var index = 0
        while index < source.count {
            let left = source.count - index
            let first = UInt32(source[index]) << 16
            let second = left > 1 ? UInt32(source[index + 1]) << 8 : 0
            let third = left > 2 ? UInt32(source[index + 2]) : 0
            let group = first | second | third
            bytes.append(alphabet[Int(group >> 18)])
            bytes.append(alphabet[Int(group >> 12 & 63)])
            bytes.append(left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "="))
            bytes.append(left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "="))
            index += 3
        }
    }
}
